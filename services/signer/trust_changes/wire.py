"""The national store ``SertifikaDeposu.xml`` as its publisher writes it; only the names here are Turkish.

Its rows are ``koksertifika`` elements with a certificate (``mValue``, base64 of DER), its kind and trust level,
and a row signature (``mSatirImzasi``) by a key that nobody published: it is shown as not checked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lxml import etree

from services.signer.findings import CheckFailed
from services.signer.formats.xml_layout import octets_of, parse_xml
from services.signer.limits import DEFAULT_LIMITS
from services.signer.trust_changes.documents import StoreUnreadable

_ROW, _VALUE, _KIND, _LEVEL, _ROW_SIGNATURE = (
    "koksertifika",
    "mValue",
    "mKokTipi",
    "mKokGuvenSeviyesi",
    "mSatirImzasi",
)
_ROWS = 2000
_SHOWN = 40


class StoreRow(NamedTuple):
    """One certificate, and what the row says beside it."""

    der: bytes
    notes: tuple[str, ...]


def read_national_store(data: bytes, place: str) -> tuple[StoreRow, ...]:
    """The rows of the file; raises ``StoreUnreadable`` that names ``place`` rather than leave one out."""
    try:
        root = parse_xml(data, DEFAULT_LIMITS)
        rows = [element for element in root.iter(etree.Element) if _name(element) == _ROW]
        if not rows:
            raise StoreUnreadable(f"{place}: no {_ROW} in it")
        if len(rows) > _ROWS:
            raise StoreUnreadable(f"{place}: more than {_ROWS} certificates")
        return tuple(StoreRow(octets_of(_field(row, _VALUE, place)), _notes(row, place)) for row in rows)
    except CheckFailed as failure:
        raise StoreUnreadable(f"{place}: {failure.text.en}") from failure


def _notes(row: Any, place: str) -> tuple[str, ...]:
    kind, level, signature = (_field(row, name, place) for name in (_KIND, _LEVEL, _ROW_SIGNATURE))
    said = "is there and was not checked" if signature is not None else "is missing"
    return (
        f"kind {_text(kind)}, trust level {_text(level)} by the national store",
        f"the row's signature {said}",
    )


def _field(row: Any, name: str, place: str) -> Any | None:
    found = [child for child in row if _name(child) == name]
    if len(found) > 1:
        raise StoreUnreadable(f"{place}: a row with several {name}")
    return found[0] if found else None


def _text(element: Any | None) -> str:
    text = "" if element is None else (element.text or "").strip()
    return text[:_SHOWN] or "not given"


def _name(element: Any) -> str:
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""
