"""Events of each institution, and whether a verdict is preliminary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Events begin with what happens from now on; verdicts of before have no maturity and count as final."""
    for table in ("inbound_messages", "evidence"):
        op.add_column(table, sa.Column("maturity", sa.Text(), nullable=True), schema="kep_relay")
    op.create_table(
        "event_positions",
        sa.Column("institution_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("institution_no", name=op.f("pk_event_positions")),
        schema="kep_relay",
    )
    op.create_table(
        "events",
        sa.Column("institution_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("institution_no", "position", name=op.f("pk_events")),
        schema="kep_relay",
    )
