"""What the gateway keeps: tenants, clients, keys, what a key already asked for, and who did what."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db.types import TYPES, service_metadata


class Base(DeclarativeBase):
    """Tables of the schema ``gateway``."""

    metadata = service_metadata("gateway")
    type_annotation_map = TYPES


class Institution(Base):
    """A public body whose letters pass here; ``policy`` is ``schemas.admin.InstitutionPolicy``."""

    __tablename__ = "institutions"

    detsis_no: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Client(Base):
    """One document system (EBYS) or operator; may hold several keys."""

    __tablename__ = "clients"

    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime]


class ClientInstitution(Base):
    """For which institutions a client may act."""

    __tablename__ = "client_institutions"

    client_id: Mapped[str] = mapped_column(ForeignKey("gateway.clients.client_id"), primary_key=True)
    detsis_no: Mapped[int] = mapped_column(ForeignKey("gateway.institutions.detsis_no"), primary_key=True)


class ApiKey(Base):
    """A key; the secret itself is never stored, only the SHA-256 of the whole key."""

    __tablename__ = "api_keys"

    prefix: Mapped[str] = mapped_column(Text, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("gateway.clients.client_id"), index=True)
    label: Mapped[str | None] = mapped_column(Text)
    key_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """One change a client asked for; see ``services.gateway.idempotency``."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    client_id: Mapped[str] = mapped_column(ForeignKey("gateway.clients.client_id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    message_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(Text)
    claim_token: Mapped[UUID]
    claimed_at: Mapped[datetime]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(Text)
    """The body of the 202, as sent."""


