"""The data of one letter: what the circular's EK-3/4 lists from a to j."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.gateway import correspondence_examples as examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.schemas.correspondence import CorrespondenceBody
from shared.contracts.directory import CorrespondenceData, CorrespondenceRequest
from shared.errors import DomainError, ErrorCode, Fault

router = APIRouter(prefix="/v1", tags=["Directory"])


@router.post(
    "/correspondence-data",
    operation_id="getCorrespondenceData",
    summary="Get the data of a letter",
    **operation(
        Scope.DIRECTORY_READ, request=examples.BODY, answer=examples.DATA,
        problems=(*JSON_BODY, *SCOPED, ErrorCode.DIRECTORY_REFUSED, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def correspondence_data(
    body: CorrespondenceBody, caller: CurrentCaller, gateway: GatewayParts
) -> CorrespondenceData:
    """Everything that has to stand in a letter or is needed to send it: the items a to j of the circular's EK-3/4.

    Ask once, with the letter's real list of recipients: the closing phrase (arz, rica) depends on all of them
    together. Each value has a `source`: whether DETSİS said so for this letter, when, and by which rule; what could
    not be had is named in `missing` with its reason. Recipients come in the order asked, whatever DETSİS does.

    While DETSİS does not answer, the nightly copy gives what it has (`source` is `mirror`); letterhead, closing phrase
    and signatories are then missing, because only DETSİS has them. When DETSİS refuses, the answer is
    `directory-refused` with its words. Sending asks DETSİS again, unless it was asked seconds ago.
    """
    institution = caller.acting_for(body.institution_no, "/body/institution_no")
    _require_distinct(body.recipients)
    sender = institution if body.sender_no is None else body.sender_no
    request = CorrespondenceRequest(
        institution_no=institution, sender_no=sender, recipient_nos=body.recipients, mode=body.mode
    )
    try:
        return await gateway.correspondence.data(request)
    except DomainError as error:
        faults = [Fault(f"/body{fault.pointer}", fault.detail) for fault in error.faults]
        raise DomainError(
            error.code, error.detail, faults=faults, retry_after_seconds=error.retry_after_seconds
        ) from error


def _require_distinct(recipients: Sequence[int]) -> None:
    first: dict[int, int] = {}
    faults = [
        Fault(f"/body/recipients/{index}", f"the same as /body/recipients/{first[number]}")
        for index, number in enumerate(recipients)
        if first.setdefault(number, index) != index
    ]
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a letter goes to each recipient once", faults=faults)
