"""Verification mails of DETSİS: their links, and whether somebody has dealt with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those taken in before are listed as well; their links were not kept, the raw mail has them."""
    op.create_table(
        "verification_mails",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("recognised_by", sa.Text(), nullable=False),
        sa.Column(
            "links", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("links_left_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sender_disagrees", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("announce_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["kep_relay.mailboxes.mailbox_id"],
            name=op.f("fk_verification_mails_mailbox_id_mailboxes"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["kep_relay.inbound_messages.message_id"],
            name=op.f("fk_verification_mails_message_id_inbound_messages"),
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_verification_mails")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_verification_mails_mailbox",
        "verification_mails",
        ["institution_no", "mailbox_id", "received_at"],
        schema="kep_relay",
    )
    op.create_index(
        "ix_verification_mails_announce",
        "verification_mails",
        ["announce_at"],
        schema="kep_relay",
        postgresql_where=sa.text("announce_at IS NOT NULL"),
    )
    op.create_index(
        "ix_verification_mails_waiting",
        "verification_mails",
        ["recognised_by"],
        schema="kep_relay",
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.execute(
        "INSERT INTO kep_relay.verification_mails (message_id, institution_no, mailbox_id, recognised_by, received_at)"
        " SELECT message_id, institution_no, mailbox_id, 'sender', received_at"
        " FROM kep_relay.inbound_messages WHERE kind = 'detsis_verification'"
    )
