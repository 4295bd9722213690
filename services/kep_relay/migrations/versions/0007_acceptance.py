"""The period for refusing letters of other administrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Letters taken in before have no period: it was watched elsewhere, and nothing is to be worked out after the fact."""
    moment = UtcDateTime(timezone=True)
    op.create_table(
        "acceptances",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rules_of", sa.Date(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("next_at", moment, nullable=True),
        sa.Column("decided_at", moment, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_rule", sa.Text(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name=op.f("ck_acceptances_pending_goes_on")),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_acceptances_decided_has_a_time")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["kep_relay.inbound_messages.message_id"],
            name=op.f("fk_acceptances_message_id_inbound_messages"),
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_acceptances")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_acceptances_next",
        "acceptances",
        ["next_at"],
        schema="kep_relay",
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
