"""What a client may know about its institutions' KEP mailboxes."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway import examples
from services.gateway.callers import Caller, Scope
from services.gateway.deps import CurrentCaller, Gateway, GatewayParts
from services.gateway.operations import SCOPED, operation
from services.gateway.routes.admin import MailboxId
from services.gateway.schemas.mailboxes import MailboxList, MailboxSummary
from shared.contracts.mailboxes import MailboxReadiness
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1/mailboxes", tags=["Mailboxes"])

_READERS = (Scope.MESSAGES_SEND, Scope.MESSAGES_READ, Scope.ADMIN)


@router.get(
    "",
    operation_id="listMailboxes",
    summary="List mailboxes",
    **operation(*_READERS, answer=examples.MAILBOXES, problems=(*SCOPED, ErrorCode.SERVICE_UNAVAILABLE)),
)
async def list_mailboxes(caller: CurrentCaller, gateway: GatewayParts) -> MailboxList:
    """The KEP mailboxes of the caller's institutions; with scope admin, of all."""
    institutions = await visible_institutions(caller, gateway)
    found = await gateway.relay.mailboxes(institutions) if institutions else []
    return MailboxList(mailboxes=[MailboxSummary.of(mailbox) for mailbox in found])


@router.get(
    "/{mailbox_id}/readiness",
    operation_id="getMailboxReadiness",
    summary="Check a mailbox",
    **operation(
        *_READERS, answer=examples.READINESS,
        problems=(*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
    ),
)  # fmt: skip
async def get_readiness(mailbox_id: MailboxId, caller: CurrentCaller, gateway: GatewayParts) -> MailboxReadiness:
    """Whether a letter handed over now would go out at once, and if not, what is in the way."""
    institutions = await visible_institutions(caller, gateway)
    if not institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such mailbox")
    return await gateway.relay.readiness(institutions, mailbox_id)


async def visible_institutions(caller: Caller, gateway: Gateway) -> list[int]:
    """Whose mailboxes a caller sees: its institutions'; with scope admin, all."""
    if Scope.ADMIN in caller.scopes:
        return await gateway.institutions.numbers()
    return list(caller.visible())
