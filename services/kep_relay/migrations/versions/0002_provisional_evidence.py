"""Which undecided evidence may count, and an index for the letters flagged as overdue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Existing undecided evidence counts no more until it is verified again."""
    op.add_column(
        "evidence",
        sa.Column("provisional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="kep_relay",
    )
    op.create_index(
        "ix_outbound_recipients_overdue",
        "outbound_recipients",
        ["recipient_id"],
        schema="kep_relay",
        postgresql_where=sa.text("'evidence_overdue' = ANY (attention)"),
    )
