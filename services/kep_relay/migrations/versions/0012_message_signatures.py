"""Messages whose signature the client brings along."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_S = "kep_relay"


def upgrade() -> None:
    """Mailboxes without a key; all there are have one."""
    op.add_column("outbound_messages", sa.Column("message_signature", sa.LargeBinary(), nullable=True), schema=_S)
    op.alter_column("mailboxes", "signing_key_id", existing_type=sa.Text(), nullable=True, schema=_S)


def downgrade() -> None:
    """Refused by the database while there is a mailbox without a key: nothing could sign what goes from it."""
    op.alter_column("mailboxes", "signing_key_id", existing_type=sa.Text(), nullable=False, schema=_S)
    op.drop_column("outbound_messages", "message_signature", schema=_S)
