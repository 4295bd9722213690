"""Packages under way: begun from metadata, filled with files, signed outside, sealed, handed out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import draft_examples as examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.downloads import Content, download
from services.gateway.draft_operations import BY_ID, ETAG, FILLING, JSON_STEP, STEP, draft_answer
from services.gateway.drafts import answers, rows
from services.gateway.drafts.beginning import Begun
from services.gateway.forms import OUTBOUND_FORM, form_document, read_json_part
from services.gateway.idempotency import read_header
from services.gateway.operations import FORM_BODY, JSON_BODY, SCOPED, operation
from services.gateway.routes.outbound import IDEMPOTENCY_KEY, KEYED
from services.gateway.schemas.drafts import (
    DraftState,
    MetadataBody,
    PackageBody,
    PackageDraftAnswer,
    PackageDraftPage,
    PackageUpdateBody,
)
from services.gateway.schemas.text import Cursor, DetsisNo
from services.gateway.uploads import FieldPart, FilePart, receive_form
from shared.errors import DomainError, ErrorCode, Fault

router = APIRouter(prefix="/v1", tags=["Package drafts"])

_MEDIA_TYPE = "application/eyazisma"
_CREATED = {**ETAG, "Location": "The package's resource.", "Idempotency-Replayed": "`true` when answered before."}
_IF_MATCH: dict[str, Any] = {
    "name": "If-Match", "in": "header", "required": True, "schema": {"type": "string", "maxLength": 100},
    "description": "The ETag of the package as you have read it.", "example": '"3"',
}  # fmt: skip


@router.post(
    "/packages",
    status_code=201,
    response_model=PackageDraftAnswer,
    operation_id="beginPackage",
    summary="Begin a package",
    **operation(
        Scope.PACKAGES_WRITE, status=201, request=examples.BEGINNING, answer=examples.BEGUN, headers=_CREATED,
        problems=(*JSON_BODY, *SCOPED, *KEYED, *FILLING),
        extra={"parameters": [IDEMPOTENCY_KEY]},
    ),
)  # fmt: skip
async def begin(request: Request, body: PackageBody, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Begin an e-Yazışma package from what the letter says; its files and signatures follow, `next` says which.

    With `correspondence` the data of the letter (EK-3/4) fills what you leave empty: originator, recipients with their
    names, addresses and KEP addresses. What you write always stays; `filled` names every value taken and its source.
    Version `auto` is decided by what the recipients read according to DETSİS; `version_reason` says how.

    The order: `cover-letter` and every annex's `content`; initials, if any; the signature, by one signer after another;
    `final-metadata`; the seal. Between two calls as much time may pass as people need; after 90 days (or as the
    operator set) without any step a package that is not finished is discarded.
    """
    key = read_header(request.headers.get("idempotency-key"))
    return await _created(request, await gateway.beginnings.letter(caller, key, body))


