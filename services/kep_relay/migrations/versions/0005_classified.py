"""What became of encrypted letters, their degrees, and incidents with classified ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Letters taken in before are judged anew when somebody asks for it; nothing is known of them here."""
    for column in (
        sa.Column("security_code", sa.Text(), nullable=True),
        sa.Column("opening", sa.Text(), nullable=True),
        sa.Column("opened_sha256", sa.Text(), nullable=True),
        sa.Column("opened_size", sa.BigInteger(), nullable=True),
    ):
        op.add_column("inbound_messages", column, schema="kep_relay")
    op.create_index(
        "ix_inbound_messages_unopened",
        "inbound_messages",
        ["opening"],
        schema="kep_relay",
        postgresql_where=sa.text("opening <> 'opened'"),
    )
    _incidents()
    op.create_table(
        "incident_closings",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("closed_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["kep_relay.classified_incidents.incident_id"],
            name=op.f("fk_incident_closings_incident_id_classified_incidents"),
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident_closings")),
        schema="kep_relay",
    )


def _incidents() -> None:
    op.create_table(
        "classified_incidents",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_address", sa.Text(), nullable=False),
        sa.Column("sender_address", sa.Text(), nullable=True),
        sa.Column("degree", sa.Text(), nullable=False),
        sa.Column("found_in", sa.Text(), nullable=False),
        sa.Column("raw_sha256", sa.Text(), nullable=False),
        sa.Column("raw_size", sa.BigInteger(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=True),
        sa.Column("state_before", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rules_of", sa.Date(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("detected_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["kep_relay.inbound_messages.message_id"],
            name=op.f("fk_classified_incidents_message_id_inbound_messages"),
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_classified_incidents")),
        sa.UniqueConstraint("message_id", name=op.f("uq_classified_incidents_message_id")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_classified_incidents_page", "classified_incidents", ["institution_no", "incident_id"], schema="kep_relay"
    )
