"""Bulk lists: whole or not at all, in constant memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.detsis_sync.rows import BulkOutcome
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.pull import ListParser
from services.sandbox.detsis.register import generate_register
from services.sandbox.detsis.wire_answers import envelope, unit_element
from services.sandbox.detsis.wire_requests import SOAP_11, SOAP_12
from shared.errors import ErrorCode
from tests.unit.detsis_soap.conftest import A_UNIT, NOW, A, B, Detsis

LONG_AGO = date(2000, 1, 1)


async def read(answer: Any) -> tuple[list[Any], BulkOutcome]:
    rows: list[Any] = []
    async with answer:
        async for batch in answer:
            rows += batch
    return rows, answer.outcome


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_the_external_set(detsis: Detsis, version: str) -> None:
    async with detsis.client(soap_version=version) as client:
        rows, outcome = await read(client.external_units(LONG_AGO))
    expected = {unit.number: unit for unit in detsis.register.correspondents()}
    assert [row.detsis_no for row in rows] == list(expected)
    assert outcome.rows == len(expected)
    assert (outcome.rejected_rows, outcome.nil_items, outcome.unclear_flags, outcome.repaired_characters) == (
        0,
        0,
        0,
        0,
    )
    assert (outcome.started_at, outcome.finished_at) == (NOW, NOW)
    for row in rows:
        unit = expected[row.detsis_no]
        assert (row.name, row.active, row.operating) == (unit.name, unit.active, unit.operating)
        assert (row.parent_no or 0, row.main_institution_no) == (unit.parent_no, unit.main_no)
        assert (row.place_id, row.postal_address, row.level) == (unit.place_id, unit.postal_address, unit.level)
        assert [kind.label for kind in row.kinds] == ([unit.kind] if unit.kind else [])


async def test_own_tree_main_institutions_and_addresses(detsis: Detsis) -> None:
    async with detsis.client() as client:
        own, _ = await read(client.own_units())
        changed, _ = await read(client.own_units(datetime(2026, 1, 1, tzinfo=UTC)))
        main, _ = await read(client.main_institutions())
        addresses, _ = await read(client.active_kep_addresses())
    assert {row.detsis_no for row in own} == {A, A_UNIT}
    assert changed == []
    assert {B, A} <= {row.detsis_no for row in main}
    assert all(row.parent_no is None for row in main)
    assert len(addresses) == sum(1 for _ in detsis.register.active_kep_entries())
    assert all(row.active and row.address == row.address.lower() for row in addresses)


async def test_batches_have_the_configured_size(detsis: Detsis) -> None:
    async with detsis.client(bulk_batch_rows=70, bulk_batches_ahead=1) as client:
        answer = client.external_units(LONG_AGO)
        async with answer:
            sizes = [len(batch) async for batch in answer]
    assert set(sizes[:-1]) == {70}
    assert sum(sizes) == answer.outcome.rows


@pytest.mark.parametrize(
    ("fault", "value", "reason", "code"),
    [
        ("detsis.down", None, FailureReason.HTTP_STATUS, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.down", 1, FailureReason.CONNECTION, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.html_page", None, FailureReason.NOT_SOAP, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.html_page", 503, FailureReason.HTTP_STATUS, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.fault", None, FailureReason.SOAP_FAULT, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.in_band_error", None, FailureReason.IN_BAND, ErrorCode.DIRECTORY_REFUSED),
        ("detsis.truncate", 0.5, FailureReason.TRUNCATED, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.truncate", 0.9999, FailureReason.TRUNCATED, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.empty_body", None, FailureReason.EMPTY, ErrorCode.DIRECTORY_UNAVAILABLE),
    ],
)
async def test_no_failure_looks_like_a_short_list(
    detsis: Detsis, fault: str, value: float | None, reason: FailureReason, code: ErrorCode
) -> None:
    detsis.order(fault, value=value)
    async with detsis.client() as client:
        for answer in (client.external_units(LONG_AGO), client.active_kep_addresses()):
            with pytest.raises(DirectoryCallError) as caught:
                await read(answer)
            assert (caught.value.reason, caught.value.code) == (reason, code)
            with pytest.raises(RuntimeError):
                _ = answer.outcome


async def test_dirt_is_repaired_and_unknown_elements_are_reported(detsis: Detsis) -> None:
    async with detsis.client() as client:
        clean, _ = await read(client.external_units(LONG_AGO))
        detsis.order("detsis.bad_character")
        detsis.order("detsis.unknown_element")
        dirty, outcome = await read(client.external_units(LONG_AGO))
    assert [row.detsis_no for row in dirty] == [row.detsis_no for row in clean]
    assert dirty[0].name == f"�({clean[0].name}"
    assert dirty[1:] == clean[1:]
    assert outcome.repaired_characters == 3
    assert outcome.unknown_elements == {"YeniAlan": len(clean), "YeniSonucAlani": 1}


async def test_silence_ends_in_a_timeout(detsis: Detsis) -> None:
    detsis.order("detsis.slow", value=3)
    async with detsis.client(bulk_idle_seconds=0.3) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await read(client.external_units(LONG_AGO))
    assert caught.value.reason is FailureReason.TIMEOUT


async def test_the_total_time_is_bounded_too(detsis: Detsis) -> None:
    detsis.order("detsis.slow", value=3)
    async with detsis.client(bulk_total_seconds=0.3) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await read(client.external_units(LONG_AGO))
    assert caught.value.reason is FailureReason.TIMEOUT


async def test_a_list_over_the_size_limit_is_cut_off(detsis: Detsis) -> None:
    async with detsis.client(max_bulk_bytes=200_000) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await read(client.external_units(LONG_AGO))
    assert caught.value.reason is FailureReason.TOO_LARGE


async def test_leaving_early_ends_the_call(detsis: Detsis) -> None:
    async with detsis.client(bulk_batch_rows=10, bulk_batches_ahead=1) as client:
        async with client.external_units(LONG_AGO) as answer:
            assert len(await anext(answer)) == 10
        assert await client.unit(B)


async def test_several_lists_and_calls_at_once(detsis: Detsis) -> None:
    async def calls(client: DetsisClient) -> None:
        for _ in range(10):
            assert await client.unit(B)

    async with detsis.client() as client:
        results = await asyncio.gather(
            read(client.external_units(LONG_AGO)),
            read(client.external_units(LONG_AGO)),
            read(client.active_kep_addresses()),
            calls(client),
            calls(client),
        )
    assert results[0][0] == results[1][0]


# The parser alone, on answers no look-alike would give.


def parser(operation: wire.Operation = wire.Operation.EXTERNAL_UNITS) -> ListParser[wire.WireUnit]:
    return ListParser(operation, wire.UNIT_LIST, "secret")


def parse(body: str | bytes, size: int = 1000) -> tuple[list[Any], ListParser[wire.WireUnit]]:
    found = parser()
    data = body.encode() if isinstance(body, str) else body
    rows = [row for start in range(0, len(data), size) for row in found.feed(data[start : start + size])]
    return [*rows, *found.close()], found


def answer(content: str, *, soap: str = SOAP_11) -> str:
    return "".join(envelope("YeniDisYazismaYapanlariGetirWs", soap, (content,)))


def test_memory_does_not_grow_with_the_list() -> None:
    register = generate_register(20_000, 3, external_share=1.0)
    found = parser()
    rows = largest = 0
    block = bytearray()
    for piece in envelope("YeniDisYazismaYapanlariGetirWs", SOAP_11, map(unit_element, register.units())):
        block += piece.encode()
        if len(block) < 65_536:
            continue
        rows += sum(1 for _ in found.feed(bytes(block)))
        block.clear()
        if found._items is not None:
            largest = max(largest, sum(1 for _ in found._items.iter()))
    rows += sum(1 for _ in found.feed(bytes(block)))
    rows += sum(1 for _ in found.close())
    assert rows == 20_000
    assert largest < 100


@pytest.mark.parametrize("soap", [SOAP_11, SOAP_12])
def test_nil_items_and_an_empty_list(soap: str) -> None:
    rows, found = parse(answer('<KurumBirimWS xsi:nil="true" /><KurumBirimWS xsi:nil="1" />', soap=soap))
    assert (rows, found.nil_items) == ([], 2)
    assert parse(answer("", soap=soap))[0] == []


def test_a_row_with_an_element_twice_is_a_fault_not_a_guess() -> None:
    rows, _ = parse(answer("<KurumBirimWS><DETSISNo>10000001</DETSISNo><DETSISNo>10000002</DETSISNo></KurumBirimWS>"))
    assert isinstance(rows[0], wire.WireRowError)


def test_comments_and_cdata_change_nothing() -> None:
    rows, _ = parse(answer("<!-- x --><KurumBirimWS><Ad>A<!-- y -->B<![CDATA[&]]></Ad></KurumBirimWS><?pi x?>"), size=7)
    assert rows[0].name == "AB&"


def test_unknown_elements_between_rows_are_counted() -> None:
    _, found = parse(answer("<X/><KurumBirimWS/><Y/><KurumBirimWS/>"))
    assert found.unknown_elements == Counter({"X": 1, "Y": 1})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", FailureReason.EMPTY),
        ("not xml at all", FailureReason.MALFORMED),
        ("<a/>", FailureReason.NOT_SOAP),
        ("<html><body/></html>", FailureReason.NOT_SOAP),
        (answer("<KurumBirimWS/>") + "x", FailureReason.MALFORMED),
        (answer("<KurumBirimWS/>")[:-1], FailureReason.TRUNCATED),
        (
            answer("<KurumBirimWS/>").replace("YeniDisYazismaYapanlariGetirWs", "KendiTumBirimleriGetirWs"),
            FailureReason.MALFORMED,
        ),
        (answer("").replace("<SonucHatali>false</SonucHatali>", ""), FailureReason.MALFORMED),
        (answer("").replace(">false<", ">maybe<"), FailureReason.MALFORMED),
        (answer("").replace("<Sonuclar></Sonuclar>", "<HataMsj>x</HataMsj>"), FailureReason.CONTRADICTORY),
        (answer("<X><KurumBirimWS/></X>"), FailureReason.MALFORMED),
        (answer("").replace("</Sonuclar>", "</Sonuclar><Sonuclar></Sonuclar>"), FailureReason.MALFORMED),
        (answer("<X>" * 400 + "</X>" * 400), FailureReason.MALFORMED),
        (answer("&undefined;"), FailureReason.MALFORMED),
        (answer("\x01"), FailureReason.MALFORMED),
        ('<!DOCTYPE a [<!ENTITY e "x">]>' + answer("&e;").partition("?>")[2], FailureReason.MALFORMED),
        (f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body/></s:Envelope>', FailureReason.MALFORMED),
    ],
)
def test_anything_but_the_whole_right_answer_is_a_failure(body: str, reason: FailureReason) -> None:
    with pytest.raises(DirectoryCallError) as caught:
        parse(body)
    assert caught.value.reason is reason


@pytest.mark.parametrize("filler", ["<X>x</X>", " ", "<!-- filler -->"])
def test_an_answer_that_never_comes_to_a_row_is_cut_off(filler: str) -> None:
    with pytest.raises(DirectoryCallError) as caught:
        parse(answer(filler * (5_000_000 // len(filler))), size=65_536)
    assert caught.value.reason is FailureReason.MALFORMED


def test_a_fault_echoing_the_password_does_not_leak_it() -> None:
    body = (
        f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><s:Fault><faultcode>s:Client</faultcode>'
        "<faultstring>bad secret</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    with pytest.raises(DirectoryCallError) as caught:
        parse(body)
    assert caught.value.reason is FailureReason.SOAP_FAULT
    assert "secret" not in str(caught.value)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    rows, _ = parse(b"\xef\xbb\xbf" + answer("<KurumBirimWS><Ad>ĞÜŞİÖÇ</Ad></KurumBirimWS>").encode(), size=1)
    assert rows[0].name == "ĞÜŞİÖÇ"
