"""Consumers of incoming letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MOMENT = UtcDateTime(timezone=True)
_QUEUE, _OFFERED = "ix_inbound_messages_queue", sa.text("state = 'available'")


def upgrade() -> None:
    """Every letter there is belongs to the consumer ``default``, as if nothing had been divided."""
    op.add_column(
        "inbound_messages",
        sa.Column("consumer", sa.Text(), server_default=sa.text("'default'"), nullable=False),
        schema="kep_relay",
    )
    _queue("institution_no", "consumer", "available_at", "message_id")
    op.create_table(
        "consumers",
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("rules", _json(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.CheckConstraint("name <> 'default'", name=op.f("ck_consumers_default_has_no_rules")),
        sa.PrimaryKeyConstraint("institution_no", "name", name=op.f("pk_consumers")),
        schema="kep_relay",
    )
    op.create_table(
        "inbound_routings",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("copies", _json(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("decided_at", _MOMENT, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rules", _json(), server_default=sa.text("'[]'"), nullable=False),
        _letter("inbound_routings"),
        sa.PrimaryKeyConstraint("message_id", "sequence", name=op.f("pk_inbound_routings")),
        schema="kep_relay",
    )
    _copies()


def _copies() -> None:
    op.create_table(
        "inbound_copies",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("offered_at", _MOMENT, nullable=False),
        sa.Column("visible_at", _MOMENT, nullable=False),
        sa.Column("delivery_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_client_id", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", _MOMENT, nullable=True),
        sa.Column("last_rejection", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", _MOMENT, nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_token", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_inbound_copies_lease_complete")
        ),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_token IS NOT NULL)", name=op.f("ck_inbound_copies_leased_has_token")
        ),
        _letter("inbound_copies"),
        sa.PrimaryKeyConstraint("message_id", "consumer", name=op.f("pk_inbound_copies")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_inbound_copies_queue",
        "inbound_copies",
        ["institution_no", "consumer", "offered_at", "message_id"],
        schema="kep_relay",
        postgresql_where=_OFFERED,
    )
    op.create_index(
        "ix_inbound_copies_leases",
        "inbound_copies",
        ["lease_expires_at"],
        schema="kep_relay",
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_inbound_copies_state", "inbound_copies", ["state"], schema="kep_relay")


def _queue(*columns: str) -> None:
    op.drop_index(_QUEUE, "inbound_messages", schema="kep_relay")
    op.create_index(_QUEUE, "inbound_messages", list(columns), schema="kep_relay", postgresql_where=_OFFERED)


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(astext_type=sa.Text())


def _letter(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_message_id_inbound_messages")
    return sa.ForeignKeyConstraint(["message_id"], ["kep_relay.inbound_messages.message_id"], name=name)


def downgrade() -> None:
    """All letters are one queue again; what others did with their copies is forgotten."""
    for table in ("inbound_copies", "inbound_routings", "consumers"):
        op.drop_table(table, schema="kep_relay")
    _queue("institution_no", "available_at", "message_id")
    op.drop_column("inbound_messages", "consumer", schema="kep_relay")
