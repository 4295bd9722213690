"""How confidential a letter is and in what form it travels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Letters accepted before have nothing there: it was not recorded."""
    op.add_column(
        "outbound_messages",
        sa.Column("confidentiality", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        schema="kep_relay",
    )
