"""What a client is told about a package under way. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from services.gateway.drafts.rows import Draft
from services.gateway.drafts.signing import SignatureCheck
from services.gateway.drafts.stages import (
    COVER_LETTER,
    OLDER_VERSION,
    ORIGINAL,
    UpdateOrder,
    annex_file,
    wanted_files,
)
from services.gateway.schemas.drafts import (
    DraftEvent,
    DraftFile,
    DraftKind,
    DraftSignature,
    DraftState,
    FilledValue,
    FinishedFile,
    NextStep,
    PackageDraftAnswer,
    PackageDraftSummary,
    SigningStep,
    ToBeSigned,
)
from services.gateway.tables import PackageDraft, PackageDraftEvent
from shared.contracts.inbound import PackageFinding
from shared.eyp import AnnexKind


def missing_files(draft: Draft) -> list[str]:
    """Names of the files it still needs."""
    return [name for name in wanted_files(draft.request) if name not in draft.files]


def open_steps(draft: Draft) -> tuple[SigningStep, ...]:
    """What can be signed now."""
    match draft.state:
        case DraftState.DRAFT | DraftState.INITIALLED if not missing_files(draft):
            initials = () if draft.row.package_version == OLDER_VERSION else (SigningStep.INITIALS,)
            return (*initials, SigningStep.SIGNATURE)
        case DraftState.SIGNED:
            return (SigningStep.SIGNATURE,)
        case DraftState.UNSEALED:
            return (SigningStep.SEAL,)
        case _:
            return ()


def next_steps(draft: Draft) -> list[NextStep]:
    """What comes next."""
    if draft.state is DraftState.DRAFT and (missing := missing_files(draft)):
        cover = [NextStep.COVER_LETTER] if COVER_LETTER in missing else []
        return cover + [NextStep.ANNEX_CONTENT] * (len(missing) > len(cover))
    signing = [NextStep(step) for step in reversed(open_steps(draft))]
    return [NextStep.FINAL_METADATA, *signing] if draft.state is DraftState.SIGNED else signing


def document_id_of(draft_row: PackageDraft) -> str:
    """A letter's own id; of an update the package's."""
    if draft_row.kind == DraftKind.LETTER:
        return str(draft_row.request["document_id"]).upper()
    return str(draft_row.package_id).upper()


def file_name_of(draft_row: PackageDraft) -> str:
    """The name the finished file has (R.19)."""
    return f"{document_id_of(draft_row)}.{'eyp' if draft_row.kind == DraftKind.LETTER else 'eypg'}"


def summary(row: PackageDraft) -> PackageDraftSummary:
    """A package in a list."""
    wording = row.request if row.kind == DraftKind.LETTER else row.request["body"]
    return PackageDraftSummary(
        package_id=row.package_id,
        institution_no=row.institution_no,
        kind=DraftKind(row.kind),
        state=DraftState(row.state),
        version=row.package_version,
        document_id=document_id_of(row),
        subject=wording["subject"],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def answer(draft: Draft, history: Iterable[PackageDraftEvent], signing: list[ToBeSigned]) -> PackageDraftAnswer:
    """Everything about it."""
    row = draft.row
    finished = None
    if row.package_sha256 is not None:
        finished = FinishedFile(file_name=file_name_of(row), sha256=row.package_sha256, size=row.package_size or 0)
    return PackageDraftAnswer(
        **summary(row).model_dump(),
        version_reason=row.version_reason,
        files=_files(draft),
        next=next_steps(draft),
        to_be_signed=signing,
        signatures=_signatures(draft),
        findings=[PackageFinding.model_validate(item) for item in row.findings],
        filled=[FilledValue.model_validate(item) for item in row.filled],
        package=finished,
        history=[
            DraftEvent(
                sequence=item.sequence, at=item.at, client_id=item.client_id, kind=item.kind,
                state=DraftState(item.state), sha256=item.sha256, detail=item.detail,
            )
            for item in history
        ],
    )  # fmt: skip


def _files(draft: Draft) -> list[DraftFile]:
    request = draft.request
    if isinstance(request, UpdateOrder):
        return [_file(draft, ORIGINAL, ORIGINAL, None, None, None)]
    cover = request.cover_letter
    listed = [_file(draft, COVER_LETTER, COVER_LETTER, None, cover.file_name, cover.media_type)]
    listed += [
        _file(draft, annex_file(annex.id), "annex", annex.id, annex.file_name, annex.media_type)
        for annex in request.annexes
        if annex.kind is AnnexKind.FILE and annex.id is not None
    ]
    return listed


def _file(
    draft: Draft, key: str, name: str, annex_id: UUID | None, file_name: str | None, media_type: str | None
) -> DraftFile:
    there = draft.files.get(key)
    return DraftFile(
        name=name, annex_id=annex_id, file_name=file_name, media_type=media_type, present=there is not None,
        sha256=there.sha256 if there else None, size=there.size if there else None,
    )  # fmt: skip


def _signatures(draft: Draft) -> list[DraftSignature]:
    listed = []
    for step in SigningStep:
        file = draft.files.get(step.value)
        if file is None:
            continue
        check = SignatureCheck.model_validate(file.checked or {})
        listed.append(
            DraftSignature(
                step=step, sha256=file.sha256, conclusion=check.report.conclusion if check.report else None,
                report=check.report, unavailable=check.unavailable,
            )
        )  # fmt: skip
    return listed
