"""The nightly refresh from DETSİS's answer to the published difference, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from services.sandbox.detsis.register import PinnedUnit
from shared.clock import ISTANBUL
from shared.contracts.directory import RefreshRun
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import NOW, A, B, Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

EXTERNAL, OWN, ADDRESSES = "YeniDisYazismaYapanlariGetirWs", "KendiTumBirimleriGetirWs", "AktifKEPAdresleriniGetir"

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="Kurum.A@HS91.kep.example")
DEPARTMENT = PinnedUnit(10000011, "BİLGİ İŞLEM DAİRESİ BAŞKANLIĞI", parent_no=A)
INNER = PinnedUnit(10000012, "YAZILIM ŞUBE MÜDÜRLÜĞÜ", parent_no=10000011, external_addressee=False)
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
FACULTY = PinnedUnit(10000021, "FEN FAKÜLTESİ DEKANLIĞI", parent_no=B, kep_address="fen.b@hs92.kep.example")
CHAIR = PinnedUnit(10000022, "FİZİK BÖLÜMÜ", parent_no=10000021)
MAIN_C = PinnedUnit(10000003, "IŞIKLI BELEDİYE BAŞKANLIĞI", kep_address="c@hs92.kep.example")
UNITS = (MAIN_A, DEPARTMENT, INNER, MAIN_B, FACULTY, CHAIR, MAIN_C)
NEWCOMER = PinnedUnit(10000004, "YENİ KURUM", kep_address="yeni@hs91.kep.example")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    """With an account and a worker; refreshes are started by hand."""
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=0.45) as found:
        await found.account()
        yield found


async def contents(directory: Directory) -> list[str]:
    """Everything the mirror holds, in one comparable form."""
    found = []
    async with directory.database.reading() as session:
        for table in ("units", "kep_addresses", "unit_sightings"):
            rows = await session.scalars(text(f"SELECT t::text FROM {table} t ORDER BY 1"))
            found += [f"{table} {row}" for row in rows]
    return found


def changes(run: RefreshRun, name: str) -> dict[str, int]:
    """What became of the rows of one list, without the zeros."""
    fates = ("new", "changed", "absent", "returned", "tombstoned", "duplicates", "rejected")
    return {fate: run.counts[f"{name}.{fate}"] for fate in fates if run.counts[f"{name}.{fate}"]}


async def test_the_first_refresh_fills_the_mirror(directory: Directory) -> None:
    run = await directory.refresh()
    assert (run.state, run.trigger, run.finished_at, run.reason) == ("accepted", "manual", NOW, None)
    assert {name: run.counts[f"{name}.rows"] for name in ("external", "own", "addresses")} == {
        "external": 6, "own": 3, "addresses": 4,
    }  # fmt: skip
    assert changes(run, "external") == {"new": 6}
    assert changes(run, "own") == {"new": 1}
    assert changes(run, "addresses") == {"new": 4}
    status = await directory.client.status()
    assert (status.freshness.as_of, status.freshness.stale, status.freshness.snapshot_id) == (NOW, False, run.run_id)
    assert {item.kind: item.count for item in status.counts} == {
        "all": 7, "open": 7, "sendable": 4, "absent": 0, "tombstoned": 0, "active_kep_addresses": 4, "certificates": 0,
    }  # fmt: skip


async def test_a_night_without_news_writes_nothing(directory: Directory) -> None:
    await directory.refresh()
    before = await contents(directory)
    run = await directory.refresh()
    assert run.state == "accepted"
    assert [changes(run, name) for name in ("external", "own", "addresses")] == [{}, {}, {}]
    assert run.counts["external.unchanged"] == 6
    assert await contents(directory) == before


async def test_a_night_with_news(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    detsis.publish(
        MAIN_A,
        DEPARTMENT,
        INNER,
        replace(MAIN_B, kep_address="rektorluk@hs91.kep.example"),  # moved to another provider
        replace(FACULTY, active=False, operating=False),  # closed
        replace(CHAIR, name="FİZİK VE ASTRONOMİ BÖLÜMÜ"),  # renamed
        NEWCOMER,  # MAIN_C has gone
    )
    directory.clock.moment += timedelta(days=1)
    run = await directory.refresh()
    assert changes(run, "external") == {"new": 1, "changed": 2, "absent": 1}
    assert changes(run, "own") == {}
    assert changes(run, "addresses") == {"new": 2, "absent": 2}
    assert directory.metric("kepgw_directory_changes_total", table="units", change="changed") == 2
    assert directory.metric("kepgw_directory_changes_total", table="kep_addresses", change="new") == 6

    moved = (await directory.client.unit(B)).unit
    assert [(item.address, item.active) for item in moved.kep_addresses if item.active] == [
        ("rektorluk@hs91.kep.example", True)
    ]
    assert {item.address for item in moved.kep_addresses} == {"rektorluk@hs91.kep.example", "kurum.b@hs92.kep.example"}
    closed = (await directory.client.unit(FACULTY.detsis_no)).unit
    assert (closed.active, closed.operating, closed.sendable, closed.absent_since) == (False, False, False, None)
    gone = (await directory.client.unit(MAIN_C.detsis_no)).unit
    assert (gone.active, gone.absent_since) == (True, directory.clock.moment)
    assert not gone.sendable  # its address has gone as well


async def tombstones(directory: Directory) -> dict[tuple[str, int], tuple[bool, bool]]:
    async with directory.database.reading() as session:
        rows = await session.execute(
            text(
                "SELECT list_name, detsis_no, absent_since IS NOT NULL, tombstoned_at IS NOT NULL FROM unit_sightings"
                " WHERE absent_since IS NOT NULL AND list_name = 'external'"
            )
        )
        return {(name, number): (absent, buried) for name, number, absent, buried in rows}


async def test_absent_then_tombstoned_then_back(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    without = [unit for unit in UNITS if unit is not MAIN_C]
    detsis.publish(*without)
    assert changes(await directory.refresh(), "external") == {"absent": 1}
    assert await tombstones(directory) == {("external", MAIN_C.detsis_no): (True, False)}
    first_missed = (await directory.client.unit(MAIN_C.detsis_no)).unit.absent_since

    directory.clock.moment += timedelta(days=1)
    assert changes(await directory.refresh(), "external") == {"tombstoned": 1}
    assert await tombstones(directory) == {("external", MAIN_C.detsis_no): (True, True)}
    assert (await directory.client.unit(MAIN_C.detsis_no)).unit.absent_since == first_missed
    assert changes(await directory.refresh(), "external") == {}

    detsis.publish(*UNITS)
    back = await directory.refresh()
    assert changes(back, "external") == {"returned": 1}
    assert changes(back, "addresses") == {"returned": 1}
    assert await tombstones(directory) == {}
    unit = (await directory.client.unit(MAIN_C.detsis_no)).unit
    assert (unit.absent_since, unit.sendable) == (None, True)


async def test_a_unit_missing_from_one_list_lives_in_the_other(directory: Directory, detsis: Detsis) -> None:
    """It may simply have stopped corresponding with others (detsis.md 12.5)."""
    detsis.publish(*UNITS, unit := PinnedUnit(10000013, "EVRAK ŞEFLİĞİ", parent_no=DEPARTMENT.detsis_no))
    await directory.refresh()
    detsis.publish(*UNITS, replace(unit, external_addressee=False))
    assert changes(await directory.refresh(), "external") == {"absent": 1}
    assert (await directory.client.unit(unit.detsis_no)).unit.absent_since is None
    counted = {item.kind: item.count for item in (await directory.client.status()).counts}
    assert counted["absent"] == 0


BROKEN = [
    ("truncate", EXTERNAL, "failed", "ends"),
    ("truncate", ADDRESSES, "failed", "ends"),
    ("empty_body", OWN, "failed", ""),
    ("html_page", EXTERNAL, "failed", "web page"),
    ("fault", OWN, "failed", "Timeout expired"),
    ("down", ADDRESSES, "failed", "503"),
    ("in_band_error", ADDRESSES, "refused", "hata"),
]


@pytest.mark.parametrize(("fault", "operation", "state", "reason"), BROKEN)
async def test_a_broken_answer_touches_nothing(
    directory: Directory, detsis: Detsis, fault: str, operation: str, state: str, reason: str
) -> None:
    accepted = await directory.refresh()
    before = await contents(directory)
    detsis.publish(*UNITS, NEWCOMER)
    detsis.order(fault, operation)
    run = await directory.refresh()
    assert run.state == state
    assert run.reason
    assert reason in run.reason
    assert await contents(directory) == before
    assert (await directory.client.status()).freshness.snapshot_id == accepted.run_id
    detsis.faults.clear()
    assert changes(await directory.refresh(), "external") == {"new": 1}


async def test_a_list_that_shrank_too_much_or_is_empty_is_refused(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    before = await contents(directory)
    detsis.publish(MAIN_A, DEPARTMENT)
    run = await directory.refresh()
    assert (run.state, run.reason) == (
        "refused",
        "list external shrank from 6 to 2 rows, more than 45%; list addresses shrank from 4 to 1 rows, more than 45%",
    )
    assert await contents(directory) == before
    detsis.publish(*(replace(unit, kep_address=None) for unit in UNITS))
    run = await directory.refresh()
    assert (run.state, run.reason) == ("refused", "list addresses is empty")
    assert await contents(directory) == before


@pytest.mark.parametrize(
    ("fault", "operation", "reason"),
    [
        ("repeated_rows", EXTERNAL, "list external shrank from 6 to 3 rows"),
        ("unclear_flags", EXTERNAL, "active flag of 6 of 6 rows was not understood"),
    ],
)
async def test_a_list_of_the_right_length_and_the_wrong_content_is_refused(
    directory: Directory, detsis: Detsis, fault: str, operation: str, reason: str
) -> None:
    """Copies of rows do not count, and a new word for "active" must not close every unit of the state."""
    await directory.refresh()
    before = await contents(directory)
    detsis.publish(*UNITS)
    detsis.order(fault, operation)
    run = await directory.refresh()
    assert run.state == "refused"
    assert reason in (run.reason or "")
    assert await contents(directory) == before


async def test_the_first_refresh_of_another_account_is_judged_by_what_all_share(
    directory: Directory, detsis: Detsis
) -> None:
    """The list of addresses is the state's: half of it must not take the other half from everybody."""
    await directory.refresh()
    before = await contents(directory)
    await directory.account(B)
    detsis.publish(MAIN_A, DEPARTMENT, INNER, *(replace(unit, kep_address=None) for unit in UNITS[3:]))
    run = await directory.refresh(B)
    assert (run.state, run.reason) == ("refused", "list addresses shrank from 4 to 1 rows, more than 45%")
    assert await contents(directory) == before
    async with asyncio.timeout(60):
        while [directory.metric("kepgw_directory_accounts", last_refresh=end) for end in ("accepted", "refused")] != [
            1,
            1,
        ]:
            await asyncio.sleep(0.02)


