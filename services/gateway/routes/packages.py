"""Looking into packages and verifying signatures, without sending anything."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.deps import GatewayParts
from services.gateway.forms import file_form_document, read_inspection_options, read_verification_request
from services.gateway.operations import FORM_BODY, operation
from services.gateway.packages import CheckedComponent, look_into, verify_components
from services.gateway.schemas.packages import PackageInspection, ProfileName, SignatureAnswer, describe_package
from services.gateway.uploads import FieldPart, FilePart, receive_form
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport
from shared.errors import ErrorCode
from shared.eyp import INTEROP, STRICT

router = APIRouter(prefix="/v1", tags=["Packages and signatures"])

_SHORT = FieldPart(200, required=False)
_PROFILES = {ProfileName.STRICT: STRICT, ProfileName.INTEROP: INTEROP}
_INSPECTION_FIELDS: dict[str, dict[str, Any]] = {
    "profile": {
        "type": "string",
        "enum": [item.value for item in ProfileName],
        "default": ProfileName.INTEROP.value,
        "description": "`strict`: every rule with its own weight. `interop`: what the field sends passes.",
    },
    "recipient": {
        "type": "string",
        "maxLength": 50,
        "description": "Number of the recipient this copy is for: annexes withheld from it may be absent.",
    },
}
_VERIFICATION_FIELDS: dict[str, dict[str, Any]] = {
    "format": {"type": "string", "enum": [item.value for item in SignatureFormat], "default": "auto"},
    "profile": {
        "type": "string",
        "enum": [item.value for item in Profile],
        "default": Profile.QUALIFIED_SIGNATURE.value,
        "description": "Which rules the signer's certificate must satisfy.",
    },
    "moment": {
        "type": "string",
        "format": "date-time",
        "description": "Judge as of this time; now unless given. A valid time-stamp takes precedence.",
    },
}


@router.post(
    "/package-inspections",
    operation_id="inspectPackage",
    summary="Inspect a package",
    **operation(
        Scope.PACKAGES_INSPECT, answer=examples.INSPECTION,
        problems=(*FORM_BODY, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID),
        extra={
            "requestBody": file_form_document({"package": "The .eyp, .eyps or .eypg file."}, fields=_INSPECTION_FIELDS)
        },
    ),
)  # fmt: skip
async def inspect_package(request: Request, gateway: GatewayParts) -> PackageInspection:
    """What a package is, what it says, which rules it breaks and what its signatures are worth.

    Nothing is stored. Of an update package, `inner` is the package it is about. A package that breaks rules is a good
    answer with findings; only what is no package at all, or is damaged, is a problem.
    """
    expected: dict[str, FieldPart | FilePart] = {
        "package": FilePart(gateway.max_package_bytes),
        **dict.fromkeys(_INSPECTION_FIELDS, _SHORT),
    }
    async with receive_form(request, expected, gateway.spool) as form:
        package = form.files["package"]
        options = read_inspection_options(form.fields)
        inspection = await look_into(package, profile=_PROFILES[options.profile], recipient=options.recipient)
        checked = await verify_components(package, inspection, gateway.signer, gateway.spool)
    deepest = max((item.depth for item in checked), default=0)
    signatures = [[_signature(item) for item in checked if item.depth == depth] for depth in range(deepest + 1)]
    return describe_package(inspection, sha256=package.sha256, size=package.size, signatures=signatures)


def _signature(item: CheckedComponent) -> SignatureAnswer:
    return SignatureAnswer(
        kind=item.component.kind.value,
        part=item.component.part_name,
        covers=item.component.covered_part_name,
        verification=item.verification,
        unavailable=item.unavailable.code if item.unavailable else None,
    )


@router.post(
    "/signature-verifications",
    operation_id="verifySignature",
    summary="Verify a signature",
    **operation(
        Scope.SIGNATURES_VERIFY, answer=examples.REPORT,
        problems=(*FORM_BODY, ErrorCode.SIGNATURE_INVALID, ErrorCode.SIGNER_UNAVAILABLE),
        extra={
            "requestBody": file_form_document(
                {"file": "The signature, or the signed file."},
                {"content": "What a detached signature covers."},
                _VERIFICATION_FIELDS,
            )
        },
    ),
)  # fmt: skip
async def verify_signature(request: Request, gateway: GatewayParts) -> VerificationReport:
    """The verdict on a signature, with its numbered steps. `indeterminate` may change when missing data arrives.

    A signature that fails is a good answer with conclusion `failed`.
    """
    files = {
        "file": FilePart(gateway.max_package_bytes),
        "content": FilePart(gateway.max_package_bytes, required=False),
    }
    fields = dict.fromkeys(_VERIFICATION_FIELDS, _SHORT)
    async with receive_form(request, {**files, **fields}, gateway.spool) as form:
        wanted = read_verification_request(form.fields)
        content = form.files.get("content")
        return await gateway.signer.verify(
            wanted, form.files["file"].rewound(), content=content.rewound() if content else None
        )
