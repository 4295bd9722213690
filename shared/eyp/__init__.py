"""The e-Yazışma package codec: reading, judging and writing .eyp (and reading .eyps, .eypg) of 1.x and 2.x.

``inspect`` reads and judges any package; ``Container`` gives access to its parts; ``PackageDraft``
starts writing one, ``OlderDraft`` one of 1.3. Everything here is pure: bytes and files in, typed
objects out; no clock, no network.
"""

from shared.eyp.container import Container, Entry
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.findings import INTEROP, STRICT, Finding, Profile, Severity
from shared.eyp.inspection import Inspection, inspect
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
from shared.eyp.writer import FinishedPackage, PackageDraft, PartSource, SignedPackage, UnsealedPackage
from shared.eyp.writer_older import OlderDraft, OlderSigned, OlderUnsealed

__all__ = [
    "DEFAULT_LIMITS",
    "INTEROP",
    "STRICT",
    "Annex",
    "AnnexDigest",
    "AnnexKind",
    "Contact",
    "Container",
    "CoreProperties",
    "DigestAlgorithm",
    "Distribution",
    "Entry",
    "FilePlanCode",
    "FinalMetadata",
    "Finding",
    "FinishedPackage",
    "Generation",
    "Identifier",
    "Inspection",
    "LegalEntity",
    "Limits",
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
    "Reference",
    "SecurityCode",
    "ServiceCode",
    "Severity",
    "Signatory",
    "SignatureComponent",
    "SignatureKind",
    "SignedPackage",
    "UnsealedPackage",
    "Urgency",
    "inspect",
]
