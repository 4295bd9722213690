"""What an e-Yazışma package says, in English types; how it is spelled on the wire stands in ``wire``.

The same types serve reading and writing. Reading is tolerant: a value that is missing or not
understood becomes ``None`` (or empty) here and a finding in the inspection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Self


class PackageKind(StrEnum):
    """Plain letter (.eyp), encrypted wrapper (.eyps), update of a letter's degree (.eypg)."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    UPDATE = "update"


class Generation(IntEnum):
    """The two schema generations: 1.x and 2.x."""

    V1 = 1
    V2 = 2


@dataclass(frozen=True, order=True)
class PackageVersion:
    """Version text of a package, ``major.minor``."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``a.b``; raise ``ValueError`` for anything else."""
        if not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", text):
            raise ValueError("a package version is written a.b")
        major, minor = text.split(".")
        return cls(int(major), int(minor))

    @property
    def generation(self) -> Generation | None:
        """Which schemas apply; None for a version nobody has defined (known: 1.x, 2.0 and 2.1)."""
        if self.major == 1:
            return Generation.V1
        if self.major == 2 and self.minor <= 1:
            return Generation.V2
        return None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class SecurityCode(StrEnum):
    """Degree of confidentiality. ``CONFIDENTIAL`` (özel) and ``PERSONAL`` (kişiye özel) are retired."""

    UNCLASSIFIED = "unclassified"
    RESTRICTED = "restricted"
    CONFIDENTIAL = "confidential"
    SECRET = "secret"  # noqa: S105 - a degree, no credential
    TOP_SECRET = "top-secret"  # noqa: S105
    PERSONAL = "personal"


class Urgency(StrEnum):
    """How soon an answer is due; ``TIMED`` carries its own term. ``VERY_URGENT`` is retired."""

    NORMAL = "normal"
    URGENT = "urgent"
    VERY_URGENT = "very-urgent"
    TIMED = "timed"


class Purpose(StrEnum):
    """Why a recipient gets the letter."""

    ACTION = "action"
    INFORMATION = "information"


class AnnexKind(StrEnum):
    """A file in the package, a pointer to somewhere else, or a physical thing sent apart."""

    FILE = "file"
    EXTERNAL = "external"
    PHYSICAL = "physical"


@dataclass(frozen=True)
class Identifier:
    """A value of some register; ``scheme`` names the register (for example MERSIS)."""

    value: str
    scheme: str | None = None


@dataclass(frozen=True)
class Contact:
    """Where a party is reached. All texts are as written by the sender, unchecked."""

    phone: str | None = None
    other_phone: str | None = None
    email: str | None = None
    kep_address: str | None = None
    fax: str | None = None
    web_address: str | None = None
    postal_address: str | None = None
    province: str | None = None
    district: str | None = None
    country: str | None = None


@dataclass(frozen=True)
class Organisation:
    """A public body: ``number`` is its DETSİS number as written (eight digits when valid)."""

    number: str
    name: str | None = None
    unit_number: str | None = None
    contact: Contact | None = None
    legacy_unit_number: str | None = None
    """Retired field of 1.x."""


@dataclass(frozen=True)
class PersonName:
    """A person's name in its parts."""

    first: str
    last: str
    middle: str | None = None
    title: str | None = None
    prefix: str | None = None


@dataclass(frozen=True)
class Person:
    """A natural person. The identity number never appears in ``repr``."""

    name: PersonName
    identity_number: str | None = field(default=None, repr=False)
    duty: str | None = None
    contact: Contact | None = None


@dataclass(frozen=True)
class LegalEntity:
    """A company or other body outside the state organisation."""

    identifier: Identifier
    name: str | None = None
    contact: Contact | None = None


Party = Organisation | Person | LegalEntity


@dataclass(frozen=True)
class Distribution:
    """One recipient of the letter and what is asked of it."""

    recipient: Party | None
    urgency: Urgency | None = Urgency.NORMAL
    purpose: Purpose | None = Purpose.ACTION
    term: str | None = None
    """An xsd:duration such as ``P3D``; required with ``Urgency.TIMED``."""
    withheld_annexes: tuple[str, ...] | None = None
    """Ids of annexes this recipient does not get; None when the letter has no such list."""


@dataclass(frozen=True)
class AnnexDigest:
    """Digest of an annex that lies elsewhere."""

    algorithm: str | None
    value: bytes | None


