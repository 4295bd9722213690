"""Rows read from their bytes: either exactly what the parser reads, or left to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.clean import ByteCleaner
from services.detsis_sync.soap.wire.plain import PlainRow

NAMESPACE = wire.UNIT_LIST.item_tag.partition("}")[0][1:]
LISTS = {
    name: value
    for name, value in vars(wire).items()
    if isinstance(value, wire.ListContract)
}  # fmt: skip


def parsed(contract: wire.ListContract[Any], row: bytes) -> Any:
    """What the parser reads in a row given up to its end tag; its complaint, in place of one it refuses."""
    item = contract.item_tag.rpartition("}")[2].encode()
    document = b'<l xmlns="%s" xmlns:xsi="urn:nil">%s</%s></l>' % (NAMESPACE.encode(), row, item)
    unknown: Counter[str] = Counter()
    try:
        (element,) = etree.fromstring(document, etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return "not a row"
    try:
        found = contract.read(element, unknown)
    except wire.WireRowError as error:
        return str(error)
    return "unknown elements" if unknown else found


def both(row: str) -> tuple[Any, Any]:
    data = row.encode()
    return wire.UNIT_LIST.plain(data), parsed(wire.UNIT_LIST, data)


KINDS = (
    "<KurumBirimTip3ler><KurumBirimTip3WS><ID>1</ID><Fk_KurumBirimTip3ID>170</Fk_KurumBirimTip3ID>"
    "<TipAdi>OKUL &amp; YURT</TipAdi></KurumBirimTip3WS></KurumBirimTip3ler>"
)


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_usual_row_of_every_list_is_read_without_the_parser(name: str) -> None:
    contract = LISTS[name]
    shape = getattr(contract.plain, "__self__", None)
    elements = ("DETSISNo", "Ad", "Seviye") if shape is None else shape.elements
    item = contract.item_tag.rpartition("}")[2]
    row = f"<{item}>" + "".join(f"<{element}>İ {place}</{element}>" for place, element in enumerate(elements))
    assert contract.plain(row.encode()) == parsed(contract, row.encode()) is not None


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<Ad>A</Ad><DETSISNo>10000001</DETSISNo>",
        "<Ad></Ad><Seviye>1</Seviye>",
        "<Ad>A &gt; B &amp;gt; &quot;C&quot; &apos;&lt;</Ad>",
        "\n  <Ad>A\nB\t</Ad>\n  <Seviye>1</Seviye>\n",
        KINDS,
        f"<Ad>A</Ad>\n{KINDS}\n<Seviye>1</Seviye>",
        "<Ad>A</Ad><KurumBirimTip3ler></KurumBirimTip3ler>",
    ],
)
def test_what_is_plain(inside: str) -> None:
    plain, by_parser = both(f"<KurumBirimWS>{inside}")
    assert plain is not None
    assert plain == by_parser


@pytest.mark.parametrize(
    "inside",
    [
        "<Ad>A</Ad><Ad>B</Ad>",
        "<Ad>A</Ad><YeniAlan>1</YeniAlan>",
        "<Ad/>",
        "<Ad />",
        '<Ad xsi:nil="true" />',
        '<Ad a="1">A</Ad>',
        "<Ad >A</Ad>",
        "<Ad>A</Ad >",
        "<Ad>A</Seviye>",
        "<Ad>A",
        "<Ad>A</Ad><",
        "<Ad>A>B</Ad>",
        "<Ad>]]></Ad>",
        "<Ad>A\rB</Ad>",
        "<Ad>A&#10;B</Ad>",
        "<Ad>A&nbsp;B</Ad>",
        "<Ad>A & B</Ad>",
        "<Ad><Seviye>1</Seviye></Ad>",
        "<k:Ad>A</k:Ad>",
        "text<Ad>A</Ad>",
        "<Ad>A</Ad>text",
        f"<Ad>A{KINDS}B</Ad>",
        f"<Ad>{KINDS}</Ad>",
        f"{KINDS}{KINDS}",
        f"{KINDS}text",
        "<KurumBirimTip3ler><KurumBirimTip3WS></KurumBirimTip3WS></KurumBirimTip3ler>",
        "<KurumBirimTip3ler><KurumBirimTip3WS><ID>1</ID></KurumBirimTip3WS></KurumBirimTip3ler>",
        "<KurumBirimTip3ler><KurumBirimTip3WS><X>1</X></KurumBirimTip3WS></KurumBirimTip3ler>",
        "<KurumBirimTip3ler><X>1</X></KurumBirimTip3ler>",
        "<KurumBirimTip3ler>",
        "><",
        "<>",
        "<></>",
        "<Ad<A>/Ad>",
    ],
)
def test_what_is_left_to_the_parser(inside: str) -> None:
    assert both(f"<KurumBirimWS>{inside}")[0] is None


@pytest.mark.parametrize("start", ["<KurumBirimWS", "<KurumBirimWSx>", '<KurumBirimWS a="1">', "<KurumBirimWS >"])
def test_another_start_is_left_to_the_parser(start: str) -> None:
    assert both(f"{start}<Ad>A</Ad>")[0] is None


def test_orders_of_elements_are_remembered_up_to_a_number() -> None:
    names = [f"E{number}" for number in range(300)]
    row = PlainRow("R", tuple(names))
    found = [row.texts(f"<R><{name}>x</{name}>".encode()) for name in names]
    assert [texts is not None for texts in found] == [True] * 256 + [False] * 44


PIECES = [
    "<Ad>", "</Ad>", "<Seviye>", "</Seviye>", "<Ad>A</Ad>", "<Seviye>1</Seviye>", "<DETSISNo>10000001</DETSISNo>",
    "<Ad/>", "<X>1</X>", KINDS, "<KurumBirimTip3ler>", "</KurumBirimTip3ler>", "<KurumBirimTip3WS>",
    "</KurumBirimTip3WS>", "<TipAdi>T</TipAdi>", "&amp;", "&", ";", "&lt;", "&#65;", "<", ">", "/", '"', "\r", "\n",
    " ", "ı", "\u00a0", "\ufffd", "\U0001f600", "x", "]]>", "<KurumBirimWS>",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_never_other_than_the_parser(pieces: list[str]) -> None:
    plain, by_parser = both("<KurumBirimWS>" + "".join(pieces))
    assert plain is None or plain == by_parser


@given(st.lists(st.tuples(st.sampled_from(["Ad", "Seviye", "Adres", "YerAdi"]), st.text(max_size=8)), max_size=5))
def test_never_other_than_the_parser_whatever_texts_say(children: list[tuple[str, str]]) -> None:
    row = "<KurumBirimWS>" + "".join(f"<{name}>{text}</{name}>" for name, text in children)
    cleaner = ByteCleaner()
    data = cleaner.feed(row.encode("utf-8", "surrogatepass")) + cleaner.close()
    plain = wire.UNIT_LIST.plain(data)
    assert plain is None or plain == parsed(wire.UNIT_LIST, data)