async def test_what_the_database_refuses_ends_the_run(directory: Directory) -> None:
    """It would be refused again; until somebody looks, the next night must not find a run under way."""
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("ALTER TABLE units ADD CHECK (detsis_no < 0)"))
    run = await directory.refresh()
    assert (run.state, run.reason) == ("failed", "the database refused what was to be written (CheckViolation)")


async def test_a_lost_run_is_ended_and_tried_again_inside_the_window(database_url: str, detsis: Detsis) -> None:
    one_o_clock = datetime(2026, 3, 3, 1, 0, tzinfo=ISTANBUL)
    async with running_directory(database_url, detsis, refresh_retry_seconds=600) as directory:
        await directory.account()
        async with directory.database.unit_of_work() as work:
            await work.session.execute(text("UPDATE accounts SET next_run_at = :at"), {"at": one_o_clock})
            await work.session.execute(
                text(
                    "INSERT INTO runs (institution_no, trigger, state, started_at)"
                    " VALUES (:number, 'nightly', 'running', :at)"
                ),
                {"number": A, "at": one_o_clock - timedelta(hours=4)},
            )
        directory.clock.moment = one_o_clock - timedelta(minutes=1)
        directory.start("schedule")
        (run,) = await runs_of(directory, 1)
        assert (run.state, run.reason) == ("failed", "lost: no job works on it any more")
        assert await next_due(directory) == one_o_clock + timedelta(minutes=9)


