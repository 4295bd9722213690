"""Verifying signatures, time-stamps and certificates; what was kept of it, and its report on paper."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import examples, verification_examples
from services.gateway.callers import Caller, Scope
from services.gateway.conditional import digest_headers, hashed_headers
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.forms import file_form_document, read_verification_options
from services.gateway.idempotency import read_header
from services.gateway.operations import FORM_BODY, JSON_BODY, SCOPED, OperationParts, operation
from services.gateway.routes.outbound import IDEMPOTENCY_KEY, KEYED
from services.gateway.schemas.verifications import (
    MOST_FILES,
    BatchAnswer,
    BatchEntry,
    CertificateVerificationBody,
    SignatureVerificationAnswer,
    VerificationOptions,
    VerificationProblem,
)
from services.gateway.uploads import FieldPart, FilePart, Form, UploadedFile, receive_form
from services.gateway.verifications import rows
from services.gateway.verifications.answers import certificates_in_base64, described, for_paper, wanted_wait
from services.gateway.verifications.fields import BATCH_FIELDS, FIELDS, PREFER, TIMESTAMP_FIELDS
from shared.contracts.signatures import (
    CertificateVerificationReport,
    Profile,
    SignatureFormat,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode, Fault

router = APIRouter(prefix="/v1", tags=["Packages and signatures"])

_SHORT = FieldPart(1_000, required=False)
_JUDGED_TOGETHER = 4
_RETRY_SECONDS = "5"
_PROBLEMS = (*FORM_BODY, *SCOPED, ErrorCode.SIGNATURE_INVALID, ErrorCode.SIGNER_UNAVAILABLE)
_KEPT_PROBLEMS = (*KEYED[1:], *_PROBLEMS, ErrorCode.NOT_FOUND)
_BY_ID = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND)
_OPTIONAL_KEY = {**IDEMPOTENCY_KEY, "required": False}
_LOCATION = {"Location": "With `keep`: where the verification is found from now on."}
_FILES = {"file": "The signature, or the signed file."}, {"content": "What a detached signature covers."}


def _verification(required: dict[str, str], optional: dict[str, str], fields: dict[str, Any]) -> OperationParts:
    parts = operation(
        Scope.SIGNATURES_VERIFY, answer=examples.REPORT, headers=_LOCATION, problems=_KEPT_PROBLEMS,
        extra={
            "parameters": [PREFER, _OPTIONAL_KEY],
            "requestBody": file_form_document(required, optional, fields),
        },
    )  # fmt: skip
    parts["responses"][202] = {
        "model": SignatureVerificationAnswer,
        "description": "With `keep`: not done yet. It goes on by itself; ask at `Location`.",
        "content": {"application/json": {"example": verification_examples.RUNNING.model_dump(mode="json")}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in {**_LOCATION, "Retry-After": "Seconds to wait before asking."}.items()
        },
    }
    return parts


@router.post(
    "/signature-verifications",
    response_model=VerificationReport,
    operation_id="verifySignature",
    summary="Verify a signature",
    **_verification(*_FILES, FIELDS),
)
async def verify_signature(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The verdict on a signature, with its numbered steps. `indeterminate` may change when missing data arrives.

    A signature that fails is a good answer with conclusion `failed`.

    Without `keep` nothing is stored, and the answer is the report. With `keep` file and report are stored for the
    time the operator set (30 days unless changed) and then deleted; digests and verdicts stay. The answer is the
    report when it is there within `Prefer: wait=` seconds (10 unless given, at most 50), else 202. A preliminary
    verdict and an open one are judged again by themselves; every verdict is in the history. The same
    `Idempotency-Key` after the report was deleted is answered 404.
    """
    return await _answered(request, caller, gateway, FIELDS, {})