class AuditEntry(Base):
    """Who did what. Rows are only ever added: a trigger refuses everything else."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "at"),)

    entry_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    client_id: Mapped[str | None] = mapped_column(Text)
    key_prefix: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    correlation_id: Mapped[str | None] = mapped_column(Text)


class PackageDraft(Base):
    """A package under way; the steps, and what each column is an input of, stand in ``services.gateway.drafts``."""

    __tablename__ = "package_drafts"
    __table_args__ = (
        Index("ix_package_drafts_page", "institution_no", "package_id"),
        Index("ix_package_drafts_idle", "updated_at", postgresql_where=text("state NOT IN ('finished', 'discarded')")),
    )

    package_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int] = mapped_column(ForeignKey("gateway.institutions.detsis_no"))
    client_id: Mapped[str] = mapped_column(ForeignKey("gateway.clients.client_id"))
    kind: Mapped[str] = mapped_column(Text)
    """``letter`` or ``update``."""
    state: Mapped[str] = mapped_column(Text)
    package_version: Mapped[str] = mapped_column(Text)
    version_reason: Mapped[str] = mapped_column(Text)
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What is to be written: ``schemas.letters.LetterMetadata`` or ``drafts.stages.UpdateOrder``, completed."""
    filled: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """What was taken from DETSİS, and where from."""
    final: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created: Mapped[datetime | None]
    """The package's own time of creation, decided once: the same inputs give the same bytes."""
    revision: Mapped[int]
    """Changes with every step; whoever applies the next one has seen this one."""
    package_sha256: Mapped[str | None] = mapped_column(Text)
    package_size: Mapped[int | None]
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PackageDraftFile(Base):
    """A file put into a draft: cover letter, annex, original package, signature file."""

    __tablename__ = "package_draft_files"

    package_id: Mapped[UUID] = mapped_column(ForeignKey("gateway.package_drafts.package_id"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    """``cover-letter``, ``annex:<id>``, ``original``, ``initials``, ``signature``, ``seal``."""
    sha256: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    checked: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Of a signature file: what signer said of it, ``drafts.signing.SignatureCheck``."""
    put_at: Mapped[datetime]


class PackageDraftEvent(Base):
    """What happened to a draft. Rows are only ever added: a trigger refuses everything else."""

    __tablename__ = "package_draft_events"

    package_id: Mapped[UUID] = mapped_column(ForeignKey("gateway.package_drafts.package_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    client_id: Mapped[str | None] = mapped_column(Text)
    """None: the gateway itself."""
    key_prefix: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    correlation_id: Mapped[str | None] = mapped_column(Text)


class PrintAuthorisation(Base):
    """Who may make official prints for an institution, by a decision on record (legal.md L.17)."""

    __tablename__ = "print_authorisations"

    institution_no: Mapped[int] = mapped_column(ForeignKey("gateway.institutions.detsis_no"), primary_key=True)
    authorisation_id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    document_no: Mapped[str] = mapped_column(Text)
    authorised_on: Mapped[date]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Print(Base):
    """One print that was handed out (legal.md L.21). Rows are only ever added: a trigger refuses everything else."""

    __tablename__ = "prints"
    __table_args__ = (
        UniqueConstraint("institution_no", "letter_sha256", "copy_number", name="uq_prints_copy"),
        Index("ix_prints_page", "institution_no", "print_id"),
    )

    print_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int] = mapped_column(ForeignKey("gateway.institutions.detsis_no"))
    letter_sha256: Mapped[str] = mapped_column(Text)
    """Of the cover letter: copies are numbered for each."""
    copy_number: Mapped[int]
    package_sha256: Mapped[str] = mapped_column(Text)
    message_id: Mapped[UUID | None]
    document_id: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]
    client_id: Mapped[str] = mapped_column(Text)
    key_prefix: Mapped[str] = mapped_column(Text)
    record: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Everything else about it, as it is answered: ``schemas.printing.PrintRecord``."""
    correlation_id: Mapped[str | None] = mapped_column(Text)


class SignatureVerification(Base):
    """A verification that is kept; ``services.gateway.verifications`` says how it goes on."""

    __tablename__ = "signature_verifications"
    __table_args__ = (
        Index("ix_signature_verifications_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_signature_verifications_kept", "created_at", postgresql_where=text("erased_at IS NULL")),
        Index("ix_signature_verifications_running", "client_id", postgresql_where=text("state = 'running'")),
        Index("ix_signature_verifications_file", "file_sha256"),
        Index("ix_signature_verifications_content", "content_sha256"),
    )

    verification_id: Mapped[UUID] = mapped_column(primary_key=True)
    institution_no: Mapped[int] = mapped_column(ForeignKey("gateway.institutions.detsis_no"))
    client_id: Mapped[str] = mapped_column(ForeignKey("gateway.clients.client_id"))
    state: Mapped[str] = mapped_column(Text)
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """``shared.contracts.signatures.VerificationRequest``."""
    client_ref: Mapped[str | None] = mapped_column(Text)
    file_name: Mapped[str | None] = mapped_column(Text)
    file_sha256: Mapped[str] = mapped_column(Text)
    file_size: Mapped[int]
    content_sha256: Mapped[str | None] = mapped_column(Text)
    content_size: Mapped[int | None]
    report: Mapped[str | None] = mapped_column(Text)
    """The last one, byte for byte as it is handed out: its digest stands on paper."""
    report_sha256: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Why signer refused the file: code and detail."""
    looks: Mapped[int]
    """Verdicts so far; whoever adds the next one has seen this one."""
    failures: Mapped[int]
    """Tries in a row that came to no verdict."""
    due_at: Mapped[datetime | None]
    """When it is looked at next; while somebody looks, when that one is given up."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class SignatureVerdict(Base):
    """What a verification came to, each time. Rows are only ever added: a trigger refuses everything else."""

    __tablename__ = "signature_verdicts"

    verification_id: Mapped[UUID] = mapped_column(
        ForeignKey("gateway.signature_verifications.verification_id"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    conclusion: Mapped[str] = mapped_column(Text)
    indication: Mapped[str] = mapped_column(Text)
    sub_indication: Mapped[str | None] = mapped_column(Text)
    maturity: Mapped[str] = mapped_column(Text)
    final_after: Mapped[datetime | None]
    report_sha256: Mapped[str] = mapped_column(Text)
