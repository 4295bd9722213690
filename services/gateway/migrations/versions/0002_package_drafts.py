"""Packages under way: their inputs, files and history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "package_drafts",
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("package_version", sa.Text(), nullable=False),
        sa.Column("version_reason", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(), nullable=False),
        sa.Column("filled", postgresql.JSONB(), nullable=False),
        sa.Column("final", postgresql.JSONB(), nullable=True),
        sa.Column("created", _MOMENT, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=True),
        sa.Column("package_size", sa.BigInteger(), nullable=True),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["institution_no"], ["gateway.institutions.detsis_no"], name="fk_package_drafts_institution_no"
        ),
        sa.ForeignKeyConstraint(["client_id"], ["gateway.clients.client_id"], name="fk_package_drafts_client_id"),
        sa.PrimaryKeyConstraint("package_id", name="pk_package_drafts"),
        schema="gateway",
    )
    op.create_index("ix_package_drafts_page", "package_drafts", ["institution_no", "package_id"], schema="gateway")
    op.create_index(
        "ix_package_drafts_idle",
        "package_drafts",
        ["updated_at"],
        schema="gateway",
        postgresql_where=sa.text("state NOT IN ('finished', 'discarded')"),
    )
    op.create_table(
        "package_draft_files",
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checked", postgresql.JSONB(), nullable=True),
        sa.Column("put_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["package_id"], ["gateway.package_drafts.package_id"], name="fk_package_draft_files_package_id"
        ),
        sa.PrimaryKeyConstraint("package_id", "name", name="pk_package_draft_files"),
        schema="gateway",
    )
    op.create_table(
        "package_draft_events",
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("key_prefix", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["package_id"], ["gateway.package_drafts.package_id"], name="fk_package_draft_events_package_id"
        ),
        sa.PrimaryKeyConstraint("package_id", "sequence", name="pk_package_draft_events"),
        schema="gateway",
    )
    op.execute(
        """
        CREATE FUNCTION gateway.refuse_draft_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the history of a package is append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER package_draft_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON gateway.package_draft_events FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_draft_event_change()"
    )


def downgrade() -> None:
    for table in ("package_draft_events", "package_draft_files", "package_drafts"):
        op.drop_table(table, schema="gateway")
    op.execute("DROP FUNCTION gateway.refuse_draft_event_change()")
