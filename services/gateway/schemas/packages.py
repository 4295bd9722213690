"""What an inspection of a package tells a client."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from services.gateway.schemas.text import Body
from services.gateway.signers import signer_findings
from shared.contracts.inbound import ComponentVerification, PackageFinding
from shared.domain.verdict import Conclusion, worst
from shared.eyp import INTEROP, STRICT, Finding, Inspection, Organisation, Party, SignatureKind
from shared.eyp.model import LegalEntity, Person


class ProfileName(StrEnum):
    """Which weights findings are given: every rule its own, or those for what other software writes."""

    STRICT = "strict"
    INTEROP = "interop"


class OpeningOutcome(StrEnum):
    """What became of the envelope of an encrypted package."""

    OPENED = "opened"
    NOT_ASKED = "not-asked"
    """The API key is bound to several institutions, and none was named."""
    NO_KEY = "no-key"
    """The gateway holds no decryption key of the institution."""
    UNAVAILABLE = "unavailable"
    """The signature service could not be asked."""
    NOT_AN_ENVELOPE = "not-an-envelope"
    MALFORMED = "malformed"
    ALGORITHM_REFUSED = "algorithm-refused"
    NOT_A_RECIPIENT = "not-a-recipient"
    """It is encrypted for others."""
    CANNOT_BE_OPENED = "cannot-be-opened"
    """Wrong key, changed bytes or no package inside: which of them is not told."""


class PackagePartAnswer(Body):
    """One file inside the package."""

    name: str
    content_type: str | None
    size: int
    """In bytes, uncompressed."""
    sha256: str | None
    """None when its bytes could not be read."""


class PartyAnswer(Body):
    """A sender or recipient as the package names it. Natural persons' numbers are left out."""

    kind: str
    """``organisation``, ``person`` or ``legal-entity``."""
    name: str | None
    number: str | None
    """DETSİS or register number, as written."""


class DistributionAnswer(Body):
    """One recipient named in the letter and what is asked of it."""

    recipient: PartyAnswer | None
    urgency: str | None
    purpose: str | None


class AnnexAnswer(Body):
    """One annex as the metadata describes it."""

    id: str
    kind: str | None
    file_name: str | None
    name: str | None


class SignatureAnswer(Body):
    """One signature, initials or seal inside the package."""

    kind: str
    """``signature``, ``initials`` or ``seal``."""
    part: str
    covers: str
    """The part whose bytes it must carry."""
    verification: ComponentVerification | None
    """None when the signature service could not be asked."""
    unavailable: str | None
    """Why there is no verification: a problem code."""


class DigestAnswer(Body):
    """One digest manifest of the package."""

    kind: str
    """``package-digest``, ``initials-digest``, ``final-digest`` or ``update-digest``."""
    part: str
    references: int
    """How many parts it names."""
    mismatches: list[str]
    """Those of them whose bytes differ from their digest."""


class UpdateAnswer(Body):
    """One change that an update package makes."""

    security_code: str | None
    """The new degree of confidentiality; None when it is not understood."""
    changed_at: datetime | None
    explanation: str | None
    decision_document_no: str | None
    """Number of the commission's decision."""
    decision_document_id: str | None


class InspectionOptions(Body):
    """The plain fields of an inspection form."""

    profile: ProfileName = ProfileName.INTEROP
    recipient: str | None = Field(default=None, max_length=50)
    """Number of the one this copy is for: annexes withheld from it may be absent."""
    institution: int | None = Field(default=None, ge=10_000_000, le=99_999_999)
    """Whose key opens an encrypted package."""
    levels: bool = False
    """Whether the levels of signatures are judged as well."""


class PackageInspection(Body):
    """What a package is, what it says, what is wrong with it and what its signatures are worth."""

    sha256: str
    size: int
    kind: str
    """``plain`` (.eyp), ``encrypted`` (.eyps) or ``update`` (.eypg)."""
    version: str | None
    acceptable: bool
    """No fatal finding; says nothing about the signatures."""
    profile: str
    """Which weights the findings were given."""
    document_id: str | None
    document_no: str | None
    subject: str | None
    date: datetime | None
    security_code: str | None
    """The degree of confidentiality in force: the outermost update's, else the letter's own."""
    originator: PartyAnswer | None
    distributions: list[DistributionAnswer]
    annexes: list[AnnexAnswer]
    cover_letter: str | None
    """Part name of the cover letter."""
    parts: list[PackagePartAnswer]
    findings: list[PackageFinding]
    """Worst first."""
    findings_suppressed: int
    """How many more of the same kinds were only counted."""
    signatures: list[SignatureAnswer]
    signer_findings: list[PackageFinding]
    """What the signers' certificates say against the package's own words, worst first: who signed, when, whose seal it
    is; with `levels` also signatures below the level the profiles ask for. They change neither ``acceptable`` nor
    ``conclusion``."""
    conclusion: Conclusion | None
    """Of all signatures together, those inside included; None when there is none or none could be verified."""
    digests: list[DigestAnswer]
    encrypted_content: str | None
    """Part name of the CMS envelope in an encrypted package."""
    opening: OpeningOutcome | None
    """What became of that envelope; None for packages that are not encrypted."""
    updates: list[UpdateAnswer]
    inner: PackageInspection | None
    """The package that an update is about, or the one in an opened envelope, in the same form."""


