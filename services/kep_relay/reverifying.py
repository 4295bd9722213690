"""When a verdict is asked for again, and whether a new one says anything new. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from shared.contracts.signatures import Maturity, SignatureReport, VerificationReport
from shared.domain.verdict import Conclusion

IN_HAND = timedelta(seconds=15)
"""What has just been read is verified by the same job; so long others take it for being worked on."""
RETRY_PAUSES = (5, 15, 60, 300, 900, 3600)
"""Seconds until a source that signer was missing is tried again at the earliest, by number of verdicts."""
PATIENT_PAUSES = (3600, 21600, 86400)
"""The same when signer named no moment: a person may add an authority or a list meanwhile (kep.md 7.16)."""
_EAGER_VERIFICATIONS = 60
"""After so many a source is no longer expected back any hour."""
MOST_VERIFICATIONS = 430
"""Daily after the eager ones: about a year in all."""
_DAY = 86_400
_MATURING_PAUSES = ((timedelta(days=1), 1800), (timedelta(days=7), 21_600))
"""Once a grace period is over, until the list that ends it is published: how late it is, and the pause in seconds."""


def verify_again_at(
    conclusion: Conclusion, reports: Sequence[VerificationReport], verifications: int, now: datetime
) -> datetime | None:
    """When to ask signer again after ``verifications`` verdicts; None when the last one is final.

    What is open is asked for until it is settled; what passed for now once its grace period is over
    (signatures.md 6.3). What failed has failed.
    """
    if verifications >= MOST_VERIFICATIONS:
        return None
    if conclusion is Conclusion.INDETERMINATE:
        return now + timedelta(seconds=_pause_while_open(reports, verifications))
    final_after = max(_grace_periods(reports), default=None)
    if conclusion is not Conclusion.PASSED or final_after is None:
        return None
    return max(final_after, now + timedelta(seconds=_pause_while_maturing(now - final_after)))


def maturity_of(conclusion: Conclusion, reports: Sequence[VerificationReport]) -> Maturity:
    """Preliminary while one of the signatures is; only what passed can be."""
    if conclusion is Conclusion.PASSED and any(True for _ in _grace_periods(reports)):
        return Maturity.PRELIMINARY
    return Maturity.FINAL


def says_the_same(before: VerificationReport, after: VerificationReport) -> bool:
    """Whether two reports differ in their times and sources only."""
    return _meaning(before) == _meaning(after)


def pause(number: int, pauses: tuple[int, ...] = RETRY_PAUSES) -> int:
    """The pause after ``number`` attempts, in seconds."""
    return pauses[min(number, len(pauses) - 1)]


def _pause_while_open(reports: Sequence[VerificationReport], verifications: int) -> int:
    if verifications >= _EAGER_VERIFICATIONS:
        return _DAY
    asked = [report.retry_after_seconds for report in reports if report.retry_after_seconds is not None]
    return max(min(asked), pause(verifications)) if asked else pause(verifications - 1, PATIENT_PAUSES)


def _pause_while_maturing(late: timedelta) -> int:
    return next((seconds for until, seconds in _MATURING_PAUSES if late < until), _DAY)


def _grace_periods(reports: Sequence[VerificationReport]) -> Iterator[datetime]:
    for report in reports:
        for signature in _with_counter_signatures(report.signatures):
            if signature.maturity is Maturity.PRELIMINARY and signature.final_after is not None:
                yield signature.final_after


def _with_counter_signatures(signatures: Sequence[SignatureReport]) -> Iterator[SignatureReport]:
    for signature in signatures:
        yield signature
        yield from _with_counter_signatures(signature.counter_signatures)


def _meaning(report: VerificationReport) -> object:
    signatures = [
        (item.conclusion, item.sub_indication, item.maturity, [(step.id, step.result) for step in item.steps])
        for item in _with_counter_signatures(report.signatures)
    ]
    return report.indication, report.sub_indication, report.signed_content_sha256, signatures
