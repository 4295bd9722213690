"""Where a letter's recipients are reached: DETSİS itself, or the mirror when DETSİS is down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.clients import DetsisClients
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.units import units as mirrored_units
from services.detsis_sync.rows import CorrespondencePackage, UnitRow
from services.detsis_sync.soap.account import DetsisAccount
from shared.clock import Clock
from shared.contracts.directory import (
    AddressSource,
    ResolutionAnswer,
    ResolutionProblem,
    ResolutionRequest,
    ResolvedAddress,
    Unit,
)
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber, detsis_number
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)


class AddressResolver:
    """Resolves recipients. After DETSİS failed at one endpoint, that one is left alone for ``breaker_seconds``."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        clients: DetsisClients,
        clock: Clock,
        metrics: DirectoryMetrics,
        age: MirrorAge,
        *,
        timeout_seconds: float,
        breaker_seconds: float,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._clients = clients
        self._clock = clock
        self._metrics = metrics
        self._age = age
        self._timeout_seconds = timeout_seconds
        self._breaker = timedelta(seconds=breaker_seconds)
        # For each endpoint: one institution's mistyped address must not turn the others to the mirror.
        self._closed_until: dict[str, datetime] = {}

    async def resolve(self, request: ResolutionRequest) -> ResolutionAnswer:
        """One answer per asked number, in the order asked.

        Raises ``DomainError``: VALIDATION_FAILED for numbers that are none, DIRECTORY_UNAVAILABLE
        when DETSİS does not answer and the mirror was never filled.
        """
        sender, recipients = _checked(request)
        now = self._clock.now()
        async with self._database.reading() as session:
            known = await mirrored_units(session, recipients, surroundings=False)
            snapshot = await self._age.of(session)
            account = await self._accounts.of_sender(session, sender) if request.mode == "live" else None
        answer, rule = None, "mirror.asked"
        if request.mode == "live":
            answer, rule = await self._ask(account, sender, list(dict.fromkeys(recipients)), known, now)
        if answer is None and snapshot.snapshot_id is None:
            raise DomainError(
                ErrorCode.DIRECTORY_UNAVAILABLE, f"DETSİS gave no answer and the mirror is empty ({rule})",
                retry_after_seconds=30,
            )  # fmt: skip
        answers = []
        for number in recipients:
            if answer is None:
                answers.append(_from_mirror(number, known.get(number), rule, snapshot.snapshot_id, now))
            else:
                answers.append(_from_live(number, known.get(number), answer, snapshot.snapshot_id, now))
            self._metrics.lookups.labels(answers[-1].source).inc()
        return ResolutionAnswer(recipients=answers)

    async def _ask(
        self,
        account: DetsisAccount | None,
        sender: DetsisNumber,
        recipients: list[DetsisNumber],
        known: Mapping[int, Unit],
        now: datetime,
    ) -> tuple[_LiveAnswer | None, str]:
        if account is None:
            return None, "mirror.no-account"
        closed_until = self._closed_until.get(account.endpoint)
        if closed_until is not None and now < closed_until:
            return None, "mirror.detsis-down"
        try:
            async with asyncio.timeout(self._timeout_seconds):
                client = self._clients.of(account)
                package = await client.correspondence_package(sender, recipients)
                # That answer names addresses, not whether a unit is still open. Only where the mirror
                # would refuse is the unit itself asked for: it may have been opened today.
                doubtful = [number for number in recipients if number not in known or not _is_open(known[number])]
                units = {number: await client.unit(number) for number in doubtful}
        except (DomainError, TimeoutError) as error:
            refused = isinstance(error, DomainError) and error.code is ErrorCode.DIRECTORY_REFUSED
            log.warning("detsis_not_answering", refused=refused, reason=str(error) or type(error).__name__)
            self._metrics.live_up.set(0)
            if not refused:
                self._closed_until[account.endpoint] = self._clock.now() + self._breaker
            return None, "mirror.detsis-refused" if refused else "mirror.detsis-down"
        self._metrics.live_up.set(1)
        self._closed_until.pop(account.endpoint, None)
        return _LiveAnswer(package, units), "live.eYazismaPaketi"


@dataclass(frozen=True)
class _LiveAnswer:
    package: CorrespondencePackage
    units: Mapping[DetsisNumber, UnitRow | None]
    """Of those recipients that the mirror calls closed or does not know."""


def _from_live(
    number: DetsisNumber, unit: Unit | None, live: _LiveAnswer, snapshot_id: int | None, now: datetime
) -> ResolvedAddress:
    """DETSİS names an address only when it is verified; whether the unit is open, its own row says."""
    answer = live.package.recipient(number)
    address, problem = (answer.kep_address if answer is not None else None), None
    row = live.units.get(number)
    if number in live.units and row is None:
        address, problem = None, ResolutionProblem.UNKNOWN
    elif row is not None and not row.open_to_letters:
        address, problem = None, ResolutionProblem.INACTIVE
    elif address is None:
        if answer is not None and answer.kep_address_text is not None:
            log.warning("detsis_address_unusable", detsis_no=number, text=answer.kep_address_text[:100])
        listed = unit is not None and bool(unit.kep_addresses)
        problem = ResolutionProblem.KEP_INACTIVE if listed else ResolutionProblem.NO_KEP_ADDRESS
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else (row.name if row is not None else None),
        address=address,
        problem=problem,
        source=AddressSource.LIVE,
        rule="live.eYazismaPaketi",
        snapshot_id=snapshot_id,
        resolved_at=now,
    )


def _from_mirror(
    number: DetsisNumber, unit: Unit | None, rule: str, snapshot_id: int | None, now: datetime
) -> ResolvedAddress:
    usable = [item.address for item in unit.kep_addresses if item.active] if unit and unit.sendable else []
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else None,
        address=usable[0] if usable else None,
        problem=None if usable else _problem(unit),
        source=AddressSource.MIRROR,
        rule=rule,
        snapshot_id=snapshot_id,
        resolved_at=now,
    )


def _problem(unit: Unit | None) -> ResolutionProblem:
    if unit is None:
        return ResolutionProblem.UNKNOWN
    if not _is_open(unit):
        return ResolutionProblem.INACTIVE
    return ResolutionProblem.KEP_INACTIVE if unit.kep_addresses else ResolutionProblem.NO_KEP_ADDRESS


def _is_open(unit: Unit) -> bool:
    return unit.active and unit.operating and unit.external_addressee


def _checked(request: ResolutionRequest) -> tuple[DetsisNumber, list[DetsisNumber]]:
    faults = []
    numbers = {f"/recipient_nos/{index}": number for index, number in enumerate(request.recipient_nos)}
    for pointer, number in {"/sender_no": request.sender_no, **numbers}.items():
        try:
            detsis_number(number)
        except ValueError as error:
            faults.append(Fault(pointer, str(error)))
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "not a DETSİS number", faults=faults)
    return DetsisNumber(request.sender_no), [DetsisNumber(number) for number in request.recipient_nos]
