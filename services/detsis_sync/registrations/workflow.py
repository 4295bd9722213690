"""Registrations of KEP addresses: opened by people, moved on by facts of people, mails and DETSİS (EK-1/2–6, EK-2/2–5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from services.detsis_sync.registrations import store
from services.detsis_sync.registrations.listing import Listing, Register
from services.detsis_sync.registrations.place import own_unit_name
from services.detsis_sync.registrations.states import LISTED_AS, Step, accepts
from services.detsis_sync.registrations.steps import RegistrationStep
from services.detsis_sync.tables import Registration, RegistrationEvent
from shared.clock import Clock
from shared.contracts.directory import AddressSource
from shared.contracts.directory.registrations import (
    Detail,
    FactReport,
    ListedAddress,
    NewRegistration,
    RegistrationDetail,
    RegistrationFact,
    RegistrationState,
    Standing,
    VerificationNotice,
)
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import KepAddress, kep_address, new_id
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_BY_DETSIS = "detsis"
_BY_RELAY = "kep_relay"
_MOST_MAILS = 50
"""Of one registration: whoever writes to the mailbox must not be able to fill the table."""


@dataclass(frozen=True)
class Patience:
    """``check``: how often DETSİS is asked by itself; ``recheck``: how old an answer may be for who looks now."""

    check: timedelta
    recheck: timedelta


class Registrations:
    """Opens registrations and moves them on; every step is an event row."""

    def __init__(
        self, database: Database, register: Register, step: RegistrationStep, clock: Clock, patience: Patience
    ) -> None:
        self._database = database
        self._register = register
        self._step = step
        self._clock = clock
        self._patience = patience

    async def open(self, wanted: NewRegistration) -> RegistrationDetail:
        """Open one; the same again gives the one that is open.

        Raises VALIDATION_FAILED for an address or a unit that cannot be, STATE_CONFLICT when the unit
        or the address has an open one already, DIRECTORY_UNAVAILABLE when nobody can say whether the
        unit is the institution's.
        """
        address = _address(wanted.kep_address)
        unit_name = await own_unit_name(self._database, self._register, wanted.institution_no, wanted.detsis_no)
        listing = await self._register.listing(wanted.institution_no, wanted.detsis_no, address)
        if listing is None:
            async with self._database.reading() as session:
                listing = await self._register.mirrored(session, wanted.detsis_no, address)
        if listing.source is AddressSource.LIVE and listing.standing is Standing.ELSEWHERE:
            detail = f"DETSİS lists the address for another unit ({listing.owner_no})"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/body/kep_address", detail)])
        now = self._clock.now()
        previous = listing.active_address
        row = Registration(
            registration_id=new_id(), institution_no=wanted.institution_no, detsis_no=wanted.detsis_no,
            unit_name=unit_name, kep_address=address, previous_address=None if previous == address else previous,
            mailbox_id=wanted.mailbox_id, step=self._step.name, state=RegistrationState.AWAITING_ENTRY.value,
            note=wanted.note, opened_by=wanted.opened_by, opened_at=now, updated_at=now, check_at=now,
        )  # fmt: skip
        try:
            async with self._database.unit_of_work() as work:
                if (existing := await self._open_one(work, row)) is not None:
                    row = existing
                else:
                    work.session.add(row)
                    await work.session.flush()
                    detail_of_opening: Detail = {"note": wanted.note} if wanted.note else {}
                    await store.append(work, row, Step.OPENED, actor=wanted.opened_by, at=now, detail=detail_of_opening)
        except IntegrityError as error:  # opened by another one between look and insert
            raise DomainError(ErrorCode.STATE_CONFLICT, "the unit has an open registration already") from error
        log.info("registration_opened", registration_id=str(row.registration_id), detsis_no=wanted.detsis_no)
        if listing.source is AddressSource.LIVE:
            await self._observe(row.registration_id, listing)
        return await self.detail(row.registration_id, [row.institution_no], asked=listing)

    async def read(self, registration_id: UUID, institutions: Sequence[int]) -> RegistrationDetail:
        """One registration; DETSİS is asked first when its last answer is old. Raises NOT_FOUND."""
        async with self._database.reading() as session:
            row = await store.owned(session, registration_id, institutions)
        listing = None
        gone = row.state in {RegistrationState.CANCELLED, RegistrationState.SUPERSEDED}
        if not gone and (row.checked_at is None or self._clock.now() - row.checked_at >= self._patience.recheck):
            listing = await self.check(row)
        return await self.detail(registration_id, institutions, asked=listing)

    async def check(self, row: Registration) -> Listing | None:
        """Ask DETSİS about one registration and write down what is new; None if it does not answer."""
        listing = await self._register.listing(row.institution_no, row.detsis_no, KepAddress(row.kep_address))
        if listing is not None:
            await self._observe(row.registration_id, listing)
        return listing

    async def report(self, registration_id: UUID, institutions: Sequence[int], fact: FactReport) -> RegistrationDetail:
        """Write down what somebody says; again the same changes nothing. Raises NOT_FOUND, STATE_CONFLICT."""
        async with self._database.unit_of_work() as work:
            row = await store.owned(work.session, registration_id, institutions, lock=True)
            events = await store.events_of(work.session, registration_id)
            await self._write(work, row, events, fact)
        listing = await self.check(row) if fact.what is not RegistrationFact.CANCELLED else None
        return await self.detail(registration_id, institutions, asked=listing)

    async def note_mail(self, notice: VerificationNotice) -> None:
        """A verification mail came; the newest registration of its address that may still use it goes on."""
        async with self._database.unit_of_work() as work:
            row = await work.session.scalar(
                select(Registration)
                .where(
                    Registration.institution_no == notice.institution_no,
                    Registration.kep_address == _address(notice.kep_address),
                    Registration.state.in_((*store.OPEN_STATES, RegistrationState.ACTIVE.value)),
                )
                .order_by(Registration.opened_at.desc())
                .limit(1)
                .with_for_update()
            )
            if row is None:
                log.info("verification_mail_without_registration", message_id=str(notice.message_id))
                return
            fact = FactReport(
                what=RegistrationFact.VERIFICATION_RECEIVED, actor=_BY_RELAY, message_id=notice.message_id,
                detail={"received_at": notice.received_at.isoformat()},
            )  # fmt: skip
            await self._write(work, row, await store.events_of(work.session, row.registration_id), fact)

    async def detail(
        self, registration_id: UUID, institutions: Sequence[int], *, asked: Listing | None
    ) -> RegistrationDetail:
        """Everything known about one; ``asked`` is what DETSİS has just said, if it was asked."""
        async with self._database.reading() as session:
            row = await store.owned(session, registration_id, institutions)
            events = await store.events_of(session, registration_id)
            mirrored = await self._register.mirrored(session, row.detsis_no, KepAddress(row.kep_address))
        record = store.record(row)
        officers = None
        if record.state is RegistrationState.AWAITING_ENTRY:
            officers = await self._register.officers(row.institution_no)
        return RegistrationDetail(
            registration=record,
            events=[store.event_record(event) for event in events],
            addresses=_addresses(row, asked, mirrored),
            instructions=self._step.instructions(record, officers),
        )

    async def _open_one(self, work: UnitOfWork, wanted: Registration) -> Registration | None:
        """The open registration that is already what is wanted. Raises STATE_CONFLICT for another in the way."""
        found = await work.session.scalars(
            select(Registration).where(
                # Of this institution only: nobody holds another's address by naming it first. DETSİS decides.
                Registration.institution_no == wanted.institution_no,
                Registration.state.in_(store.OPEN_STATES),
                (Registration.kep_address == wanted.kep_address) | (Registration.detsis_no == wanted.detsis_no),
            )
        )
        for row in found:
            if (row.detsis_no, row.kep_address) == (wanted.detsis_no, wanted.kep_address):
                return row
            raise DomainError(
                ErrorCode.STATE_CONFLICT, f"registration {row.registration_id} is open for this unit or address"
            )
        return None

    async def _write(
        self, work: UnitOfWork, row: Registration, events: Sequence[RegistrationEvent], fact: FactReport
    ) -> None:
        if _known(events, fact):
            return
        if not accepts(RegistrationState(row.state), fact.what):
            raise DomainError(ErrorCode.STATE_CONFLICT, f"the registration is {row.state}")
        if fact.what is RegistrationFact.CONFIRMED and any(item.what == Step.CONFIRMED for item in events):
            raise DomainError(ErrorCode.STATE_CONFLICT, "somebody has confirmed with another mail or name already")
        mails = sum(item.what == Step.VERIFICATION_RECEIVED for item in events)
        if fact.what is RegistrationFact.VERIFICATION_RECEIVED and mails >= _MOST_MAILS:
            return
        detail: Detail = dict(fact.detail)
        if fact.message_id is not None:
            detail["message_id"] = str(fact.message_id)
        await store.append(work, row, fact.what.value, actor=fact.actor, at=self._clock.now(), detail=detail)
        log.info("registration_moved", registration_id=str(row.registration_id), what=fact.what, state=row.state)

    async def _observe(self, registration_id: UUID, listing: Listing) -> None:
        """Write down what DETSİS says, if it says something new."""
        assert listing.standing is not None
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await work.session.get_one(Registration, registration_id, with_for_update=True)
            is_open = row.state in store.OPEN_STATES
            before, row.listed_state, row.checked_at = row.listed_state, listing.standing.value, now
            row.check_at = now + self._patience.check if is_open else None
            row.unit_addresses = [
                {"address": item.address, "standing": item.standing.value}
                for item in listing.of_unit
                if item.standing is not None
            ]
            never_listed = before in {None, Standing.NOT_LISTED} and listing.standing is Standing.NOT_LISTED
            if before == listing.standing or never_listed or not is_open:
                return
            detail: Detail = {"standing": listing.standing.value}
            if listing.standing is Standing.ELSEWHERE:
                detail["detsis_no"] = listing.owner_no
            await store.append(work, row, LISTED_AS[listing.standing], actor=_BY_DETSIS, at=now, detail=detail)
            log.info("registration_listed", registration_id=str(registration_id), standing=listing.standing.value)
            if listing.standing is Standing.ACTIVE:
                await self._supersede(work, row)

    async def _supersede(self, work: UnitOfWork, row: Registration) -> None:
        """The unit's former registrations are over: it has one address that is open to others."""
        former = await work.session.scalars(
            select(Registration)
            .where(
                Registration.institution_no == row.institution_no,
                Registration.detsis_no == row.detsis_no,
                Registration.registration_id != row.registration_id,
                Registration.state == RegistrationState.ACTIVE.value,
            )
            .with_for_update()
        )
        for other in former:
            await store.append(
                work, other, Step.SUPERSEDED, actor=_BY_DETSIS, at=self._clock.now(),
                detail={"by": str(row.registration_id)},
            )  # fmt: skip


