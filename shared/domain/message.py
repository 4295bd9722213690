"""States of letters, outgoing and incoming, and the tables that say which change may follow.

The tables are the single source: services check against them, documentation is generated from
them (tests/unit/domain), and design section 6 explains them.
"""

from __future__ import annotations

from enum import StrEnum

from shared.domain.evidence import EvidenceCode


class OutboundState(StrEnum):
    """Where one recipient of an outgoing letter stands."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    READ = "read"
    BLOCKED = "blocked"
    RETRY_WAIT = "retry_wait"
    OUTCOME_UNKNOWN = "outcome_unknown"
    REJECTED = "rejected"
    RELAY_FAILED = "relay_failed"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class InboundState(StrEnum):
    """Where one incoming letter stands."""

    STORED = "stored"
    PARSED = "parsed"
    VERIFIED = "verified"
    AVAILABLE = "available"
    LEASED = "leased"
    CONSUMED = "consumed"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    REFUSED = "refused"
    DEAD_LETTERED = "dead_lettered"
    SEALED = "sealed"
    """More secret than KEP may carry (legal.md L.27): for the security officer, never for a document system."""


_O = OutboundState
BEFORE_SUBMISSION = frozenset({_O.QUEUED, _O.BLOCKED, _O.RETRY_WAIT})
AWAITING_EVIDENCE = frozenset({_O.SUBMITTED, _O.ACCEPTED, _O.RELAYED, _O.DELIVERED})
OUTBOUND_TERMINAL = frozenset(
    {_O.READ, _O.REJECTED, _O.RELAY_FAILED, _O.UNDELIVERED, _O.FAILED, _O.EXPIRED, _O.CANCELLED}
)

OUTBOUND_TRANSITIONS: dict[OutboundState, frozenset[OutboundState]] = {
    _O.QUEUED: frozenset({_O.SUBMITTING, _O.BLOCKED, _O.RETRY_WAIT, _O.FAILED, _O.EXPIRED, _O.CANCELLED}),
    _O.BLOCKED: frozenset({_O.QUEUED, _O.FAILED, _O.EXPIRED, _O.CANCELLED}),
    _O.RETRY_WAIT: frozenset({_O.SUBMITTING, _O.QUEUED, _O.BLOCKED, _O.FAILED, _O.EXPIRED, _O.CANCELLED}),
    _O.SUBMITTING: frozenset({_O.SUBMITTED, _O.RETRY_WAIT, _O.BLOCKED, _O.OUTCOME_UNKNOWN, _O.FAILED}),
    _O.OUTCOME_UNKNOWN: frozenset({_O.SUBMITTED, _O.QUEUED, _O.FAILED}),
}
"""Changes that the gateway's own actions cause. What evidence causes stands in EVIDENCE_TRANSITIONS."""

EVIDENCE_STATE: dict[EvidenceCode, OutboundState] = {
    EvidenceCode.ACCEPTED: _O.ACCEPTED,
    EvidenceCode.REJECTED: _O.REJECTED,
    EvidenceCode.RELAYED: _O.RELAYED,
    EvidenceCode.RELAY_REJECTED: _O.RELAY_FAILED,
    EvidenceCode.RELAY_UNREACHABLE: _O.RELAY_FAILED,
    EvidenceCode.DELIVERED: _O.DELIVERED,
    EvidenceCode.NOT_DELIVERED: _O.UNDELIVERED,
    EvidenceCode.READ: _O.READ,
}

EVIDENCE_RANK: dict[OutboundState, int] = {
    _O.SUBMITTED: 1,
    _O.ACCEPTED: 2,
    _O.RELAYED: 3,
    _O.REJECTED: 4,
    _O.RELAY_FAILED: 5,
    _O.UNDELIVERED: 6,
    _O.DELIVERED: 7,
    _O.READ: 8,
}
"""A state that evidence proves is replaced only by one of higher rank; a later 40 wins over 31."""

