"""What DETSİS says about KEP addresses, asked live, and what the mirror says when it cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.rows import KepAddressRow, UnitRow
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.tables import KepAddressRecord
from shared.clock import Clock
from shared.contracts.directory import AddressSource
from shared.contracts.directory.registrations import ListedAddress, Officer, Standing
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber, KepAddress
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Listing:
    """A unit's addresses, and who else may own the one that is asked about."""

    source: AddressSource
    as_of: datetime | None
    of_unit: tuple[ListedAddress, ...]
    owner_no: int | None
    """The unit the address is listed for, whichever that is."""
    standing: Standing | None
    """Of the address asked about; None if this source cannot say."""

    @property
    def active_address(self) -> str | None:
        """The unit's address that is open to others now."""
        return next((item.address for item in self.of_unit if item.standing is Standing.ACTIVE), None)

    def without(self, address: str) -> list[ListedAddress]:
        """The unit's other addresses."""
        return [item for item in self.of_unit if item.address != address]


@dataclass(frozen=True)
class UnitPlace:
    """A unit, None if DETSİS does not know it, and the numbers of all above it."""

    unit: UnitRow | None
    above: frozenset[int]


class Register:
    """Asks DETSİS for one institution; every question is answered in time or with None."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        clients: DetsisClients,
        clock: Clock,
        age: MirrorAge,
        *,
        timeout_seconds: float,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._clients = clients
        self._clock = clock
        self._age = age
        self._timeout_seconds = timeout_seconds

    async def listing(self, institution_no: int, unit_no: int, address: KepAddress) -> Listing | None:
        """Live: the unit's addresses and the standing of ``address``; None if DETSİS does not answer."""

        async def ask(client: DetsisClient) -> Listing:
            rows = await client.kep_addresses([DetsisNumber(unit_no)])
            mine = next((row for row in rows if row.address == address and row.detsis_no == unit_no), None)
            return self._live(unit_no, rows, mine or await client.address_owner(address))

        return await self._ask(institution_no, "kep-addresses", ask)

    async def owner(self, institution_no: int, address: KepAddress) -> Listing | None:
        """Live: who owns ``address``, with all addresses of that unit; None if DETSİS does not answer."""

        async def ask(client: DetsisClient) -> Listing:
            owner = await client.address_owner(address)
            rows = [] if owner is None else await client.kep_addresses([owner.detsis_no])
            return self._live(0 if owner is None else owner.detsis_no, rows, owner)

        return await self._ask(institution_no, "address-owner", ask)

    async def unit(self, institution_no: int, unit_no: int) -> UnitPlace | None:
        """Live: the unit and what is above it; None if DETSİS does not answer."""

        async def ask(client: DetsisClient) -> UnitPlace:
            unit = await client.unit(DetsisNumber(unit_no))
            above = [] if unit is None else await client.ancestors(DetsisNumber(unit_no))
            return UnitPlace(unit, frozenset(row.detsis_no for row in above))

        return await self._ask(institution_no, "unit", ask)

    async def officers(self, institution_no: int) -> list[Officer] | None:
        """Live: who may change the institution's data; None if DETSİS does not answer."""

        async def ask(client: DetsisClient) -> list[Officer]:
            return [
                Officer(given_name=row.given_name, surname=row.surname, phone=row.phone, email=row.email, role=row.role)
                for row in await client.officers()
            ]

        return await self._ask(institution_no, "officers", ask)

    async def _ask(
        self, institution_no: int, question: str, ask: Callable[[DetsisClient], Awaitable[AnswerT]]
    ) -> AnswerT | None:
        try:
            async with self._database.reading() as session:
                account = await self._accounts.of_sender(session, institution_no)
            if account is None:
                return None
            async with asyncio.timeout(self._timeout_seconds):
                return await ask(self._clients.of(account))
        except TimeoutError:
            log.warning("detsis_not_answering", question=question, reason="no answer in time")
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            log.warning("detsis_not_answering", question=question, reason=error.detail)
        return None

    async def mirrored(self, session: AsyncSession, unit_no: int | None, address: KepAddress) -> Listing:
        """The mirror's view. It holds active addresses only, so what it does not name may be waiting.

        Without ``unit_no``, that of the address's owner. An address that a fresh mirror does not name
        is not active; a stale one proves nothing.
        """
        freshness = await self._age.of(session)
        owners = (
            await session.scalars(
                select(KepAddressRecord).where(
                    KepAddressRecord.address == address, KepAddressRecord.absent_since.is_(None)
                )
            )
        ).all()
        owner = next((row for row in owners if row.detsis_no == unit_no), owners[0] if owners else None)
        number = unit_no if unit_no is not None else (None if owner is None else owner.detsis_no)
        rows = (
            await session.scalars(
                select(KepAddressRecord)
                .where(KepAddressRecord.detsis_no == number, KepAddressRecord.absent_since.is_(None))
                .order_by(KepAddressRecord.address)
            )
        ).all()
        standing = None if freshness.stale else Standing.NOT_LISTED
        if owner is not None:
            standing = _standing(of_the_unit=owner.detsis_no == number, active=owner.active)
        return Listing(
            source=AddressSource.MIRROR,
            as_of=freshness.as_of,
            of_unit=tuple(
                ListedAddress(
                    address=row.address, standing=_standing(of_the_unit=True, active=row.active), source=AddressSource.MIRROR,
                    as_of=freshness.as_of,
                )
                for row in rows
            ),
            owner_no=None if owner is None else owner.detsis_no,
            standing=standing,
        )  # fmt: skip

    def _live(self, unit_no: int, rows: Sequence[KepAddressRow], owner: KepAddressRow | None) -> Listing:
        now = self._clock.now()
        standing = Standing.NOT_LISTED
        if owner is not None:
            standing = _standing(of_the_unit=owner.detsis_no == unit_no, active=owner.active)
        return Listing(
            source=AddressSource.LIVE,
            as_of=now,
            of_unit=tuple(
                ListedAddress(
                    address=row.address, standing=_standing(of_the_unit=True, active=row.active), source=AddressSource.LIVE,
                    as_of=now,
                )
                for row in rows
                if row.detsis_no == unit_no
            ),
            owner_no=None if owner is None else owner.detsis_no,
            standing=standing,
        )  # fmt: skip


def _standing(*, of_the_unit: bool, active: bool) -> Standing:
    if not of_the_unit:
        return Standing.ELSEWHERE
    return Standing.ACTIVE if active else Standing.WAITING
