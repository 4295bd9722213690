"""State is a fold over evidence: what one more piece changes about one recipient (design decision 7).

What a piece may do depends on its verdict. PASSED counts. FAILED proves nothing: it is kept, the
recipient is flagged ``evidence_unverified``, its state stays and a person may decide. INDETERMINATE
moves nothing either, with one exception: where a revocation list cannot be had and all else is proven
(``provisional``), it is a matter of policy, because kep.md 7.16 asks that such evidence does not block
a letter while a body that wants certainty first may think otherwise: ``advance`` (the default) takes
the proven state and flags it until a later verification settles it; ``hold`` flags only, and the state
moves when the verification passes. A flag goes when nothing unsettled is left. A state never goes back: evidence that fails after it was allowed to advance stays
flagged.

A list that a provider gives of evidence is weighed like evidence that is provisional, and flagged
``evidence_unproven`` until a document of the same code is here, whatever its verdict then is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sqlalchemy import select

from services.kep_relay.evidence.unproven import unproven
from services.kep_relay.outbound.history import EventKind, record
from services.kep_relay.tables import EvidenceRow, OutboundRecipientRow
from shared.db.session import UnitOfWork
from shared.domain.evidence import EvidenceCode
from shared.domain.message import EVIDENCE_STATE, OutboundState, advance, contradicts
from shared.domain.verdict import Conclusion

Policy = Literal["advance", "hold"]
_PROVEN = {int(code): state for code, state in EVIDENCE_STATE.items()}


class Attention(StrEnum):
    """Flags that evidence raises."""

    CONTRADICTION = "evidence_contradiction"
    UNKNOWN = "evidence_unknown"
    UNVERIFIED = "evidence_unverified"
    UNPROVEN = "evidence_unproven"
    """A state rests on what a provider's list says; the document that proves it is not here yet (kep.md 7.15)."""
    ADDRESS = "address_to_check"
    """It did not reach the recipient: the register may have another KEP address by now (kep.md 7.9)."""


NOT_REACHED = frozenset({OutboundState.REJECTED, OutboundState.RELAY_FAILED, OutboundState.UNDELIVERED})
"""States in which the register may have another address by now."""


@dataclass(frozen=True)
class Weighed:
    """What one piece of evidence does to a state."""

    state: OutboundState
    attention: frozenset[Attention]
    """Flags to raise."""
    counted: bool
    """Whether the state took it into account, even if that changed nothing."""


def weigh(current: OutboundState, code: int | None, conclusion: Conclusion, policy: Policy) -> Weighed:
    """The pure decision: a state, a code, a verdict and the policy in; what follows out."""
    counted = conclusion is Conclusion.PASSED or (conclusion is Conclusion.INDETERMINATE and policy == "advance")
    flags = set() if conclusion is Conclusion.PASSED else {Attention.UNVERIFIED}
    proven = None if code is None else _PROVEN.get(code)
    if proven is None:
        return Weighed(current, frozenset(flags | {Attention.UNKNOWN}), counted)
    if not counted:
        return Weighed(current, frozenset(flags), counted=False)
    if contradicts(current, proven):
        flags.add(Attention.CONTRADICTION)
    return Weighed(advance(current, proven), frozenset(flags), counted=True)


async def fold(
    work: UnitOfWork, recipient: OutboundRecipientRow, evidence: EvidenceRow, *, policy: Policy, at: datetime
) -> Weighed:
    """Let ``evidence`` act on ``recipient``, which must be locked in this transaction. May be called again.

    The first time, and whenever something changes, a line is added to the letter's history.
    """
    if evidence.conclusion is None:
        raise ValueError("evidence without a verdict cannot act")
    before = OutboundState(recipient.state)
    weighed = weigh(before, evidence.code, Conclusion(evidence.conclusion), policy if evidence.provisional else "hold")
    first_time = evidence.folded_at is None
    evidence.folded_at = evidence.folded_at or at
    flags = set(recipient.attention) | {flag.value for flag in weighed.attention}
    settled = Attention.UNVERIFIED not in weighed.attention
    if settled and Attention.UNVERIFIED.value in flags and not await _unsettled(work, evidence):
        flags.discard(Attention.UNVERIFIED)
    if Attention.UNPROVEN.value in flags and not await unproven(work.session, evidence.recipient_id, evidence):
        flags.discard(Attention.UNPROVEN)
    if weighed.state in NOT_REACHED:
        flags.add(Attention.ADDRESS.value)
    else:
        flags.discard(Attention.ADDRESS.value)
    changed = weighed.state is not before or flags != set(recipient.attention)
    stamped = weighed.counted and _stamp(recipient, evidence)
    if weighed.state is not before:
        step(recipient, weighed.state, code=evidence.code, reason=evidence.reason, at=at)
    if changed or stamped or first_time:
        raised = sorted(flags - set(recipient.attention))
        recipient.attention = sorted(flags)
        recipient.updated_at = at
        recipient.version += 1
        await work.session.flush()
        await record(
            work, message_id=recipient.message_id, recipient_id=recipient.recipient_id, kind=EventKind.EVIDENCE,
            from_state=before, to_state=weighed.state, detail=_detail(evidence, raised),
            evidence_id=evidence.evidence_id, at=at,
        )  # fmt: skip
    return weighed


async def _unsettled(work: UnitOfWork, evidence: EvidenceRow) -> bool:
    """Whether the recipient has other evidence that did not pass."""
    other = await work.session.scalar(
        select(EvidenceRow.evidence_id)
        .where(
            EvidenceRow.recipient_id == evidence.recipient_id,
            EvidenceRow.evidence_id != evidence.evidence_id,
            EvidenceRow.conclusion.in_((Conclusion.FAILED.value, Conclusion.INDETERMINATE.value)),
        )
        .limit(1)
    )
    return other is not None


def step(
    recipient: OutboundRecipientRow, state: OutboundState, *, code: int | None, reason: str | None, at: datetime
) -> None:
    """Take a state over; ``code`` and ``reason`` are the evidence's."""
    negative = state in NOT_REACHED
    recipient.state = state
    recipient.reason_code = f"evidence.{code}" if negative else None
    recipient.reason = reason if negative else None
    # Evidence proves that the message was sent: whoever is still trying to find that out may stop.
    recipient.submitted_at = recipient.submitted_at or at
    recipient.next_attempt_at = None
    recipient.outcome_unknown_since = None
    recipient.setbacks = 0
    recipient.claim_token = recipient.claimed_by = recipient.claim_expires_at = None


def _stamp(recipient: OutboundRecipientRow, evidence: EvidenceRow) -> bool:
    """Take over the time that counts, which is the one inside the evidence (kep.md 1.5)."""
    moment = evidence.event_time or evidence.received_at
    if evidence.code == EvidenceCode.DELIVERED and recipient.delivered_at is None:
        recipient.delivered_at = moment
        return True
    if evidence.code == EvidenceCode.READ and recipient.read_at is None:
        recipient.read_at = moment
        return True
    return False


def _detail(evidence: EvidenceRow, raised: Collection[str]) -> str:
    event = evidence.event.rpartition("#")[2]
    words = [f"{evidence.code if evidence.code is not None else '?'} {evidence.evidence_type} {event}".strip()]
    if evidence.issuer:
        words.append(f"from {evidence.issuer}")
    words.append(f"verification {evidence.conclusion}")
    if raised:
        words.append(f"attention {', '.join(raised)}")
    return "; ".join(words)