def describe_package(
    inspection: Inspection,
    *,
    sha256: str,
    size: int,
    signatures: Sequence[Sequence[SignatureAnswer]],
    opening: OpeningOutcome | None = None,
    inside: tuple[str, int] | None = None,
    levels: bool = False,
) -> PackageInspection:
    """An inspection as clients see it; ``signatures`` are those of the package, then those of each one further in.

    ``inside``: SHA-256 and size of what was decrypted. ``levels``: judge the levels of signatures, too.
    """
    metadata = inspection.metadata
    own, further = (signatures[0], signatures[1:]) if signatures else ((), ())
    inner = _inner(inspection, further, inside, levels=levels)
    verdicts = [item.verification.report.conclusion for item in own if item.verification]
    verdicts += [inner.conclusion] if inner and inner.conclusion else []
    return PackageInspection(
        sha256=sha256,
        size=size,
        kind=inspection.kind.value,
        version=str(inspection.version) if inspection.version else None,
        acceptable=inspection.acceptable,
        profile=inspection.profile,
        document_id=inspection.document_id,
        document_no=inspection.document_no,
        subject=inspection.subject,
        date=inspection.final_metadata.date if inspection.final_metadata else None,
        security_code=inspection.security_code.value if inspection.security_code else None,
        originator=_party(metadata.originator) if metadata else None,
        distributions=_distributions(inspection),
        annexes=[
            AnnexAnswer(
                id=annex.id, kind=annex.kind.value if annex.kind else None, file_name=annex.file_name, name=annex.name
            )
            for annex in (metadata.annexes if metadata else ())
        ],
        cover_letter=inspection.cover_letter,
        parts=[
            PackagePartAnswer(name=part.name, content_type=part.content_type, size=part.size, sha256=part.sha256)
            for part in inspection.parts
        ],
        findings=public_findings(inspection),
        findings_suppressed=inspection.findings_suppressed,
        signatures=list(own),
        signer_findings=_signer_findings(inspection, own, levels=levels),
        conclusion=worst(verdicts) if verdicts else None,
        digests=[
            DigestAnswer(
                kind=item.kind.value, part=item.part, references=item.references, mismatches=list(item.mismatches)
            )
            for item in inspection.manifests
        ],
        encrypted_content=inspection.encrypted_content,
        opening=opening,
        updates=_updates(inspection),
        inner=inner,
    )


def public_findings(inspection: Inspection) -> list[PackageFinding]:
    """The findings as callers see them."""
    return [public_finding(finding) for finding in inspection.findings]


def public_finding(finding: Finding) -> PackageFinding:
    """One finding as callers see it."""
    return PackageFinding(
        rule=finding.key, severity=finding.severity.value, part=finding.part, code=finding.code,
        message_tr=finding.message_tr, message_en=finding.message_en,
    )  # fmt: skip


def _signer_findings(
    inspection: Inspection, answers: Sequence[SignatureAnswer], *, levels: bool
) -> list[PackageFinding]:
    verified = [
        (SignatureKind(item.kind), item.part, item.verification.report)
        for item in answers
        if item.verification is not None
    ]
    profile = STRICT if inspection.profile == STRICT.name else INTEROP
    return [public_finding(item) for item in signer_findings(inspection, verified, profile, levels=levels)]


def _inner(
    inspection: Inspection,
    signatures: Sequence[Sequence[SignatureAnswer]],
    decrypted: tuple[str, int] | None,
    *,
    levels: bool,
) -> PackageInspection | None:
    """What lies inside: a part of an update, or a file of its own that was decrypted."""
    part = next((part for part in inspection.parts if part.name == inspection.original_package), None)
    inside = decrypted if part is None else (part.sha256 or "", part.size)
    if inspection.inner is None or inside is None:
        return None
    sha256, size = inside
    return describe_package(inspection.inner, sha256=sha256, size=size, signatures=signatures, levels=levels)


def _updates(inspection: Inspection) -> list[UpdateAnswer]:
    return [
        UpdateAnswer(
            security_code=change.new_degree.value if change.new_degree else None,
            changed_at=change.changed_at,
            explanation=change.explanation,
            decision_document_no=change.decision_document_no,
            decision_document_id=change.decision_document_id,
        )
        for change in (inspection.update.degree_changes if inspection.update else ())
    ]


def _distributions(inspection: Inspection) -> list[DistributionAnswer]:
    if inspection.metadata is None:
        return [
            DistributionAnswer(recipient=_party(party), urgency=None, purpose=None) for party in inspection.destinations
        ]
    return [
        DistributionAnswer(
            recipient=_party(item.recipient),
            urgency=item.urgency.value if item.urgency else None,
            purpose=item.purpose.value if item.purpose else None,
        )
        for item in inspection.metadata.distributions
    ]


def _party(party: Party | None) -> PartyAnswer | None:
    if isinstance(party, Organisation):
        return PartyAnswer(kind="organisation", name=party.name, number=party.number)
    if isinstance(party, Person):
        full = " ".join(step for step in (party.name.first, party.name.middle, party.name.last) if step)
        return PartyAnswer(kind="person", name=full, number=None)
    if isinstance(party, LegalEntity):
        return PartyAnswer(kind="legal-entity", name=party.name, number=party.identifier.value)
    return None
