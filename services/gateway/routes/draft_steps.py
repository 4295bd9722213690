"""The steps of a package under way: files, signatures made outside, final metadata, seal."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway import draft_examples as examples
from services.gateway.callers import Scope
from services.gateway.conditional import hashed_headers
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.draft_operations import (
    ETAG,
    FILE_BODY,
    JSON_STEP,
    OCTETS,
    RAW_STEP,
    SEALING,
    SIGNING,
    STEP,
    draft_answer,
)
from services.gateway.drafts import stages
from services.gateway.drafts.drafting import require_file
from services.gateway.drafts.material import LARGEST_SIGNATURE, receive
from services.gateway.operations import operation
from services.gateway.schemas.drafts import FinalMetadataBody, PackageDraftAnswer, SealBody, SigningStep
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1", tags=["Package drafts"])


@router.put(
    "/packages/{package_id}/cover-letter",
    response_model=PackageDraftAnswer,
    operation_id="putPackageCoverLetter",
    summary="Upload the cover letter",
    **operation(Scope.PACKAGES_WRITE, answer=examples.BEGUN, headers=ETAG, problems=RAW_STEP, extra=FILE_BODY),
)
async def put_cover_letter(
    request: Request, package_id: UUID, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """The file of the letter itself, as the body; its digest comes back in `files`. Again replaces it."""
    return await _put_file(request, gateway, caller, package_id, stages.COVER_LETTER)


@router.put(
    "/packages/{package_id}/annexes/{annex_id}/content",
    response_model=PackageDraftAnswer,
    operation_id="putPackageAnnex",
    summary="Upload the file of an annex",
    **operation(Scope.PACKAGES_WRITE, answer=examples.WAITING, headers=ETAG, problems=RAW_STEP, extra=FILE_BODY),
)
async def put_annex(
    request: Request, package_id: UUID, annex_id: UUID, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """The file of an annex of kind `file`, as the body. All files together may have as many bytes as a package."""
    return await _put_file(request, gateway, caller, package_id, stages.annex_file(annex_id))


@router.get(
    "/packages/{package_id}/to-be-signed",
    response_class=Response,
    operation_id="getPackageToBeSigned",
    summary="Download what is to be signed",
    **operation(
        Scope.PACKAGES_WRITE, problems=STEP, binary=(OCTETS,),
        headers={"Repr-Digest": "RFC 9530, SHA-256 and SHA-512.", "Content-Disposition": "A file name."},
    ),
)  # fmt: skip
async def get_to_be_signed(
    package_id: UUID,
    caller: CurrentCaller,
    gateway: GatewayParts,
    step: Annotated[SigningStep, Query(description="Which signature it is for.")],
) -> Response:
    """The exact bytes a signer signs: an attached CAdES signature (DER) with them as its content.

    They stay the same until the next step of the package.
    """
    draft = await gateway.drafts.find(caller, package_id)
    content = await gateway.drafts.to_be_signed(draft, step)
    return Response(content, media_type=OCTETS, headers=hashed_headers(content, f"{package_id}-{step}.xml"))


@router.put(
    "/packages/{package_id}/initials",
    response_model=PackageDraftAnswer,
    operation_id="putPackageInitials",
    summary="Put the initials in",
    **operation(Scope.PACKAGES_WRITE, answer=examples.WAITING, headers=ETAG, problems=SIGNING, extra=FILE_BODY),
)
async def put_initials(request: Request, package_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The initials of those who prepared the letter: attached CAdES over the bytes of step `initials`.

    Whoever initials next signs the same file once more and puts it again; nobody already in it may be missing.
    """
    return await _put_signature(request, gateway, caller, package_id, SigningStep.INITIALS)


