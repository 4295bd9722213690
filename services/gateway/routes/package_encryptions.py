"""Encrypting a finished package for those who send it by themselves."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import attachment, digest_headers
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.encryption import Addressee, encrypt_package, usable_certificates
from services.gateway.forms import OUTBOUND_FORM, form_document, read_json_part
from services.gateway.operations import FORM_BODY, SCOPED, operation
from services.gateway.packages import look_into
from services.gateway.policy.confidentiality import refuse_secret_annexes, standing_of
from services.gateway.policy.findings import refuse_unacceptable
from services.gateway.policy.protection import few_addressees
from services.gateway.schemas.encryption import PackageEncryptionRequest
from services.gateway.uploads import FieldPart, FilePart, UploadedFile, receive_form
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import PackageKind

router = APIRouter(prefix="/v1", tags=["Packages and signatures"])

_MEDIA_TYPE = "application/eyazisma"
_PROBLEMS = (
    *FORM_BODY, *SCOPED, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID, ErrorCode.CONFIDENTIALITY_FORBIDDEN,
    ErrorCode.CERTIFICATE_UNFIT, ErrorCode.DIRECTORY_UNAVAILABLE, ErrorCode.SIGNER_UNAVAILABLE,
    ErrorCode.SERVICE_UNAVAILABLE,
)  # fmt: skip


@router.post(
    "/package-encryptions",
    response_class=Response,
    operation_id="encryptPackage",
    summary="Encrypt a package",
    **operation(
        Scope.PACKAGES_WRITE, problems=_PROBLEMS, binary=(_MEDIA_TYPE,),
        headers={"Content-Disposition": "A file name.", "Repr-Digest": "RFC 9530."},
        extra={"requestBody": form_document(PackageEncryptionRequest, examples.ENCRYPTION)},
    ),
)  # fmt: skip
async def encrypt(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The package as .eyps, for the recipients' encryption certificates in DETSİS, to be sent by yourself.

    All recipients open the same file. Keep the plain package: the sender cannot open what it encrypted. What may not
    be sent by KEP is not encrypted either; a recipient without a usable certificate is `certificate-unfit`. Nothing is
    stored but a line in the audit log.
    """
    parts: dict[str, FieldPart | FilePart] = {**OUTBOUND_FORM, "package": FilePart(gateway.max_package_bytes)}
    async with receive_form(request, parts, gateway.spool) as form:
        message = read_json_part(PackageEncryptionRequest, "message", form.fields["message"])
        institution_no = caller.acting_for(message.institution_no, "/message/institution_no")
        package = form.files["package"]
        await _require_sendable(package, gateway)
        recipients = await _addressees(message, gateway)
        await gateway.audit(
            caller, "package.encrypt", package.sha256, institution=institution_no,
            recipients=[str(number) for number in message.recipients],
            certificates=[item.certificate.sha256 or item.certificate.serial for item in recipients],
        )  # fmt: skip
        with ExitStack() as stack:
            encrypted = await encrypt_package(
                package, recipients, package_id=new_id(), packed_at=gateway.clock.now(), signer=gateway.signer,
                spool=gateway.spool, limit=gateway.max_package_bytes, stack=stack,
            )  # fmt: skip
            content = await asyncio.to_thread(encrypted.rewound().read)
    headers = {"Content-Disposition": attachment(encrypted.filename), "Cache-Control": "no-store"}
    return Response(content, media_type=_MEDIA_TYPE, headers=headers | digest_headers(encrypted.sha256))


async def _require_sendable(package: UploadedFile, gateway: Gateway) -> None:
    inspection = await look_into(package)
    standing = standing_of(inspection, None, gateway.clock.now()) if inspection.kind is PackageKind.PLAIN else None
    if standing is None:
        detail = "only a plain package (.eyp) goes into an encrypted one"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/package", detail)])
    await refuse_secret_annexes(package, inspection, standing)
    refuse_unacceptable(inspection)


async def _addressees(message: PackageEncryptionRequest, gateway: Gateway) -> tuple[Addressee, ...]:
    found = await usable_certificates(gateway.directory, gateway.signer, message.recipients, message.pointer)
    faults = [
        Fault(message.pointer(number), "has no usable encryption certificate in the directory")
        for number, certificate in found.items()
        if certificate is None
    ]
    if faults:
        raise DomainError(ErrorCode.CERTIFICATE_UNFIT, "a recipient cannot be encrypted for", faults=faults)
    usable = {number: certificate for number, certificate in found.items() if certificate is not None}
    return few_addressees(usable, "/message/recipients")
