"""Outgoing letters between gateway and kep_relay."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory import AddressSource, ResolutionProblem
from shared.domain.message import OutboundState
from shared.domain.verdict import Conclusion
from shared.eyp import SecurityCode

LONGEST_DOCUMENT_ID = 1000
"""What is read of a document's id to name the package in a message; far less of it gets there."""
LONGEST_MESSAGE_SIGNATURE = 96 * 1024
"""In bytes: one or a few CAdES signatures with their certificates; revocation lists are not brought along."""


class OutboundKind(StrEnum):
    """What an outgoing message is."""

    LETTER = "letter"
    """An official letter, as an e-Yazışma package."""
    NOTICE = "notice"
    """The notice that an incoming letter is refused: a KEP message of text, in reply to that letter."""


class LetterEncryption(StrEnum):
    """Who encrypted a letter's package."""

    NONE = "none"
    """Nobody: the package travels as it was handed over."""
    SENDER = "sender"
    """It was handed over encrypted (.eyps)."""
    GATEWAY = "gateway"
    """The gateway, for the recipients' certificates in the directory."""


class EncryptionCertificate(Contract):
    """A certificate a letter is encrypted for. Of those the sender chose, the envelope names no more than ``serial``."""

    recipient_nos: list[int] = Field(default_factory=list)
    """The recipients it serves."""
    holder_no: int | None = None
    """The institution that holds its key: the recipient itself or its certificate owner."""
    serial: str
    """Hexadecimal; the key's identifier where the envelope names that instead."""
    sha256: str | None = None
    """Hexadecimal, of the DER."""


class UnencryptedDecision(Contract):
    """A person's decision to send a letter unencrypted to recipients without a certificate (legal.md L.26)."""

    decided_by: str
    reason: str
    decided_at: datetime


class LetterConfidentiality(Contract):
    """How confidential a letter is, by which rule, and in what form it therefore travels."""

    degree: SecurityCode
    declared: bool
    """The degree cannot be seen, because the package came encrypted: it is what the sender declared."""
    rule: str
    """Id of the rule that was applied, as ``L.26``."""
    rules_of: date
    """Since when the rules that were applied are in force."""
    encryption: LetterEncryption
    certificates: list[EncryptionCertificate] = Field(default_factory=list)
    """What it is encrypted for; of an .eyps handed over only if its degree asks for encryption."""
    inner_sha256: str | None = None
    """SHA-256 of the package handed over, when the gateway encrypted it; ``package_sha256`` is that of what travels."""
    inner_size: int | None = None
    decision: UnencryptedDecision | None = None
    """Why a letter that should be encrypted travels unencrypted."""


