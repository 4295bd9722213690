"""History, run lists, certificates, code lists, contacts and registrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What the former tables say about reachable units is carried over; history begins here."""
    op.create_table(
        "certificate_owners",
        sa.Column("unit_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_no", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("unit_no", name=("pk_certificate_owners")),
        schema="detsis_sync",
    )
    op.create_index(
        "ix_certificate_owners_owner_no", "certificate_owners", ["owner_no"], unique=False, schema="detsis_sync"
    )
    op.create_table(
        "certificates",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("registered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("stated_expiry", sa.String(), nullable=True),
        sa.Column("not_before", UtcDateTime(timezone=True), nullable=True),
        sa.Column("not_after", UtcDateTime(timezone=True), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("serial", sa.String(), nullable=True),
        sa.Column("unreadable", sa.String(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", "sha256", name=("pk_certificates")),
        schema="detsis_sync",
    )
    op.create_table(
        "codes",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "code_id", name=("pk_codes")),
        schema="detsis_sync",
    )
    op.create_table(
        "contact_fetches",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fetched_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("detsis_no", name=("pk_contact_fetches")),
        schema="detsis_sync",
    )
    op.create_table(
        "contacts",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", "position", name=("pk_contacts")),
        schema="detsis_sync",
    )
    op.create_table(
        "eyp_version_checks",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wanted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("checked_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", name=("pk_eyp_version_checks")),
        schema="detsis_sync",
    )
    op.create_table(
        "eyp_versions",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", "version", name=("pk_eyp_versions")),
        schema="detsis_sync",
    )
    op.create_table(
        "main_institutions",
        sa.Column("detsis_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("budget_type_id", sa.BigInteger(), nullable=False),
        sa.Column("budget_type", sa.String(), nullable=True),
        sa.Column("legal_person_id", sa.BigInteger(), nullable=False),
        sa.Column("legal_person", sa.String(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("detsis_no", name=("pk_main_institutions")),
        schema="detsis_sync",
    )
    op.create_table(
        "places",
        sa.Column("place_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("place_code", sa.BigInteger(), nullable=False),
        sa.Column("province_code", sa.BigInteger(), nullable=False),
        sa.Column("province_name", sa.String(), nullable=True),
        sa.Column("kind_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("phone_area_code", sa.String(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_run_id", sa.BigInteger(), nullable=False),
        sa.Column("absent_since", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("place_id", name=("pk_places")),
        schema="detsis_sync",
    )
    op.create_table(
        "registrations",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("detsis_no", sa.BigInteger(), nullable=False),
        sa.Column("unit_name", sa.String(), nullable=True),
        sa.Column("kep_address", sa.String(), nullable=False),
        sa.Column("previous_address", sa.String(), nullable=True),
        sa.Column("mailbox_id", sa.String(), nullable=True),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("checked_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("listed_state", sa.String(), nullable=True),
        sa.Column("check_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "unit_addresses",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("registration_id", name=("pk_registrations")),
        schema="detsis_sync",
    )
    op.create_index(
        "ix_registrations_institution_no",
        "registrations",
        ["institution_no", "opened_at"],
        unique=False,
        schema="detsis_sync",
    )
    op.create_index(
        "ix_registrations_check_at",
        "registrations",
        ["check_at"],
        unique=False,
        schema="detsis_sync",
        postgresql_where=sa.text("check_at IS NOT NULL"),
    )
    op.create_index(
        "ix_registrations_kep_address", "registrations", ["kep_address"], unique=False, schema="detsis_sync"
    )
    op.create_index(
        "uq_registrations_open",
        "registrations",
        ["institution_no", "detsis_no"],
        unique=True,
        schema="detsis_sync",
        postgresql_where=sa.text("state NOT IN ('active', 'cancelled', 'superseded')"),
    )
    op.create_table(
        "registration_events",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("happened_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["detsis_sync.registrations.registration_id"],
            name=("fk_registration_events_registration_id"),
        ),
        sa.PrimaryKeyConstraint("registration_id", "position", name=("pk_registration_events")),
        schema="detsis_sync",
    )
    op.create_table(
        "changes",
        sa.Column("change_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_key", sa.String(), nullable=False),
        sa.Column("detsis_no", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("old", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("new", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["detsis_sync.runs.run_id"], name=("fk_changes_run_id")),
        sa.PrimaryKeyConstraint("change_id", name=("pk_changes")),
        schema="detsis_sync",
    )
    op.create_index("ix_changes_detsis_no", "changes", ["detsis_no", "change_id"], unique=False, schema="detsis_sync")
    op.create_index("ix_changes_run_id", "changes", ["run_id"], unique=False, schema="detsis_sync")
    op.create_table(
        "run_lists",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("list_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("nil_items", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unclear_flags", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("repaired_characters", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes_read", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_elements", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("unknown_texts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("row_faults", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["detsis_sync.runs.run_id"], name=("fk_run_lists_run_id")),
        sa.PrimaryKeyConstraint("run_id", "list_name", name=("pk_run_lists")),
        schema="detsis_sync",
    )
    op.add_column(
        "accounts",
        sa.Column("keeps_copy", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        schema="detsis_sync",
    )
    op.add_column(
        "accounts",
        sa.Column("has_own_tree", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        schema="detsis_sync",
    )
    op.add_column(
        "runs", sa.Column("mode", sa.String(), server_default=sa.text("'full'"), nullable=False), schema="detsis_sync"
    )
    op.add_column("runs", sa.Column("published_at", UtcDateTime(timezone=True), nullable=True), schema="detsis_sync")
    op.add_column("runs", sa.Column("released_by", sa.String(), nullable=True), schema="detsis_sync")
    op.add_column("runs", sa.Column("released_at", UtcDateTime(timezone=True), nullable=True), schema="detsis_sync")
    op.add_column("runs", sa.Column("release_note", sa.String(), nullable=True), schema="detsis_sync")
    op.add_column("unit_sightings", sa.Column("first_run_id", sa.BigInteger(), nullable=True), schema="detsis_sync")
    op.create_index("ix_unit_sightings_detsis_no", "unit_sightings", ["detsis_no"], unique=False, schema="detsis_sync")
    op.add_column(
        "units",
        sa.Column("reachable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="detsis_sync",
    )
    op.add_column(
        "units",
        sa.Column(
            "search_rank",
            sa.SmallInteger(),
            sa.Computed(
                "CASE WHEN active AND operating AND external_addressee AND reachable THEN 0 WHEN active AND operating THEN 1 WHEN active OR operating THEN 2 ELSE 3 END",
                persisted=True,
            ),
            nullable=False,
        ),
        schema="detsis_sync",
    )
    op.add_column("units", sa.Column("wire_digest", sa.LargeBinary(), nullable=True), schema="detsis_sync")
    op.create_index(
        "ix_units_ranked",
        "units",
        ["search_rank", sa.literal_column("length(folded_name)"), "level", "detsis_no"],
        unique=False,
        schema="detsis_sync",
    )
    op.create_index(
        "ix_runs_accepted",
        "runs",
        ["finished_at"],
        unique=False,
        schema="detsis_sync",
        postgresql_where=sa.text("state = 'accepted'"),
    )
    op.execute(
        "UPDATE detsis_sync.units SET reachable = true WHERE EXISTS (SELECT FROM detsis_sync.kep_addresses k"
        " WHERE k.detsis_no = units.detsis_no AND k.active AND k.absent_since IS NULL)"
    )
    # What the next refresh is compared with.
    op.execute(
        "INSERT INTO detsis_sync.run_lists (run_id, list_name, state, started_at, finished_at, rows, unclear_flags)"
        " SELECT r.run_id, l.name, 'applied', r.started_at, r.finished_at, (r.counts ->> (l.name || '.rows'))::bigint,"
        " coalesce((r.counts ->> (l.name || '.unclear_flags'))::bigint, 0)"
        " FROM detsis_sync.runs r CROSS JOIN unnest(ARRAY['external', 'own', 'addresses']) AS l (name)"
        " WHERE r.state = 'accepted' AND r.counts ? (l.name || '.rows')"
    )
