"""SIGKILL at any moment of a refresh: the last accepted snapshot stays, whole, and the next run is as good as a fresh one."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from services.detsis_sync.refresh.lists import PLANS
from services.sandbox.detsis.app import build_detsis_app
from services.sandbox.detsis.evolution import Evolution
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from shared.clock import FixedClock
from tests.support.database import fresh_database
from tests.support.detsis import NOW, A, B, Detsis, running_detsis, running_directory, setting_values
from tests.support.ports import free_port
from tests.unit.detsis_soap.conftest import Authority, make_authority

ROOT = Path(__file__).parents[2]
KILLS = 32
UNITS = 2500
PINNED = (
    PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="a@hs91.kep.example", encryption_certificate=b"none"),
    PinnedUnit(10000011, "BİLGİ İŞLEM DAİRESİ BAŞKANLIĞI", parent_no=A),
    PinnedUnit(B, "ÖRNEK B KURUMU BAŞKANLIĞI", kep_address="b@hs92.kep.example"),
)
# What a list names now. Rows that were named once stay in the mirror for good, marked; a fresh one never had them.
CONTENT = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT 'unit ' || (u.detsis_no, name, folded_name, parent_no, second_parent_no, main_institution_no, category_id,
        status_id, kinds, place_id, place_name, postal_address, path_text, level, active, operating,
        external_addressee, content_hash)::text AS line
        FROM units u WHERE EXISTS (SELECT FROM unit_sightings s WHERE s.detsis_no = u.detsis_no AND absent_since IS NULL)
    UNION ALL SELECT 'reachable ' || detsis_no FROM units u WHERE reachable
        AND EXISTS (SELECT FROM unit_sightings s WHERE s.detsis_no = u.detsis_no AND absent_since IS NULL)
    UNION ALL SELECT 'sighting ' || list_name || ' ' || detsis_no FROM unit_sightings WHERE absent_since IS NULL
    UNION ALL SELECT 'address ' || (detsis_no, address, active, status_text)::text
        FROM kep_addresses WHERE absent_since IS NULL
    UNION ALL SELECT 'certificate ' || (detsis_no, sha256, active)::text FROM certificates WHERE absent_since IS NULL
    UNION ALL SELECT 'owner ' || (unit_no, owner_no)::text FROM certificate_owners WHERE absent_since IS NULL
    UNION ALL SELECT 'institution ' || (detsis_no, budget_type_id)::text FROM main_institutions WHERE absent_since IS NULL
    UNION ALL SELECT 'code ' || (kind, code_id, label, detail)::text FROM codes WHERE absent_since IS NULL
    UNION ALL SELECT 'place ' || (place_id, name)::text FROM places WHERE absent_since IS NULL
    UNION ALL SELECT 'contact ' || (detsis_no, position, kind, value, label)::text FROM contacts
) lines
"""
EVERYTHING = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT u::text AS line FROM units u UNION ALL SELECT s::text FROM unit_sightings s
    UNION ALL SELECT k::text FROM kep_addresses k UNION ALL SELECT c::text FROM certificates c
    UNION ALL SELECT o::text FROM certificate_owners o UNION ALL SELECT m::text FROM main_institutions m
    UNION ALL SELECT c::text FROM codes c UNION ALL SELECT p::text FROM places p
    UNION ALL SELECT e::text FROM eyp_versions e UNION ALL SELECT c::text FROM contacts c
    UNION ALL SELECT h::text FROM changes h
) lines
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def second_url(database_server: str) -> Iterator[str]:
    with fresh_database(database_server) as url:
        yield url


class Days:
    """The look-alike's register, which lives on from day to day."""

    def __init__(self, detsis: Detsis) -> None:
        self.register: Register = generate_register(UNITS, 7, PINNED)
        self._evolution = Evolution(self.register, 7, 0.02)
        detsis._app = build_detsis_app(self.register, detsis.accounts, detsis.faults, FixedClock(NOW))

    def next(self) -> None:
        self._evolution.advance_to(self.register.day + 1)


class Mirror:
    """The database, seen from outside."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, options="-c search_path=detsis_sync -c timezone=UTC")

    def value(self, statement: str, *values: object) -> object:
        row = self._connection.execute(statement, values).fetchone()
        return None if row is None else row[0]

    def execute(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)

    def accepted(self) -> int:
        found = self.value("SELECT coalesce(max(run_id), 0) FROM runs WHERE state = 'accepted'")
        assert isinstance(found, int)
        return found

    def close(self) -> None:
        self._connection.close()


class Launcher:
    """Starts the service anew, again and again."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._running: int | None = None

    async def start(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"start\n")
        self._running = int(await self._process.stdout.readline())

    async def kill(self) -> None:
        if self._running is None:
            return
        os.kill(self._running, signal.SIGKILL)
        async with asyncio.timeout(30):
            while Path(f"/proc/{self._running}").exists():
                await asyncio.sleep(0.005)
        self._running = None

    def alive(self) -> bool:
        return self._running is not None and Path(f"/proc/{self._running}").exists()


