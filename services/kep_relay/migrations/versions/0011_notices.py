"""Refusal notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_S = "kep_relay"
_REMINDED_OF = "CASE state WHEN 'pending' THEN next_at IS NOT NULL WHEN 'refused' THEN true ELSE next_at IS NULL END"


def upgrade() -> None:
    """Whose letter it is is not known of those judged before: None there means as good as it was known then."""
    op.drop_constraint(op.f("ck_acceptances_pending_goes_on"), "acceptances", schema=_S)
    op.create_check_constraint(op.f("ck_acceptances_pending_goes_on"), "acceptances", _REMINDED_OF, schema=_S)
    op.add_column("inbound_messages", sa.Column("from_administration", sa.Boolean(), nullable=True), schema=_S)
    op.add_column(
        "outbound_messages",
        sa.Column("kind", sa.Text(), server_default=sa.text("'letter'"), nullable=False),
        schema=_S,
    )
    op.add_column("outbound_messages", sa.Column("reply_to", sa.Uuid(), nullable=True), schema=_S)
    op.add_column("outbound_messages", sa.Column("in_reply_to", sa.Text(), nullable=True), schema=_S)
    op.create_foreign_key(
        op.f("fk_outbound_messages_reply_to_inbound_messages"), "outbound_messages", "inbound_messages",
        ["reply_to"], ["message_id"], source_schema=_S, referent_schema=_S,
    )  # fmt: skip
    op.create_check_constraint(
        op.f("ck_outbound_messages_notice_replies"), "outbound_messages", "(kind = 'notice') = (reply_to IS NOT NULL)",
        schema=_S,
    )  # fmt: skip
    op.create_index(
        "ix_outbound_messages_resend_of", "outbound_messages", ["resend_of"], schema=_S,
        postgresql_where=sa.text("resend_of IS NOT NULL"),
    )  # fmt: skip
    op.alter_column("outbound_recipients", "detsis_no", nullable=True, schema=_S)
    op.create_check_constraint(
        op.f("ck_outbound_recipients_addressed"), "outbound_recipients",
        "detsis_no IS NOT NULL OR kep_address IS NOT NULL", schema=_S,
    )  # fmt: skip
    op.create_table(
        "refusal_notices",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("ordered_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["kep_relay.inbound_messages.message_id"],
            name=op.f("fk_refusal_notices_message_id_inbound_messages"),
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["kep_relay.outbound_messages.message_id"],
            name=op.f("fk_refusal_notices_notice_id_outbound_messages"),
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_refusal_notices")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_refusal_notices_notice_id")),
        schema=_S,
    )


def downgrade() -> None:
    """Refused by the database while there is a notice: nothing would know any more whom it went to."""
    op.drop_table("refusal_notices", schema=_S)
    op.drop_constraint(op.f("ck_outbound_recipients_addressed"), "outbound_recipients", schema=_S)
    op.alter_column("outbound_recipients", "detsis_no", nullable=False, schema=_S)
    op.drop_index("ix_outbound_messages_resend_of", "outbound_messages", schema=_S)
    op.drop_constraint(op.f("ck_outbound_messages_notice_replies"), "outbound_messages", schema=_S)
    op.drop_constraint(
        op.f("fk_outbound_messages_reply_to_inbound_messages"), "outbound_messages", schema=_S, type_="foreignkey"
    )
    for column in ("in_reply_to", "reply_to", "kind"):
        op.drop_column("outbound_messages", column, schema=_S)
    op.drop_column("inbound_messages", "from_administration", schema=_S)
    op.drop_constraint(op.f("ck_acceptances_pending_goes_on"), "acceptances", schema=_S)
    op.execute("UPDATE kep_relay.acceptances SET next_at = NULL WHERE state <> 'pending'")
    op.create_check_constraint(
        op.f("ck_acceptances_pending_goes_on"), "acceptances", "(state = 'pending') = (next_at IS NOT NULL)", schema=_S
    )
