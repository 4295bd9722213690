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
    unclear: int = 0,
    previous_unclear: int = 0,
    may_be_empty: bool = False,
) -> None:
    """Raise ``DomainError(DIRECTORY_REFUSED)`` if publishing this list could harm.

    Growth and many changes are normal (one reorganisation rewrites a whole branch in a night);
    an empty or shrunken list is how a half-broken server looks. ``rejected`` rows were not
    understood and left out; more than the share ``rejected_limit`` of them is refused. ``rows`` counts
    each key once. The ``unclear`` ones among them have an active flag that nobody understood: they
    would become unusable, so for this judgement they are as good as lost. ``may_be_empty``: a list that
    never had rows may go on without any.
    """
    if rejected > rejected_limit * (rows + rejected):
        raise DomainError(ErrorCode.DIRECTORY_REFUSED, f"list {name}: {rejected} rows could not be understood")
    if rows == 0 and (rejected or previous_rows or not may_be_empty):
        raise DomainError(ErrorCode.DIRECTORY_REFUSED, f"list {name} is empty")
    if unclear * 2 > rows:
        raise DomainError(
            ErrorCode.DIRECTORY_REFUSED, f"list {name}: the active flag of {unclear} of {rows} rows was not understood"
        )
    clear, previously_clear = rows - unclear, (previous_rows or 0) - previous_unclear
    if unclear > previous_unclear and clear < previously_clear * (1 - shrink_limit):
        raise DomainError(
            ErrorCode.DIRECTORY_REFUSED,
            f"list {name}: rows whose active flag was understood fell from {previously_clear} to {clear}",
        )
    if previous_rows and rows < previous_rows * (1 - shrink_limit):
        raise DomainError(
            ErrorCode.DIRECTORY_REFUSED,
            f"list {name} shrank from {previous_rows} to {rows} rows, more than {shrink_limit:.0%}",
        )
