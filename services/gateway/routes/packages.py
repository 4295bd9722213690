"""Looking into packages, without sending anything."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from services.gateway import examples
from services.gateway.callers import Caller, Scope
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.envelopes import Opening, open_encrypted
from services.gateway.forms import file_form_document, read_inspection_options
from services.gateway.operations import FORM_BODY, SCOPED, operation
from services.gateway.packages import CheckedComponent, look_into, verify_components
from services.gateway.schemas.packages import (
    InspectionOptions,
    OpeningOutcome,
    PackageInspection,
    ProfileName,
    SignatureAnswer,
    describe_package,
)
from services.gateway.uploads import FieldPart, FilePart, UploadedFile, receive_form
from shared.errors import ErrorCode
from shared.eyp import INTEROP, STRICT, Inspection, PackageKind

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
    "levels": {
        "type": "boolean",
        "default": False,
        "description": "Judge the levels of signatures as well: X-Long for signatures, archive for the seal (rule R.73).",
    },
    "institution": {
        "type": "integer",
        "minimum": 10_000_000,
        "maximum": 99_999_999,
        "description": "With whose key an encrypted package is opened; may be left out when the API key is bound to one "
        "institution only.",
    },
}


@router.post(
    "/package-inspections",
    operation_id="inspectPackage",
    summary="Inspect a package",
    **operation(
        Scope.PACKAGES_INSPECT, answer=examples.INSPECTION,
        problems=(*FORM_BODY, *SCOPED, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID),
        extra={
            "requestBody": file_form_document({"package": "The .eyp, .eyps or .eypg file."}, fields=_INSPECTION_FIELDS)
        },
    ),
)  # fmt: skip
async def inspect_package(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> PackageInspection:
    """What a package is, what it says, which rules it breaks and what its signatures are worth.

    Nothing is stored. Of an update package, `inner` is the package it is about; of an encrypted one the package that
    the institution's key opens, compared with what stands outside (`opening` says why there is none). A package that
    breaks rules is a good answer with findings; only what is no package at all, or is damaged, is a problem.
    """
    expected: dict[str, FieldPart | FilePart] = {
        "package": FilePart(gateway.max_package_bytes),
        **dict.fromkeys(_INSPECTION_FIELDS, _SHORT),
    }
    async with receive_form(request, expected, gateway.spool) as form:
        package = form.files["package"]
        options = read_inspection_options(form.fields)
        if options.institution is not None:
            caller.acting_for(options.institution, "/institution")
        inspection = await look_into(package, profile=_PROFILES[options.profile], recipient=options.recipient)
        with ExitStack() as stack:
            opening = None
            if inspection.kind is PackageKind.ENCRYPTED:
                opening = await _opened(gateway, caller, package, inspection, options, stack)
                inspection = opening.inspection
            checked = await verify_components(package, inspection, gateway.signer, gateway.spool)
            inside = opening.inside if opening is not None else None
            if inside is not None and inspection.inner is not None:
                further = await verify_components(inside, inspection.inner, gateway.signer, gateway.spool)
                checked += [replace(item, depth=item.depth + 1) for item in further]
    deepest = max((item.depth for item in checked), default=0)
    signatures = [[_signature(item) for item in checked if item.depth == depth] for depth in range(deepest + 1)]
    return describe_package(
        inspection, sha256=package.sha256, size=package.size, signatures=signatures,
        opening=opening.outcome if opening is not None else None,
        inside=(inside.sha256, inside.size) if inside is not None else None,
        levels=options.levels,
    )  # fmt: skip


async def _opened(
    gateway: Gateway,
    caller: Caller,
    package: UploadedFile,
    inspection: Inspection,
    options: InspectionOptions,
    stack: ExitStack,
) -> Opening:
    institution_no = options.institution
    if institution_no is None:
        if len(caller.institutions) != 1:
            return Opening(OpeningOutcome.NOT_ASKED, inspection)
        institution_no = caller.institutions[0]
    await gateway.audit(caller, "package.open", package.sha256, institution=institution_no)
    return await open_encrypted(
        package, inspection, gateway.signer, institution_no, spool=gateway.spool, limit=gateway.max_package_bytes,
        profile=_PROFILES[options.profile], recipient=options.recipient, stack=stack,
    )  # fmt: skip


def _signature(item: CheckedComponent) -> SignatureAnswer:
    return SignatureAnswer(
        kind=item.component.kind.value,
        part=item.component.part_name,
        covers=item.component.covered_part_name,
        verification=item.verification,
        unavailable=item.unavailable.code if item.unavailable else None,
    )
