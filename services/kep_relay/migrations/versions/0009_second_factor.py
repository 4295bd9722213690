"""Second factors, accounts' standing, and evidence listed by a provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOMENT = UtcDateTime(timezone=True)
_TABLES = ("account_standings", "second_factors", "evidence_polls", "listed_evidence")


def upgrade() -> None:
    """Letters under way are asked about from the first sweep on."""
    _listed_evidence()
    op.create_table(
        "evidence_polls",
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("asked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("setbacks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=True),
        sa.Column("next_at", _MOMENT, nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        _mailbox("evidence_polls"),
        _recipient("evidence_polls"),
        sa.PrimaryKeyConstraint("recipient_id", name=op.f("pk_evidence_polls")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_evidence_polls_next",
        "evidence_polls",
        ["mailbox_id", "next_at"],
        schema="kep_relay",
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    _accounts()


def _listed_evidence() -> None:
    op.create_table(
        "listed_evidence",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=True),
        sa.Column("at_text", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", _MOMENT, nullable=False),
        sa.Column("fetch_at", _MOMENT, nullable=True),
        sa.Column("fetches", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fetch_fault", sa.Text(), nullable=True),
        sa.Column("fetched_at", _MOMENT, nullable=True),
        _mailbox("listed_evidence"),
        _recipient("listed_evidence"),
        sa.PrimaryKeyConstraint("mailbox_id", "provider_id", name=op.f("pk_listed_evidence")),
        sa.UniqueConstraint("number", name=op.f("uq_listed_evidence_number")),
        schema="kep_relay",
    )
    op.create_index("ix_listed_evidence_recipient_id", "listed_evidence", ["recipient_id"], schema="kep_relay")
    op.create_index(
        "ix_listed_evidence_fetch",
        "listed_evidence",
        ["mailbox_id", "fetch_at"],
        schema="kep_relay",
        postgresql_where=sa.text("fetch_at IS NOT NULL"),
    )


def _accounts() -> None:
    op.create_table(
        "second_factors",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("needed_at", _MOMENT, nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("security_id_token", sa.LargeBinary(), nullable=True),
        sa.Column("to_sign", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("challenges", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("challenged_at", _MOMENT, nullable=True),
        sa.Column("challenged_by", sa.Text(), nullable=True),
        sa.Column("answering_at", _MOMENT, nullable=True),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.CheckConstraint(
            "state NOT IN ('challenged', 'confirmed') OR security_id_token IS NOT NULL",
            name=op.f("ck_second_factors_has_security_id"),
        ),
        _mailbox("second_factors"),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_second_factors")),
        schema="kep_relay",
    )
    op.create_table(
        "account_standings",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("told_at", _MOMENT, nullable=True),
        sa.Column("credit", sa.Float(), nullable=True),
        sa.Column("credit_unit", sa.Text(), nullable=True),
        sa.Column("quota_kilobytes", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("setbacks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _mailbox("account_standings"),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_account_standings")),
        schema="kep_relay",
    )
    op.create_index("ix_account_standings_next_at", "account_standings", ["next_at"], schema="kep_relay")


def _mailbox(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_mailbox_id_mailboxes")
    return sa.ForeignKeyConstraint(["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=name)


def _recipient(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_recipient_id_outbound_recipients")
    return sa.ForeignKeyConstraint(["recipient_id"], ["kep_relay.outbound_recipients.recipient_id"], name=name)


def downgrade() -> None:
    """Documents that were fetched stay in ``raw_mails``; only what was listed, and confirmed, is forgotten."""
    for table in _TABLES:
        op.drop_table(table, schema="kep_relay")
