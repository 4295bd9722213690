"""The e-Yazışma package codec: reading, judging and writing .eyp, .eyps and .eypg of 1.x and 2.x.

``inspect`` reads and judges any package, ``inspect_decrypted`` an encrypted one together with what
came out of it; ``Container`` gives access to its parts. ``PackageDraft`` starts writing a letter,
``OlderDraft`` one of 1.3, ``UnsealedUpdate`` an update; ``EncryptedPackage`` goes around an envelope.
Everything here is pure: bytes and files in, typed objects out; no clock, no network.
"""

from shared.eyp.checks.signers import LEVELS, ReadSignature, judge_signers
from shared.eyp.confidentiality import EmbeddedPackage, degrees_inside, embedded_packages, stated_degree
from shared.eyp.container import Container, Entry
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.findings import INTEROP, STRICT, Finding, Profile, Severity
from shared.eyp.inspection import Inspection, ManifestSummary
from shared.eyp.judging import inspect, inspect_decrypted, opened
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.model import (
    Annex,
    AnnexDigest,
    AnnexKind,
    Contact,
    CoreProperties,
    Distribution,
    FilePlanCode,
    FinalMetadata,
    Generation,
    Identifier,
    LegalEntity,
    ManifestKind,
    Metadata,
    Organisation,
    PackageKind,
    PackageVersion,
    Part,
    Party,
    Person,
    PersonName,
    Purpose,
    Reference,
    SecurityCode,
    ServiceCode,
    Signatory,
    SignatureComponent,
    SignatureKind,
    Urgency,
)
from shared.eyp.notes import DegreeChange, EncryptionNote, UpdateNote
from shared.eyp.writer import FinishedPackage, PackageDraft, PartSource, SignedPackage, UnsealedPackage
from shared.eyp.writer_encrypted import EncryptedPackage
from shared.eyp.writer_older import OlderDraft, OlderSigned, OlderUnsealed
from shared.eyp.writer_update import FinishedUpdate, UnsealedUpdate

__all__ = [
    "DEFAULT_LIMITS",
    "INTEROP",
    "LEVELS",
    "STRICT",
    "Annex",
    "AnnexDigest",
    "AnnexKind",
    "Contact",
    "Container",
    "CoreProperties",
    "DegreeChange",
    "DigestAlgorithm",
    "Distribution",
    "EmbeddedPackage",
    "EncryptedPackage",
    "EncryptionNote",
    "Entry",
    "FilePlanCode",
    "FinalMetadata",
    "Finding",
    "FinishedPackage",
    "FinishedUpdate",
    "Generation",
    "Identifier",
    "Inspection",
    "LegalEntity",
    "Limits",
    "ManifestKind",
    "ManifestSummary",
    "Metadata",
    "OlderDraft",
    "OlderSigned",
    "OlderUnsealed",
    "Organisation",
    "PackageDraft",
    "PackageKind",
    "PackageVersion",
    "Part",
    "PartSource",
    "Party",
    "Person",
    "PersonName",
    "Profile",
    "Purpose",
    "ReadSignature",
    "Reference",
    "SecurityCode",
    "ServiceCode",
    "Severity",
    "Signatory",
    "SignatureComponent",
    "SignatureKind",
    "SignedPackage",
    "UnsealedPackage",
    "UnsealedUpdate",
    "UpdateNote",
    "Urgency",
    "degrees_inside",
    "embedded_packages",
    "inspect",
    "inspect_decrypted",
    "judge_signers",
    "opened",
    "stated_degree",
]
