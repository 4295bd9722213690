"""Registrations of KEP addresses, and the guard of those in use."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.detsis_sync.registrations import store
from services.detsis_sync.registrations.guard import ClosingGuard
from services.detsis_sync.registrations.workflow import Registrations
from shared.contracts.directory.registrations import (
    AddressGuard,
    FactReport,
    NewRegistration,
    RegistrationDetail,
    RegistrationPage,
    RegistrationState,
    VerificationNotice,
)
from shared.db.session import Database
from shared.domain.identifiers import KepAddress, kep_address
from shared.errors import DomainError, ErrorCode, Fault

_Institutions = Annotated[list[int], Query(alias="institution", min_length=1, max_length=1000)]


def registration_routes(database: Database, registrations: Registrations, guard: ClosingGuard) -> APIRouter:
    """``/registrations``; those of other institutions are NOT_FOUND."""
    router = APIRouter()

    @router.post("/registrations", status_code=201)
    async def open_registration(wanted: NewRegistration) -> RegistrationDetail:
        return await registrations.open(wanted)

    @router.get("/registrations")
    async def list_registrations(
        institution: _Institutions,
        state: Annotated[list[RegistrationState] | None, Query()] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> RegistrationPage:
        async with database.reading() as session:
            return await store.page(session, institution, states=state or (), cursor=cursor, limit=limit)

    @router.post("/registrations/verification-mails")
    async def note_mail(notice: VerificationNotice) -> VerificationNotice:
        await registrations.note_mail(notice)
        return notice

    @router.get("/registrations/address-guard")
    async def judge(institution: int, address: Annotated[str, Query(min_length=3, max_length=320)]) -> AddressGuard:
        return await guard.judge(institution, _checked(address))

    @router.get("/registrations/{registration_id}")
    async def one(registration_id: UUID, institution: _Institutions) -> RegistrationDetail:
        return await registrations.read(registration_id, institution)

    @router.post("/registrations/{registration_id}/facts")
    async def report(registration_id: UUID, institution: _Institutions, fact: FactReport) -> RegistrationDetail:
        return await registrations.report(registration_id, institution, fact)

    return router


def _checked(address: str) -> KepAddress:
    try:
        return kep_address(address)
    except ValueError as error:
        raise DomainError(ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/address", str(error))]) from error
