"""The export of a mirror of some size: whole, one view, and never half without saying so."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory.export import ExportLine
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import A, Detsis, Directory, running_detsis, running_directory
from tests.support.gateway import running_gateway, serving
from tests.unit.detsis_soap.conftest import Authority, make_authority

MANY = 3000
FIRST = 20_000_000
MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
OFFICE = PinnedUnit(10000021, "YAZI İŞLERİ MÜDÜRLÜĞÜ", parent_no=A, kep_address="yazi@hs91.kep.example")
_FILLED = f"""
INSERT INTO units (detsis_no, name, folded_name, parent_no, main_institution_no, category_id, status_id, kinds, level,
    active, operating, external_addressee, postal_address, content_hash, first_run_id, changed_run_id)
SELECT {FIRST} + n, 'BİRİM ' || n || chr(10) || '"\\ğ', 'birim ' || n, {A}, {A}, 1, 1, '[]', 2, n % 10 <> 0, true,
    n % 2 = 0, repeat('MAHALLE ', 700), '', 1, 1 FROM generate_series(1, {MANY}) AS n
"""
_ADDRESSES = f"""
INSERT INTO kep_addresses (detsis_no, address, active, content_hash, changed_run_id)
SELECT {FIRST} + n, n || '.' || k || '@hs91.kep.example', k = 1, '', 1
FROM generate_series(1, {MANY}, 3) AS n CROSS JOIN generate_series(1, 2) AS k
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, MAIN_A, OFFICE) as found:
        yield found


async def filled(directory: Directory) -> None:
    """A small night, and three thousand units beside it."""
    await directory.account()
    assert (await directory.refresh()).state == "accepted"
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text(_FILLED))
        await work.session.execute(text(_ADDRESSES))


async def exported(directory: Directory, *, compressed: bool = False, open_only: bool = False) -> list[ExportLine]:
    async with directory.client.export(open_only=open_only, compressed=compressed) as answer:
        content = b"".join([block async for block in answer.aiter_raw()])
    assert (answer.headers.get("content-encoding") == "gzip") is compressed
    content = gzip.decompress(content) if compressed else content
    assert content.endswith(b"\n")
    return [ExportLine.model_validate_json(line) for line in content.splitlines()]


async def test_every_line_is_what_the_unit_itself_says(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs") as directory:
        await filled(directory)
        header, *lines, trailer = await exported(directory)
        freshness = (await directory.client.status()).freshness
        assert header.header is not None
        assert (header.header.snapshot_id, header.header.as_of, header.header.stale) == (
            freshness.snapshot_id, freshness.as_of, freshness.stale,
        )  # fmt: skip
        assert header.header.changes_cursor == (await directory.client.changes()).next_cursor
        units = [line.unit for line in lines]
        assert trailer.trailer is not None
        assert trailer.trailer.units == len(units) == MANY + 2
        numbers = [unit.detsis_no for unit in units if unit is not None]
        assert numbers == sorted(numbers)
        for place in (0, 1, 2, 5, 1500, -1):
            unit = units[place]
            assert unit is not None
            asked = (await directory.client.unit(unit.detsis_no)).unit
            assert unit == asked.model_copy(update={"path": []})
        assert await exported(directory, compressed=True) == [header, *lines, trailer]
        opened = await exported(directory, open_only=True)
        assert [line.unit.detsis_no for line in opened[1:-1] if line.unit] == [
            unit.detsis_no for unit in units if unit is not None and unit.active and unit.operating
        ]


async def test_a_reader_that_does_not_read_is_cut_off_and_others_wait_meanwhile(
    database_url: str, detsis: Detsis
) -> None:
    async with running_directory(database_url, detsis, "jobs", exports_at_once=1, export_seconds=5) as directory:
        await filled(directory)
        read = b""
        with pytest.raises(DomainError) as caught:
            async with directory.client.export(open_only=False, compressed=False) as stalled:
                with pytest.raises(DomainError) as refused:
                    await exported(directory)
                assert refused.value.code is ErrorCode.RATE_LIMITED
                assert refused.value.retry_after_seconds
                async with asyncio.timeout(60):
                    while not await _free(directory):
                        await asyncio.sleep(0.05)
                assert await _views(directory) == 0, "the view of the mirror is given back"
                async for block in stalled.aiter_raw():
                    read += block
        assert caught.value.code is ErrorCode.DIRECTORY_UNAVAILABLE
        assert read.startswith(b'{"header":')
        assert b'{"trailer":' not in read


async def _free(directory: Directory) -> bool:
    try:
        async with directory.client.export(open_only=True, compressed=True) as answer:
            return answer.status_code == 200
    except DomainError as error:
        if error.code is not ErrorCode.RATE_LIMITED:
            raise
        return False


async def _views(directory: Directory) -> int:
    """Transactions that still read units."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    async with asyncio.timeout(60):
        while True:
            async with directory.database.autocommit() as session:
                if not (found := await session.scalar(statement) or 0):
                    return found
            await asyncio.sleep(0.05)


async def test_an_export_is_unchanged_until_the_mirror_is(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", stale_after_hours=36) as directory:
        await directory.account()
        with pytest.raises(DomainError) as caught:
            await exported(directory)
        assert caught.value.code is ErrorCode.NOT_FOUND
        assert (await directory.refresh()).state == "accepted"

        async def held(etag: str | None) -> tuple[int, str]:
            async with directory.client.export(open_only=False, compressed=False, if_none_match=etag) as answer:
                return answer.status_code, answer.headers["etag"]

        status, etag = await held(None)
        assert (status, await held(etag), await held(f'"x", W/{etag}')) == (200, (304, etag), (304, etag))
        async with directory.database.unit_of_work() as work:  # as when a list of the same run is released later
            await work.session.execute(
                text(
                    "INSERT INTO changes (run_id, changed_at, subject, subject_key, kind)"
                    " SELECT run_id, finished_at, 'place', '1', 'changed' FROM runs"
                )
            )
        status, changed = await held(etag)
        assert (status, changed != etag) == (200, True)


async def test_an_export_that_breaks_off_behind_the_gateway_breaks_off_before_it(
    database_url: str, tmp_path: Path
) -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"1"')]})
        await send({"type": "http.response.body", "body": b'{"header":{}}\n', "more_body": True})

    async with (
        serving(breaking) as register,
        running_gateway(database_url, tmp_path, detsis_sync_url=register) as gateway,
    ):
        await gateway.institution(A)
        key = await gateway.key("directory:read", institutions=(A,))
        read = b""
        with pytest.raises(httpx.RemoteProtocolError):
            async with gateway.http.stream("GET", "/v1/directory/export", headers={"X-Api-Key": key}) as answer:
                assert answer.status_code == 200
                async for block in answer.aiter_raw():
                    read += block
        assert read == b'{"header":{}}\n'