CONTRADICTIONS = frozenset(
    {frozenset({_O.REJECTED, other}) for other in EVIDENCE_RANK if other not in {_O.REJECTED, _O.SUBMITTED}}
    | {frozenset({bad, good}) for bad in (_O.RELAY_FAILED, _O.UNDELIVERED) for good in (_O.DELIVERED, _O.READ)}
    | {
        frozenset({ended, good})
        for ended in (_O.FAILED, _O.EXPIRED, _O.CANCELLED)
        for good in (_O.ACCEPTED, _O.RELAYED, _O.DELIVERED, _O.READ)
    }
)
"""Pairs of states of which one must be wrong. 31 then 20 is none: the provider tried again.

A letter that had ended unsent and is proven to have gone out is one: somebody may have acted on its end.
"""


def contradicts(current: OutboundState, proven: OutboundState) -> bool:
    """Whether new evidence cannot be true together with the state reached (raises ``attention``).

    Folded piece by piece this finds a contradiction in whatever order the pieces arrive.
    """
    return frozenset({current, proven}) in CONTRADICTIONS


def advance(current: OutboundState, proven: OutboundState) -> OutboundState:
    """Fold one proven state into the current one: rank decides, order of arrival does not.

    Evidence about a letter we do not yet believe sent (``submitting``, ``outcome_unknown``, …)
    proves that it was sent, so it always advances from there. ``cancelled`` and ``expired`` hold
    only while nothing proves the opposite.
    """
    return proven if EVIDENCE_RANK[proven] > EVIDENCE_RANK.get(current, 0) else current


_WORST_FIRST = (
    _O.FAILED, _O.REJECTED, _O.RELAY_FAILED, _O.UNDELIVERED, _O.EXPIRED, _O.OUTCOME_UNKNOWN, _O.BLOCKED,
    _O.RETRY_WAIT, _O.QUEUED, _O.SUBMITTING, _O.SUBMITTED, _O.ACCEPTED, _O.RELAYED, _O.CANCELLED,
    _O.DELIVERED, _O.READ,
)  # fmt: skip


def worst_state(states: list[OutboundState]) -> OutboundState:
    """The state a letter shows: that of its worst recipient. Raises ``ValueError`` without recipients."""
    return min(states, key=_WORST_FIRST.index)


_I = InboundState
INBOUND_TRANSITIONS: dict[InboundState, frozenset[InboundState]] = {
    _I.STORED: frozenset({_I.PARSED, _I.QUARANTINED}),
    _I.PARSED: frozenset({_I.VERIFIED, _I.QUARANTINED, _I.SEALED}),
    _I.VERIFIED: frozenset({_I.AVAILABLE, _I.QUARANTINED, _I.SEALED}),
    _I.AVAILABLE: frozenset({_I.LEASED, _I.REFUSED, _I.DEAD_LETTERED, _I.SEALED}),
    _I.LEASED: frozenset({_I.AVAILABLE, _I.CONSUMED, _I.REFUSED, _I.DEAD_LETTERED, _I.SEALED}),
    _I.QUARANTINED: frozenset({_I.STORED, _I.AVAILABLE, _I.ARCHIVED}),
    _I.DEAD_LETTERED: frozenset({_I.AVAILABLE, _I.SEALED}),
    # What is opened late, with a key that came late, may turn out to be classified when it was taken already.
    _I.CONSUMED: frozenset({_I.ARCHIVED, _I.SEALED}),
}
INBOUND_TERMINAL = frozenset({_I.CONSUMED, _I.ARCHIVED, _I.REFUSED, _I.QUARANTINED, _I.DEAD_LETTERED, _I.SEALED})
"""``sealed`` is never left: closing its incident is a fact beside the state."""
INBOUND_UNREGISTERED = frozenset({_I.PARSED, _I.AVAILABLE, _I.LEASED, _I.DEAD_LETTERED})
"""What a document system may still register."""
