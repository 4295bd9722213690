"""Texts of the wire get their meaning here, once: numbers, truths, moments, certificates.

Every function raises ``WireRowError``, naming the field, for a text that is not what the contract says.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

from services.detsis_sync.soap.wire import WireRowError
from shared.clock import ISTANBUL
from shared.domain.identifiers import DetsisNumber, KepAddress, ascii_lower, detsis_number, kep_address

FIELD_LIMIT = 8192
"""Characters in one text; the longest real ones (paths, postal addresses) stay far below."""
DISTRIBUTION_LIMIT = 512 * 1024
"""Characters in the distribution list of one letter, which names all of its recipients."""
CERTIFICATE_LIMIT = 64 * 1024
"""Bytes of one certificate; real ones have about 2,000."""
LONGEST_FLAG = 80

_YES = frozenset({"true", "1", "aktif", "e", "evet"})
_NO = frozenset({"false", "0", "pasif", "h", "hayır", "hayir"})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INT = re.compile(r"\s*[+-]?\d{1,40}\s*", re.ASCII)
_INT_RANGE = range(-(2**31), 2**31)
"""Of ``xs:int``; what lies outside breaks the contract, and would break the database's columns."""
_DOTTED_I = str.maketrans("İ", "i")
_MOMENT = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,12}))?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_LONGEST_MOMENT = 48


@lru_cache(maxsize=256)
def active_flag(text: str | None) -> bool | None:
    """The meaning of the textual active flag in every spelling met or expected; None when it is none of them."""
    word = ascii_lower((text or "").strip().translate(_DOTTED_I))
    return True if word in _YES else False if word in _NO else None


def flag_and_text(text: str | None) -> tuple[bool, str | None]:
    """Whether a textual flag says active, and the text itself, bounded, when it was not understood."""
    active = active_flag(text) if len(text or "") <= LONGEST_FLAG else None
    return active is True, (text or "")[:LONGEST_FLAG] if active is None else None


def number(field: str, text: str | None) -> DetsisNumber:
    """A DETSİS number that must be one."""
    try:
        return detsis_number(text or "")
    except ValueError as error:
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a DETSİS number") from error


def other_number(text: str | None) -> DetsisNumber | None:
    """A number that points elsewhere: 0 means none, and the top of the state may point to no real unit."""
    # Judged before it is remembered: texts are as long as whoever wrote the answer likes.
    return _known_number(text) if text and len(text) <= LONGEST_FLAG else None


@lru_cache(maxsize=16_384)
def _known_number(text: str) -> DetsisNumber | None:
    try:
        return detsis_number(text)
    except ValueError:
        return None


def address(text: str | None) -> KepAddress:
    """A KEP address, normalised."""
    try:
        return kep_address(text or "")
    except ValueError as error:
        raise WireRowError("address", "not a KEP address") from error


@lru_cache(maxsize=4096)
def integer(field: str, text: str | None) -> int:
    """A whole number of 32 bits."""
    # not int() alone: it takes "1_0" and digits of other scripts, which no other reader of the contract does
    if not _INT.fullmatch(text or ""):
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a number")
    if (found := int(text or "")) not in _INT_RANGE:
        raise WireRowError(field, f"{(text or '')[:20]!r} is out of range")
    return found


def boolean(field: str, text: str | None) -> bool:
    """A truth as XML Schema spells it."""
    truth = _BOOLEANS.get(text or "")
    if truth is None:
        raise WireRowError(field, f"{(text or '')[:20]!r} is neither true nor false")
    return truth


def plain(field: str, text: str | None) -> str | None:
    """A text with single spaces and nothing around; empty is None."""
    if not text:
        return None
    if len(text) > FIELD_LIMIT:
        raise WireRowError(field, f"longer than {FIELD_LIMIT} characters")
    if text.isprintable() and "  " not in text and text[0] != " " and text[-1] != " ":
        return text  # nearly every one: a space is the only white space that counts as printable
    return " ".join(text.split()) or None


def lines(field: str, text: str | None, limit: int = FIELD_LIMIT) -> str | None:
    """The same for a text whose lines mean something: separated by line feeds, none of them empty."""
    if len(text or "") > limit:
        raise WireRowError(field, f"longer than {limit} characters")
    found = [clean for line in (text or "").splitlines() if (clean := plain(field, line))]
    return "\n".join(found) or None


def required(field: str, text: str | None) -> str:
    """A text that must be there."""
    if (found := plain(field, text)) is None:
        raise WireRowError(field, "empty")
    return found


def identifier(field: str, text: str | None) -> int | None:
    """A number that points to another row; 0 means none."""
    return integer(field, text) or None


def moment(field: str, text: str | None) -> datetime | None:
    """A moment in UTC, or None for "none" (the year 1). Without a zone the text is Turkish local time (detsis.md 10)."""
    local = _local(field, text)
    if local is None:
        return None
    try:
        return (local if local.tzinfo else local.replace(tzinfo=ISTANBUL)).astimezone(UTC)
    except OverflowError as error:
        raise WireRowError(field, "out of range") from error


def day(field: str, text: str | None) -> date | None:
    """A Turkish local day, or None for "none" (nothing, or the year 1)."""
    if not text:
        return None
    local = _local(field, text)
    if local is None:
        return None
    try:
        return (local.astimezone(ISTANBUL) if local.tzinfo else local).date()
    except OverflowError as error:
        raise WireRowError(field, "out of range") from error


def certificate(field: str, text: str | None) -> bytes:
    """The bytes of a base64 text, at most ``CERTIFICATE_LIMIT``."""
    if not text or not text.strip():
        raise WireRowError(field, "empty")
    if len(text) > CERTIFICATE_LIMIT * 3 // 2:
        raise WireRowError(field, f"longer than {CERTIFICATE_LIMIT} bytes")
    try:
        found = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireRowError(field, "not base64") from error
    if len(found) > CERTIFICATE_LIMIT:
        raise WireRowError(field, f"longer than {CERTIFICATE_LIMIT} bytes")
    return found


def _local(field: str, text: str | None) -> datetime | None:
    found = _MOMENT.fullmatch((text or "").strip()) if len(text or "") <= _LONGEST_MOMENT else None
    if found is None:
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a moment")
    *whole, fraction, zone = found.groups()
    if whole[0] == "0001":
        return None
    # .NET writes seven digits, Python holds six
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    try:
        year, month, day_of_month, hour, minute, second = map(int, whole)
        return datetime(year, month, day_of_month, hour, minute, second, microsecond, tzinfo=_zone(zone))
    except ValueError as error:
        raise WireRowError(field, f"{(text or '')[:20]!r} is not a moment") from error


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
