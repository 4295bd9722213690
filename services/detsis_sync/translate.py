"""From wire rows to typed rows: here the texts of DETSİS get their meaning, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from services.detsis_sync.rows import (
    CorrespondencePackage,
    KepAddressRow,
    PackageRecipient,
    SenderContact,
    Signatory,
    UnitKind,
    UnitRow,
)
from services.detsis_sync.soap.wire import (
    WireKepAddress,
    WirePackage,
    WireRecipient,
    WireRowError,
    WireSignatory,
    WireUnit,
)
from shared.domain.identifiers import DetsisNumber, KepAddress, ascii_lower, detsis_number, kep_address

FIELD_LIMIT = 8192
"""Characters in one text; the longest real ones (paths, postal addresses) stay far below."""

_YES = frozenset({"true", "1", "aktif", "e", "evet"})
_NO = frozenset({"false", "0", "pasif", "h", "hayır", "hayir"})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_LONGEST_FLAG = 80
_INT_RANGE = range(-(2**31), 2**31)
"""Of ``xs:int``; what lies outside breaks the contract, and would break the database's columns."""
_DOTTED_I = str.maketrans("İ", "i")


def unit_row(unit: WireUnit) -> UnitRow:
    """Translate one unit. Raises ``WireRowError`` when its number or a required field is not what the contract says.

    An active flag that is not understood makes the unit inactive and keeps the text for the alert.
    """
    active = active_flag(unit.active) if len(unit.active or "") <= _LONGEST_FLAG else None
    return UnitRow(
        detsis_no=_number("detsis_no", unit.number),
        name=_plain("name", unit.name) or "",
        parent_no=_other_number(unit.parent),
        second_parent_no=_other_number(unit.second_parent),
        main_institution_no=_other_number(unit.main_institution),
        category_id=_integer("category_id", unit.category),
        status_id=_integer("status_id", unit.status),
        kinds=_kinds(unit.kinds) if unit.kinds else (),
        place_id=_integer("place_id", unit.place) if unit.place else None,
        place_name=_plain("place_name", unit.place_name),
        postal_address=_plain("postal_address", unit.postal_address),
        path_text=_plain("path_text", unit.path),
        level=_integer("level", unit.level),
        active=active is True,
        active_text=(unit.active or "")[:_LONGEST_FLAG] if active is None else None,
        operating=_boolean("operating", unit.operating),
        external_addressee=_boolean("external_addressee", unit.external_addressee),
    )


def kep_address_row(entry: WireKepAddress) -> KepAddressRow:
    """Translate one address. Raises ``WireRowError`` when the number or the address is none."""
    return KepAddressRow(
        detsis_no=_number("detsis_no", entry.number),
        address=_address(entry.address),
        active=_boolean("active", entry.active),
        status_text=_plain("status_text", entry.status),
    )


def correspondence_package(
    package: WirePackage, *, answered_at: datetime, unknown_elements: Mapping[str, int]
) -> CorrespondencePackage:
    """Translate one package. Raises ``WireRowError`` when a recipient has no usable number: it could not be matched."""
    return CorrespondencePackage(
        letterhead=_lines("letterhead", package.letterhead),
        number_unit_text=_plain("number_unit_text", package.number_unit),
        addressee=_plain("addressee", package.addressee),
        closing_phrase=_plain("closing_phrase", package.closing_phrase),
        distribution_text=_lines("distribution_text", package.distribution),
        sender_contact=SenderContact(
            postal_address=_plain("postal_address", package.postal_address),
            phone=_plain("phone", package.phone),
            fax=_plain("fax", package.fax),
            email=_plain("email", package.email),
            website=_plain("website", package.website),
        ),
        recipients=tuple(_recipient(recipient) for recipient in package.recipients),
        signatories=tuple(_signatory(signatory) for signatory in package.signatories),
        answered_at=answered_at,
        unknown_elements=unknown_elements,
    )


@lru_cache(maxsize=256)
def active_flag(text: str | None) -> bool | None:
    """The meaning of the textual active flag in every spelling met or expected; None when it is none of them."""
    word = ascii_lower((text or "").strip().translate(_DOTTED_I))
    return True if word in _YES else False if word in _NO else None


def _kinds(pairs: tuple[tuple[str | None, str | None], ...]) -> tuple[UnitKind, ...]:
    kinds = (UnitKind(_integer("kinds", kind), _plain("kinds", label)) for kind, label in pairs)
    return tuple(sorted(kinds, key=lambda kind: (kind.kind_id, kind.label or "")))


def _recipient(recipient: WireRecipient) -> PackageRecipient:
    address: KepAddress | None = None
    unusable = None
    if recipient.kep_address and recipient.kep_address.strip():
        try:
            address = kep_address(recipient.kep_address)
        except ValueError:
            unusable = _plain("kep_address", recipient.kep_address)
    return PackageRecipient(
        detsis_no=_number("recipients", recipient.number),
        addressee=_plain("addressee", recipient.addressee),
        postal_address=_plain("postal_address", recipient.postal_address),
        kep_address=address,
        kep_address_text=unusable,
        kep_kind=_plain("kep_kind", recipient.kep_kind),
        encryption_certificate=recipient.encryption_certificate,
    )


def _signatory(signatory: WireSignatory) -> Signatory:
    return Signatory(
        manager_code=_integer("signatories", signatory.manager_code),
        given_name=_plain("given_name", signatory.given_name),
        surname=_plain("surname", signatory.surname),
        title=_plain("title", signatory.title),
        acting_kind=_plain("acting_kind", signatory.acting_kind),
        unit_no=_other_number(signatory.unit_number),
    )


def _number(field: str, text: str | None) -> DetsisNumber:
    if (number := _other_number(text)) is None:
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a DETSİS number")
    return number


def _other_number(text: str | None) -> DetsisNumber | None:
    """A number that points elsewhere: 0 means none, and the top of the state may point to no real unit."""
    # Judged before it is remembered: texts are as long as whoever wrote the answer likes.
    return _known_number(text) if text and len(text) <= _LONGEST_FLAG else None


@lru_cache(maxsize=16_384)
def _known_number(text: str) -> DetsisNumber | None:
    try:
        return detsis_number(text)
    except ValueError:
        return None


def _address(text: str | None) -> KepAddress:
    try:
        return kep_address(text or "")
    except ValueError as error:
        raise WireRowError("address", "not a KEP address") from error


@lru_cache(maxsize=4096)
def _integer(field: str, text: str | None) -> int:
    try:
        number = int(text or "")
    except ValueError as error:
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a number") from error
    if number not in _INT_RANGE:
        raise WireRowError(field, f"{(text or '')[:20]!r} is out of range")
    return number


def _boolean(field: str, text: str | None) -> bool:
    truth = _BOOLEANS.get(text or "")
    if truth is None:
        raise WireRowError(field, f"{(text or '')[:20]!r} is neither true nor false")
    return truth


def _plain(field: str, text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > FIELD_LIMIT:
        raise WireRowError(field, f"longer than {FIELD_LIMIT} characters")
    return " ".join(text.split()) or None


def _lines(field: str, text: str | None) -> str | None:
    if len(text or "") > FIELD_LIMIT:
        raise WireRowError(field, f"longer than {FIELD_LIMIT} characters")
    lines = [plain for line in (text or "").splitlines() if (plain := _plain(field, line))]
    return "\n".join(lines) or None
