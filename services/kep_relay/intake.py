"""Whether mail to an address is taken in here: before it is opened to others, for they send at once (EK-2/4)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.readiness import polling_check
from services.kep_relay.tables import MailboxRow
from shared.clock import Clock
from shared.contracts.verification_mails import IntakeCheck, IntakeReport
from shared.domain.identifiers import KepAddress


class Intake:
    """Answers for one address at a time."""

    def __init__(self, addresses: AddressBook, clock: Clock, *, verification_senders: Sequence[str]) -> None:
        self._addresses = addresses
        self._clock = clock
        self._senders = verification_senders

    async def report(self, session: AsyncSession, address: KepAddress, institutions: Sequence[int]) -> IntakeReport:
        """What holds and what does not. A mailbox of another institution counts as none."""
        row = await session.scalar(
            select(MailboxRow).where(MailboxRow.address == address, MailboxRow.institution_no.in_(institutions))
        )
        checks = [self._senders_check()]
        if row is None:
            checks.insert(0, IntakeCheck(id="mailbox", ok=False, detail="no mailbox of this address is configured"))
        else:
            polling = polling_check(row, self._clock.now())
            stopped = "in use" if row.stopped_at is None else f"stopped: {row.stopped_reason}"
            active = "it is read" if row.active else "the mailbox is switched off"
            checks = [
                IntakeCheck(id="mailbox", ok=True, detail=row.mailbox_id),
                IntakeCheck(id="active", ok=row.active, detail=active),
                IntakeCheck(id="account", ok=row.stopped_at is None, detail=stopped),
                IntakeCheck(id="polling", ok=polling.ok, detail=polling.detail),
                *checks,
            ]
        return IntakeReport(
            address=address,
            address_allowed=self._addresses.allows(address),
            mailbox_id=None if row is None else row.mailbox_id,
            checks=checks,
        )

    def _senders_check(self) -> IntakeCheck:
        detail = (
            f"{len(self._senders)} configured"
            if self._senders
            else "no sender of verification mails is configured: such a mail is only shown as one that may be, "
            "and is offered to document systems as a letter"
        )
        return IntakeCheck(id="verification-senders", ok=bool(self._senders), detail=detail)
