"""What a report amounts to, and when to look again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.signatures import Maturity, SignatureReport, VerificationReport
from shared.domain.verdict import Conclusion, SubIndication

_SOONEST, _LATEST = timedelta(minutes=1), timedelta(days=1)
_FIRST_FAILURE, _LAST_FAILURE = timedelta(seconds=30), timedelta(hours=1)
_MOST_DOUBLINGS = 16


@dataclass(frozen=True)
class Ripeness:
    """Whether a later look may come out otherwise; ``final_after``: the last end of a grace period."""

    maturity: Maturity
    final_after: datetime | None


def ripeness(report: VerificationReport) -> Ripeness:
    """Of a whole report: preliminary while one of the signatures it passed for is."""
    early = [item for item in _all(report.signatures) if item.maturity is Maturity.PRELIMINARY]
    if report.conclusion is not Conclusion.PASSED or not early:
        return Ripeness(Maturity.FINAL, None)
    return Ripeness(Maturity.PRELIMINARY, max((item.final_after for item in early if item.final_after), default=None))


def is_open(report: VerificationReport) -> bool:
    """Whether something that may still come would decide, also where signer knows of no source to ask for it."""
    later = report.retry_after_seconds is not None or report.sub_indication is SubIndication.TRY_LATER
    return report.conclusion is Conclusion.INDETERMINATE and later


def next_look(report: VerificationReport, *, looks: int, most_looks: int, now: datetime) -> datetime | None:
    """When the same file is to be judged again; None when it is settled or was looked at ``most_looks`` times.

    The waits double with each look from a minute to a day, and are never shorter than what signer asks for.
    """
    if looks >= most_looks:
        return None
    wait = min(_SOONEST * (1 << min(looks, _MOST_DOUBLINGS)), _LATEST)
    ripe = ripeness(report)
    if ripe.maturity is Maturity.PRELIMINARY:
        return max(now, ripe.final_after or now) + wait
    if is_open(report):
        return now + max(wait, timedelta(seconds=report.retry_after_seconds or 0))
    return None


def after_failure(failures: int, now: datetime) -> datetime:
    """When to try again after so many tries without a verdict."""
    return now + min(_FIRST_FAILURE * (1 << min(failures, _MOST_DOUBLINGS)), _LAST_FAILURE)


def _all(signatures: Sequence[SignatureReport]) -> Iterator[SignatureReport]:
    for item in signatures:
        yield item
        yield from _all(item.counter_signatures)