async def test_a_wrong_password_is_refused_and_not_quoted(directory: Directory) -> None:
    await directory.account(password="Yanlış-1")
    run = await directory.refresh()
    assert run.state == "refused"
    assert "Kullanıcı adı veya şifre hatalı" in (run.reason or "")
    assert "Yanlış-1" not in (run.reason or "")
    await directory.account()
    assert (await directory.refresh()).state == "accepted"


async def test_one_malformed_address_does_not_keep_the_register_out(directory: Directory, detsis: Detsis) -> None:
    detsis.publish(*UNITS, replace(NEWCOMER, kep_address="yeni at hs91"))
    run = await directory.refresh()
    assert run.state == "accepted"
    assert changes(run, "addresses") == {"new": 4, "rejected": 1}
    assert not (await directory.client.unit(NEWCOMER.detsis_no)).unit.sendable


async def test_dirt_and_unknown_elements_are_survived_and_counted(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    before = await contents(directory)
    detsis.order("unknown_element")
    run = await directory.refresh()
    assert run.state == "accepted"
    assert run.counts["external.unknown_elements"] > 0
    assert await contents(directory) == before
    detsis.faults.clear()
    detsis.order("bad_character", EXTERNAL)
    assert (await directory.refresh()).state == "accepted"


async def test_one_refresh_of_an_account_at_a_time(directory: Directory, detsis: Detsis) -> None:
    with detsis.holding(EXTERNAL) as asked:
        answers = await asyncio.gather(*(directory.client.refresh(A) for _ in range(3)), return_exceptions=True)
        started = [answer for answer in answers if isinstance(answer, RefreshRun)]
        refused = [answer for answer in answers if isinstance(answer, DomainError)]
        assert len(started) == 1
        assert {error.code for error in refused} == {ErrorCode.STATE_CONFLICT}
        await asyncio.wait_for(asked.wait(), 60)
        with pytest.raises(DomainError, match="under way"):
            await directory.client.refresh(A)
    assert (await directory.ended(started[0].run_id)).state == "accepted"
    assert (await directory.refresh()).state == "accepted"


async def test_two_accounts_refresh_side_by_side(directory: Directory, detsis: Detsis) -> None:
    await directory.account(B)
    with detsis.holding(ADDRESSES):
        runs = [await directory.client.refresh(number) for number in (A, B)]
        async with asyncio.timeout(60):
            while detsis.calls[ADDRESSES] < 2:
                await asyncio.sleep(0.01)
    for run in runs:
        assert (await directory.ended(run.run_id)).state == "accepted"
    assert (
        len(
            (await directory.client.search("", limit=50, cursor=None, sendable_only=False, main_institution=None)).units
        )
        == 7
    )


async def test_a_list_is_not_applied_twice_for_one_run(directory: Directory, detsis: Detsis) -> None:
    """A job thought dead may still be at work: what it brings when another has finished the run is dropped."""
    await directory.refresh()
    detsis.publish(*(unit for unit in UNITS if unit is not MAIN_C))
    with detsis.holding(ADDRESSES) as asked:
        run = await directory.client.refresh(A)
        await asyncio.wait_for(asked.wait(), 60)
        async with directory.database.unit_of_work() as work:
            await work.session.execute(
                text("UPDATE runs SET state = 'accepted', finished_at = now() WHERE state = 'running'")
            )
        before = await contents(directory)
    async with asyncio.timeout(60):
        while await _jobs(directory):
            await asyncio.sleep(0.02)
    assert (await directory.ended(run.run_id)).state == "accepted"
    assert await contents(directory) == before


async def _jobs(directory: Directory) -> int:
    async with directory.database.reading() as session:
        return await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0


async def test_without_account_there_is_nothing_to_refresh(directory: Directory) -> None:
    for number in (B, 0, 99_999_999):
        with pytest.raises(DomainError) as caught:
            await directory.client.refresh(number)
        assert caught.value.code is ErrorCode.NOT_FOUND
    with pytest.raises(DomainError) as caught:
        await directory.client.refresh(10**30)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


async def runs_of(directory: Directory, number: int) -> list[RefreshRun]:
    """The first ``number`` runs that have ended, newest first."""
    async with asyncio.timeout(60):
        while True:
            ended = [run for run in (await directory.client.status()).last_runs if run.state != "running"]
            if len(ended) >= number:
                return ended
            await asyncio.sleep(0.02)


async def next_due(directory: Directory) -> datetime:
    async with directory.database.reading() as session:
        found = await session.scalar(text("SELECT next_run_at FROM accounts"))
    assert isinstance(found, datetime)
    return found


async def test_a_new_account_is_refreshed_at_once_and_then_every_night(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", "schedule") as directory:
        await directory.account()
        (run,) = await runs_of(directory, 1)
        assert (run.trigger, run.state, run.started_at) == ("first-start", "accepted", NOW)
        due = (await next_due(directory)).astimezone(ISTANBUL)
        assert due.date() == NOW.astimezone(ISTANBUL).date() + timedelta(days=1)
        assert due.hour < 6
        directory.clock.moment = due + timedelta(seconds=1)
        run, _first = await runs_of(directory, 2)
        assert (run.trigger, run.state) == ("nightly", "accepted")
        assert await next_due(directory) > directory.clock.moment
        async with asyncio.timeout(60):
            while directory.metric("kepgw_directory_snapshot_age_seconds") != 0:  # that of the second night
                await asyncio.sleep(0.02)
        assert directory.metric("kepgw_directory_units", kind="all") == 7
        assert directory.metric("kepgw_directory_units", kind="sendable") == 4


async def test_an_empty_mirror_is_not_left_until_the_night(database_url: str, detsis: Detsis) -> None:
    detsis.order("down")
    async with running_directory(database_url, detsis, "jobs", "schedule", refresh_retry_seconds=600) as directory:
        await directory.account()
        (run,) = await runs_of(directory, 1)
        assert run.state == "failed"
        assert await next_due(directory) == NOW + timedelta(minutes=10)
        detsis.faults.clear()
        directory.clock.moment += timedelta(minutes=11)
        run, _failed = await runs_of(directory, 2)
        assert (run.trigger, run.state) == ("first-start", "accepted")


async def test_a_night_without_detsis_is_tried_again_inside_the_window(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", "schedule", refresh_retry_seconds=600) as directory:
        await directory.account()
        await runs_of(directory, 1)
        detsis.order("down")
        one_o_clock = datetime(2026, 3, 3, 1, 0, tzinfo=ISTANBUL)
        async with directory.database.unit_of_work() as work:
            await work.session.execute(text("UPDATE accounts SET next_run_at = :at"), {"at": one_o_clock})
        directory.clock.moment = one_o_clock
        run, _first = await runs_of(directory, 2)
        assert (run.trigger, run.state) == ("nightly", "failed")
        assert await next_due(directory) == one_o_clock + timedelta(minutes=10)
