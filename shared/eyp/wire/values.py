"""Simple values of the XML: times, tokens, text."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from shared.eyp.model import Generation
from shared.eyp.wire.names import ANNEX_KINDS, PURPOSES, SECURITY_CODES, URGENCIES

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,20}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_ISTANBUL = ZoneInfo("Europe/Istanbul")
ALL_URGENCIES = {token for tokens in URGENCIES.values() for token in tokens}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def read_time(text: str) -> datetime | None:
    """An xsd:dateTime as aware UTC, or None. Without an offset it means Turkish local time.

    Seven fractional digits (.NET) are cut to microseconds.
    """
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        return None
    *numbers, fraction, zone = match.groups()
    try:
        year, month, day, hour, minute, second = map(int, numbers)
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        moment = datetime(year, month, day, hour, minute, second, micro, tzinfo=_zone(zone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone | ZoneInfo:
    if text is None:
        return _ISTANBUL
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def write_time(moment: datetime) -> str:
    """An aware time as xsd:dateTime in UTC; raise ``ValueError`` for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be written")
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_boolean(text: str | None) -> bool | None:
    """An xsd:boolean, or None."""
    return _BOOLEANS.get((text or "").strip())


def read_base64(text: str) -> bytes | None:
    """Strict base64 with white space allowed, or None; empty is None too."""
    try:
        return base64.b64decode("".join(text.split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def is_valid(type_name: str, text: str, generation: Generation) -> bool:
    """Whether a simple value fits its type. Types with rules of their own are not judged here."""
    match type_name:
        case "dateTime":
            # An empty element stands for an absent value (xsi:nil).
            return not text or read_time(text) is not None
        case "boolean":
            return not text or read_boolean(text) is not None
        case "annexKind":
            return text in ANNEX_KINDS
        case "purpose":
            return text in PURPOSES
        case "urgency":
            return text in ALL_URGENCIES
        case "security":
            return text in SECURITY_CODES[generation]
        case _:
            return True