@router.post(
    "/package-updates",
    status_code=201,
    response_model=PackageDraftAnswer,
    operation_id="beginPackageUpdate",
    summary="Begin an update package",
    **operation(
        Scope.PACKAGES_WRITE, status=201, answer=examples.UPDATE_BEGUN, headers=_CREATED,
        problems=(*FORM_BODY, *SCOPED, *KEYED, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID),
        extra={
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": form_document(PackageUpdateBody, examples.UPDATE_BEGINNING),
        },
    ),
)  # fmt: skip
async def begin_update(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Begin an update package (.eypg): a new degree of confidentiality for a letter that is sealed already.

    The original, a plain or an update package, goes in byte for byte. What follows is the seal.
    """
    key = read_header(request.headers.get("idempotency-key"))
    parts: dict[str, FieldPart | FilePart] = {**OUTBOUND_FORM, "package": FilePart(gateway.max_package_bytes)}
    async with receive_form(request, parts, gateway.spool) as form:
        message = read_json_part(PackageUpdateBody, "message", form.fields["message"])
        begun = await gateway.beginnings.update(caller, key, message, form.files["package"])
    return await _created(request, begun)


@router.get(
    "/packages",
    operation_id="listPackages",
    summary="List packages under way",
    **operation(Scope.PACKAGES_WRITE, answer=examples.PAGE, problems=(*SCOPED, ErrorCode.VALIDATION_FAILED)),
)
async def list_packages(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only packages of this institution.")] = None,
    state: Annotated[list[DraftState] | None, Query(max_length=10, description="Only in one of these states.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many packages.")] = 50,
) -> PackageDraftPage:
    """The packages of the caller's institutions, newest first."""
    try:
        before = UUID(cursor) if cursor is not None else None
    except ValueError:
        fault = Fault("/query/cursor", "is no cursor of this list")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the cursor is malformed", faults=[fault]) from None
    found = await rows.page(gateway.database, caller.visible(institution), state or (), before, limit + 1)
    listed = [answers.summary(row) for row in found[:limit]]
    return PackageDraftPage(packages=listed, next_cursor=str(listed[-1].package_id) if len(found) > limit else None)


@router.get(
    "/packages/{package_id}",
    response_model=PackageDraftAnswer,
    operation_id="getPackage",
    summary="Read a package under way",
    **operation(
        Scope.PACKAGES_WRITE, answer=examples.WAITING, problems=BY_ID, headers=ETAG,
        others={304: "Unchanged since the ETag in If-None-Match."},
    ),
)  # fmt: skip
async def get_package(request: Request, package_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """State, files wanted and present, what comes next and what can be signed now, verdicts, findings and history."""
    return await draft_answer(request, gateway.drafts, await gateway.drafts.find(caller, package_id))


@router.put(
    "/packages/{package_id}/metadata",
    response_model=PackageDraftAnswer,
    operation_id="putPackageMetadata",
    summary="Replace what a package says",
    **operation(
        Scope.PACKAGES_WRITE, request=examples.METADATA, answer=examples.BEGUN, headers=ETAG,
        problems=(*JSON_STEP, *FILLING), extra={"parameters": [_IF_MATCH]},
    ),
)  # fmt: skip
async def put_metadata(
    request: Request, package_id: UUID, body: MetadataBody, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """Write the metadata anew while nobody has initialled or signed; needs the `ETag` you have read in `If-Match`.

    The files of annexes that are no longer named go; the version stays.
    """
    asked = (request.headers.get("if-match") or "").strip()
    number = asked.strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        fault = Fault("/header/If-Match", "required: the ETag of the package as you have read it")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the change must say what it is based on", faults=[fault])
    return await draft_answer(
        request, gateway.drafts, await gateway.beginnings.put_metadata(caller, package_id, int(number), body)
    )


@router.head("/packages/{package_id}/content", include_in_schema=False)
@router.get(
    "/packages/{package_id}/content",
    response_class=Response,
    operation_id="getPackageContent",
    summary="Download the finished package",
    **operation(
        Scope.PACKAGES_WRITE, problems=(*STEP, ErrorCode.RANGE_INVALID), binary=(_MEDIA_TYPE,),
        headers={"ETag": "The content's SHA-256.", "Content-Disposition": "The file name it must keep.",
                 "Repr-Digest": "RFC 9530.", "Accept-Ranges": "`bytes`."},
        others={206: "The range asked for.", 304: "Unchanged since the ETag in If-None-Match."},
    ),
)  # fmt: skip
async def get_content(
    request: Request,
    package_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    recipient: Annotated[
        str | None,
        Query(
            max_length=50,
            pattern=r"^[0-9A-Za-z-]+$",
            description="Number of a recipient: its copy, without the annexes withheld from it.",
        ),
    ] = None,
) -> Response:
    """The sealed file, byte for byte; or the copy one recipient may get."""
    caller.require([Scope.PACKAGES_WRITE])  # the HEAD route declares nothing of its own
    draft = await gateway.drafts.find(caller, package_id)
    found = await gateway.finishing.content(draft, recipient)
    content = Content(answers.file_name_of(draft.row), found.sha256, found.size, _MEDIA_TYPE, ranges=True)

    @asynccontextmanager
    async def source(start: int, end: int | None) -> AsyncIterator[_Blob]:
        yield _Blob(gateway.drafts.blobs.stream(found.sha256, start=start, end=end))

    return download(request, content, source)


@router.delete(
    "/packages/{package_id}",
    status_code=204,
    response_class=Response,
    operation_id="discardPackage",
    summary="Discard a package",
    **operation(Scope.PACKAGES_WRITE, problems=STEP, others={204: "Discarded."}),
)
async def discard(package_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Give up a package that is not finished. Its files are no longer available; its history stays."""
    await gateway.drafts.discard(caller, package_id)
    return Response(status_code=204)


@dataclass(frozen=True)
class _Blob:
    """Bytes of the blob store as ``downloads`` passes them on."""

    stream: AsyncIterator[bytes]

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        return self.stream


async def _created(request: Request, begun: Begun) -> Response:
    location = f"{request.scope.get('root_path', '')}{router.prefix}/packages/{begun.package_id}"
    headers = {"Location": location, "Idempotency-Replayed": str(begun.replayed).lower(), "ETag": '"1"'}
    return Response(begun.body, status_code=201, media_type="application/json", headers=headers)