class OutboundSubmission(Contract):
    """``PUT /internal/v1/outbound-messages/{message_id}``; the package was put there before.

    Idempotent by message id: the same submission again changes nothing, another one is a
    state-conflict.
    """

    institution_no: int
    client_id: str
    client_ref: str | None = None
    subject: str
    subject_withheld: bool = False
    """True when the letter's degree is not the ordinary one: its subject then stays out of the mail's headers."""
    document_id: str | None = None
    document_no: str | None = None
    package_sha256: str
    package_size: int
    package_filename: str
    recipient_nos: list[int] = Field(min_length=1, max_length=500)
    expires_at: datetime | None = None
    confidentiality: LetterConfidentiality | None = None
    message_signature: str | None = Field(default=None, max_length=LONGEST_MESSAGE_SIGNATURE * 4 // 3 + 4)
    """Detached CMS (DER, in base64) over the part that is signed; None: the mailbox's key signs."""
    correlation_id: str


class Resend(Contract):
    """Send a letter again to the recipients it did not reach, as a new one with this id."""

    message_id: UUID


class RecipientStatus(Contract):
    """One recipient of a letter."""

    recipient_id: UUID
    detsis_no: int | None
    """None of a notice: it goes to the KEP address that the letter came from."""
    name: str | None = None
    state: OutboundState
    reason_code: str | None = None
    """Why it waits or failed: a problem code or ``evidence.<code>``."""
    reason: str | None = None
    attention: list[str] = Field(default_factory=list)
    """Flags for a person: ``evidence_contradiction``, ``evidence_unknown``, ``evidence_unverified``, ``evidence_overdue``."""
    kep_address: str | None = None
    address_source: AddressSource | None = None
    address_rule: str | None = None
    address_snapshot_id: int | None = None
    """The refresh the nightly copy stood at when the address was resolved, also beside a live answer."""
    resolved_at: datetime | None = None
    """When DETSİS named the address; of one from the nightly copy: when it was looked up there."""
    address_problem: ResolutionProblem | None = None
    message_id_header: str
    rem_id: str
    attempts: int
    next_attempt_at: datetime | None = None
    submitted_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    deemed_read_at: datetime | None = None
    """Worked out by ``deemed_read_rule`` for a letter that is delivered and not read; no evidence, and no state follows."""
    deemed_read_rule: str | None = None
    evidence_codes: list[int] = Field(default_factory=list)


class OutboundMessage(Contract):
    """One outgoing letter with all its recipients."""

    message_id: UUID
    kind: OutboundKind = OutboundKind.LETTER
    """``notice``: ``package_…`` describe the notice's text, which is all it carries."""
    reply_to: UUID | None = None
    """The incoming letter that a notice refuses."""
    institution_no: int
    client_ref: str | None
    subject: str
    document_id: str | None
    document_no: str | None
    package_sha256: str
    package_size: int
    package_filename: str
    state: OutboundState
    state_counts: dict[str, int]
    accepted_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    resend_of: UUID | None = None
    confidentiality: LetterConfidentiality | None = None
    """None for letters accepted before this was recorded."""
    client_signed: bool = False
    """The signature of its KEP messages was brought along; the history tells whose it is."""
    recipients: list[RecipientStatus]


class OutboundPage(Contract):
    """A page of letters, oldest change first when ``updated_since`` is given, else newest first."""

    messages: list[OutboundMessage]
    next_cursor: str | None = None


class OutboundEvent(Contract):
    """One line of a letter's append-only history."""

    sequence: int
    recipient_id: UUID | None
    at: datetime
    kind: str
    from_state: OutboundState | None
    to_state: OutboundState | None
    detail: str | None = None
    evidence_id: UUID | None = None


class EvidenceRecord(Contract):
    """One piece of evidence, as received."""

    evidence_id: UUID
    message_id: UUID | None
    recipient_id: UUID | None
    code: int | None
    evidence_type: str
    event: str
    identifier: str | None
    issuer: str | None
    event_time: datetime | None
    """The time inside the evidence: the one that counts (kep.md 1.5)."""
    received_at: datetime
    sha256: str
    size: int
    media_type: str
    envelope_conclusion: Conclusion | None
    signature_conclusion: Conclusion | None
    reason: str | None = None


class Cancellation(Contract):
    """Outcome of a cancel call: which recipients it still reached."""

    message: OutboundMessage
    cancelled: list[UUID]
    too_late: list[UUID]


class UnfinishedLetter(Contract):
    """A letter that is not at its end, and what it waits for."""

    message_id: UUID | None
    """None for a mail that nobody has looked into yet."""
    institution_no: int
    state: str
    since: datetime
    """When it was accepted."""
    reason_code: str | None = None
    reason: str | None = None
    next_step_at: datetime | None = None
    """None when evidence or a document system is waited for, or nothing ever comes."""


class LedgerSide(Contract):
    """accepted = terminal + in_flight, always. Outgoing letters are counted per recipient."""

    accepted: int
    terminal: int
    in_flight: int
    imbalance: int
    states: dict[str, int] = Field(default_factory=dict)
    oldest_in_flight_at: datetime | None = None
    oldest: UnfinishedLetter | None = None
    """Of a whole direction, not of one institution."""
    stuck: list[UnfinishedLetter] = Field(default_factory=list)
    """Letters that nothing will move on: the oldest of those that make the imbalance."""


class InstitutionLedger(Contract):
    """One institution's share of the ledger."""

    institution_no: int
    outbound: LedgerSide
    inbound: LedgerSide


class Ledger(Contract):
    """Whether any letter is unaccounted for."""

    outbound: LedgerSide
    inbound: LedgerSide
    institutions: list[InstitutionLedger] = Field(default_factory=list)
    checked_at: datetime
