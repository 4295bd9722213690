"""A person gives the second factor that a KEP account asks for before its provider hands out messages."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway import second_factor_examples as examples
from services.gateway.callers import Scope
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.operations import JSON_BODY, SCOPED, operation
from services.gateway.routes.admin import MailboxId
from services.gateway.routes.mailboxes import visible_institutions
from services.gateway.schemas.second_factor import ChallengeBody, ConfirmationBody
from shared.contracts.second_factor import SecondFactor, SecondFactorAnswer, SecondFactorChallenge
from shared.errors import DomainError, ErrorCode

router = APIRouter(prefix="/v1/mailboxes", tags=["Mailboxes"])

_READERS = (Scope.MESSAGES_READ, Scope.REGISTRATIONS_MANAGE, Scope.ADMIN)
_ONE = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)
_CHANGE = (
    *JSON_BODY, *_ONE, ErrorCode.STATE_CONFLICT, ErrorCode.MAILBOX_NOT_READY, ErrorCode.PROVIDER_UNAVAILABLE,
    ErrorCode.PROVIDER_REFUSED,
)  # fmt: skip


@router.get(
    "/{mailbox_id}/second-factor",
    operation_id="getSecondFactor",
    summary="See whether a mailbox waits for a person",
    **operation(*_READERS, answer=examples.NEEDED, problems=_ONE),
)
async def get_second_factor(mailbox_id: MailboxId, caller: CurrentCaller, gateway: GatewayParts) -> SecondFactor:
    """`needed` and `challenged`: letters wait at the provider, unread and unharmed, until a person has answered."""
    institutions = await visible_institutions(caller, gateway)
    if not institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such mailbox")
    return await gateway.relay.second_factor(institutions, mailbox_id)


@router.post(
    "/{mailbox_id}/second-factor",
    operation_id="beginSecondFactor",
    summary="Begin a challenge",
    **operation(Scope.REGISTRATIONS_MANAGE, request=examples.BEGINNING, answer=examples.CHALLENGED, problems=_CHANGE),
)
async def begin_second_factor(
    mailbox_id: MailboxId, body: ChallengeBody, caller: CurrentCaller, gateway: GatewayParts
) -> SecondFactor:
    """The provider sends its SMS, or names the text to be signed (`text`, with its digest).

    An earlier challenge is void then. Two may be begun in a row (a setting), then `rate-limited`: an SMS costs, and
    providers lock accounts.
    """
    await gateway.audit(caller, "second-factor.begin", mailbox_id, by=body.by)
    return await gateway.relay.begin_second_factor(caller.visible(), mailbox_id, SecondFactorChallenge(by=body.by))


@router.post(
    "/{mailbox_id}/second-factor/confirm",
    operation_id="confirmSecondFactor",
    summary="Answer a challenge",
    **operation(Scope.REGISTRATIONS_MANAGE, request=examples.CONFIRMING, answer=examples.CONFIRMED, problems=_CHANGE),
)
async def confirm_second_factor(
    mailbox_id: MailboxId, body: ConfirmationBody, caller: CurrentCaller, gateway: GatewayParts
) -> SecondFactor:
    """With the key from the SMS or the signature (CAdES-BES, DER, Base64) over the text: the waiting letters come in.

    An answer that the provider does not take voids the challenge (`validation-failed`); if it cannot be asked
    (`provider-unavailable`), the same answer may be given again.
    """
    await gateway.audit(caller, "second-factor.confirm", mailbox_id, by=body.by)
    answer = SecondFactorAnswer(by=body.by, sms_code=body.sms_code, signature_base64=body.signature_base64)
    return await gateway.relay.confirm_second_factor(caller.visible(), mailbox_id, answer)
