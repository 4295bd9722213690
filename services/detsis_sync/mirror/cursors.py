"""Where a page ended, as a text that nobody has to understand."""

from __future__ import annotations

import base64
import binascii
import json

from shared.errors import DomainError, ErrorCode, Fault

_LONGEST = 500


def written(kind: str, *place: int | str | bool) -> str:
    """The cursor for ``place`` in a list of this kind."""
    text = json.dumps([kind, *place], separators=(",", ":"), ensure_ascii=True)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(cursor: str, kind: str, *types: type, pointer: str = "/query/cursor") -> list[int | str | bool]:
    """The place a cursor names. Raises ``DomainError`` (validation-failed) for one that this list did not give."""
    found: object = None
    if len(cursor) <= _LONGEST:
        try:
            found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        except (ValueError, RecursionError, binascii.Error):
            found = None
    fits = isinstance(found, list) and [type(item) for item in found] == [str, *types] and found[0] == kind
    if not fits or not isinstance(found, list) or any(type(x) is int and not 0 <= x < 2**63 for x in found):
        detail = "the cursor was not made by this list"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(pointer, detail)])
    return found[1:]
