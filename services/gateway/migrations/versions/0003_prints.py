"""Prints and who may make official ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "print_authorisations",
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("authorisation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("document_no", sa.Text(), nullable=False),
        sa.Column("authorised_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["institution_no"], ["gateway.institutions.detsis_no"], name="fk_print_authorisations_institution_no"
        ),
        sa.PrimaryKeyConstraint("institution_no", "authorisation_id", name="pk_print_authorisations"),
        schema="gateway",
    )
    op.create_table(
        "prints",
        sa.Column("print_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("letter_sha256", sa.Text(), nullable=False),
        sa.Column("copy_number", sa.BigInteger(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("key_prefix", sa.Text(), nullable=False),
        sa.Column("record", postgresql.JSONB(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_no"], ["gateway.institutions.detsis_no"], name="fk_prints_institution_no"
        ),
        sa.PrimaryKeyConstraint("print_id", name="pk_prints"),
        sa.UniqueConstraint("institution_no", "letter_sha256", "copy_number", name="uq_prints_copy"),
        schema="gateway",
    )
    op.create_index("ix_prints_page", "prints", ["institution_no", "print_id"], schema="gateway")
    op.execute(
        """
        CREATE FUNCTION gateway.refuse_print_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the list of prints is append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER prints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.prints "
        "FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_print_change()"
    )


def downgrade() -> None:
    for table in ("prints", "print_authorisations"):
        op.drop_table(table, schema="gateway")
    op.execute("DROP FUNCTION gateway.refuse_print_change()")
