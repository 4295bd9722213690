"""What a provider's list of evidence says about letters that were sent, and when it is asked again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class ListedEvidenceRow(Base):
    """One entry of a list, as it was first seen. What it says never changes; what follows is how its document is had."""

    __tablename__ = "listed_evidence"

    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Text, primary_key=True)
    """The provider's own id of the document; unique within an account (kep.md 3.6)."""
    number: Mapped[int] = mapped_column(Identity(always=True), unique=True)
    """Ours: where the document stands in ``raw_mails``, since it has no UID."""
    recipient_id: Mapped[UUID] = mapped_column(ForeignKey(f"{SCHEMA}.outbound_recipients.recipient_id"))
    """Whose message was asked about."""
    code: Mapped[int | None]
    words: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime | None]
    at_text: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str | None] = mapped_column(Text)
    fits: Mapped[bool]
    """Whether it names nobody else than the recipient; only then it says anything about the letter's state."""
    first_seen_at: Mapped[datetime]

    fetch_at: Mapped[datetime | None]
    """When its document is to be asked for (again); None once it is here, or when that was given up."""
    fetches: Mapped[int] = mapped_column(server_default=text("0"))
    fetch_fault: Mapped[str | None] = mapped_column(Text)
    fetched_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_listed_evidence_recipient_id", "recipient_id"),
        Index("ix_listed_evidence_fetch", "mailbox_id", "fetch_at", postgresql_where=text("fetch_at IS NOT NULL")),
    )


class EvidencePollRow(Base):
    """When the provider is asked about one recipient's message; without ``next_at`` it is not asked any more."""

    __tablename__ = "evidence_polls"

    recipient_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{SCHEMA}.outbound_recipients.recipient_id"), primary_key=True
    )
    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"))
    asked: Mapped[int] = mapped_column(server_default=text("0"))
    """Answers so far; chooses the next pause."""
    setbacks: Mapped[int] = mapped_column(server_default=text("0"))
    """Times in a row that no answer came."""
    asked_at: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_evidence_polls_next", "mailbox_id", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )
