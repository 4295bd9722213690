"""Joins the two sides of a KEP registration: what detsis_sync knows of it, and what is in the mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from services.gateway.callers import Caller
from services.gateway.deps import Gateway
from services.gateway.schemas.registrations import ConfirmationBody, KepRegistration, RegistrationBody
from shared.contracts.directory.registrations import (
    ENDED,
    FactReport,
    NewRegistration,
    RegistrationDetail,
    RegistrationFact,
    RegistrationState,
)
from shared.contracts.verification_mails import VerificationMail
from shared.domain.identifiers import KepAddress, kep_address
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode, Fault


async def open_registration(gateway: Gateway, caller: Caller, body: RegistrationBody) -> KepRegistration:
    """Open one; the same again gives the one that is open.

    Raises VALIDATION_FAILED (address, mailbox, unit), INSTITUTION_FORBIDDEN, STATE_CONFLICT and what
    the services behind raise when they are away.
    """
    institution_no = caller.acting_for(body.institution_no, "/body/institution_no")
    address = _address(body.kep_address)
    intake = await gateway.relay.intake(institution_no, address)
    if not intake.address_allowed:
        raise _refused("/body/kep_address", "the address's domain is not among the configured KEP domains")
    if body.mailbox_id is not None and body.mailbox_id != intake.mailbox_id:
        raise _refused("/body/mailbox_id", "is not a mailbox of the institution with this address")
    detsis_no = institution_no if body.detsis_no is None else body.detsis_no
    await gateway.audit(caller, "kep-registration.open", address, institution=institution_no, detsis_no=detsis_no)
    detail = await gateway.registrations.open(
        NewRegistration(
            institution_no=institution_no, detsis_no=detsis_no, kep_address=address, mailbox_id=intake.mailbox_id,
            note=body.note, opened_by=client(caller),
        )
    )  # fmt: skip
    return await joined(gateway, detail)


async def joined(gateway: Gateway, detail: RegistrationDetail) -> KepRegistration:
    """The registration with the mails in its mailbox; one that detsis_sync was not told of yet is told now."""
    registration = detail.registration
    institutions = [registration.institution_no]
    mails, intake = await asyncio.gather(
        gateway.relay.verification_mails(institutions, address=registration.kep_address),
        gateway.relay.intake(registration.institution_no, registration.kep_address),
    )
    # Those of an earlier registration of the same address are over.
    mails = [mail for mail in mails if mail.settled_at is None or str(mail.message_id) in _mentioned(detail)]
    for mail in _news(detail, mails):
        fact = FactReport(what=RegistrationFact.VERIFICATION_RECEIVED, actor="kep_relay", message_id=mail.message_id)
        detail = await gateway.registrations.report(institutions, registration.registration_id, fact)
    return KepRegistration(
        registration=detail.registration,
        checks=intake.checks,
        instructions=detail.instructions,
        addresses=detail.addresses,
        verification_mails=mails,
        events=detail.events,
    )


async def confirm(gateway: Gateway, caller: Caller, registration_id: UUID, body: ConfirmationBody) -> KepRegistration:
    """Write down that an authorised person opened the mail's link; again the same changes nothing.

    Raises NOT_FOUND, and STATE_CONFLICT for a mail of another mailbox, a mail without a valid envelope,
    a registration that is over, or one that somebody has confirmed otherwise.
    """
    institutions = list(caller.visible())
    detail = await gateway.registrations.one(institutions, registration_id)
    registration = detail.registration
    mail = await gateway.relay.verification_mail([registration.institution_no], body.verification_mail_id)
    if mail.mailbox_address != registration.kep_address:
        raise DomainError(ErrorCode.STATE_CONFLICT, "the mail came to another address than the registration's")
    if mail.envelope is Conclusion.FAILED:
        raise DomainError(
            ErrorCode.STATE_CONFLICT,
            "no KEP provider's valid signature is around this mail, so it is not from DETSİS; if its link was opened, "
            "treat that as an attack",
        )
    await gateway.audit(
        caller, "kep-registration.confirm", str(registration_id), mail=str(mail.message_id),
        confirmed_by=body.confirmed_by, warnings=[warning.value for warning in mail.warnings],
    )  # fmt: skip
    said: dict[str, str | int | list[str] | None] = {
        "client": caller.client_id, "warnings": [warning.value for warning in mail.warnings]
    }  # fmt: skip
    person = f"person:{body.confirmed_by}"
    for what, actor in (
        (RegistrationFact.VERIFICATION_RECEIVED, "kep_relay" if mail.recognised_by == "sender" else person),
        (RegistrationFact.CONFIRMED, person),
    ):
        fact = FactReport(what=what, actor=actor, message_id=mail.message_id, detail=said)
        detail = await gateway.registrations.report(institutions, registration_id, fact)
    await gateway.relay.settle_verification_mail([registration.institution_no], mail.message_id, body.confirmed_by)
    return await joined(gateway, detail)


def client(caller: Caller) -> str:
    """The caller as an actor of events."""
    return f"client:{caller.client_id}"


def _news(detail: RegistrationDetail, mails: Sequence[VerificationMail]) -> list[VerificationMail]:
    """Verification mails that are no event yet: they came before the registration was opened."""
    state = detail.registration.state
    if state in ENDED and state is not RegistrationState.ACTIVE:
        return []
    known = _mentioned(detail)
    return [
        mail
        for mail in mails
        if mail.recognised_by == "sender"
        and mail.settled_at is None
        and mail.envelope in {Conclusion.PASSED, Conclusion.INDETERMINATE}
        and str(mail.message_id) not in known
    ]


def _mentioned(detail: RegistrationDetail) -> set[str]:
    """Ids of the mails that events are about."""
    return {str(item.detail["message_id"]) for item in detail.events if item.detail.get("message_id")}


def _address(text: str) -> KepAddress:
    try:
        return kep_address(text)
    except ValueError as error:
        raise _refused("/body/kep_address", str(error)) from error


def _refused(pointer: str, detail: str) -> DomainError:
    return DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(pointer, detail)])