@router.put(
    "/packages/{package_id}/signature",
    response_model=PackageDraftAnswer,
    operation_id="putPackageSignature",
    summary="Put the signature in",
    **operation(Scope.PACKAGES_WRITE, answer=examples.SIGNED, headers=ETAG, problems=SIGNING, extra=FILE_BODY),
)
async def put_signature(request: Request, package_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The letter's signature: attached CAdES (DER) over the bytes of step `signature`.

    Refused when it covers other bytes, when its value does not fit them, or when an earlier signer is missing in it;
    what else speaks against it is refused or only told, as the institution's policy `signatures` says. A further
    signer signs the same file once more.
    """
    return await _put_signature(request, gateway, caller, package_id, SigningStep.SIGNATURE)


@router.put(
    "/packages/{package_id}/final-metadata",
    response_model=PackageDraftAnswer,
    operation_id="putPackageFinalMetadata",
    summary="Give number, date and signatories",
    **operation(
        Scope.PACKAGES_WRITE, request=examples.FINAL, answer=examples.UNSEALED, headers=ETAG, problems=JSON_STEP
    ),
)
async def put_final_metadata(
    request: Request, package_id: UUID, body: FinalMetadataBody, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """What is known once the letter is signed. In 1.3 number and date are signed already: only the signatories come."""
    return await draft_answer(request, gateway.drafts, await gateway.drafts.put_final(caller, package_id, body))


@router.post(
    "/packages/{package_id}/seal",
    response_model=PackageDraftAnswer,
    operation_id="sealPackage",
    summary="Have the package sealed",
    **operation(
        Scope.PACKAGES_WRITE, request=examples.SEAL, answer=examples.FINISHED, headers=ETAG,
        problems=(*JSON_STEP, *SEALING, ErrorCode.SIGNING_KEY_UNAVAILABLE),
    ),
)  # fmt: skip
async def seal(
    request: Request, package_id: UUID, body: SealBody, caller: CurrentCaller, gateway: GatewayParts
) -> Response:
    """Seal with the institution's key and finish: the package is written, inspected in `strict` and stored.

    A fatal finding is `package-invalid`, and the package stays as it was.
    """
    return await draft_answer(request, gateway.drafts, await gateway.finishing.seal(caller, package_id, body.key_id))


@router.put(
    "/packages/{package_id}/seal",
    response_model=PackageDraftAnswer,
    operation_id="putPackageSeal",
    summary="Put a seal in",
    **operation(
        Scope.PACKAGES_WRITE, answer=examples.FINISHED, headers=ETAG,
        problems=(*RAW_STEP, *SEALING), extra=FILE_BODY,
    ),
)  # fmt: skip
async def put_seal(request: Request, package_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """A seal made outside: attached CAdES (DER) over the bytes of step `seal`. Finishes the package as sealing does."""
    await gateway.drafts.find(caller, package_id)
    cms = await _signature(request, gateway)
    return await draft_answer(request, gateway.drafts, await gateway.finishing.put_seal(caller, package_id, cms))


async def _put_file(request: Request, gateway: Gateway, caller: CurrentCaller, package_id: UUID, name: str) -> Response:
    draft = await gateway.drafts.find(caller, package_id)
    require_file(draft, name)
    stored = await receive(request, gateway.drafts.blobs, gateway.drafts.room(draft, name))
    return await draft_answer(request, gateway.drafts, await gateway.drafts.put_file(caller, package_id, name, stored))


async def _put_signature(
    request: Request, gateway: Gateway, caller: CurrentCaller, package_id: UUID, step: SigningStep
) -> Response:
    await gateway.drafts.find(caller, package_id)
    cms = await _signature(request, gateway)
    return await draft_answer(
        request, gateway.drafts, await gateway.drafts.put_signature(caller, package_id, step, cms)
    )


async def _signature(request: Request, gateway: Gateway) -> bytes:
    stored = await receive(request, gateway.drafts.blobs, LARGEST_SIGNATURE)
    return await gateway.drafts.blobs.get(stored.sha256, limit=LARGEST_SIGNATURE)
