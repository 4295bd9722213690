"""Incoming letters between gateway and kep_relay."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from shared.contracts.acceptance import Acceptance
from shared.contracts.base import Contract
from shared.contracts.consumers import DEFAULT_CONSUMER, ConsumerRole
from shared.contracts.envelopes import PackageOpening
from shared.contracts.signatures import Maturity, VerificationReport
from shared.domain.message import InboundState
from shared.domain.verdict import Conclusion


class InboundPart(Contract):
    """One attachment of the original message, in order."""

    number: int
    filename: str | None
    media_type: str
    size: int
    sha256: str
    is_package: bool


class InboundMessage(Contract):
    """One incoming letter."""

    message_id: UUID
    institution_no: int
    mailbox_address: str
    state: InboundState
    reason_code: str | None = None
    """Why it needs a person: ``no-package``, ``several-packages``, ``package-invalid``, ``signature-failed`` …

    ``encrypted-no-key``, ``encrypted-not-a-recipient``, ``encrypted-cannot-be-opened``, ``encrypted-algorithm-refused``,
    ``encrypted-malformed``: nobody here could open it. ``classified``: the letter is sealed.
    """
    sender_address: str | None
    sender_detsis_no: int | None = None
    subject: str | None
    """Of the KEP message. None of a sealed letter; so are the names of its files, its id and its number."""
    message_id_header: str | None
    rem_id: str | None
    document_id: str | None = None
    document_no: str | None = None
    package_sha256: str | None
    package_size: int | None
    package_filename: str | None
    security_code: str | None = None
    """Degree of confidentiality in force: ``unclassified``, ``restricted`` …; None while it is not known."""
    opening: PackageOpening | None = None
    """What became of the envelope; None of a letter that is not encrypted or was not looked at yet."""
    opened_sha256: str | None = None
    """Of the package inside the envelope. The package itself is not kept: it is opened anew for whoever asks."""
    opened_size: int | None = None
    raw_sha256: str
    parts: list[InboundPart] = Field(default_factory=list)
    conclusion: Conclusion | None
    """Of envelope, sender signature and package together; see the verification resource."""
    maturity: Maturity | None = None
    """``preliminary``: it passed for now, and is verified again when a grace period is over; None until it is verified."""
    acceptance: Acceptance | None = None
    """The period for refusing it; None of a letter that is no administration's, and of one that carries no package."""
    refusal_notice_id: UUID | None = None
    """The outgoing message that tells the sender that it is refused; None while nobody has ordered one."""
    received_at: datetime
    consumer: str = DEFAULT_CONSUMER
    """Who is responsible for it: who registers it."""
    available_at: datetime | None = None
    consumed_at: datetime | None = None
    registry_no: str | None = None
    delivery_count: int = 0
    provider_acknowledged_at: datetime | None = None
    next_verification_at: datetime | None = None
    """When it is verified again: as soon as missing data, or the key of an encrypted letter, may be there, and when a
    preliminary verdict may have become final."""


class InboundPage(Contract):
    """A page of letters, oldest first."""

    messages: list[InboundMessage]
    next_cursor: str | None = None


class LeaseRequest(Contract):
    """Take letters for a while. ``wait`` seconds are spent waiting when there is none."""

    institution_nos: list[int] = Field(min_length=1)
    client_id: str
    consumer: str = DEFAULT_CONSUMER
    role: ConsumerRole | None = None
    """Only letters the consumer is responsible for, or only copies; None: copies when there is no letter."""
    max: int = Field(default=10, ge=1, le=100)
    seconds: int = Field(default=300, ge=5, le=3600)
    wait: float = Field(default=0, ge=0, le=30)


class Leased(Contract):
    """Letters taken under one token."""

    lease_token: str
    expires_at: datetime
    role: ConsumerRole = ConsumerRole.RESPONSIBLE
    """Of all of them: ``responsible`` for letters to be registered, ``copy`` for copies."""
    messages: list[InboundMessage]


class LeaseClaim(Contract):
    """Proof of a lease; ``lease-lost`` when it ran out or another one took over."""

    lease_token: str


class Acknowledgement(LeaseClaim):
    """The EBYS has the letter safe and registered it; of a copy: it has dealt with it."""

    registry_no: str | None = Field(default=None, min_length=1, max_length=100)
    """Demanded for a letter. What a copy is filed under is noted with the copy and says nothing about the letter."""


class Rejection(LeaseClaim):
    """The EBYS could not take the letter now: it becomes available again after ``delay_seconds``."""

    reason: str | None = Field(default=None, max_length=1000)
    delay_seconds: int = Field(default=0, ge=0, le=86400)


class Renewal(LeaseClaim):
    """Keep the lease for ``seconds`` more, from now."""

    seconds: int = Field(default=300, ge=5, le=3600)


class Release(Contract):
    """A person releases a mail that the virus scanner withheld."""

    decided_by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=1000)


class ComponentVerification(Contract):
    """The verdict about one named layer of an incoming letter."""

    component: str
    """``envelope``, ``sender-signature``, ``package-signature``, ``package-seal``, ``package-initials``.

    With ``original-`` instead of ``package-``: of a package inside an update package; with ``inner-``: of the one
    that was encrypted; with ``inner-original-``: of a package inside that one. Of a sealed letter only the first two.
    """
    report: VerificationReport


class PackageFinding(Contract):
    """What a package check found."""

    rule: str
    severity: str
    part: str | None
    code: int | None = None
    """The official library's number for the same fault, where it has one (eyp.md 6.3, 6.4)."""
    message_tr: str
    message_en: str


class InboundVerification(Contract):
    """Everything that was checked about one incoming letter."""

    message_id: UUID
    conclusion: Conclusion
    components: list[ComponentVerification]
    findings: list[PackageFinding]
    verified_at: datetime
