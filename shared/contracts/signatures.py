"""What signer is asked and what it answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator

from shared.contracts.base import Contract
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication


class SignatureFormat(StrEnum):
    """``auto`` sniffs the bytes; the others refuse what does not look like them."""

    AUTO = "auto"
    CADES = "cades"
    SMIME = "smime"
    PADES = "pades"
    XADES = "xades"
    TIMESTAMP = "timestamp"
    """An RFC 3161 time-stamp by itself: a token, or an authority's whole answer."""


class Profile(StrEnum):
    """Which rules the signature must satisfy.

    P1 to P4 are the national usage profiles of qualified signatures (BTK, Elektronik İmza Kullanım Profilleri Rehberi).
    """

    QUALIFIED_SIGNATURE = "qualified-signature"
    INSTITUTION_SEAL = "institution-seal"
    KEPHS_TRANSACTION = "kephs-transaction"
    TIMESTAMP = "timestamp"
    """A time-stamp by itself: an authority of ours made it, and the content is what it is about."""
    INTEGRITY_ONLY = "integrity-only"
    P1 = "p1"
    P2 = "p2"
    P3 = "p3"
    P4 = "p4"


class Maturity(StrEnum):
    """Whether a later look may come out otherwise: before the grace period of P2 and P3 a revocation may still turn up."""

    PRELIMINARY = "preliminary"
    FINAL = "final"


class VerificationRequest(Contract):
    """The JSON part of ``POST /internal/v1/verifications`` (multipart: request, file, content?)."""

    format: SignatureFormat = SignatureFormat.AUTO
    profile: Profile = Profile.QUALIFIED_SIGNATURE
    moment: datetime | None = None
    """Judge as of this time (UTC); None = now. A valid signature time-stamp takes precedence."""
    offline: bool = False
    """Fetch nothing: judge by what the file brings along and what is at hand."""


class Text(Contract):
    """One sentence in the two languages people read here."""

    tr: str
    en: str


class VerificationStep(Contract):
    """One numbered step of the pipeline, with its stable id (``signer/pipeline.py`` has the list)."""

    number: int
    id: str
    result: StepResult
    text: Text


class Signer(Contract):
    """Who signed, as the certificate says. Identity numbers are masked."""

    name: str
    organisation: str | None = None
    identity_number_masked: str | None = None
    issuer: str
    serial_number: str
    """Hexadecimal."""
    certificate_sha256: str
    not_before: datetime
    not_after: datetime
    qualified: bool


class TimestampType(StrEnum):
    """Where a time-stamp stands (EN 319 122-1; TS 101 733; EN 319 132-1; EN 319 142-1)."""

    SIGNATURE = "signature-time-stamp"
    VALIDATION_DATA = "cades-c-time-stamp"
    REFERENCES = "references-time-stamp"
    ARCHIVE_V1 = "archive-time-stamp-v1"
    """Named, not evaluated."""
    ARCHIVE_V2 = "archive-time-stamp-v2"
    ARCHIVE_V3 = "archive-time-stamp-v3"
    CONTENT = "content-time-stamp"
    """Signed with the rest, about the content alone: the signature is not older than this."""
    XADES_ARCHIVE = "xades-archive-time-stamp"
    DOCUMENT = "document-time-stamp"
    """Of a PDF: over everything in the file before it."""
    ALONE = "time-stamp-token"
    """A file by itself."""

    @property
    def stamps_signature(self) -> bool:
        """Whether it proves that the signature's value existed."""
        return self not in {TimestampType.REFERENCES, TimestampType.CONTENT, TimestampType.ALONE}


class TimestampReport(Contract):
    """What one time-stamp is worth."""

    type: TimestampType
    intact: bool
    """Whether it is about the right bytes and its own signature holds, whoever made it."""
    time: datetime | None = None
    """What it says, believed or not."""
    tsa: str | None = None
    """Name in the authority's certificate."""
    conclusion: Conclusion
    """Passed: its time is proven."""
    reason: Text | None = None
    """Why it is not."""


class EvidenceKind(StrEnum):
    """What a verdict rests on, beside the file."""

    CERTIFICATE = "certificate"
    REVOCATION_LIST = "revocation-list"
    OCSP_RESPONSE = "ocsp-response"


class EvidenceOrigin(StrEnum):
    """Where a piece of evidence came from."""

    FILE = "file"
    TRUST_STORE = "trust-store"
    SUPPLIED = "supplied"
    """An operator brought it."""
    FETCHED = "fetched"


class EvidenceItem(Contract):
    """One piece of evidence that a verdict rests on, named by its digest."""

    kind: EvidenceKind
    sha256: str
    origin: EvidenceOrigin


class RevocationSource(Contract):
    """What says that a certificate was not revoked at the moment of judgement."""

    kind: EvidenceKind
    sha256: str
    issued_at: datetime


class ChainCertificate(Contract):
    """One certificate on the way from the signer to an anchor."""

    subject: str
    issuer: str
    serial_number: str
    """Hexadecimal."""
    sha256: str
    not_before: datetime
    not_after: datetime
    revocation: list[RevocationSource] = Field(default_factory=list)
    """Empty: an anchor, or nothing is known."""


class SignatureScope(Contract):
    """How much of a document a signature in it covers; None in a report where it covers all there is."""

    whole_document: bool
    """Nothing was added after it."""
    revision: int
    """Number of the document's revision that it closes, from 1."""
    revisions: int
    """How many there are."""
    later_changes: list[Text] = Field(default_factory=list)
    """What was added after it."""


