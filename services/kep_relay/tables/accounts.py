"""What a provider asks of an account and tells about it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from services.kep_relay.tables.base import SCHEMA, Base


class SecondFactorRow(Base):
    """Whether messages of an account are handed out; no row as long as nobody asked for a second factor.

    ``state``: ``needed`` → ``challenged`` → ``confirmed`` → ``needed`` again once the provider says so.
    Counts for ``revision`` of the configuration only: with another one everything begins anew.
    """

    __tablename__ = "second_factors"

    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"), primary_key=True)
    revision: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    """The provider's words when it last refused to hand out a message, or an answer."""
    needed_at: Mapped[datetime | None]
    kind: Mapped[str | None] = mapped_column(Text)
    security_id_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted: of the challenge, and once confirmed the one to read with."""
    to_sign: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str | None] = mapped_column(Text)
    challenges: Mapped[int] = mapped_column(server_default=text("0"))
    """Begun since the last confirmation, or since the last pause; bounded, because each may cost an SMS."""
    challenged_at: Mapped[datetime | None]
    challenged_by: Mapped[str | None] = mapped_column(Text)
    answering_at: Mapped[datetime | None]
    """Since when an answer is on its way to the provider."""
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(
            "state NOT IN ('challenged', 'confirmed') OR security_id_token IS NOT NULL", name="has_security_id"
        ),
    )


class AccountStandingRow(Base):
    """Credit and quota as the provider last told them."""

    __tablename__ = "account_standings"

    mailbox_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.mailboxes.mailbox_id"), primary_key=True)
    next_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    credit: Mapped[float | None]
    credit_unit: Mapped[str | None] = mapped_column(Text)
    quota_kilobytes: Mapped[int | None]
    fault: Mapped[str | None] = mapped_column(Text)
    """Why the last question was not answered; None once one was."""
    setbacks: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (Index("ix_account_standings_next_at", "next_at"),)
