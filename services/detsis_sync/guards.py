"""Whether a list that arrived whole may be believed (detsis.md 12.3)."""

from __future__ import annotations

from shared.errors import DomainError, ErrorCode


def accept_list(
    name: str,
    *,
    rows: int,
    rejected: int,
    previous_rows: int | None,
    shrink_limit: float,
    rejected_limit: float = 0.0,
) -> None:
    """Raise ``DomainError(DIRECTORY_REFUSED)`` if publishing this list could harm.

    Growth and many changes are normal (one reorganisation rewrites a whole branch in a night);
    an empty or shrunken list is how a half-broken server looks. ``rejected`` rows were not
    understood and left out; more than the share ``rejected_limit`` of them is refused.
    """
    if rejected > rejected_limit * (rows + rejected):
        raise DomainError(ErrorCode.DIRECTORY_REFUSED, f"list {name}: {rejected} rows could not be understood")
    if rows == 0:
        raise DomainError(ErrorCode.DIRECTORY_REFUSED, f"list {name} is empty")
    if previous_rows and rows < previous_rows * (1 - shrink_limit):
        raise DomainError(
            ErrorCode.DIRECTORY_REFUSED,
            f"list {name} shrank from {previous_rows} to {rows} rows, more than {shrink_limit:.0%}",
        )
