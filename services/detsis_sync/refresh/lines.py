"""Rows as lines of PostgreSQL's COPY, made in the thread that reads the answer: the event loop only passes blocks on.

Fields are parted by a control character that no XML text can hold, and None is another, so that only
backslashes and line ends have to be escaped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from services.detsis_sync.certificate_content import read_certificate
from services.detsis_sync.mirror.folding import fold
from services.detsis_sync.rows import (
    BudgetRow,
    CertificateOwnerRow,
    CertificateRow,
    CodeRow,
    ContactRow,
    KepAddressRow,
    PlaceRow,
    UnitKind,
    UnitRow,
)

Line = Callable[[Any, bytes | None], bytes]
DELIMITER, NULL = b"\x02", b"\x01"
_BETWEEN, _NONE = DELIMITER.decode(), NULL.decode()
_BLOCK = 64 * 1024
_NO_KINDS = "[]"

UNIT_CONTENT = (
    "name", "parent_no", "second_parent_no", "main_institution_no", "category_id", "status_id", "kinds", "place_id",
    "place_name", "postal_address", "path_text", "level", "active", "active_text", "operating", "external_addressee",
)  # fmt: skip
UNIT_COLUMNS = ("detsis_no", "folded_name", *UNIT_CONTENT, "content_hash", "wire_digest")
ADDRESS_CONTENT = ("active", "status_text")
CERTIFICATE_CONTENT = (
    "registered_at", "updated_at", "active", "stated_expiry", "not_before", "not_after", "subject", "issuer", "serial",
    "unreadable",
)  # fmt: skip
CODE_CONTENT = ("label", "parent_id", "active", "detail")
PLACE_CONTENT = (
    "name", "place_code", "province_code", "province_name", "kind_id", "kind", "active", "phone_area_code",
)  # fmt: skip
BUDGET_CONTENT = ("budget_type_id", "budget_type", "legal_person_id", "legal_person")


class LinePacker:
    """Packs of lines, about 64 KiB each. A known row becomes its number and nothing else."""

    def __init__(self, line: Line, columns: int) -> None:
        self._line = line
        self._nothing_else = (DELIMITER + NULL) * (columns - 1) + b"\n"
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, row: Any, digest: bytes | None) -> None:
        """Take a row."""
        line = self._line(row, digest)
        self._pieces.append(line)
        self._size += len(line)

    def add_known(self, numbers: list[int]) -> None:
        """Take rows that came the same before."""
        nothing_else = self._nothing_else
        lines = b"".join([b"%d" % number + nothing_else for number in numbers])
        self._pieces.append(lines)
        self._size += len(lines)

    def take(self, *, all_of_it: bool) -> bytes | None:
        """The lines so far, once they are worth a trip."""
        if self._size < (1 if all_of_it else _BLOCK):
            return None
        block = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return block


def unit_line(row: UnitRow, digest: bytes | None) -> bytes:
    """A unit. Hundreds of thousands go through here in a first refresh, so it is written out."""
    kinds = row.kinds
    content = _BETWEEN.join(
        (
            row.name,
            _NONE if row.parent_no is None else str(row.parent_no),
            _NONE if row.second_parent_no is None else str(row.second_parent_no),
            _NONE if row.main_institution_no is None else str(row.main_institution_no),
            str(row.category_id),
            str(row.status_id),
            _kinds_text(kinds) if kinds else _NO_KINDS,
            _NONE if row.place_id is None else str(row.place_id),
            row.place_name or _NONE,
            row.postal_address or _NONE,
            row.path_text or _NONE,
            str(row.level),
            "t" if row.active else "f",
            _NONE if row.active_text is None else row.active_text,
            "t" if row.operating else "f",
            "t" if row.external_addressee else "f",
        )
    )
    return _finished((str(row.detsis_no), fold(row.name)), content, len(UNIT_CONTENT), _bytea(digest))


@lru_cache(maxsize=4096)
def _kinds_text(kinds: tuple[UnitKind, ...]) -> str:
    return json.dumps([{"id": kind.kind_id, "label": kind.label} for kind in kinds], ensure_ascii=False)


def address_line(row: KepAddressRow, _digest: bytes | None) -> bytes:
    """A KEP address."""
    return _keyed((row.detsis_no, row.address), (row.active, row.status_text))


def certificate_line(row: CertificateRow, _digest: bytes | None) -> bytes:
    """A certificate, with what it says about itself."""
    inside = read_certificate(row.der)
    content = (
        row.registered_at, row.updated_at, row.active, row.stated_expiry, inside.not_before, inside.not_after,
        inside.subject, inside.issuer, inside.serial, inside.unreadable,
    )  # fmt: skip
    return _keyed((row.detsis_no, row.sha256), content, _bytea(row.der))


def owner_line(row: CertificateOwnerRow, _digest: bytes | None) -> bytes:
    """Whose certificate serves a unit."""
    return _keyed((row.unit_no,), (row.owner_no,))


def budget_line(row: BudgetRow, _digest: bytes | None) -> bytes:
    """Budget type and legal person of a main institution."""
    return _keyed((row.detsis_no,), (row.budget_type_id, row.budget_type, row.legal_person_id, row.legal_person))


def category_line(row: CodeRow, _digest: bytes | None) -> bytes:
    """A category."""
    detail = {"plural": row.plural, "opens_status_id": row.opens_status_id}
    return _keyed(("category", row.code_id), (row.label, row.parent_id, row.active, detail))


def status_line(row: CodeRow, _digest: bytes | None) -> bytes:
    """A status, with the endings of the addressee line."""
    detail = {
        "plural": row.plural, "addressee_removed": row.addressee_removed, "addressee_added": row.addressee_added,
        "used": row.used,
    }  # fmt: skip
    return _keyed(("status", row.code_id), (row.label, row.parent_id, row.active, detail))


def place_line(row: PlaceRow, _digest: bytes | None) -> bytes:
    """A place."""
    content = (
        row.name, row.place_code, row.province_code, row.province_name, row.kind_id, row.kind, row.active,
        row.phone_area_code,
    )  # fmt: skip
    return _keyed((row.place_id,), content)


def contact_line(row: ContactRow, _digest: bytes | None) -> bytes:
    """A contact."""
    return plain_line((row.detsis_no, row.kind, row.value, row.label))


def plain_line(values: Sequence[object]) -> bytes:
    """Fields and nothing besides."""
    return _escaped(_BETWEEN.join(map(_text, values)), len(values)) + b"\n"


def _keyed(keys: Sequence[object], content: Sequence[object], *raw: bytes) -> bytes:
    return _finished([_text(key) for key in keys], _BETWEEN.join(map(_text, content)), len(content), *raw)


def _finished(keys: Sequence[str], content: str, fields: int, *raw: bytes) -> bytes:
    """Keys, content, the hash of the content, then what is binary already."""
    # Sixteen bytes that change exactly when a stored field changes: the unchanged 99 % are not written.
    digest = hashlib.blake2b(content.encode(), digest_size=16).digest()
    line = _escaped(_BETWEEN.join((*keys, content)), len(keys) + fields)
    return DELIMITER.join((line, _bytea(digest), *raw)) + b"\n"


def _escaped(line: str, fields: int) -> bytes:
    if line.count(_BETWEEN) != fields - 1:
        raise ValueError("a field holds a control character")
    if "\\" in line:
        line = line.replace("\\", "\\\\")
    if "\n" in line or "\r" in line:
        line = line.replace("\n", "\\n").replace("\r", "\\r")
    return line.encode()


def _text(value: object) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


def _bytea(value: bytes | None) -> bytes:
    return NULL if value is None else b"\\\\x" + value.hex().encode()
