"""Prints of letters, and who may make official ones."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway import print_examples
from services.gateway.callers import Scope
from services.gateway.conditional import attachment, digest_headers
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.forms import JSON_PART_LIMIT, file_form_document, read_json_part
from services.gateway.operations import FORM_BODY, JSON_BODY, SCOPED, operation
from services.gateway.printing.prints import FinishedPrint
from services.gateway.schemas.printing import (
    PrintAuthorisationAnswer,
    PrintAuthorisationBody,
    PrintBody,
    PrintOptions,
    PrintPage,
)
from services.gateway.schemas.text import Cursor, DetsisNo, Sha256Text
from services.gateway.uploads import FieldPart, FilePart, receive_form
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1", tags=["Prints"])

_PDF = "application/pdf"
_HEADERS = {
    "Print-Id": "The event of this print, see `GET /v1/prints`.",
    "Print-Profile": "The profile it was made under: `P-2020`, `P-2015` or `none`.",
    "Print-Copy-Number": "Which copy of this cover letter it is.",
    "Content-Disposition": "A file name.",
    "Repr-Digest": "SHA-256 of the print (RFC 9530).",
    "Digest": "The same in the older form (RFC 3230).",
}
_PROBLEMS = (
    *SCOPED,
    ErrorCode.VALIDATION_FAILED,
    ErrorCode.NOT_FOUND,
    ErrorCode.NOT_A_PACKAGE,
    ErrorCode.PACKAGE_INVALID,
    ErrorCode.CONFIDENTIALITY_FORBIDDEN,
    ErrorCode.ENVELOPE_INVALID,
    ErrorCode.LETTER_UNPRINTABLE,
    ErrorCode.PRINT_UNAUTHORISED,
    ErrorCode.SIGNER_UNAVAILABLE,
    ErrorCode.SERVICE_UNAVAILABLE,
)
_ADMIN = (ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND)
AuthorisationId = Annotated[
    str,
    Path(
        min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Chosen by the operator.",
        examples=["yazi-isleri-1"],
    ),
]  # fmt: skip


@router.get(
    "/inbound-messages/{message_id}/print",
    response_class=Response,
    operation_id="printInboundMessage",
    summary="Print a letter",
    **operation(
        Scope.DOCUMENTS_PRINT,
        problems=(*_PROBLEMS, ErrorCode.TOO_LARGE, ErrorCode.CLASSIFIED_SEALED, ErrorCode.STATE_CONFLICT),
        headers=_HEADERS, binary=(_PDF,),
    ),
)  # fmt: skip
async def print_message(
    message_id: UUID, options: Annotated[PrintOptions, Query()], caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """One PDF of the letter for paper, its pages unchanged and at full size; each call makes another numbered copy.

    An official print (`P-2020`, `P-2015`) carries the register label in a free margin, else on a page behind the first
    one, and needs a passed verdict, a register number and an authorisation. Any other verdict gives a working copy with
    a watermark. Pages and codes are compared before anything is handed out. Paper is a working copy: the package, the
    KEP message and its evidence are the record. `state-conflict`: the virus scanner withholds the mail.
    """
    return _pdf(await gateway.prints.of_incoming(caller, message_id, options))


@router.post(
    "/prints",
    response_class=Response,
    operation_id="printPackage",
    summary="Print a package kept elsewhere",
    **operation(
        Scope.DOCUMENTS_PRINT, problems=(*FORM_BODY, *_PROBLEMS), headers=_HEADERS, binary=(_PDF,),
        extra={
            "requestBody": file_form_document(
                {"package": "The .eyp, .eyps or .eypg file."},
                fields={"options": {"$ref": "#/components/schemas/PrintBody"}},
            )
        },
    ),
)  # fmt: skip
async def print_package(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The same for a package that the document system keeps itself; its signatures are verified now.

    `options` is JSON. What it states about transport and evidence is marked on the cover sheet as the caller's word.
    The package is not stored; the print is an event like any other.
    """
    expected: dict[str, FieldPart | FilePart] = {
        "package": FilePart(gateway.max_package_bytes),
        "options": FieldPart(JSON_PART_LIMIT, required=False, media_types=("application/json",)),
    }
    async with receive_form(request, expected, gateway.spool) as form:
        options = form.fields.get("options")
        body = read_json_part(PrintBody, "options", options) if options else PrintBody()
        return _pdf(await gateway.prints.of_package(caller, form.files["package"], body))


@router.get(
    "/prints",
    operation_id="listPrints",
    summary="List prints",
    **operation(
        Scope.DOCUMENTS_PRINT, Scope.MESSAGES_READ, answer=print_examples.PRINT_PAGE,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED),
    ),
)  # fmt: skip
async def list_prints(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only prints of this institution.")] = None,
    message_id: Annotated[UUID | None, Query(description="Only prints of this incoming letter.")] = None,
    document_id: Annotated[
        str | None, Query(min_length=1, max_length=64, description="Only prints of this document (its e-Yazışma id).")
    ] = None,
    package_sha256: Annotated[Sha256Text | None, Query(description="Only prints of this package.")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many prints.")] = 50,
) -> PrintPage:
    """Every print that was handed out, newest first: who, when, for what, under which authorisation and verdict."""
    return await gateway.prints.records.page(
        caller.visible(institution), message_id=message_id, document_id=document_id, package_sha256=package_sha256,
        cursor=cursor, limit=limit,
    )  # fmt: skip


@router.put(
    "/institutions/{detsis_no}/print-authorisations/{authorisation_id}",
    operation_id="putPrintAuthorisation",
    summary="Enter or change a print authorisation",
    tags=["Administration"],
    **operation(
        Scope.ADMIN, request=print_examples.AUTHORISATION, answer=print_examples.AUTHORISATION_ANSWER,
        problems=(*JSON_BODY, *_ADMIN),
    ),
)  # fmt: skip
async def put_authorisation(
    detsis_no: DetsisNo,
    authorisation_id: AuthorisationId,
    body: PrintAuthorisationBody,
    caller: CurrentCaller,
    gateway: GatewayParts,
) -> PrintAuthorisationAnswer:
    """By whose decision somebody may make official prints for the institution; name and title go onto the print.

    Prints keep what it said when they were made. To end one, set `valid_until`.
    """
    await gateway.institutions.get(detsis_no)
    return await gateway.prints.authorisations.put(caller, detsis_no, authorisation_id, body)


@router.get(
    "/institutions/{detsis_no}/print-authorisations/{authorisation_id}",
    operation_id="getPrintAuthorisation",
    summary="Read a print authorisation",
    tags=["Administration"],
    **operation(Scope.ADMIN, answer=print_examples.AUTHORISATION_ANSWER, problems=_ADMIN),
)
async def get_authorisation(
    detsis_no: DetsisNo, authorisation_id: AuthorisationId, gateway: GatewayParts
) -> PrintAuthorisationAnswer:
    """The authorisation as it stands now; earlier forms are in the audit log."""
    return await gateway.prints.authorisations.get(detsis_no, authorisation_id)


def _pdf(finished: FinishedPrint) -> Response:
    record = finished.record
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": attachment(f"{record.document_no or record.print_id}.pdf".replace("/", "-")),
        "Print-Id": str(record.print_id),
        "Print-Profile": record.profile.value,
        "Print-Copy-Number": str(record.copy_number),
        **digest_headers(record.print_sha256),
    }
    return Response(finished.content, media_type=_PDF, headers=headers)
