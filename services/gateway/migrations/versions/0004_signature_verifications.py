"""Verifications of signatures that are kept, and their verdicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "signature_verifications",
        sa.Column("verification_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(), nullable=False),
        sa.Column("client_ref", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=True),
        sa.Column("content_size", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("report_sha256", sa.Text(), nullable=True),
        sa.Column("problem", postgresql.JSONB(), nullable=True),
        sa.Column("looks", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("due_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("erased_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_no"], ["gateway.institutions.detsis_no"], name="fk_signature_verifications_institution_no"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["gateway.clients.client_id"], name="fk_signature_verifications_client_id"
        ),
        sa.PrimaryKeyConstraint("verification_id", name="pk_signature_verifications"),
        schema="gateway",
    )
    for name, column, condition in (
        ("due", "due_at", "due_at IS NOT NULL"),
        ("kept", "created_at", "erased_at IS NULL"),
        ("running", "client_id", "state = 'running'"),
        ("file", "file_sha256", None),
        ("content", "content_sha256", None),
    ):
        op.create_index(
            f"ix_signature_verifications_{name}", "signature_verifications", [column], schema="gateway",
            postgresql_where=sa.text(condition) if condition else None,
        )  # fmt: skip
    op.create_table(
        "signature_verdicts",
        sa.Column("verification_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("indication", sa.Text(), nullable=False),
        sa.Column("sub_indication", sa.Text(), nullable=True),
        sa.Column("maturity", sa.Text(), nullable=False),
        sa.Column("final_after", _MOMENT, nullable=True),
        sa.Column("report_sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["verification_id"], ["gateway.signature_verifications.verification_id"],
            name="fk_signature_verdicts_verification_id",
        ),
        sa.PrimaryKeyConstraint("verification_id", "sequence", name="pk_signature_verdicts"),
        schema="gateway",
    )  # fmt: skip
    op.execute(
        """
        CREATE FUNCTION gateway.refuse_verdict_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the verdicts on signatures are append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER signature_verdicts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON gateway.signature_verdicts FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_verdict_change()"
    )


def downgrade() -> None:
    for table in ("signature_verdicts", "signature_verifications"):
        op.drop_table(table, schema="gateway")
    op.execute("DROP FUNCTION gateway.refuse_verdict_change()")
