"""For operators: institutions, API keys, mailboxes, DETSİS accounts, the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.closing_guard import allow_change
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.ledger_example import LEDGER
from services.gateway.operations import JSON_BODY, operation
from services.gateway.schemas.admin import (
    ApiKeyAnswer,
    ApiKeyBody,
    ApiKeyList,
    InstitutionAnswer,
    InstitutionBody,
    MailboxBody,
    NewApiKeyAnswer,
    RegisterAccountBody,
)
from services.gateway.schemas.text import DetsisNo
from shared.contracts.directory import RefreshRun, RegisterAccount
from shared.contracts.mailboxes import Mailbox
from shared.contracts.outbound import Ledger
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1", tags=["Administration"])

MailboxId = Annotated[
    str,
    Path(
        min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Chosen by the operator.",
        examples=["ornek-bakanligi"],
    ),
]  # fmt: skip
KeyId = Annotated[
    str,
    Path(
        min_length=8, max_length=16, pattern=r"^[A-Za-z0-9]+$",
        description="The part of the key between the underscores.", examples=["Qm7xW2kPz9Lr"],
    ),
]  # fmt: skip
_BY_ID = (ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND)


@router.put(
    "/institutions/{detsis_no}",
    operation_id="putInstitution",
    summary="Enter or change an institution",
    **operation(Scope.ADMIN, request=examples.INSTITUTION, answer=examples.INSTITUTION_ANSWER, problems=JSON_BODY),
)
async def put_institution(
    detsis_no: DetsisNo, body: InstitutionBody, caller: CurrentCaller, gateway: GatewayParts
) -> InstitutionAnswer:
    """An institution must be entered before it gets keys, a mailbox or a DETSİS account."""
    return await gateway.institutions.put(caller, detsis_no, body)


@router.get(
    "/institutions/{detsis_no}",
    operation_id="getInstitution",
    summary="Read an institution",
    **operation(Scope.ADMIN, answer=examples.INSTITUTION_ANSWER, problems=_BY_ID),
)
async def get_institution(detsis_no: DetsisNo, gateway: GatewayParts) -> InstitutionAnswer:
    """Its name, and how strict the gateway is with its letters."""
    return await gateway.institutions.get(detsis_no)


@router.post(
    "/api-keys",
    status_code=201,
    operation_id="createApiKey",
    summary="Issue an API key",
    **operation(
        Scope.ADMIN, request=examples.API_KEY, status=201, answer=examples.NEW_API_KEY, problems=JSON_BODY
    ),
)  # fmt: skip
async def create_key(body: ApiKeyBody, caller: CurrentCaller, gateway: GatewayParts) -> NewApiKeyAnswer:
    """The answer holds the key for this one time; only its digest is stored.

    The client is made if it is unknown, and the institutions named are added to those it may act for.
    """
    return await gateway.api_keys.issue(caller, body)


@router.get(
    "/api-keys",
    operation_id="listApiKeys",
    summary="List API keys",
    **operation(Scope.ADMIN, answer=examples.API_KEYS),
)
async def list_keys(gateway: GatewayParts) -> ApiKeyList:
    """All keys, revoked ones too, without their secrets."""
    keys: list[ApiKeyAnswer] = await gateway.api_keys.all()
    return ApiKeyList(keys=keys)


@router.delete(
    "/api-keys/{key_id}",
    status_code=204,
    response_class=Response,
    operation_id="revokeApiKey",
    summary="Revoke an API key",
    **operation(Scope.ADMIN, problems=_BY_ID),
)
async def revoke_key(key_id: KeyId, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Takes effect within seconds everywhere and cannot be undone. Doing it again is harmless."""
    await gateway.api_keys.revoke(caller, key_id)
    return Response(status_code=204)