@asynccontextmanager
async def launcher(database_url: str, authority: Authority) -> AsyncIterator[Launcher]:
    values = setting_values(database_url, authority, shrink_limit_ratio=0.2, refresh_retry_seconds=1)
    values |= {"port": free_port(), "ops_port": free_port(), "log_level": "ERROR", "eyp_checks_per_run": 5}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")} | {
        f"KEPGW_DETSIS_SYNC_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in values.items()
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.forked", cwd=ROOT, env=environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    started = Launcher(process)
    try:
        yield started
    finally:
        await started.kill()
        process.kill()
        await process.wait()


async def ended(mirror: Mirror, service: Launcher) -> None:
    """Wait until no refresh is under way."""
    async with asyncio.timeout(60):
        while mirror.value("SELECT count(*) FROM runs WHERE state = 'running'"):
            assert service.alive()
            await asyncio.sleep(0.02)


async def some_progress(mirror: Mirror, service: Launcher, chance: random.Random) -> None:
    """Wait for a moment to kill: by lists that are staged, because a loaded machine stretches time; then by chance.

    One in three waits for the last list, after which everything is published; one in ten for nothing at all.
    """
    staged = "SELECT count(*) FROM run_lists JOIN runs USING (run_id) WHERE runs.state = 'running'"
    begun = mirror.value(staged)
    assert isinstance(begun, int)
    newest = mirror.accepted()
    aim = chance.random()
    wanted = 0 if aim < 0.1 else len(PLANS) if aim < 0.45 else min(begun + chance.randint(1, 6), len(PLANS))
    async with asyncio.timeout(60):
        while (mirror.value(staged) or 0) < wanted and mirror.accepted() == newest:  # type: ignore[operator]
            assert service.alive()
            await asyncio.sleep(0.005)
    await asyncio.sleep(chance.uniform(0, 1.5 if wanted == len(PLANS) else 0.3))


async def fresh_content(url: str, detsis: Detsis) -> object:
    """What a database that never saw a crash holds after one refresh."""
    async with running_directory(url, detsis, "jobs") as directory:
        await directory.account()
        run = await directory.refresh()
        assert run.state == "accepted", run.reason
    mirror = Mirror(url)
    try:
        return mirror.value(CONTENT)
    finally:
        mirror.close()


async def test_a_kill_at_any_moment_of_a_refresh(
    database_url: str, second_url: str, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    with capsys.disabled():
        print(f" KILL_SEED={seed}", end="", flush=True)
    chance = random.Random(seed)
    async with running_detsis(authority, *PINNED) as detsis:
        days = Days(detsis)
        async with running_directory(database_url, detsis, "jobs", "schedule") as directory:
            await directory.account()
            assert (await directory.ended(1)).state == "accepted"
        mirror = Mirror(database_url)
        midway = accepted_between = 0
        async with launcher(database_url, authority) as service:
            due = "UPDATE accounts SET next_run_at = now() - interval '1 second'"
            snapshot, everything = mirror.accepted(), mirror.value(EVERYTHING)
            for _kill in range(KILLS):
                if not mirror.value("SELECT count(*) FROM runs WHERE state = 'running'"):
                    days.next()
                    mirror.execute(due)
                await service.start()
                await some_progress(mirror, service, chance)
                await service.kill()
                midway += bool(mirror.value("SELECT count(*) FROM runs WHERE state = 'running'"))
                if mirror.accepted() == snapshot:
                    assert mirror.value(EVERYTHING) == everything, "half a refresh is in the mirror"
                else:
                    accepted_between += 1
                    snapshot, everything = mirror.accepted(), mirror.value(EVERYTHING)
            # Enough of the kills were where it matters, and some runs came through between them.
            assert midway >= KILLS // 3
            assert accepted_between >= 1
            await service.start()
            await ended(mirror, service)
            days.next()
            mirror.execute(due)
            before = mirror.accepted()
            async with asyncio.timeout(60):
                while mirror.accepted() == before:
                    assert service.alive()
                    await asyncio.sleep(0.02)
            await ended(mirror, service)
            async with asyncio.timeout(30):
                while mirror.value("SELECT count(*) FROM pg_class WHERE relname ~ '^staged_[0-9]'"):
                    await asyncio.sleep(0.02)
        states = mirror.value("SELECT array_agg(DISTINCT state) FROM runs")
        content = mirror.value(CONTENT)
        mirror.close()
        assert states == ["accepted"], "a killed run is gone on with, never given up"
        assert content == await fresh_content(second_url, detsis)
