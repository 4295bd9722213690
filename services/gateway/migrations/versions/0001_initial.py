"""Tenants, keys, idempotency, audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "institutions",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("detsis_no", name="pk_institutions"),
        schema="gateway",
    )
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
        schema="gateway",
    )
    op.create_table(
        "client_institutions",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("detsis_no", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["gateway.clients.client_id"], name="fk_client_institutions_client_id"),
        sa.ForeignKeyConstraint(
            ["detsis_no"], ["gateway.institutions.detsis_no"], name="fk_client_institutions_detsis_no"
        ),
        sa.PrimaryKeyConstraint("client_id", "detsis_no", name="pk_client_institutions"),
        schema="gateway",
    )
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["gateway.clients.client_id"], name="fk_api_keys_client_id"),
        sa.PrimaryKeyConstraint("prefix", name="pk_api_keys"),
        schema="gateway",
    )
    op.create_index("ix_api_keys_client_id", "api_keys", ["client_id"], schema="gateway")
    op.create_table(
        "idempotency_keys",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claim_token", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("completed_at", _MOMENT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["gateway.clients.client_id"], name="fk_idempotency_keys_client_id"),
        sa.PrimaryKeyConstraint("client_id", "key", name="pk_idempotency_keys"),
        schema="gateway",
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], schema="gateway")
    op.create_table(
        "audit_log",
        sa.Column("entry_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("key_prefix", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id", name="pk_audit_log"),
        schema="gateway",
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"], schema="gateway")
    op.execute(
        """
        CREATE FUNCTION gateway.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_audit_change()"
    )


def downgrade() -> None:
    for table in ("audit_log", "idempotency_keys", "api_keys", "client_institutions", "clients", "institutions"):
        op.drop_table(table, schema="gateway")
    op.execute("DROP FUNCTION gateway.refuse_audit_change()")
