"""Rows that came the same before are told by their bytes, and only where that is certain."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.detsis_sync.soap.pull import ListParser
from services.detsis_sync.soap.same import NOTHING_KNOWN, KnownRows
from services.sandbox.detsis.wire_answers import envelope
from services.sandbox.detsis.wire_requests import SOAP_11

Seen = list[tuple[Any, bytes | None]]


def row(number: int, name: str = "A", more: str = "") -> str:
    return f"<KurumBirimWS><DETSISNo>{number}</DETSISNo><Ad>{name}</Ad>{more}</KurumBirimWS>"


def read(content: str, known: KnownRows = NOTHING_KNOWN, size: int = 100_000) -> Seen:
    """Each row's number (an int when it was known, text when it was read) and digest."""
    parser = ListParser(wire.Operation.EXTERNAL_UNITS, wire.UNIT_LIST, ("secret",), known)
    data = "".join(envelope("YeniDisYazismaYapanlariGetirWs", SOAP_11, (content,))).encode()
    seen: Seen = []

    def note(rows: Any) -> None:
        for found in rows:
            if isinstance(found, list):
                seen.extend((number, None) for number in found)
            else:
                seen.append((found.number, parser.digest))

    for start in range(0, len(data), size):
        note(parser.feed(data[start : start + size]))
    note(parser.close())
    return seen


def knowing(seen: Seen) -> KnownRows:
    pairs = sorted((digest, int(number)) for number, digest in seen if digest is not None)
    halves = [(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")) for digest, _ in pairs]
    return KnownRows(
        array("Q", [head for head, _ in halves]),
        array("Q", [tail for _, tail in halves]),
        array("I", [number for _, number in pairs]),
    )


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_only_what_changed_is_read_again(size: int) -> None:
    first = read("".join(map(row, range(10000001, 10000021))))
    second = row(10000001) + row(10000002, "B") + "\n" + "".join(map(row, range(10000003, 10000021)))
    numbers = [number for number, _ in read(second, knowing(first), size)]
    assert numbers == [10000001, "10000002", *range(10000003, 10000021)]


def test_the_same_bytes_have_the_same_digest_however_they_arrive() -> None:
    content = " ".join(map(row, range(10000001, 10000009)))
    assert read(content, size=1) == read(content, size=13) == read(content)
    assert len({digest for _, digest in read(content)}) == 8


@pytest.mark.parametrize(
    "between",
    [
        "<!-- <KurumBirimWS><DETSISNo>10000001</DETSISNo><Ad>A</Ad></KurumBirimWS> -->",
        "<X><![CDATA[</KurumBirimWS>]]></X>",
        "<?x </KurumBirimWS> ?>",
        '<KurumBirimWS xsi:nil="true"/>',
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_where_cutting_is_not_certain_every_row_is_read(between: str, size: int) -> None:
    known = knowing(read(row(10000001) + row(10000002)))
    seen = read(row(10000001) + between + row(10000003) + row(10000002), known, size)
    assert [int(number) for number, _ in seen] == [10000001, 10000003, 10000002]
    assert [number for number, _ in seen[1:]] == ["10000003", "10000002"]


def test_a_row_with_an_unknown_element_is_reported_every_time() -> None:
    strange = row(10000001, more="<YeniAlan>1</YeniAlan>")
    assert [digest is None for _, digest in read(strange + row(10000002))] == [True, False]


def test_a_digest_that_shares_only_its_first_half_is_not_known() -> None:
    known = KnownRows(array("Q", [5]), array("Q", [6]), array("I", [10000001]))
    assert known.number((5).to_bytes(8, "big") + (6).to_bytes(8, "big")) == 10000001
    assert known.number((5).to_bytes(8, "big") + (7).to_bytes(8, "big")) is None
    assert known.number((9).to_bytes(8, "big") * 2) is None


ROWS = "".join(map(row, range(10000001, 10000006)))


@pytest.mark.parametrize("size", [1, 50, 100_000])
@pytest.mark.parametrize(
    "broken",
    [
        ROWS.replace("<Ad>", "<Ad", 1),  # inside a row that is not known any more
        "<X>" + ROWS,
        f"<X>{ROWS}</X>",
        f'<X a="{ROWS}"/>',
        ROWS + "</Sonuclar><Sonuclar>" + ROWS,
        ROWS + "&undefined;",
        ROWS + "\x01",
    ],
)
def test_what_is_wrong_around_known_rows_is_still_found(broken: str, size: int) -> None:
    with pytest.raises(DirectoryCallError) as caught:
        read(broken, knowing(read(ROWS)), size)
    assert caught.value.reason is FailureReason.MALFORMED


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_known_rows_cut_short_are_cut_short(size: int) -> None:
    known = knowing(read(ROWS))
    whole = "".join(envelope("YeniDisYazismaYapanlariGetirWs", SOAP_11, (ROWS,))).encode()
    for end in range(whole.index(b"<KurumBirimWS>"), len(whole), 11):
        parser = ListParser(wire.Operation.EXTERNAL_UNITS, wire.UNIT_LIST, ("secret",), known)
        with pytest.raises(DirectoryCallError) as caught:
            for start in range(0, end, size):
                list(parser.feed(whole[start : min(start + size, end)]))
            list(parser.close())
        assert caught.value.reason is FailureReason.TRUNCATED


def test_known_rows_of_another_name_space_are_no_rows() -> None:
    parser = ListParser(wire.Operation.EXTERNAL_UNITS, wire.UNIT_LIST, ("secret",), knowing(read(ROWS)))
    whole = "".join(envelope("YeniDisYazismaYapanlariGetirWs", SOAP_11, (ROWS,)))
    other = whole.replace("<Sonuclar>", '<Sonuclar xmlns:k="http://kaysis.gov.tr/"><Y xmlns="urn:x">', 1)
    with pytest.raises(DirectoryCallError) as caught:
        list(parser.feed(other.replace("</Sonuclar>", "</Y></Sonuclar>", 1).encode()))
        list(parser.close())
    assert caught.value.reason is FailureReason.MALFORMED


def test_a_list_without_a_row_is_not_held_for_ever() -> None:
    with pytest.raises(DirectoryCallError) as caught:
        read("<X>x</X>" * 700_000, size=65_536)
    assert caught.value.reason is FailureReason.MALFORMED