@dataclass(frozen=True)
class Annex:
    """One annex as the metadata describes it."""

    id: str
    kind: AnnexKind | None
    order: int | None
    file_name: str | None = None
    media_type: str | None = None
    name: str | None = None
    description: str | None = None
    document_no: str | None = None
    uri: str | None = None
    local_id: Identifier | None = None
    signed: bool | None = None
    digest: AnnexDigest | None = None
    is_document_id: bool = False
    """Whether ``id`` is the document id of another e-Yazışma letter."""


@dataclass(frozen=True)
class Reference:
    """An earlier document this letter refers to (ilgi)."""

    id: str
    label: str
    name: str | None = None
    document_no: str | None = None
    date: datetime | None = None
    annex_id: str | None = None
    description: str | None = None
    local_id: Identifier | None = None
    is_document_id: bool = False


@dataclass(frozen=True)
class FilePlanCode:
    """A code of the standard file plan."""

    code: str
    name: str
    description: str | None = None


@dataclass(frozen=True)
class ServiceCode:
    """A code of the state's service inventory (HEYS)."""

    code: int | None
    name: str
    definition: str | None = None


@dataclass(frozen=True)
class Metadata:
    """The letter's metadata (üstveri). ``document_no`` and ``date`` stand here only in 1.x."""

    document_id: str
    subject: str
    security_code: SecurityCode | None
    originator: Party | None
    distributions: tuple[Distribution, ...]
    cover_letter_file_name: str
    media_type: str | None = None
    verification_address: str | None = None
    annexes: tuple[Annex, ...] = ()
    references: tuple[Reference, ...] = ()
    related_parties: tuple[Party, ...] = ()
    language: str | None = None
    local_id: Identifier | None = None
    security_code_valid_until: datetime | None = None
    file_plan: FilePlanCode | None = None
    other_file_plans: tuple[FilePlanCode, ...] = ()
    service_codes: tuple[ServiceCode, ...] = ()
    document_no: str | None = None
    date: datetime | None = None


@dataclass(frozen=True)
class Signatory:
    """Who signed, as the originator's system states it; the certificate is the proof, not this."""

    person: Person | None
    delegated_by: Person | None = None
    acting_for: Person | None = None
    office: str | None = None
    purpose: str | None = None
    note: str | None = None
    signed_at: datetime | None = None
    legacy_number: str | None = field(default=None, repr=False)
    """Retired field of 1.x; it names a person and never appears in ``repr``."""


@dataclass(frozen=True)
class FinalMetadata:
    """What is known only once the letter is signed: number, date, signers (v1: its signer list)."""

    document_no: str | None
    date: datetime | None
    signatories: tuple[Signatory, ...]


@dataclass(frozen=True)
class CoreProperties:
    """The OPC core properties that matter here; all texts as written."""

    identifier: str | None = None
    subject: str | None = None
    creator: str | None = None
    created: datetime | None = None
    category: str | None = None
    content_type: str | None = None
    version: str | None = None
    revision: str | None = None


class ManifestKind(StrEnum):
    """The digest manifests: over the content, what was initialled, everything; over an update package."""

    PACKAGE = "package-digest"
    INITIALS = "initials-digest"
    FINAL = "final-digest"
    UPDATE = "update-digest"


@dataclass(frozen=True)
class EntryDigest:
    """One digest of a manifest entry, as written: algorithm URI and raw value."""

    algorithm: str | None
    value: bytes | None


@dataclass(frozen=True)
class ManifestEntry:
    """One covered part; ``internal`` is None when its type attribute is missing or unknown."""

    uri: str | None
    internal: bool | None
    digests: tuple[EntryDigest, ...]


@dataclass(frozen=True)
class Manifest:
    """A digest manifest (özet)."""

    document_id: str | None
    entries: tuple[ManifestEntry, ...]


@dataclass(frozen=True)
class Part:
    """One part of the package; ``sha256`` is None if its bytes could not be read."""

    name: str
    content_type: str | None
    size: int
    sha256: str | None


class SignatureKind(StrEnum):
    """Electronic signature, initials of those who prepared the letter, institution's seal."""

    SIGNATURE = "signature"
    INITIALS = "initials"
    SEAL = "seal"


@dataclass(frozen=True)
class SignatureComponent:
    """A CMS file and the part whose exact bytes it must carry as its content."""

    kind: SignatureKind
    part_name: str
    covered_part_name: str