@router.put(
    "/mailboxes/{mailbox_id}",
    operation_id="putMailbox",
    summary="Configure a KEP mailbox",
    **operation(
        Scope.ADMIN, request=examples.MAILBOX, answer=examples.MAILBOX_ANSWER,
        problems=(
            *JSON_BODY, *_BY_ID, ErrorCode.STATE_CONFLICT, ErrorCode.KEP_ADDRESS_LISTED,
            ErrorCode.DIRECTORY_UNAVAILABLE, ErrorCode.SERVICE_UNAVAILABLE,
        ),
    ),
)  # fmt: skip
async def put_mailbox(
    mailbox_id: MailboxId, body: MailboxBody, caller: CurrentCaller, gateway: GatewayParts
) -> Mailbox:
    """How the KEP account is reached. Passwords and the agent's number are encrypted at rest and never shown.

    A mailbox whose address DETSİS still lists, or that an open registration needs, is neither switched off nor
    given another address (EK-2/5): `kep-address-listed`, or `directory-unavailable` while nobody can say.
    """
    await gateway.institutions.get(body.institution_no)
    await allow_change(gateway, caller, mailbox_id, body)
    await gateway.audit(caller, "mailbox.put", mailbox_id, address=body.address, institution=body.institution_no)
    mailbox = await gateway.relay.put_mailbox(mailbox_id, body.contract())
    return _without_secrets(mailbox)


@router.get(
    "/mailboxes/{mailbox_id}",
    operation_id="getMailbox",
    summary="Read a KEP mailbox's configuration",
    **operation(
        Scope.ADMIN, answer=examples.MAILBOX_ANSWER, problems=(*_BY_ID, ErrorCode.SERVICE_UNAVAILABLE)
    ),
)  # fmt: skip
async def get_mailbox(mailbox_id: MailboxId, gateway: GatewayParts) -> Mailbox:
    """How the KEP account is reached, without its password."""
    institutions = await gateway.institutions.numbers()
    found = await gateway.relay.mailboxes(institutions) if institutions else []
    for mailbox in found:
        if mailbox.mailbox_id == mailbox_id:
            return _without_secrets(mailbox)
    raise DomainError(ErrorCode.NOT_FOUND, "no such mailbox")


@router.put(
    "/directory/accounts/{institution_no}",
    operation_id="putDirectoryAccount",
    summary="Configure an institution's DETSİS account",
    **operation(
        Scope.ADMIN, request=examples.ACCOUNT, answer=examples.ACCOUNT_ANSWER,
        problems=(*JSON_BODY, *_BY_ID, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def put_account(
    institution_no: DetsisNo, body: RegisterAccountBody, caller: CurrentCaller, gateway: GatewayParts
) -> RegisterAccount:
    """The account with which DETSİS is asked on the institution's behalf."""
    await gateway.institutions.get(institution_no)
    account = RegisterAccount(
        institution_no=institution_no, account_id=body.account_id, endpoint=body.endpoint,
        keeps_copy=body.keeps_copy, has_own_tree=body.has_own_tree, password=body.password,
    )  # fmt: skip
    await gateway.audit(caller, "directory-account.put", str(institution_no), endpoint=body.endpoint)
    stored = await gateway.directory.put_account(account)
    return stored.model_copy(update={"password": None})


@router.post(
    "/directory/accounts/{institution_no}/refreshes",
    status_code=202,
    operation_id="startDirectoryRefresh",
    summary="Refresh the mirror now",
    **operation(
        Scope.ADMIN, status=202, answer=examples.RUN,
        problems=(*_BY_ID, ErrorCode.STATE_CONFLICT, ErrorCode.DIRECTORY_REFUSED, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def start_refresh(institution_no: DetsisNo, caller: CurrentCaller, gateway: GatewayParts) -> RefreshRun:
    """Fetch the register with this institution's account; it goes on in the background, see the directory's status."""
    await gateway.audit(caller, "directory-refresh.start", str(institution_no))
    return await gateway.directory.refresh(institution_no)


@router.get(
    "/ledger",
    operation_id="getLedger",
    summary="Read the ledger",
    **operation(Scope.ADMIN, answer=LEDGER, problems=(ErrorCode.SERVICE_UNAVAILABLE,)),
)
async def get_ledger(gateway: GatewayParts) -> Ledger:
    """The sum: accepted = terminal + in flight, in both directions: an imbalance other than 0 means a letter is lost.

    In all and by institution, with the number in each state and the oldest letter that is not at its end; where the
    sum does not come out, `stuck` names letters that nothing will move on.
    """
    return await gateway.relay.ledger()


def _without_secrets(mailbox: Mailbox) -> Mailbox:
    hidden: dict[str, object] = {"password": None}
    if mailbox.configuration.eyws is not None:
        hidden["eyws"] = mailbox.configuration.eyws.model_copy(update={"agent_no": None, "second_password": None})
    configuration = mailbox.configuration.model_copy(update=hidden)
    return mailbox.model_copy(update={"configuration": configuration})
