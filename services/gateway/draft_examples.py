"""Examples of packages under way for the OpenAPI document. Made-up institutions and people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.gateway.schemas.correspondence import CorrespondenceBody
from services.gateway.schemas.drafts import (
    DraftEvent,
    DraftFile,
    DraftKind,
    DraftSignature,
    DraftState,
    FilledValue,
    FinalMetadataBody,
    FinishedFile,
    MetadataBody,
    NextStep,
    PackageBody,
    PackageDraftAnswer,
    PackageDraftPage,
    PackageDraftSummary,
    PackageUpdateBody,
    SealBody,
    SigningStep,
    ToBeSigned,
)
from services.gateway.schemas.letters import (
    LetterAnnex,
    LetterDistribution,
    LetterMetadata,
    LetterSignature,
    OrganisationParty,
    PersonParty,
)
from shared.domain.verdict import Conclusion
from shared.eyp import AnnexKind, SecurityCode

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_PACKAGE = UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f")
_UPDATE = UUID("0195578f-4c10-7a22-8d31-7e6f5a4b3c2d")
_DOCUMENT = UUID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
_DECISION = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
_ANNEX = UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_SHA384 = "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"
_SHA512 = (
    "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db2"
    "7ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad8e6f57f50028a8ff"
)
_SENDER, _ADDRESSEE = 10000001, 10000002

_LETTER = LetterMetadata(
    subject="Bilgi talebi", security_code=SecurityCode.UNCLASSIFIED,
    distributions=[LetterDistribution(recipient=OrganisationParty(detsis_no=_ADDRESSEE))],
    annexes=[
        LetterAnnex(kind=AnnexKind.FILE, id=_ANNEX, file_name="liste.csv", media_type="text/csv", name="Liste")
    ],
    verification_address="https://dogrulama.example.org",
)  # fmt: skip
_ASKED = CorrespondenceBody(institution_no=_SENDER, recipients=[_ADDRESSEE])
BEGINNING = PackageBody(institution_no=_SENDER, version="auto", metadata=_LETTER, correspondence=_ASKED)
METADATA = MetadataBody(metadata=_LETTER, correspondence=_ASKED)
FINAL = FinalMetadataBody(
    document_no="E-10000001-100-4711", date=_NOW,
    signatories=[
        LetterSignature(
            person=PersonParty(first_name="ÖRNEK", last_name="KİŞİ", duty="Genel Müdür"), office="Genel Müdür",
            signed_at=_NOW,
        )
    ],
)  # fmt: skip
SEAL = SealBody(key_id="ornek-bakanligi-muhur")
UPDATE_BEGINNING = PackageUpdateBody(
    institution_no=_SENDER, subject="Gizlilik derecesi değişikliği", new_degree=SecurityCode.UNCLASSIFIED,
    changed_at=_NOW, explanation="Gizlilik gerekçesi ortadan kalkmıştır.", decision_document_no="E-10000001-020-15",
    decision_document_id=_DECISION,
)  # fmt: skip

_COVER = DraftFile(
    name="cover-letter", file_name="ustyazi.pdf", media_type="application/pdf", present=False, sha256=None, size=None
)
_LIST = DraftFile(
    name="annex", annex_id=_ANNEX, file_name="liste.csv", media_type="text/csv", present=False, sha256=None, size=None
)
_EVENTS = [
    DraftEvent(
        sequence=1, at=_NOW, client_id="ornek-ebys", kind="created", state=DraftState.DRAFT, sha256=None,
        detail={"version": "2.0"},
    ),
    DraftEvent(
        sequence=2, at=_NOW, client_id="ornek-ebys", kind="file", state=DraftState.DRAFT, sha256=_SHA256,
        detail={"file": "cover-letter", "size": "41200"},
    ),
    DraftEvent(
        sequence=3, at=_NOW, client_id="ornek-ebys", kind="file", state=DraftState.DRAFT, sha256=_SHA256,
        detail={"file": f"annex:{str(_ANNEX).upper()}", "size": "812"},
    ),
    DraftEvent(
        sequence=4, at=_NOW, client_id="ornek-ebys", kind="signature", state=DraftState.SIGNED, sha256=_SHA256,
        detail={"conclusion": "passed"},
    ),
    DraftEvent(
        sequence=5, at=_NOW, client_id="ornek-ebys", kind="final-metadata", state=DraftState.UNSEALED, sha256=None,
        detail={"document_no": "E-10000001-100-4711"},
    ),
    DraftEvent(
        sequence=6, at=_NOW, client_id="ornek-ebys", kind="finished", state=DraftState.FINISHED, sha256=_SHA256,
        detail={"seal_sha256": _SHA256, "conclusion": "passed"},
    ),
]  # fmt: skip


def _to_be_signed(step: SigningStep) -> ToBeSigned:
    return ToBeSigned(step=step, size=2914, sha256=_SHA256, sha384=_SHA384, sha512=_SHA512)


BEGUN = PackageDraftAnswer(
    package_id=_PACKAGE, institution_no=_SENDER, kind=DraftKind.LETTER, state=DraftState.DRAFT, version="2.0",
    version_reason=f"{_ADDRESSEE} reads up to 2.0", document_id=str(_DOCUMENT).upper(), subject="Bilgi talebi",
    files=[_COVER, _LIST], next=[NextStep.COVER_LETTER, NextStep.ANNEX_CONTENT], to_be_signed=[], signatures=[],
    findings=[],
    filled=[
        FilledValue(
            pointer="/metadata/distributions/0/recipient/name", value="ÖRNEK BELEDİYE BAŞKANLIĞI", origin="mirror",
            rule="mirror.name", as_of=_NOW - timedelta(hours=8),
        )
    ],
    package=None, history=_EVENTS[:1], created_at=_NOW, updated_at=_NOW,
)  # fmt: skip
WAITING = BEGUN.model_copy(
    update={
        "files": [
            _COVER.model_copy(update={"present": True, "sha256": _SHA256, "size": 41200}),
            _LIST.model_copy(update={"present": True, "sha256": _SHA256, "size": 812}),
        ],
        "next": [NextStep.SIGNATURE, NextStep.INITIALS],
        "to_be_signed": [_to_be_signed(SigningStep.INITIALS), _to_be_signed(SigningStep.SIGNATURE)],
        "history": _EVENTS[:3],
    }
)
SIGNED = WAITING.model_copy(
    update={
        "state": DraftState.SIGNED,
        "next": [NextStep.FINAL_METADATA, NextStep.SIGNATURE],
        "to_be_signed": [_to_be_signed(SigningStep.SIGNATURE)],
        "signatures": [DraftSignature(step=SigningStep.SIGNATURE, sha256=_SHA256, conclusion=Conclusion.PASSED)],
        "history": _EVENTS[:4],
    }
)
UNSEALED = SIGNED.model_copy(
    update={
        "state": DraftState.UNSEALED, "next": [NextStep.SEAL], "to_be_signed": [_to_be_signed(SigningStep.SEAL)],
        "history": _EVENTS[:5],
    }
)  # fmt: skip
FINISHED = UNSEALED.model_copy(
    update={
        "state": DraftState.FINISHED,
        "next": [],
        "to_be_signed": [],
        "signatures": [
            *SIGNED.signatures,
            DraftSignature(step=SigningStep.SEAL, sha256=_SHA256, conclusion=Conclusion.PASSED),
        ],
        "package": FinishedFile(file_name=f"{str(_DOCUMENT).upper()}.eyp", sha256=_SHA256, size=48211),
        "history": _EVENTS,
    }
)
UPDATE_BEGUN = BEGUN.model_copy(
    update={
        "package_id": _UPDATE, "kind": DraftKind.UPDATE, "state": DraftState.UNSEALED, "version": "2.1",
        "version_reason": "update packages are of this version", "document_id": str(_UPDATE).upper(),
        "subject": UPDATE_BEGINNING.subject, "next": [NextStep.SEAL], "filled": [],
        "files": [DraftFile(name="original", present=True, sha256=_SHA256, size=48211)],
        "to_be_signed": [_to_be_signed(SigningStep.SEAL)],
        "history": [_EVENTS[0].model_copy(update={"state": DraftState.UNSEALED, "sha256": _SHA256, "detail": {}})],
    }
)  # fmt: skip
PAGE = PackageDraftPage(
    packages=[
        PackageDraftSummary.model_validate({name: getattr(SIGNED, name) for name in PackageDraftSummary.model_fields})
    ],
    next_cursor=str(_PACKAGE),
)
