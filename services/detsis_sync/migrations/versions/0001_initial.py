"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "accounts",
        sa.Column("institution_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("password_token", sa.LargeBinary(), nullable=False),
        sa.Column("next_run_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("institution_no", name=("pk_accounts")),
        schema="detsis_sync",
    )
    op.create_table(
        "kep_addresses",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("status_text", sa.String(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", "address", name=("pk_kep_addresses")),
        schema="detsis_sync",
    )
    op.create_index("ix_kep_addresses_address", "kep_addresses", ["address"], unique=False, schema="detsis_sync")
    op.create_table(
        "unit_sightings",
        sa.Column("institution_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("list_name", sa.String(), nullable=False),
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("tombstoned_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("institution_no", "list_name", "detsis_no", name=("pk_unit_sightings")),
        schema="detsis_sync",
    )
    op.create_table(
        "units",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded_name", sa.String(), nullable=False),
        sa.Column(
            "search_words",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple'::regconfig, folded_name)", persisted=True),
            nullable=False,
        ),
        sa.Column("parent_no", sa.BigInteger(), nullable=True),
        sa.Column("second_parent_no", sa.BigInteger(), nullable=True),
        sa.Column("main_institution_no", sa.BigInteger(), nullable=True),
        sa.Column("category_id", sa.BigInteger(), nullable=False),
        sa.Column("status_id", sa.BigInteger(), nullable=False),
        sa.Column("kinds", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("place_name", sa.String(), nullable=True),
        sa.Column("postal_address", sa.String(), nullable=True),
        sa.Column("path_text", sa.String(), nullable=True),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("active_text", sa.String(), nullable=True),
        sa.Column("operating", sa.Boolean(), nullable=False),
        sa.Column("external_addressee", sa.Boolean(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("first_run_id", sa.BigInteger(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("detsis_no", name=("pk_units")),
        schema="detsis_sync",
    )
    op.create_index(
        "ix_units_by_name",
        "units",
        [sa.literal_column("left(folded_name, 200)"), "detsis_no"],
        unique=False,
        schema="detsis_sync",
    )
    op.create_index(
        "ix_units_main_institution_no", "units", ["main_institution_no"], unique=False, schema="detsis_sync"
    )
    op.create_index("ix_units_parent_no", "units", ["parent_no"], unique=False, schema="detsis_sync")
    op.create_index(
        "ix_units_search", "units", ["search_words"], unique=False, schema="detsis_sync", postgresql_using="gin"
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_no"], ["detsis_sync.accounts.institution_no"], name=("fk_runs_institution_no")
        ),
        sa.PrimaryKeyConstraint("run_id", name=("pk_runs")),
        schema="detsis_sync",
    )
    op.create_index("ix_runs_institution_no", "runs", ["institution_no", "run_id"], unique=False, schema="detsis_sync")
    op.create_index(
        "uq_runs_running",
        "runs",
        ["institution_no"],
        unique=True,
        schema="detsis_sync",
        postgresql_where=sa.text("state = 'running'"),
    )
