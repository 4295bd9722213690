"""Verification mails of DETSİS, and whether an address is ready to be opened to others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.kep_relay.inbound import verification_mails
from services.kep_relay.intake import Intake
from services.kep_relay.routes.institutions import Institutions
from shared.clock import Clock
from shared.contracts.verification_mails import IntakeReport, Settlement, VerificationMail, VerificationMails
from shared.db.session import Database
from shared.domain.identifiers import KepAddress, kep_address
from shared.errors import DomainError, ErrorCode, Fault

_Address = Annotated[str, Query(min_length=3, max_length=320)]


def verification_routes(
    database: Database, clock: Clock, intake: Intake, *, expected_hosts: Collection[str]
) -> APIRouter:
    """``/verification-mails`` and ``/intake``; a mail of another institution is NOT_FOUND."""
    routes = APIRouter()

    @routes.get("/verification-mails")
    async def list_mails(
        institution: Institutions,
        address: _Address | None = None,
        waiting: bool = False,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> VerificationMails:
        wanted = None if address is None else _checked(address)
        async with database.reading() as session:
            mails = await verification_mails.listed(
                session, institution, address=wanted, waiting=waiting, limit=limit, expected_hosts=expected_hosts
            )
        return VerificationMails(mails=mails)

    @routes.get("/verification-mails/{message_id}")
    async def one_mail(message_id: UUID, institution: Institutions) -> VerificationMail:
        async with database.reading() as session:
            return await verification_mails.one(session, message_id, institution, expected_hosts)

    @routes.post("/verification-mails/{message_id}/settlement")
    async def settle(message_id: UUID, institution: Institutions, body: Settlement) -> VerificationMail:
        async with database.unit_of_work() as work:
            await verification_mails.settle(work, message_id, institution, settled_by=body.settled_by, now=clock.now())
        async with database.reading() as session:
            return await verification_mails.one(session, message_id, institution, expected_hosts)

    @routes.get("/intake")
    async def intake_report(institution: Institutions, address: _Address) -> IntakeReport:
        async with database.reading() as session:
            return await intake.report(session, _checked(address), institution)

    return routes


def _checked(address: str) -> KepAddress:
    try:
        return kep_address(address)
    except ValueError as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/address", str(error))]) from error
