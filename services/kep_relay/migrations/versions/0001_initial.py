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
        "instances",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=("pk_instances")),
        schema="kep_relay",
    )
    op.create_index(("ix_instances_expires_at"), "instances", ["expires_at"], unique=False, schema="kep_relay")
    op.create_table(
        "mailboxes",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_token", sa.LargeBinary(), nullable=False),
        sa.Column("smtp_host", sa.Text(), nullable=False),
        sa.Column("smtp_port", sa.BigInteger(), nullable=False),
        sa.Column("smtp_tls", sa.Text(), nullable=False),
        sa.Column("smtp_ca_file", sa.Text(), nullable=True),
        sa.Column("imap_host", sa.Text(), nullable=False),
        sa.Column("imap_port", sa.BigInteger(), nullable=False),
        sa.Column("imap_tls", sa.Text(), nullable=False),
        sa.Column("imap_ca_file", sa.Text(), nullable=True),
        sa.Column("inbox_folder", sa.Text(), nullable=False),
        sa.Column("sent_folder", sa.Text(), nullable=False),
        sa.Column("poll_interval_seconds", sa.Double(), nullable=False),
        sa.Column("read_policy", sa.Text(), nullable=False),
        sa.Column("signing_key_id", sa.Text(), nullable=False),
        sa.Column("sends", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("stopped_code", sa.Text(), nullable=True),
        sa.Column("stopped_reason", sa.Text(), nullable=True),
        sa.Column("last_submission_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_submission_fault", sa.Text(), nullable=True),
        sa.Column("last_successful_poll_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_poll_fault", sa.Text(), nullable=True),
        sa.Column("leased_by", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(leased_by IS NULL) = (lease_expires_at IS NULL)", name=("ck_mailboxes_lease_complete")),
        sa.PrimaryKeyConstraint("mailbox_id", name=("pk_mailboxes")),
        sa.UniqueConstraint("address", name=("uq_mailboxes_address")),
        schema="kep_relay",
    )
    op.create_index(("ix_mailboxes_institution_no"), "mailboxes", ["institution_no"], unique=False, schema="kep_relay")
    op.create_index(
        "uq_mailboxes_sending_institution",
        "mailboxes",
        ["institution_no"],
        unique=True,
        schema="kep_relay",
        postgresql_where=sa.text("sends AND active"),
    )
    op.create_table(
        "drain_progress",
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("complete_uid", sa.BigInteger(), nullable=False),
        sa.Column("rescanned_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=("fk_drain_progress_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", name=("pk_drain_progress")),
        schema="kep_relay",
    )
    op.create_table(
        "outbound_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_ref", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_withheld", sa.Boolean(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("document_no", sa.Text(), nullable=True),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("package_size", sa.BigInteger(), nullable=False),
        sa.Column("package_filename", sa.Text(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("resend_of", sa.Uuid(), nullable=True),
        sa.Column("accepted_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=("fk_outbound_messages_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("message_id", name=("pk_outbound_messages")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_outbound_messages_changes",
        "outbound_messages",
        ["institution_no", "updated_at", "message_id"],
        unique=False,
        schema="kep_relay",
    )
    op.create_index(
        "ix_outbound_messages_client_ref",
        "outbound_messages",
        ["institution_no", "client_ref"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("client_ref IS NOT NULL"),
    )
    op.create_index(
        "ix_outbound_messages_newest",
        "outbound_messages",
        ["institution_no", "accepted_at", "message_id"],
        unique=False,
        schema="kep_relay",
    )
    op.create_table(
        "raw_mails",
        sa.Column("raw_mail_id", sa.Uuid(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ingested_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=("fk_raw_mails_mailbox_id")),
        sa.PrimaryKeyConstraint("raw_mail_id", name=("pk_raw_mails")),
        sa.UniqueConstraint(
            "mailbox_id", "folder", "uidvalidity", "uid", name=("uq_raw_mails_mailbox_id_folder_uidvalidity_uid")
        ),
        schema="kep_relay",
    )
    op.create_index("ix_raw_mails_content", "raw_mails", ["mailbox_id", "sha256"], unique=False, schema="kep_relay")
    op.create_index("ix_raw_mails_message_id", "raw_mails", ["message_id"], unique=False, schema="kep_relay")
    op.create_index(
        "ix_raw_mails_pending",
        "raw_mails",
        ["next_attempt_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("state = 'stored'"),
    )
    op.create_index(
        "ix_raw_mails_unseen",
        "raw_mails",
        ["mailbox_id"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("seen_at IS NULL"),
    )
    op.create_table(
        "evidence",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("raw_mail_id", sa.Uuid(), nullable=False),
        sa.Column("raw_sha256", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=True),
        sa.Column("evidence_type", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("event_time", UtcDateTime(timezone=True), nullable=True),
        sa.Column("event_time_text", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("recipients", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("original_id", sa.Text(), nullable=True),
        sa.Column("dispatch_id", sa.Text(), nullable=True),
        sa.Column("digest_method", sa.Text(), nullable=True),
        sa.Column("digest_value", sa.Text(), nullable=True),
        sa.Column("rem_id", sa.Text(), nullable=True),
        sa.Column("references", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("inbound_message_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("correlated_by", sa.Text(), nullable=True),
        sa.Column("correlate_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("correlations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("envelope_conclusion", sa.Text(), nullable=True),
        sa.Column("signature_conclusion", sa.Text(), nullable=True),
        sa.Column("conclusion", sa.Text(), nullable=True),
        sa.Column("verify_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("verifications", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("folded_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=("fk_evidence_mailbox_id")),
        sa.ForeignKeyConstraint(["raw_mail_id"], ["kep_relay.raw_mails.raw_mail_id"], name=("fk_evidence_raw_mail_id")),
        sa.PrimaryKeyConstraint("evidence_id", name=("pk_evidence")),
        sa.UniqueConstraint(
            "institution_no", "dedupe_key", "sha256", name=("uq_evidence_institution_no_dedupe_key_sha256")
        ),
        schema="kep_relay",
    )
    op.create_index(
        "ix_evidence_correlate",
        "evidence",
        ["correlate_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("correlate_at IS NOT NULL"),
    )
    op.create_index(
        "ix_evidence_dispatch_id", "evidence", ["institution_no", "dispatch_id"], unique=False, schema="kep_relay"
    )
    op.create_index(
        "ix_evidence_inbound_message_id", "evidence", ["inbound_message_id"], unique=False, schema="kep_relay"
    )
    op.create_index("ix_evidence_message_id", "evidence", ["message_id"], unique=False, schema="kep_relay")
    op.create_index("ix_evidence_recipient_id", "evidence", ["recipient_id"], unique=False, schema="kep_relay")
    op.create_index(
        "ix_evidence_verify",
        "evidence",
        ["verify_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("verify_at IS NOT NULL"),
    )
    op.create_table(
        "inbound_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.Text(), nullable=False),
        sa.Column("mailbox_address", sa.Text(), nullable=False),
        sa.Column("raw_mail_id", sa.Uuid(), nullable=False),
        sa.Column("raw_sha256", sa.Text(), nullable=True),
        sa.Column("raw_size", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sender_address", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("message_key", sa.Text(), nullable=False),
        sa.Column("message_id_header", sa.Text(), nullable=True),
        sa.Column("rem_id", sa.Text(), nullable=True),
        sa.Column("dispatch_id", sa.Text(), nullable=True),
        sa.Column("original_sha256", sa.Text(), nullable=False),
        sa.Column("original_size", sa.BigInteger(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("document_no", sa.Text(), nullable=True),
        sa.Column("package_sha256", sa.Text(), nullable=True),
        sa.Column("package_size", sa.BigInteger(), nullable=True),
        sa.Column("package_filename", sa.Text(), nullable=True),
        sa.Column("conclusion", sa.Text(), nullable=True),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("available_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("visible_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("delivery_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_client_id", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_rejection", sa.Text(), nullable=True),
        sa.Column("consumed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("consumed_by", sa.Text(), nullable=True),
        sa.Column("registry_no", sa.Text(), nullable=True),
        sa.Column("provider_acknowledged_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("acknowledge_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("verify_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("verifications", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_token IS NOT NULL)", name=("ck_inbound_messages_leased_has_token")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)", name=("ck_inbound_messages_lease_complete")
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["kep_relay.mailboxes.mailbox_id"], name=("fk_inbound_messages_mailbox_id")
        ),
        sa.ForeignKeyConstraint(
            ["raw_mail_id"], ["kep_relay.raw_mails.raw_mail_id"], name=("fk_inbound_messages_raw_mail_id")
        ),
        sa.PrimaryKeyConstraint("message_id", name=("pk_inbound_messages")),
        sa.UniqueConstraint(
            "mailbox_id",
            "message_key",
            "original_sha256",
            name=("uq_inbound_messages_mailbox_id_message_key_original_sha256"),
        ),
        sa.UniqueConstraint("raw_mail_id", name=("uq_inbound_messages_raw_mail_id")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_inbound_messages_acknowledge",
        "inbound_messages",
        ["acknowledge_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("acknowledge_at IS NOT NULL"),
    )
    op.create_index(
        "ix_inbound_messages_leases",
        "inbound_messages",
        ["lease_expires_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_inbound_messages_page",
        "inbound_messages",
        ["institution_no", "message_id"],
        unique=False,
        schema="kep_relay",
    )
    op.create_index(
        "ix_inbound_messages_queue",
        "inbound_messages",
        ["institution_no", "available_at", "message_id"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("state = 'available'"),
    )
    op.create_index("ix_inbound_messages_state", "inbound_messages", ["state"], unique=False, schema="kep_relay")
    op.create_index(
        "ix_inbound_messages_verify",
        "inbound_messages",
        ["verify_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("verify_at IS NOT NULL"),
    )
    op.create_table(
        "outbound_events",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["kep_relay.outbound_messages.message_id"], name=("fk_outbound_events_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", "sequence", name=("pk_outbound_events")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_outbound_events_handed_over",
        "outbound_events",
        ["message_id"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("kind = 'handed_over'"),
    )
    op.create_table(
        "outbound_recipients",
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("institution_no", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("detsis_no", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attention", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("kep_address", sa.Text(), nullable=True),
        sa.Column("address_source", sa.Text(), nullable=True),
        sa.Column("address_rule", sa.Text(), nullable=True),
        sa.Column("address_snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("address_problem", sa.Text(), nullable=True),
        sa.Column("resolved_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("message_id_header", sa.Text(), nullable=False),
        sa.Column("rem_id", sa.Text(), nullable=False),
        sa.Column("composed_sha256", sa.Text(), nullable=True),
        sa.Column("composed_size", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("setbacks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("claim_expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("outcome_unknown_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("submitted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("read_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "(claim_token IS NULL) = (claimed_by IS NULL) AND (claim_token IS NULL) = (claim_expires_at IS NULL)",
            name=("ck_outbound_recipients_claim_complete"),
        ),
        sa.CheckConstraint(
            "(composed_sha256 IS NULL) = (composed_size IS NULL)", name=("ck_outbound_recipients_composed_complete")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["kep_relay.outbound_messages.message_id"], name=("fk_outbound_recipients_message_id")
        ),
        sa.PrimaryKeyConstraint("recipient_id", name=("pk_outbound_recipients")),
        sa.UniqueConstraint("message_id", "detsis_no", name=("uq_outbound_recipients_message_id_detsis_no")),
        sa.UniqueConstraint("message_id", "position", name=("uq_outbound_recipients_message_id_position")),
        sa.UniqueConstraint("message_id_header", name=("uq_outbound_recipients_message_id_header")),
        sa.UniqueConstraint("rem_id", name=("uq_outbound_recipients_rem_id")),
        schema="kep_relay",
    )
    op.create_index(
        "ix_outbound_recipients_awaiting",
        "outbound_recipients",
        ["submitted_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("state IN ('submitted', 'accepted', 'relayed')"),
    )
    op.create_index(
        "ix_outbound_recipients_due",
        "outbound_recipients",
        ["state", "next_attempt_at"],
        unique=False,
        schema="kep_relay",
        postgresql_where=sa.text("state IN ('queued', 'retry_wait', 'blocked', 'submitting', 'outcome_unknown')"),
    )
    op.create_index("ix_outbound_recipients_state", "outbound_recipients", ["state"], unique=False, schema="kep_relay")
    op.create_table(
        "evidence_verdicts",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("envelope", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("signature", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verified_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["kep_relay.evidence.evidence_id"], name=("fk_evidence_verdicts_evidence_id")
        ),
        sa.PrimaryKeyConstraint("evidence_id", "sequence", name=("pk_evidence_verdicts")),
        schema="kep_relay",
    )
    op.create_table(
        "inbound_parts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("is_package", sa.Boolean(), nullable=False),
        sa.Column("defect", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["kep_relay.inbound_messages.message_id"], name=("fk_inbound_parts_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", "number", name=("pk_inbound_parts")),
        schema="kep_relay",
    )
    op.create_table(
        "inbound_verifications",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("verdict", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verified_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["kep_relay.inbound_messages.message_id"], name=("fk_inbound_verifications_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", "sequence", name=("pk_inbound_verifications")),
        schema="kep_relay",
    )

    op.execute(
        """
        CREATE FUNCTION kep_relay.refuse_history_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the history of a letter is append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER outbound_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON kep_relay.outbound_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION kep_relay.refuse_history_change()"
    )
