"""Every bad answer × every operation: a typed error, or the good rows of it; never a wrong row (detsis.md 3, 10, 11)."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import pytest
from lxml import etree

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.wire import Operation
from services.sandbox.detsis.quirks import MAINTENANCE_PAGE
from services.sandbox.detsis.wire_contract import OPERATIONS, all_fields
from shared.errors import ErrorCode
from tests.unit.detsis_soap.answers import (
    INVOKE,
    SINGLE,
    SOAP_11,
    SOAP_12,
    XSI,
    ZEEP_READS,
    Canned,
    CannedServer,
    K,
    answer,
    canned_server,
    changed,
    fault,
    good,
    records,
    whole,
)
from tests.unit.detsis_soap.conftest import Authority

REFUSED, UNAVAILABLE = ErrorCode.DIRECTORY_REFUSED, ErrorCode.DIRECTORY_UNAVAILABLE
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(scope="module")
def _running(authority: Authority) -> Iterator[CannedServer]:
    with canned_server(authority) as running:
        yield running


@pytest.fixture
def server(_running: CannedServer) -> CannedServer:
    fresh = Canned()
    _running.canned.body, _running.canned.status, _running.canned.headers = fresh.body, fresh.status, fresh.headers
    return _running


def test_every_operation_is_tried() -> None:
    assert set(INVOKE) == set(Operation)


async def test_a_good_answer_of_every_operation_is_read(server: CannedServer) -> None:
    """The sample itself must be good, or nothing below means anything."""
    async with server.client() as client:
        for operation, invoke in INVOKE.items():
            found = await invoke(client)
            single = operation in SINGLE or operation is Operation.UNIT
            number = 4 if operation is Operation.EYP_VERSION_CHANGES else 1 if single else 2
            assert len(found.rows) == (3 if number == 4 else number), operation
            assert found.outcome is None or (found.outcome.rejected_rows, found.outcome.unknown_elements) == (0, {})
    assert set(server.canned.asked) == set(Operation)


@dataclass(frozen=True)
class Bad:
    """One bad answer and the failure it must be."""

    name: str
    body: Callable[[str], bytes]
    reason: FailureReason
    code: ErrorCode = UNAVAILABLE
    status: int = 200
    headers: dict[str, str] | None = None


def text(content: bytes | str) -> Callable[[str], bytes]:
    return lambda _operation: content if isinstance(content, bytes) else content.encode()


def cut(find: str, offset: int = 0) -> Callable[[str], bytes]:
    """The answer up to (and ``offset`` bytes into) the last ``find``; the operation's own names may stand in it."""

    def made(operation: str) -> bytes:
        body = good(operation)
        wanted = find.format(op=operation).encode()
        return body[: body.rindex(wanted if wanted in body else b"1000000") + offset]

    return made


def another_operation(operation: str) -> bytes:
    other = Operation.ANCESTORS if operation != Operation.ANCESTORS else Operation.OWN_UNITS
    return good(other)


def failed(message: str | None, flag: str = "true") -> Callable[[str], bytes]:
    def change(result: etree._Element, _operation: str) -> None:
        result[0].text = flag
        if message is not None:
            etree.SubElement(result, wire.RESULT_MESSAGE).text = message

    return changed(change)


def without_list(message: str | None) -> Callable[[str], bytes]:
    def change(result: etree._Element, _operation: str) -> None:
        result.remove(result[1])
        if message is not None:
            etree.SubElement(result, wire.RESULT_MESSAGE).text = message

    return changed(change)


def flag_left_out(result: etree._Element, _operation: str) -> None:
    result.remove(result[0])


def flag_empty(result: etree._Element, _operation: str) -> None:
    result[0].text = None


def no_result(result: etree._Element, _operation: str) -> None:
    parent = result.getparent()
    assert parent is not None
    parent.remove(result)


def with_doctype(operation: str) -> bytes:
    return b'<!DOCTYPE x [<!ENTITY e "x">]>' + etree.tostring(answer(operation))


