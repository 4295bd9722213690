"""Where a letter's recipients are reached: DETSİS itself, or the mirror when DETSİS is down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.live import doubts
from services.detsis_sync.live.entries import Entries, entries
from services.detsis_sync.live.letters import LiveLetter, LiveLetters, is_open
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.units import units as mirrored_units
from services.detsis_sync.soap.account import DetsisAccount
from shared.clock import Clock
from shared.contracts.directory import (
    AddressSource,
    Freshness,
    ResolutionAnswer,
    ResolutionProblem,
    ResolutionRequest,
    ResolvedAddress,
    Unit,
)
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber, KepAddress, detsis_number
from shared.errors import DomainError, ErrorCode, Fault

LIVE_RULE = "live.eYazismaPaketi"
"""On record with letters: it keeps the operation's own name."""
ASKED_RULE, NO_ACCOUNT_RULE = "mirror.asked", "mirror.no-account"
DOWN_RULE, REFUSED_RULE = "mirror.detsis-down", "mirror.detsis-refused"


class AddressResolver:
    """Resolves recipients: live, with the mirror as marked fallback."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        letters: LiveLetters,
        clock: Clock,
        metrics: DirectoryMetrics,
        age: MirrorAge,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._letters = letters
        self._clock = clock
        self._metrics = metrics
        self._age = age

    async def resolve(self, request: ResolutionRequest) -> ResolutionAnswer:
        """One answer per asked number, in the order asked.

        Raises ``DomainError``: VALIDATION_FAILED for numbers that are none, DIRECTORY_UNAVAILABLE
        when DETSİS does not answer and the mirror was never filled.
        """
        sender, recipients = checked_numbers(request.sender_no, request.recipient_nos)
        async with self._database.reading() as session:
            known = await mirrored_units(session, recipients, surroundings=False)
            freshness = await self._age.of(session)
            account = await self._accounts.of_sender(session, sender) if request.mode == "live" else None
        letter, rule, result = None, ASKED_RULE, "mirror"
        if request.mode == "live":
            letter, rule, result = await self._ask(account, sender, list(dict.fromkeys(recipients)), known)
        self._metrics.lookups.labels("address", result).inc(len(recipients))
        if letter is not None:
            found = entries(letter.package, recipients)
            return ResolutionAnswer(
                recipients=[
                    _from_live(number, known.get(number), letter, found, freshness.snapshot_id) for number in recipients
                ]
            )
        if freshness.snapshot_id is None:
            raise DomainError(
                ErrorCode.DIRECTORY_UNAVAILABLE, f"DETSİS gave no answer and the mirror is empty ({rule})",
                retry_after_seconds=30,
            )  # fmt: skip
        now = self._clock.now()
        return ResolutionAnswer(
            recipients=[_from_mirror(number, known.get(number), rule, freshness, now) for number in recipients]
        )

    async def _ask(
        self,
        account: DetsisAccount | None,
        sender: DetsisNumber,
        recipients: list[DetsisNumber],
        known: Mapping[int, Unit],
    ) -> tuple[LiveLetter | None, str, str]:
        """The answer, the rule it goes by, and how it is counted."""
        if account is None:
            return None, NO_ACCOUNT_RULE, "mirror"
        if (held := self._letters.addresses(account, sender, recipients)) is not None:
            return held, LIVE_RULE, "cache"
        try:
            letter, cached = await self._letters.ask(account, sender, recipients, known)
        except DomainError as error:
            if error.code is ErrorCode.DIRECTORY_REFUSED:
                return None, REFUSED_RULE, "refused"
            if error.code is ErrorCode.DIRECTORY_UNAVAILABLE:
                return None, DOWN_RULE, "failed"
            raise
        return letter, LIVE_RULE, "cache" if cached else "live"


def judged(
    number: DetsisNumber, unit: Unit | None, letter: LiveLetter, found: Entries
) -> tuple[KepAddress | None, ResolutionProblem | None]:
    """The address to use by a live answer, or why there is none.

    DETSİS names an address only when it is verified; whether the unit is open, its own row says.
    """
    entry = found.by_number.get(number)
    row = letter.units.get(number)
    if number in letter.units and row is None:
        return None, ResolutionProblem.UNKNOWN
    if row is not None and not row.open_to_letters:
        return None, ResolutionProblem.INACTIVE
    if entry is None or entry.kep_address is None:
        listed = unit is not None and bool(unit.kep_addresses)
        return None, ResolutionProblem.KEP_INACTIVE if listed else ResolutionProblem.NO_KEP_ADDRESS
    return entry.kep_address, None


def mirrored(unit: Unit | None) -> tuple[str | None, ResolutionProblem | None]:
    """The address to use by the mirror, or why there is none."""
    if unit is None:
        return None, ResolutionProblem.UNKNOWN
    if not is_open(unit):
        return None, ResolutionProblem.INACTIVE
    usable = next((item.address for item in unit.kep_addresses if item.active), None)
    if usable is not None:
        return usable, None
    return None, ResolutionProblem.KEP_INACTIVE if unit.kep_addresses else ResolutionProblem.NO_KEP_ADDRESS


def _from_live(
    number: DetsisNumber, unit: Unit | None, letter: LiveLetter, found: Entries, snapshot_id: int | None
) -> ResolvedAddress:
    address, problem = judged(number, unit, letter, found)
    row = letter.units.get(number)
    warnings = []
    if problem is not ResolutionProblem.UNKNOWN:
        warnings = list(doubts.of_live_address(number, found, found.by_number.get(number), unit))
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else (row.name if row is not None else None),
        address=address,
        problem=problem,
        level=doubts.level(problem, warnings),
        warnings=warnings,
        source=AddressSource.LIVE,
        rule=LIVE_RULE,
        snapshot_id=snapshot_id,
        resolved_at=letter.answered_at,
    )


def _from_mirror(
    number: DetsisNumber, unit: Unit | None, rule: str, freshness: Freshness, now: datetime
) -> ResolvedAddress:
    address, problem = mirrored(unit)
    warnings = list(doubts.of_mirrored_address(unit, freshness))
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else None,
        address=address,
        problem=problem,
        level=doubts.level(problem, warnings),
        warnings=warnings,
        source=AddressSource.MIRROR,
        rule=rule,
        snapshot_id=freshness.snapshot_id,
        resolved_at=now,
    )


def checked_numbers(sender_no: int, recipient_nos: list[int]) -> tuple[DetsisNumber, list[DetsisNumber]]:
    """The same as DETSİS numbers. Raises ``DomainError`` (VALIDATION_FAILED) naming those that are none."""
    faults = []
    numbers = {f"/recipient_nos/{index}": number for index, number in enumerate(recipient_nos)}
    for pointer, number in {"/sender_no": sender_no, **numbers}.items():
        try:
            detsis_number(number)
        except ValueError as error:
            faults.append(Fault(pointer, str(error)))
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "not a DETSİS number", faults=faults)
    return DetsisNumber(sender_no), [DetsisNumber(number) for number in recipient_nos]
