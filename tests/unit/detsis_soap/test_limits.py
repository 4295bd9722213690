"""Each operation has its own time; and what a call does not send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from services.detsis_sync.soap.account import DetsisHttpSettings
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.wire import Operation
from tests.unit.detsis_soap.answers import INVOKE, CannedServer, N, canned_server
from tests.unit.detsis_soap.conftest import Authority

HURRIED = (
    Operation.UNIT,
    Operation.UNITS_BY_NAME,
    Operation.CORRESPONDENCE_PACKAGE,
    Operation.EXTERNAL_UNITS,
    Operation.PLACES,
)
"""A small call, a collected list, the letter's call and two lists."""


@pytest.fixture
def server(authority: Authority) -> Iterator[CannedServer]:
    with canned_server(authority) as running:
        yield running


async def test_an_operation_can_have_less_time_than_the_others(server: CannedServer) -> None:
    server.canned.delay = 1
    async with server.client(operation_seconds={operation.name: 0.2 for operation in HURRIED}) as client:
        for operation in HURRIED:
            with pytest.raises(DirectoryCallError) as caught:
                await INVOKE[operation](client)
            assert (caught.value.reason, caught.value.operation) == (FailureReason.TIMEOUT, operation)
        for operation in (Operation.ANCESTORS, Operation.CATEGORIES):
            assert (await INVOKE[operation](client)).rows


async def test_an_operation_can_have_more_time_than_the_others(server: CannedServer) -> None:
    server.canned.delay = 1
    patient = {operation.name: 60.0 for operation in HURRIED}
    short = {"call_seconds": 0.2, "correspondence_seconds": 0.2, "bulk_total_seconds": 0.2}
    async with server.client(operation_seconds=patient, **short) as client:
        for operation in HURRIED:
            assert (await INVOKE[operation](client)).rows
        for operation in (Operation.ANCESTORS, Operation.CATEGORIES, Operation.FILE_PLAN):
            with pytest.raises(DirectoryCallError) as caught:
                await INVOKE[operation](client)
            assert caught.value.reason is FailureReason.TIMEOUT


def test_every_operation_can_be_named() -> None:
    settings = DetsisHttpSettings(operation_seconds={operation.name: 7.0 for operation in Operation})
    assert {settings.seconds_for(operation, 30) for operation in Operation} == {7.0}
    assert DetsisHttpSettings().seconds_for(Operation.UNIT, 30) == 30


async def test_moments_and_days_go_out_in_turkish_time(server: CannedServer) -> None:
    """21:30 UTC is already the next day there."""
    async with server.client() as client:
        async with client.own_units(datetime(2026, 3, 1, 21, 30, tzinfo=UTC)) as answer:
            assert [batch async for batch in answer]
        await client.managers(N, date(2026, 3, 1))
    assert b">2026-03-02T00:30:00<" in server.canned.sent[0]
    assert b">2026-03-01T00:00:00<" in server.canned.sent[1]


async def test_an_endpoint_of_the_private_sector_is_only_another_address(server: CannedServer) -> None:
    server.path = "/DETSISOzelSektor.asmx"
    async with server.client() as client:
        assert (await INVOKE[Operation.UNIT](client)).rows
    assert server.canned.paths == ["/DETSISOzelSektor.asmx"]


async def test_a_body_is_asked_for_in_gzip_and_nothing_else(server: CannedServer) -> None:
    async with server.client() as client:
        await INVOKE[Operation.UNIT](client)
    (headers,) = server.canned.received
    assert headers[b"accept-encoding"] == b"gzip"
    assert headers[b"user-agent"] == b"KEP-Gateway"
    assert b"cookie" not in headers
    assert b"authorization" not in headers