def with_bomb(operation: str) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = etree.tostring(answer(operation)).replace(b"false", b"&e9;", 1)
    return f'<!DOCTYPE x [<!ENTITY e0 "x">{entities}]>'.encode() + body


def deep(result: etree._Element, _operation: str) -> None:
    for _ in range(300):
        result = etree.SubElement(result, f"{K}Derin")


BAD = [
    Bad("cut in the middle of a text", cut("METİN", 3), FailureReason.TRUNCATED),
    Bad("cut in the middle of the list", lambda op: good(op)[: len(good(op)) // 2], FailureReason.TRUNCATED),
    Bad("cut after the last row", cut("</Sonuclar>"), FailureReason.TRUNCATED),
    Bad("cut after the result", cut("</{op}Response>"), FailureReason.TRUNCATED),
    Bad("cut before the end of the envelope", cut("</soap:Envelope>"), FailureReason.TRUNCATED),
    Bad("last byte missing", lambda op: good(op)[:-1], FailureReason.TRUNCATED),
    Bad("cut inside the declaration", lambda op: good(op)[:20], FailureReason.TRUNCATED),
    Bad("tags that do not match", lambda op: good(op).replace(b"</Sonuclar>", b"</Sonuc>"), FailureReason.MALFORMED),
    Bad("bytes after the envelope", lambda op: good(op) + b"<x></soap:Envelope>", FailureReason.MALFORMED),
    Bad("call failed, with a message", failed("Kayıt okunamadı"), FailureReason.IN_BAND, REFUSED),
    Bad("call failed, without a message", failed(None), FailureReason.IN_BAND, REFUSED),
    Bad("call failed, spelled 1", failed("x", flag="1"), FailureReason.IN_BAND, REFUSED),
    Bad("call failed, whatever else is missing", lambda op: without_list("Yetkisiz")(op).replace(b">false<", b">true<"),
        FailureReason.IN_BAND, REFUSED),
    Bad("success with a message and no list", without_list("Hizmet kapalı"), FailureReason.CONTRADICTORY),
    Bad("no word about success", changed(flag_left_out), FailureReason.MALFORMED),
    Bad("an empty word about success", changed(flag_empty), FailureReason.MALFORMED),
    Bad("another word about success", failed("x", flag="olabilir"), FailureReason.MALFORMED),
    Bad("no result", changed(no_result), FailureReason.MALFORMED),
    Bad("answer of another operation", another_operation, FailureReason.MALFORMED),
    Bad("no body", text(f'<s:Envelope xmlns:s="{SOAP_11}"/>'), FailureReason.MALFORMED),
    Bad("empty body", text(f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body/></s:Envelope>'), FailureReason.MALFORMED),
    Bad("other XML", text("<a/>"), FailureReason.NOT_SOAP),
    Bad("plain text", text("Sistem bakımda"), FailureReason.NOT_SOAP),
    Bad("JSON", text('{"hata": true}'), FailureReason.NOT_SOAP),
    Bad("nothing", text(""), FailureReason.EMPTY),
    Bad("blanks", text(" \r\n "), FailureReason.EMPTY),
    Bad("web page with 200", text(MAINTENANCE_PAGE), FailureReason.NOT_SOAP, headers=HTML),
    Bad("web page said to be XML", text(MAINTENANCE_PAGE), FailureReason.NOT_SOAP),
    Bad("web page, tag only", text("  <HTML><body>x</body></HTML>"), FailureReason.NOT_SOAP),
    Bad("web page with 503", text(MAINTENANCE_PAGE), FailureReason.HTTP_STATUS, status=503, headers=HTML),
    Bad("web page with 403", text(MAINTENANCE_PAGE), FailureReason.HTTP_STATUS, REFUSED, 403, HTML),
    Bad("status 401", text(""), FailureReason.HTTP_STATUS, REFUSED, 401),
    Bad("status 429", text(""), FailureReason.HTTP_STATUS, status=429),
    Bad("status 500 without a fault", text(""), FailureReason.HTTP_STATUS, status=500),
    Bad("a good answer with status 500", good, FailureReason.HTTP_STATUS, status=500),
    Bad("a good answer with status 202", good, FailureReason.HTTP_STATUS, status=202),
    Bad("redirect", good, FailureReason.HTTP_STATUS, status=307, headers={"Location": "https://detsis.invalid/"}),
    Bad("fault of the server", text(fault("Server", "Zaman aşımı")), FailureReason.SOAP_FAULT, status=500),
    Bad("fault of ours", text(fault("Client", "SOAPAction")), FailureReason.SOAP_FAULT, REFUSED, 500),
    Bad("fault 1.2 of the server", text(fault("Receiver", "x", SOAP_12)), FailureReason.SOAP_FAULT, status=500),
    Bad("fault 1.2 of ours", text(fault("Sender", "x", SOAP_12)), FailureReason.SOAP_FAULT, REFUSED, 500),
    Bad("fault with 200", text(fault("Server", "x")), FailureReason.SOAP_FAULT),
    Bad("document type", with_doctype, FailureReason.MALFORMED),
    Bad("entities that grow", with_bomb, FailureReason.MALFORMED),
    Bad("too deep", changed(deep), FailureReason.MALFORMED),
    Bad("unknown encoding", good, FailureReason.MALFORMED, headers={"Content-Encoding": "br"}),
    Bad("gzip that is none", good, FailureReason.MALFORMED, headers={"Content-Encoding": "gzip"}),
    Bad("gzip cut off", lambda op: gzip.compress(good(op), mtime=0)[:-9], FailureReason.TRUNCATED,
        headers={"Content-Encoding": "gzip"}),
    Bad("more than the bound", lambda op: good(op).replace(b"<Sonuclar>", b"<Sonuclar>" + b" " * 300_000),
        FailureReason.TOO_LARGE),
    Bad("a small body that unpacks to more than the bound", lambda op: gzip.compress(
        good(op).replace(b"<Sonuclar>", b"<Sonuclar>" + b" " * 300_000), mtime=0), FailureReason.TOO_LARGE,
        headers={"Content-Encoding": "gzip"}),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_a_bad_answer_is_the_same_failure_for_every_operation(server: CannedServer, bad: Bad) -> None:
    server.canned.body, server.canned.status = bad.body, bad.status
    if bad.headers is not None:
        server.canned.headers = {"Content-Type": "text/xml; charset=utf-8"} | bad.headers
    async with server.client(max_answer_bytes=200_000, max_bulk_bytes=200_000) as client:
        for operation, invoke in INVOKE.items():
            with pytest.raises(DirectoryCallError) as caught:
                await invoke(client)
            assert (caught.value.reason, caught.value.code) == (bad.reason, bad.code), operation
            assert caught.value.operation == operation
            assert len(str(caught.value)) < 1000


def every_row_extended(result: etree._Element, operation: str) -> None:
    for record in records(result, operation):
        stranger = etree.Element(f"{K}YeniAlan")
        etree.SubElement(stranger, f"{K}Ad").text = "BAŞKA"
        record.insert(1, stranger)
    etree.SubElement(result, f"{K}YeniSonucAlani").text = "1"


def every_type_renamed(result: etree._Element, _operation: str) -> None:
    for element in result.iter():
        element.set(f"{{{XSI}}}type", "TablesBase")


def with_nil_rows(result: etree._Element, operation: str) -> None:
    for record in [] if operation in SINGLE else records(result, operation):
        nil = etree.Element(record.tag)
        nil.set(f"{{{XSI}}}nil", "true")
        record.addprevious(nil)


def with_full_nil_rows(result: etree._Element, operation: str) -> None:
    """Nil wins over what stands inside."""
    for record in [] if operation in SINGLE else records(result, operation):
        copy = deepcopy(record)
        copy.set(f"{{{XSI}}}nil", "1")
        record.addprevious(copy)


def with_notes(operation: str) -> bytes:
    return good(operation).replace(b"<Sonuclar>", b"<!-- x --><?x y?><Sonuclar><!-- x -->")


def in_pretty_print(operation: str) -> bytes:
    root = answer(operation)
    etree.indent(root)
    return whole(root)


HARMLESS = {
    "unknown elements": changed(every_row_extended),
    "other types claimed": changed(every_type_renamed),
    "nil rows": changed(with_nil_rows),
    "nil rows with content": changed(with_full_nil_rows),
    "comments": with_notes,
    "white space": in_pretty_print,
    "a message beside the list": failed("Bilgi: 2 kayıt", flag="false"),
    "blanks around": lambda op: good(op) + b"\r\n ",
    "byte order mark": lambda op: b"\xef\xbb\xbf" + good(op),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_the_contract_does_not_promise_changes_no_row(server: CannedServer, name: str) -> None:
    async with server.client() as client:
        for operation, invoke in INVOKE.items():
            server.canned.body = good
            clean = await invoke(client)
            server.canned.body = HARMLESS[name]
            found = await invoke(client)
            if operation is Operation.CORRESPONDENCE_PACKAGE:
                (one,), (two,) = clean.rows, found.rows
                assert (one.recipients, one.signatories, one.letterhead) == (
                    two.recipients,
                    two.signatories,
                    two.letterhead,
                )
                continue
            assert found.rows == clean.rows, operation
            if found.outcome is not None:
                assert found.outcome.rejected_rows == 0
                assert found.outcome.nil_items == (2 if name.startswith("nil rows") else 0)
                unknown = {"YeniAlan": 2, "YeniSonucAlani": 1} if name == "unknown elements" else {}
                assert found.outcome.unknown_elements == unknown


@pytest.mark.parametrize("dirt", [b"&#x1F;", b"&#0;", b"&#xFFFF;", b"\x0b", b"\x00", b"\xc3(", b"\xed\xa0\x80"])
async def test_forbidden_characters_cost_no_row(server: CannedServer, dirt: bytes) -> None:
    mark = "METİN".encode()
    server.canned.body = lambda op: good(op).replace(mark, mark + dirt)
    async with server.client() as client:
        for operation, invoke in INVOKE.items():
            found = await invoke(client)
            assert found.rows, operation
            if found.outcome is not None:
                assert found.outcome.rejected_rows == 0
                assert (found.outcome.repaired_characters > 0) == (mark in good(operation))


def required_leaves(operation: str) -> list[str]:
    """Numbers, truths and moments directly in a record, which the contract says are always there."""
    content = next(found for found in all_fields(OPERATIONS[operation].result) if found.name == "Sonuclar").type
    record = content if operation in SINGLE else all_fields(content)[0].type
    return [found.name for found in all_fields(record) if not found.optional and not found.nillable]


REQUIRED = [(operation, name) for operation in Operation for name in required_leaves(operation)]
NOT_READ = {
    Operation.MAIN_INSTITUTION_BUDGETS: {"ParentIdareKimlikKodu", "AnaKurumIdareKimlikKodu", "ParentIdareKimlikKodu2"},
    Operation.CATEGORIES: {"KayitTarihi"},
    Operation.STATUSES: {"KayitTarihi"},
    Operation.MANAGERS: {"Yasi"},
    Operation.MANAGER_HISTORY: {"Yasi"},
    Operation.MANAGER_POSTS: {"Yasi"},
}
"""Known and left alone: nothing depends on them, so nothing fails with them."""
NUMBERS_OF_OTHERS = {"ParentIdareKimlikKodu", "ParentIdareKimlikKodu2", "AnaKurumIdareKimlikKodu", "AnaKurumDetsisNo"}
"""They may point nowhere (0), and what is no number points nowhere as well."""


def damaged(name: str, change: str) -> Callable[[str], bytes]:
    """Answers whose first record lacks one leaf, or has another text in it."""

    def damage(result: etree._Element, operation: str) -> None:
        leaf = records(result, operation)[0].find(K + name)
        assert leaf is not None
        if change == "missing":
            records(result, operation)[0].remove(leaf)
        else:
            leaf.text = None if change == "empty" else change

    return changed(damage)


async def rows_and_reason(client: DetsisClient, operation: Operation) -> tuple[int, str]:
    """How many rows a call gave, and what was said about the others."""
    try:
        found = await INVOKE[operation](client)
    except DirectoryCallError as failure:
        return 0, f"{failure.reason}: {failure}"
    if found.outcome is None:
        return len(found.rows), ""
    assert found.outcome.rejected_rows == len(found.outcome.row_faults)
    return len(found.rows), str(found.outcome.row_faults)


WHOLE_OR_NOTHING = {Operation.UNIT, Operation.ANCESTORS, Operation.ADDRESS_OWNER}
"""Where a row that cannot be read fails the call; lists go on without it."""


@pytest.mark.parametrize("change", ["missing", "empty", "on bin", "9" * 30])
async def test_a_value_that_is_not_there_or_is_none_never_becomes_one(server: CannedServer, change: str) -> None:
    """zeep would read an empty or unreadable number as None, a missing last element as well, and go on."""
    async with server.client() as client:
        for operation, name in REQUIRED:
            server.canned.body = damaged(name, change)
            left, said = await rows_and_reason(client, operation)
            clean = 1 if operation in SINGLE or operation is Operation.UNIT else 2
            if name in NUMBERS_OF_OTHERS or name in NOT_READ.get(operation, set()):
                assert left == clean, (operation, name)
            elif operation is Operation.ADDRESS_OWNER and name == "KurumDetsisNo" and change in {"missing", "empty"}:
                assert (left, said) == (0, "")  # nobody has it: as good as the 0 that DETSİS writes
            elif operation in WHOLE_OR_NOTHING:
                assert left == 0, (operation, name)
                assert said.startswith("malformed"), (operation, name)
            else:
                assert left == clean - 1, (operation, name)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_both_versions_are_read_and_never_mixed_up(server: CannedServer, version: str) -> None:
    soap = {"1.1": SOAP_11, "1.2": SOAP_12}[version]
    async with server.client(soap_version=version) as client:
        for operation in ZEEP_READS:
            server.canned.body = lambda op: whole(answer(op, soap=soap))
            assert (await INVOKE[operation](client)).rows
            server.canned.body = lambda op: whole(answer(op, soap=SOAP_12 if soap == SOAP_11 else SOAP_11))
            with pytest.raises(DirectoryCallError) as caught:
                await INVOKE[operation](client)
            assert caught.value.reason is FailureReason.NOT_SOAP


async def test_a_row_without_anything_in_it_is_no_row(server: CannedServer) -> None:
    """It is not nil, so it says that there is something, and then nothing: a fault where anything is required."""

    def hollow(result: etree._Element, operation: str) -> None:
        first = records(result, operation)[0]
        for child in list(first):
            first.remove(child)

    server.canned.body = changed(hollow)
    async with server.client() as client:
        for operation in set(Operation) - SINGLE - WHOLE_OR_NOTHING:
            left, _said = await rows_and_reason(client, operation)
            assert left == (2 if operation is Operation.EYP_VERSION_CHANGES else 1), operation
        for operation in (Operation.UNIT, Operation.ANCESTORS):
            left, said = await rows_and_reason(client, operation)
            assert left == 0
            assert said.startswith("malformed: "), operation


async def test_an_empty_list_is_no_failure_with_or_without_its_element(server: CannedServer) -> None:
    def emptied(result: etree._Element, _operation: str) -> None:
        for child in list(result[1]):
            result[1].remove(child)

    async with server.client() as client:
        for operation, invoke in INVOKE.items():
            for body in (changed(emptied), without_list(None)):
                server.canned.body = body
                if operation in SINGLE:
                    continue
                assert (await invoke(client)).rows == [], operation


async def test_a_package_must_be_there_and_an_owner_need_not(server: CannedServer) -> None:
    server.canned.body = without_list(None)
    async with server.client() as client:
        with pytest.raises(DirectoryCallError) as caught:
            await INVOKE[Operation.CORRESPONDENCE_PACKAGE](client)
        assert (await INVOKE[Operation.ADDRESS_OWNER](client)).rows == []
    assert caught.value.reason is FailureReason.MALFORMED
