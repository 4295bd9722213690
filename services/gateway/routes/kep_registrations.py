"""Bring a new KEP address into DETSİS: opened here, entered at the portal, confirmed by a person, watched to the end."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.gateway import registration_examples as examples
from services.gateway.callers import Caller, Scope
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.registrations import client, confirm, joined, open_registration
from services.gateway.schemas.registrations import (
    CancellationBody,
    ConfirmationBody,
    EnteredBody,
    KepRegistration,
    RegistrationBody,
    RegistrationList,
)
from services.gateway.schemas.text import Cursor, DetsisNo
from shared.contracts.directory.registrations import FactReport, RegistrationFact, RegistrationState
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1/kep-registrations", tags=["KEP addresses"])

_READERS = (Scope.REGISTRATIONS_MANAGE, Scope.ADMIN)
_BEHIND = (ErrorCode.DIRECTORY_UNAVAILABLE, ErrorCode.SERVICE_UNAVAILABLE)
_ONE = (*SCOPED, *_BEHIND, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND)
_CHANGE = (*JSON_BODY, *_ONE, ErrorCode.STATE_CONFLICT)


@router.post(
    "",
    status_code=201,
    operation_id="openKepRegistration",
    summary="Register a new KEP address",
    **operation(
        Scope.REGISTRATIONS_MANAGE, status=201, request=examples.OPENING, answer=examples.OPENED,
        problems=(*JSON_BODY, *SCOPED, *_BEHIND, ErrorCode.STATE_CONFLICT),
    ),
)  # fmt: skip
async def open_kep_registration(
    body: RegistrationBody, caller: CurrentCaller, gateway: GatewayParts
) -> KepRegistration:
    """Opens a registration and says who has to enter what, and where: DETSİS offers no call that does it.

    One is open for a unit at a time; the same address again answers with the one that is open. `checks` say
    whether the new mailbox takes mail in: others send as soon as the address is confirmed.
    """
    return await open_registration(gateway, caller, body)


@router.get(
    "",
    operation_id="listKepRegistrations",
    summary="List registrations",
    **operation(*_READERS, answer=examples.LISTED, problems=(*SCOPED, *_BEHIND, ErrorCode.VALIDATION_FAILED)),
)
async def list_kep_registrations(
    caller: CurrentCaller,
    gateway: GatewayParts,
    institution: Annotated[DetsisNo | None, Query(description="Only registrations of this institution.")] = None,
    state: Annotated[list[RegistrationState] | None, Query(max_length=10)] = None,
    cursor: Cursor | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RegistrationList:
    """The registrations of the caller's institutions, newest first; with scope admin, of all."""
    institutions = await _visible(caller, gateway, institution)
    if not institutions:
        return RegistrationList(registrations=[], next_cursor=None)
    page = await gateway.registrations.page(institutions, states=state or (), cursor=cursor, limit=limit)
    return RegistrationList(registrations=page.registrations, next_cursor=page.next_cursor)


@router.get(
    "/{registration_id}",
    operation_id="getKepRegistration",
    summary="Follow a registration",
    **operation(*_READERS, answer=examples.WAITING, problems=_ONE),
)
async def get_kep_registration(registration_id: UUID, caller: CurrentCaller, gateway: GatewayParts) -> KepRegistration:
    """State, next step, what DETSİS says about each address, and the verification mails with their links.

    DETSİS is asked anew when its last answer is old. Look at the warnings of a mail before anybody opens its link.
    """
    institutions = await _visible(caller, gateway, None)
    if not institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such registration")
    return await joined(gateway, await gateway.registrations.one(institutions, registration_id))


@router.post(
    "/{registration_id}/entered",
    operation_id="enterKepRegistration",
    summary="Say that the address was entered",
    **operation(
        Scope.REGISTRATIONS_MANAGE, request=examples.ENTERING, answer=examples.ENTERED, problems=_CHANGE
    ),
)  # fmt: skip
async def enter_kep_registration(
    registration_id: UUID, body: EnteredBody, caller: CurrentCaller, gateway: GatewayParts
) -> KepRegistration:
    """For the officer who entered it at the portal; it is noticed without this as well, once DETSİS lists it."""
    await gateway.audit(caller, "kep-registration.entered", str(registration_id), entered_by=body.entered_by)
    fact = FactReport(
        what=RegistrationFact.ENTERED, actor=f"person:{body.entered_by}", detail={"client": caller.client_id}
    )
    return await joined(gateway, await gateway.registrations.report(caller.visible(), registration_id, fact))


@router.post(
    "/{registration_id}/confirm",
    operation_id="confirmKepRegistration",
    summary="Say that the link was opened",
    **operation(
        Scope.REGISTRATIONS_MANAGE, request=examples.CONFIRMING, answer=examples.CONFIRMED, problems=_CHANGE
    ),
)  # fmt: skip
async def confirm_kep_registration(
    registration_id: UUID, body: ConfirmationBody, caller: CurrentCaller, gateway: GatewayParts
) -> KepRegistration:
    """Records who opened the link of which mail. The gateway opens no link and confirms nothing at DETSİS itself.

    The same again changes nothing; another person or mail is `state-conflict`, and so is a mail whose provider's
    signature is not valid.
    """
    return await confirm(gateway, caller, registration_id, body)


@router.post(
    "/{registration_id}/cancel",
    operation_id="cancelKepRegistration",
    summary="Give a registration up",
    **operation(
        Scope.REGISTRATIONS_MANAGE, request=examples.CANCELLING, answer=examples.CANCELLED, problems=_CHANGE
    ),
)  # fmt: skip
async def cancel_kep_registration(
    registration_id: UUID, body: CancellationBody, caller: CurrentCaller, gateway: GatewayParts
) -> KepRegistration:
    """Ends the tracking; what was entered at DETSİS has to be taken back there. Not once the address is active."""
    await gateway.audit(caller, "kep-registration.cancel", str(registration_id), reason=body.reason)
    fact = FactReport(what=RegistrationFact.CANCELLED, actor=client(caller), detail={"reason": body.reason})
    return await joined(gateway, await gateway.registrations.report(caller.visible(), registration_id, fact))


async def _visible(caller: Caller, gateway: Gateway, asked: int | None) -> list[int]:
    if Scope.ADMIN in caller.scopes:
        return [number for number in await gateway.institutions.numbers() if asked in {None, number}]
    return list(caller.visible(asked))
