"""What an inspection of a package tells a client."""

from __future__ import annotations

from datetime import datetime

from services.gateway.schemas.text import Body
from shared.contracts.inbound import ComponentVerification, PackageFinding
from shared.domain.verdict import Conclusion
from shared.eyp import Inspection, Organisation, Party
from shared.eyp.model import LegalEntity, Person


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
    conclusion: Conclusion | None
    """Of all signatures together; None when there is none or none could be verified."""


def describe_package(
    inspection: Inspection,
    *,
    sha256: str,
    size: int,
    findings: list[PackageFinding],
    signatures: list[SignatureAnswer],
    conclusion: Conclusion | None,
) -> PackageInspection:
    """An inspection as clients see it."""
    metadata = inspection.metadata
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
        distributions=[
            DistributionAnswer(
                recipient=_party(item.recipient),
                urgency=item.urgency.value if item.urgency else None,
                purpose=item.purpose.value if item.purpose else None,
            )
            for item in (metadata.distributions if metadata else ())
        ],
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
        findings=findings,
        findings_suppressed=inspection.findings_suppressed,
        signatures=signatures,
        conclusion=conclusion,
    )


def _party(party: Party | None) -> PartyAnswer | None:
    if isinstance(party, Organisation):
        return PartyAnswer(kind="organisation", name=party.name, number=party.number)
    if isinstance(party, Person):
        full = " ".join(step for step in (party.name.first, party.name.middle, party.name.last) if step)
        return PartyAnswer(kind="person", name=full, number=None)
    if isinstance(party, LegalEntity):
        return PartyAnswer(kind="legal-entity", name=party.name, number=party.identifier.value)
    return None