def _known(events: Sequence[RegistrationEvent], fact: FactReport) -> bool:
    """Whether the same was written down before: of a mail by its id, of a person's word by name and mail."""
    identifier = None if fact.message_id is None else str(fact.message_id)
    same = [item for item in events if item.what == fact.what.value]
    if fact.what is RegistrationFact.VERIFICATION_RECEIVED:
        return any(item.detail.get("message_id") == identifier for item in same)
    if fact.what is RegistrationFact.CONFIRMED:
        return any(item.detail.get("message_id") == identifier and item.actor == fact.actor for item in same)
    return bool(same)


def _addresses(row: Registration, asked: Listing | None, mirrored: Listing) -> list[ListedAddress]:
    """The new address, then the others: as DETSİS has just said, else as it last said, else as the mirror has them."""
    if asked is None and row.listed_state is not None:
        asked = Listing(
            source=AddressSource.LIVE,
            as_of=row.checked_at,
            of_unit=tuple(
                ListedAddress(
                    address=item["address"], standing=item["standing"], source=AddressSource.LIVE, as_of=row.checked_at
                )
                for item in row.unit_addresses
            ),
            owner_no=None,
            standing=Standing(row.listed_state),
        )  # fmt: skip
    known = asked or mirrored
    new = ListedAddress(address=row.kep_address, standing=known.standing, source=known.source, as_of=known.as_of)
    return [new, *known.without(row.kep_address)]


def _address(text: str) -> KepAddress:
    try:
        return kep_address(text)
    except ValueError as error:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/body/kep_address", str(error))]
        ) from error
