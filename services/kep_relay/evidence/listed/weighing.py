"""What an entry of a provider's list does to a letter before its document is here (kep.md 7.15)."""

from __future__ import annotations

import re
from datetime import datetime

from services.kep_relay.evidence.fold import NOT_REACHED, Attention, Policy, step, weigh
from services.kep_relay.evidence.unproven import unproven
from services.kep_relay.outbound.history import EventKind, record
from services.kep_relay.tables import ListedEvidenceRow, OutboundRecipientRow
from shared.db.session import UnitOfWork
from shared.domain.evidence import EvidenceCode
from shared.domain.identifiers import ascii_lower
from shared.domain.message import OutboundState
from shared.domain.verdict import Conclusion

_BETWEEN_ADDRESSES = re.compile(r"[\s<>,;\"']+")
_KNOWN = frozenset(int(code) for code in EvidenceCode)


def names(text: str | None, address: str | None) -> bool:
    """Whether an entry's recipient may be the one at ``address``: it names that one, or nobody.

    A message here has one recipient, so an entry that names nobody is about that one (kep.md 7.13).
    """
    words = {word.removeprefix("mailto:") for word in _BETWEEN_ADDRESSES.split(ascii_lower(text or "")) if word}
    return not words or (address is not None and ascii_lower(address) in words)


def known(code: int | None) -> bool:
    """Whether the code is one whose meaning is known (kep.md 7.14)."""
    return code in _KNOWN


async def fold_listed(
    work: UnitOfWork, recipient: OutboundRecipientRow, entry: ListedEvidenceRow, *, policy: Policy, at: datetime
) -> OutboundState:
    """Let a new entry act on ``recipient``, which must be locked in this transaction; returns the state reached.

    The times a letter shows are those inside documents (kep.md 1.5), so an entry sets none.
    """
    before = OutboundState(recipient.state)
    if not entry.fits:
        return before
    weighed = weigh(before, entry.code, Conclusion.INDETERMINATE, policy)
    flags = set(recipient.attention) | {flag.value for flag in weighed.attention - {Attention.UNVERIFIED}}
    if weighed.state in NOT_REACHED:
        flags.add(Attention.ADDRESS.value)
    else:
        flags.discard(Attention.ADDRESS.value)
    await work.session.flush()
    open_still = await unproven(work.session, recipient.recipient_id)
    if open_still:
        flags.add(Attention.UNPROVEN.value)
    raised = sorted(flags - set(recipient.attention))
    if weighed.state is not before:
        step(recipient, weighed.state, code=entry.code, reason=entry.words or None, at=at)
    recipient.attention = sorted(flags)
    recipient.updated_at = at
    recipient.version += 1
    await work.session.flush()
    detail = f"{entry.code if entry.code is not None else '?'} listed by {entry.provider or 'the provider'}"
    if open_still:
        detail += ", no document yet"
    if raised:
        detail += f"; attention {', '.join(raised)}"
    await record(
        work, message_id=recipient.message_id, recipient_id=recipient.recipient_id, kind=EventKind.EVIDENCE,
        from_state=before, to_state=weighed.state, detail=detail, evidence_id=None, at=at,
    )  # fmt: skip
    return weighed.state
