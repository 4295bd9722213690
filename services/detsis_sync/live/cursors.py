"""Cursors of lists that are held in memory: a place in them."""

from __future__ import annotations

from shared.errors import DomainError, ErrorCode, Fault

_LONGEST = 6


def start_of(kind: str, cursor: str | None) -> int:
    """Where the page begins. Raises ``DomainError`` (VALIDATION_FAILED) for a cursor of another list."""
    if cursor is None:
        return 0
    place = cursor.removeprefix(f"{kind}-")
    if place == cursor or not (place.isascii() and place.isdigit()) or len(place) > _LONGEST:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "not a cursor of this list", faults=[Fault("/cursor", "not of this list")]
        )
    return int(place)


def following(kind: str, place: int, length: int) -> str | None:
    """The cursor of the page that begins at ``place``; None behind the end."""
    return f"{kind}-{place}" if place < length else None
