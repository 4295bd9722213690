"""Access to accounts over the SOAP service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MAIL_ONLY = ("smtp_host", "smtp_port", "smtp_tls", "imap_host", "imap_port", "imap_tls")
_TEXTS = ("eyws_url", "eyws_fallback_url", "eyws_ca_file", "eyws_login")
_TOKENS = ("eyws_agent_token", "eyws_second_password_token")
_COMPLETE = (
    "CASE driver WHEN 'eyws' THEN eyws_url IS NOT NULL AND eyws_agent_token IS NOT NULL"
    " AND eyws_second_password_token IS NOT NULL AND eyws_login IS NOT NULL"
    " ELSE smtp_host IS NOT NULL AND smtp_port IS NOT NULL AND smtp_tls IS NOT NULL"
    " AND imap_host IS NOT NULL AND imap_port IS NOT NULL AND imap_tls IS NOT NULL END"
)


def upgrade() -> None:
    moment = UtcDateTime(timezone=True)
    for column in _MAIL_ONLY:
        op.alter_column("mailboxes", column, nullable=True, schema="kep_relay")
    for column in _TEXTS:
        op.add_column("mailboxes", sa.Column(column, sa.Text(), nullable=True), schema="kep_relay")
    for column in _TOKENS:
        op.add_column("mailboxes", sa.Column(column, sa.LargeBinary(), nullable=True), schema="kep_relay")
    op.create_check_constraint(op.f("ck_mailboxes_driver_complete"), "mailboxes", _COMPLETE, schema="kep_relay")
    op.create_table(
        "provider_numbers",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kep_id", sa.Text(), nullable=False),
        sa.Column("original_id", sa.Text(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("handed_out_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=op.f("fk_provider_numbers_mailbox_id_mailboxes")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "number", name=op.f("pk_provider_numbers")),
        sa.UniqueConstraint("mailbox_id", "kep_id", name=op.f("uq_provider_numbers_mailbox_id_kep_id")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_provider_numbers_open",
        "provider_numbers",
        ["mailbox_id", "number"],
        schema="kep_relay",
        postgresql_where=sa.text("handed_out_at IS NULL"),
    )


def downgrade() -> None:
    """Refused by the database while a mailbox uses the SOAP service: it could not be read any more."""
    op.drop_table("provider_numbers", schema="kep_relay")
    op.drop_constraint(op.f("ck_mailboxes_driver_complete"), "mailboxes", schema="kep_relay")
    for column in (*_TEXTS, *_TOKENS):
        op.drop_column("mailboxes", column, schema="kep_relay")
    for column in _MAIL_ONLY:
        op.alter_column("mailboxes", column, nullable=False, schema="kep_relay")