class SignatureReport(Contract):
    """The verdict on one signature."""

    conclusion: Conclusion
    indication: Indication
    sub_indication: SubIndication | None = None
    level: str
    """What the attributes claim, for example ``CAdES-B``, ``CAdES-EPES``, ``CAdES-T``, ``CAdES-C``, ``CAdES-X``,
    ``CAdES-XL``, ``CAdES-A``, ``S/MIME``, ``XAdES-XL``, ``PAdES-LTA``, ``PDF``."""
    level_intact: str | None = None
    """The highest level up to ``level`` whose time-stamps, references and values all fit; None when not even the
    signature does. Says nothing about whose they are."""
    baseline_level: str | None = None
    """``B-B``, ``B-T``, ``B-LT`` or ``B-LTA`` (EN 319 122-1), when the attributes claim one."""
    integrity: bool
    """Whether the signature value fits the signed bytes, whatever the certificate is worth."""
    signer: Signer | None = None
    chain: list[ChainCertificate] = Field(default_factory=list)
    """From the signer to the anchor, as judged; empty when no path was found."""
    scope: SignatureScope | None = None
    claimed_signing_time: datetime | None = None
    judged_at: datetime
    steps: list[VerificationStep]
    maturity: Maturity = Maturity.FINAL
    """Of a verdict that passed. ``preliminary``: to be acted on, and verified again after ``final_after``."""
    final_after: datetime | None = None
    """End of the profile's grace period: a list issued after it makes the verdict final. None: there is none."""
    timestamps: list[TimestampReport] = Field(default_factory=list)
    """In the order of the file."""
    counter_signatures: list[SignatureReport] = Field(default_factory=list)
    """Signatures over this one's value, not over the document; they must pass as well."""


class VerificationReport(Contract):
    """The answer to one verification."""

    conclusion: Conclusion
    indication: Indication
    sub_indication: SubIndication | None = None
    format: SignatureFormat
    profile: Profile
    policy_version: str
    trust_store_sha256: str
    """Names the exact set of anchors used."""
    signed_content_sha256: str | None = None
    """Digest of the bytes the signature covers; the verdict speaks about these and nothing else."""
    signatures: list[SignatureReport]
    evidence: list[EvidenceItem] = Field(default_factory=list)
    """Everything the verdict was made from; with it, the policy version, the anchors and the moment the same verdict
    can be made again."""
    software_version: str = ""
    retry_after_seconds: int | None = None
    """Set when a missing source (for example a revocation list) may answer later."""
    verified_at: datetime


class CertificatePurpose(StrEnum):
    """What a certificate by itself is to be used for."""

    ENCRYPTION = "encryption"


MOST_CERTIFICATES = 16
"""In one verification of certificates."""
LONGEST_CERTIFICATE = 90_000
"""In characters of base64: a little more than the 64 KiB that signer reads."""


class CertificateVerificationRequest(Contract):
    """``POST /internal/v1/certificate-verifications``: whether these certificates may be used now."""

    purpose: CertificatePurpose = CertificatePurpose.ENCRYPTION
    certificates: list[str] = Field(min_length=1, max_length=MOST_CERTIFICATES)
    """DER in base64, the certificates themselves; what lies between them and a root signer has or does without."""


class CertificateVerdict(Contract):
    """The verdict on one certificate; its steps have the numbers and ids of signature reports."""

    certificate_sha256: str
    """Of the bytes that were given, whatever they are."""
    conclusion: Conclusion
    indication: Indication
    sub_indication: SubIndication | None = None
    judged_at: datetime
    retry_after_seconds: int | None = None
    """Set when a missing source (for example a revocation list) may answer later."""
    steps: list[VerificationStep]


class CertificateVerificationReport(Contract):
    """One verdict for each certificate, in the order given."""

    purpose: CertificatePurpose
    policy_version: str
    trust_store_sha256: str
    """Names the exact set of anchors used."""
    verdicts: list[CertificateVerdict]
    verified_at: datetime


class SignatureLevel(StrEnum):
    """How much of its own proof a CAdES signature carries, from the least to the most (EN 319 122-1, 6 and annex A)."""

    B = "b"
    T = "t"
    """With a time-stamp of its value."""
    XL = "xl"
    """And with references to and values of what proves its certificates."""
    A = "a"
    """And with an archive time-stamp over all of it."""


class SignatureUpgradeRequest(Contract):
    """The JSON part of ``POST /internal/v1/signature-upgrades`` (multipart: request, file, content?)."""

    level: Literal[SignatureLevel.T, SignatureLevel.XL, SignatureLevel.A]
    """What every signature of the file shall have."""
    profile: Profile = Profile.QUALIFIED_SIGNATURE
    """Whose rules the signatures must satisfy then; P2 and P3 want the grace period to be over."""

    @field_validator("profile")
    @classmethod
    def _judges_certificates(cls, profile: Profile) -> Profile:
        if profile in (Profile.INTEGRITY_ONLY, Profile.TIMESTAMP):
            raise ValueError("a profile that does not judge a signer's certificate")
        return profile


class SigningPurpose(StrEnum):
    """What a key may be used for; signer refuses any other use of it."""

    KEP_MESSAGE = "kep-message"
    PACKAGE_SEAL = "package-seal"
    PACKAGE_DECRYPTION = "package-decryption"
    """Opens what was encrypted for the institution; such a key signs nothing."""


class SigningKey(Contract):
    """A key signer holds, without anything secret."""

    key_id: str
    institution_no: int
    purposes: list[SigningPurpose]
    certificate_sha256: str
    subject: str
    not_after: datetime
