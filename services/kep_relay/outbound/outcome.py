"""What follows from an outcome: a pure table, without clock, socket or database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    OutcomeUnknown,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode

NEEDS_SOMEONE = frozenset(
    {
        ErrorCode.RECIPIENT_UNKNOWN,
        ErrorCode.RECIPIENT_INACTIVE,
        ErrorCode.RECIPIENT_KEP_MISSING,
        ErrorCode.RECIPIENT_KEP_INACTIVE,
        ErrorCode.SIGNING_KEY_UNAVAILABLE,
        ErrorCode.MAILBOX_MISSING,
        ErrorCode.MAILBOX_NOT_READY,
        ErrorCode.KEP_CREDIT_EXHAUSTED,
        ErrorCode.DIRECTORY_REFUSED,
        ErrorCode.INSTITUTION_FORBIDDEN,
        ErrorCode.TOO_LARGE,
        ErrorCode.VALIDATION_FAILED,
    }
)
"""Failures that time alone does not heal: the letter is blocked, and looked at again at long intervals."""


@dataclass(frozen=True)
class RetryPolicy:
    """Pauses in seconds; the last one of each list repeats."""

    retry_pauses: tuple[float, ...]
    blocked_pauses: tuple[float, ...]
    reconcile_pauses: tuple[float, ...]
    reconcile_window: timedelta
    """Only after it a message that is not found is sent again."""


@dataclass(frozen=True)
class Decision:
    """The recipient's next state and the moment of its next step (None: evidence or nothing is next)."""

    state: OutboundState
    reason_code: str | None
    reason: str | None
    next_attempt_at: datetime | None
    setbacks: int


def decide(outcome: SubmissionOutcome, setbacks: int, now: datetime, policy: RetryPolicy) -> Decision:
    """What the outcome of one submission means after ``setbacks`` waits in a row."""
    match outcome:
        case Accepted():
            return Decision(OutboundState.SUBMITTED, None, None, None, 0)
        case TemporaryFailure(reason_code=code, reason=reason):
            return _later(OutboundState.RETRY_WAIT, code, reason, policy.retry_pauses, setbacks, now)
        case Blocked(reason_code=code, reason=reason):
            return _later(OutboundState.BLOCKED, code, reason, policy.blocked_pauses, setbacks, now)
        case OutcomeUnknown(reason_code=code, reason=reason):
            first = timedelta(seconds=policy.reconcile_pauses[0])
            return Decision(OutboundState.OUTCOME_UNKNOWN, code, reason, now + first, 0)
        case PermanentFailure(reason_code=code, reason=reason):
            return Decision(OutboundState.FAILED, code, reason, None, 0)


def decide_fault(fault: DomainError, setbacks: int, now: datetime, policy: RetryPolicy) -> Decision:
    """What a failure means that happened before the provider was touched."""
    if fault.code in NEEDS_SOMEONE:
        return _later(OutboundState.BLOCKED, fault.code, fault.detail, policy.blocked_pauses, setbacks, now)
    return _later(OutboundState.RETRY_WAIT, fault.code, fault.detail, policy.retry_pauses, setbacks, now)


def decide_search(
    found: bool | None, *, looks: int, unknown_from: datetime, now: datetime, policy: RetryPolicy
) -> Decision:
    """What a look into the provider's Sent folder means; ``found`` None: nothing can be told from it now.

    Only a proper "no" after the whole window lets the message be sent again.
    """
    if found:
        return Decision(OutboundState.SUBMITTED, None, None, None, 0)
    if found is False and now >= unknown_from + policy.reconcile_window:
        return Decision(OutboundState.QUEUED, None, None, now, 0)
    if found is None:
        reason = "the answer to the submission got lost, and nothing tells yet whether the provider has the message"
    else:
        reason = "the answer to the submission got lost, and the provider does not show the message yet"
    return _later(
        OutboundState.OUTCOME_UNKNOWN, ErrorCode.PROVIDER_UNAVAILABLE, reason, policy.reconcile_pauses, looks, now
    )


def _later(
    state: OutboundState, code: str, reason: str, pauses: Sequence[float], setbacks: int, now: datetime
) -> Decision:
    pause = timedelta(seconds=pauses[min(setbacks, len(pauses) - 1)])
    return Decision(state, str(code), reason, now + pause, setbacks + 1)
