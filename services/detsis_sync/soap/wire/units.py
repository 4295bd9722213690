"""Units, former numbers and the budget types of main institutions on the wire."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from lxml import etree

from services.detsis_sync.soap.wire.operations import tag
from services.detsis_sync.soap.wire.plain import PlainRow
from services.detsis_sync.soap.wire.result import items
from services.detsis_sync.soap.wire.rows import ListContract, RowShape, texts


@dataclass(slots=True)
class WireUnit:
    """One tree node, as text."""

    number: str | None = None
    name: str | None = None
    parent: str | None = None
    second_parent: str | None = None
    main_institution: str | None = None
    place: str | None = None
    place_name: str | None = None
    category: str | None = None
    status: str | None = None
    path: str | None = None
    active: str | None = None
    operating: str | None = None
    level: str | None = None
    external_addressee: str | None = None
    postal_address: str | None = None
    kinds: tuple[tuple[str | None, str | None], ...] = ()
    """Pairs of kind id and label."""


@dataclass(slots=True)
class WireFormerNumber:
    """One number of the older register and the unit it belongs to now, as text."""

    number: str | None
    name: str | None
    former_number: str | None
    main_institution: str | None
    active: str | None


@dataclass(slots=True)
class WireBudget:
    """Budget type and legal person of one main institution, as text."""

    number: str | None
    name: str | None
    budget_type_id: str | None
    budget_type: str | None
    legal_person_id: str | None
    legal_person: str | None


_UNIT_ELEMENTS = (
    "DETSISNo",
    "Ad",
    "ParentIdareKimlikKodu",
    "ParentIdareKimlikKodu2",
    "AnaKurumIdareKimlikKodu",
    "Fk_BulunduguYerID",
    "YerAdi",
    "Fk_KurumBirimTipID1",
    "Fk_KurumBirimTipID2",
    "KurumHiyerarsik",
    "Aktifmi",
    "FaalOlupOlmadigi",
    "Seviye",
    "DisYazismaMuhatabiOlupOlmadigi",
    "Adres",
)
"""In the order of the fields of ``WireUnit``."""
_KINDS, _KIND = tag("KurumBirimTip3ler"), tag("KurumBirimTip3WS")
_KIND_ID, _KIND_LABEL = tag("Fk_KurumBirimTip3ID"), tag("TipAdi")
_UNIT_TAGS = tuple(map(tag, _UNIT_ELEMENTS))
_UNIT_KNOWN = frozenset({*_UNIT_TAGS, _KINDS})
_KIND_KNOWN = frozenset({_KIND_ID, _KIND_LABEL, tag("ID"), tag("DETSISNo")})
_UNIT_START = b"<KurumBirimWS>"
_KINDS_START, _KINDS_END = b"<KurumBirimTip3ler>", b"</KurumBirimTip3ler>"
_KIND_END = b"</KurumBirimTip3WS>"
_PLAIN_UNIT = PlainRow("KurumBirimWS", _UNIT_ELEMENTS)
_PLAIN_KIND = PlainRow("KurumBirimTip3WS", ("Fk_KurumBirimTip3ID", "TipAdi"), ("ID", "DETSISNo"))

FORMER_NUMBER = RowShape(
    "DevletTeskilatiKutukWs",
    WireFormerNumber,
    ("DETSISNo", "Ad", "DevletTeskilatiKutukNo", "AnaKurumDetsisNo", "Aktifmi"),
    unread=("KurumHiyerarsik",),
)
BUDGET = RowShape(
    "AnaKurumlarButceTurleri",
    WireBudget,
    ("DETSISNo", "Ad", "ButceTuruID", "ButceTuru", "Fk_TuzelKisilikID", "TuzelKisilik"),
    unread=("ParentIdareKimlikKodu", "AnaKurumIdareKimlikKodu", "ParentIdareKimlikKodu2"),
)


def _unit_from_element(element: etree._Element, unknown: Counter[str]) -> WireUnit:
    found = texts(element, _UNIT_KNOWN, unknown)
    unit = WireUnit(*map(found.get, _UNIT_TAGS))  # type: ignore[arg-type]  # one text less than there are fields
    if _KINDS in found:
        kinds = [texts(kind, _KIND_KNOWN, unknown) for kind in element.iterfind(f"{_KINDS}/{_KIND}")]
        unit.kinds = tuple((kind.get(_KIND_ID), kind.get(_KIND_LABEL)) for kind in kinds if kind)
    return unit


def _unit_from_bytes(row: bytes) -> WireUnit | None:
    kinds: tuple[tuple[str | None, str | None], ...] = ()
    begin = row.find(_KINDS_START)
    if begin >= 0:
        end = row.find(_KINDS_END, begin)
        before, inside, after = row[:begin], row[begin + len(_KINDS_START) : end], row[end + len(_KINDS_END) :]
        found = _kinds_from_bytes(inside) if end >= 0 and _between_children(before, after) else None
        if found is None:
            return None
        kinds, row = found, before + after
    unit = _PLAIN_UNIT.texts(row)
    return None if unit is None else WireUnit(*unit, kinds)  # type: ignore[arg-type, call-arg]  # as many as fields


def _between_children(before: bytes, after: bytes) -> bool:
    """Whether what was cut out between these two was a child of the row and not a part of one."""
    before = before.rstrip()
    last_tag = before[before.rfind(b"<") :]
    return last_tag.endswith(b">") and last_tag.startswith((b"</", _UNIT_START)) and after.lstrip()[:1] in {b"<", b""}


def _kinds_from_bytes(inside: bytes) -> tuple[tuple[str | None, str | None], ...] | None:
    *kinds, rest = inside.split(_KIND_END)
    if rest.strip():
        return None
    found: list[Any] = [_PLAIN_KIND.texts(kind.lstrip()) for kind in kinds]
    # One without texts may be one without children, which is none.
    return None if None in found or (None, None) in found else tuple(found)


UNIT_LIST = ListContract(tag("KurumBirimWS"), _unit_from_element, _unit_from_bytes)
BUDGET_LIST = BUDGET.contract


def units_from_reply(content: Any) -> list[WireUnit]:
    """The units of a small answer; empty when there is no list."""
    return [_unit_from_object(item) for item in items(content, "KurumBirimWS")]


def _unit_from_object(item: Any) -> WireUnit:
    unit = WireUnit(*(item[element] for element in _UNIT_ELEMENTS))
    unit.kinds = tuple(
        (kind["Fk_KurumBirimTip3ID"], kind["TipAdi"]) for kind in items(item["KurumBirimTip3ler"], "KurumBirimTip3WS")
    )
    return unit
