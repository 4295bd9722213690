"""What DETSİS says about KEP addresses, asked live, and what the mirror says when it cannot be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.live.calls import LiveCalls
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.rows import KepAddressRow, UnitRow
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.wire import Operation
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
        calls: LiveCalls,
        clock: Clock,
        age: MirrorAge,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._calls = calls
        self._clock = clock
        self._age = age

    async def listing(self, institution_no: int, unit_no: int, address: KepAddress) -> Listing | None:
        """Live: the unit's addresses and the standing of ``address``; None if DETSİS does not answer."""

        async def ask(account: DetsisAccount) -> Listing:
            rows = await self._addresses(account, DetsisNumber(unit_no))
            mine = next((row for row in rows if row.address == address and row.detsis_no == unit_no), None)
            return self._live(unit_no, rows, mine or await self._owner(account, address))

        return await self._ask(institution_no, ask)

    async def owner(self, institution_no: int, address: KepAddress) -> Listing | None:
        """Live: who owns ``address``, with all addresses of that unit; None if DETSİS does not answer."""

        async def ask(account: DetsisAccount) -> Listing:
            owner = await self._owner(account, address)
            rows = [] if owner is None else await self._addresses(account, owner.detsis_no)
            return self._live(0 if owner is None else owner.detsis_no, rows, owner)

        return await self._ask(institution_no, ask)

    async def unit(self, institution_no: int, unit_no: int) -> UnitPlace | None:
        """Live: the unit and what is above it; None if DETSİS does not answer."""
        number = DetsisNumber(unit_no)

        async def ask(account: DetsisAccount) -> UnitPlace:
            unit = await self._calls.ask(account, Operation.UNIT, lambda client: client.unit(number))
            above: list[UnitRow] = []
            if unit is not None:
                above = await self._calls.ask(account, Operation.ANCESTORS, lambda client: client.ancestors(number))
            return UnitPlace(unit, frozenset(row.detsis_no for row in above))

        return await self._ask(institution_no, ask)

    async def officers(self, institution_no: int) -> list[Officer] | None:
        """Live: who may change the institution's data; None if DETSİS does not answer."""

        async def ask(account: DetsisAccount) -> list[Officer]:
            return [
                Officer(given_name=row.given_name, surname=row.surname, phone=row.phone, email=row.email, role=row.role)
                for row in await self._calls.ask(account, Operation.OFFICERS, lambda client: client.officers())
            ]

        return await self._ask(institution_no, ask)

    async def _addresses(self, account: DetsisAccount, number: DetsisNumber) -> list[KepAddressRow]:
        return await self._calls.ask(account, Operation.KEP_ADDRESSES, lambda client: client.kep_addresses([number]))

    async def _owner(self, account: DetsisAccount, address: KepAddress) -> KepAddressRow | None:
        return await self._calls.ask(account, Operation.ADDRESS_OWNER, lambda client: client.address_owner(address))

    async def _ask(self, institution_no: int, ask: Callable[[DetsisAccount], Awaitable[AnswerT]]) -> AnswerT | None:
        """The answer with the institution's account; None without one or without an answer."""
        try:
            async with self._database.reading() as session:
                account = await self._accounts.of_sender(session, institution_no)
            return None if account is None else await ask(account)
        except DomainError as error:
            if error.code is ErrorCode.DURABILITY_UNAVAILABLE:
                raise
            log.info("registration_question_unanswered", institution_no=institution_no, reason=error.detail)
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