@router.post(
    "/timestamp-verifications",
    response_model=VerificationReport,
    operation_id="verifyTimestamp",
    summary="Verify a time-stamp",
    **_verification(
        {"file": "The time-stamp (RFC 3161): a token or an authority's whole answer."},
        {"content": "What it is about."},
        TIMESTAMP_FIELDS,
    ),
)
async def verify_timestamp(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Whether a time-stamp by itself is good, and about `content`: a verification with format and profile `timestamp`.

    With `keep` it is found under `/v1/signature-verifications/{id}` like any other.
    """
    fixed = {"format": SignatureFormat.TIMESTAMP, "profile": Profile.TIMESTAMP}
    return await _answered(request, caller, gateway, TIMESTAMP_FIELDS, fixed)


async def _answered(
    request: Request, caller: Caller, gateway: Gateway, fields: dict[str, Any], fixed: dict[str, Any]
) -> Response:
    expected: dict[str, FieldPart | FilePart] = {
        "file": FilePart(gateway.max_package_bytes),
        "content": FilePart(gateway.max_package_bytes, required=False),
        **dict.fromkeys(fields, _SHORT),
    }
    async with receive_form(request, expected, gateway.spool) as form:
        options = read_verification_options(form.fields).model_copy(update=fixed)
        file, content = form.files["file"], form.files.get("content")
        if not options.keep:
            with gateway.verifications.unkept(caller):
                report = await _judged(gateway, options, file, content)
            await gateway.audit(
                caller,
                "signature-verification",
                file.sha256,
                conclusion=report.conclusion.value,
                profile=options.profile,
            )
            return Response(report.model_dump_json(), media_type="application/json")
        given = request.headers.get("idempotency-key")
        key = read_header(given) if given is not None else None
        verification_id = await gateway.verifications.begin(caller, options, file, content, key)
    await gateway.verifications.wait(verification_id, wanted_wait(request.headers.get("prefer")))
    row = await gateway.verifications.find(caller, verification_id)
    headers = {"Location": f"/v1/signature-verifications/{verification_id}"}
    if row.problem is not None:
        raise DomainError(ErrorCode(row.problem["code"]), row.problem["detail"])
    if row.report is None and row.erased_at is None:
        body = described(row, []).model_dump_json()
        headers["Retry-After"] = _RETRY_SECONDS
        return Response(body, status_code=202, media_type="application/json", headers=headers)
    return Response(gateway.verifications.report_of(row), media_type="application/json", headers=headers)


async def _judged(
    gateway: Gateway, options: VerificationOptions, file: UploadedFile, content: UploadedFile | None
) -> VerificationReport:
    wanted = VerificationRequest(
        format=options.format, profile=options.profile, moment=options.moment, offline=options.offline
    )
    return await gateway.signer.verify(wanted, file.rewound(), content=content.rewound() if content else None)


@router.post(
    "/signature-verifications/batch",
    operation_id="verifySignatures",
    summary="Verify many signatures",
    **operation(
        Scope.SIGNATURES_VERIFY, answer=verification_examples.BATCH, problems=FORM_BODY,
        extra={
            "requestBody": file_form_document(
                {"file1": f"A signature, or a signed file; further ones are `file2` to `file{MOST_FILES}`."},
                {"content1": "What the detached signature `file1` covers; `content2` belongs to `file2`, and so on."},
                BATCH_FIELDS,
            )
        },
    ),
)  # fmt: skip
async def verify_signatures(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> BatchAnswer:
    """Up to 50 files in one form, together as large as one file may be; each gets its own report or its own problem.

    One file that cannot be judged changes nothing about the others. The fields hold for all of them. Nothing is stored.
    """
    files = {f"file{number}": f"content{number}" for number in range(1, MOST_FILES + 1)}
    expected: dict[str, FieldPart | FilePart] = {
        name: FilePart(gateway.max_package_bytes, required=name == "file1") for name in [*files, *files.values()]
    }
    expected |= dict.fromkeys(BATCH_FIELDS, _SHORT)
    async with receive_form(request, expected, gateway.spool) as form:
        options = read_verification_options(form.fields)
        _refuse_left_over(form, files)
        turns = asyncio.Semaphore(_JUDGED_TOGETHER)

        async def one(name: str) -> BatchEntry:
            file, report, problem = form.files[name], None, None
            async with turns:
                try:
                    report = await _judged(gateway, options, file, form.files.get(files[name]))
                except DomainError as error:
                    problem = VerificationProblem(code=error.code, detail=error.detail)
            return BatchEntry(name=name, sha256=file.sha256, report=report, problem=problem)

        with gateway.verifications.unkept(caller):
            entries = await asyncio.gather(*(one(name) for name in files if name in form.files))
    digests = [entry.sha256 for entry in entries]
    await gateway.audit(caller, "signature-verification.batch", digests[0], files=digests, profile=options.profile)
    return BatchAnswer(entries=list(entries))


def _refuse_left_over(form: Form, files: dict[str, str]) -> None:
    alone = [content for name, content in files.items() if content in form.files and name not in form.files]
    if alone:
        faults = [Fault(f"/{content}", "there is no file of that number") for content in alone]
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a content belongs to no file", faults=faults)


@router.get(
    "/signature-verifications/{verification_id}",
    operation_id="getSignatureVerification",
    summary="Read a kept verification",
    **operation(Scope.SIGNATURES_VERIFY, answer=verification_examples.KEPT, problems=_BY_ID),
)
async def get_verification(
    verification_id: UUID, caller: CurrentCaller, gateway: GatewayParts
) -> SignatureVerificationAnswer:
    """How far it is, the last report, and every verdict so far with its time.

    `next_look_at` says when it is judged again by itself. After the time of retention the state is `erased`: there is
    no report any more, but what the verdicts were and about which bytes is still said.
    """
    row = await gateway.verifications.find(caller, verification_id)
    return described(row, await rows.verdicts(gateway.database, row))


@router.get(
    "/signature-verifications/{verification_id}/report",
    response_model=VerificationReport,
    operation_id="getSignatureReport",
    summary="Download a report",
    **operation(
        Scope.SIGNATURES_VERIFY, answer=examples.REPORT, problems=(*_BY_ID, ErrorCode.STATE_CONFLICT),
        headers={"Repr-Digest": "SHA-256 of exactly these bytes (RFC 9530); it stands on every page of the PDF."},
    ),
)  # fmt: skip
async def get_report(verification_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The last report byte for byte as it was kept: its digest is the one in the history and on paper."""
    row = await gateway.verifications.find(caller, verification_id)
    report = gateway.verifications.report_of(row)
    await gateway.audit(caller, "signature-report.download", str(verification_id), sha256=row.report_sha256 or "")
    headers = {"Cache-Control": "private, no-cache", **digest_headers(row.report_sha256 or "")}
    return Response(report, media_type="application/json", headers=headers)


@router.get(
    "/signature-verifications/{verification_id}/report.pdf",
    response_class=Response,
    operation_id="getSignatureReportPdf",
    summary="Download a report as PDF",
    **operation(
        Scope.SIGNATURES_VERIFY, binary=("application/pdf",),
        problems=(*_BY_ID, ErrorCode.STATE_CONFLICT, ErrorCode.SERVICE_UNAVAILABLE),
        headers={"Repr-Digest": "SHA-256 and SHA-512 (RFC 9530).", "Content-Disposition": "A file name."},
    ),
)  # fmt: skip
async def get_report_pdf(verification_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The last report in Turkish, for a court or a file: verdict, steps, certificates, evidence, history.

    Identity numbers are shortened. The same verdict gives the same bytes.
    """
    row = await gateway.verifications.find(caller, verification_id)
    report = gateway.verifications.report_of(row)
    made = await gateway.papers.make(for_paper(row, report, await rows.verdicts(gateway.database, row)))
    await gateway.audit(caller, "signature-report.print", str(verification_id), sha256=row.report_sha256 or "")
    headers = hashed_headers(made, f"imza-dogrulama-{verification_id}.pdf")
    return Response(made, media_type="application/pdf", headers=headers)


@router.post(
    "/certificate-verifications",
    operation_id="verifyCertificates",
    summary="Verify certificates",
    **operation(
        Scope.SIGNATURES_VERIFY, request=verification_examples.CERTIFICATES,
        answer=verification_examples.CERTIFICATE_REPORT, problems=(*JSON_BODY, ErrorCode.SIGNER_UNAVAILABLE),
    ),
)  # fmt: skip
async def verify_certificates(
    body: CertificateVerificationBody, caller: CurrentCaller, gateway: GatewayParts
) -> CertificateVerificationReport:
    """Whether each certificate may be used for the purpose now: its path, its revocation, its rules, step by step.

    Each is PEM, or DER in base64. Verdicts come in the order of the certificates. Nothing is stored.
    """
    certificates = certificates_in_base64(body.certificates)
    with gateway.verifications.unkept(caller):
        report = await gateway.signer.verify_certificates(body.purpose, certificates)
    digests = [verdict.certificate_sha256 for verdict in report.verdicts]
    await gateway.audit(caller, "certificate-verification", digests[0], certificates=digests)
    return report
