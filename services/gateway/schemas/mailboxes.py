"""Mailboxes as clients see them: no host, no user name."""

from __future__ import annotations

from services.gateway.schemas.text import Body
from shared.contracts.mailboxes import Mailbox


class MailboxSummary(Body):
    """One KEP mailbox."""

    mailbox_id: str
    institution_no: int
    """Its owner's DETSİS number."""
    address: str
    """The KEP address."""
    sends: bool
    """Whether letters go out through it."""
    active: bool

    @classmethod
    def of(cls, mailbox: Mailbox) -> MailboxSummary:
        """The part of a configuration that clients may see."""
        configuration = mailbox.configuration
        return cls(
            mailbox_id=mailbox.mailbox_id,
            institution_no=configuration.institution_no,
            address=configuration.address,
            sends=configuration.sends,
            active=configuration.active,
        )


class MailboxList(Body):
    """Mailboxes, by id."""

    mailboxes: list[MailboxSummary]
