"""Where a letter's recipients are reached: DETSİS itself, or the mirror when DETSİS is down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.live import doubts
from services.detsis_sync.live.entries import Entries, entries
from services.detsis_sync.live.letters import LiveLetter, LiveLetters
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror import warnings as mirror_warnings
from services.detsis_sync.mirror.addresses import mirrored
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.units import units as mirrored_units
from services.detsis_sync.soap.account import DetsisAccount
from shared.clock import Clock
from shared.contracts.directory import (
    AddressSource,
    DirectoryWarning,
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
    """Resolves recipients: live, with the mirror as marked fallback.

    ``soon``: an encryption certificate that expires within this time is warned about.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        letters: LiveLetters,
        clock: Clock,
        metrics: DirectoryMetrics,
        age: MirrorAge,
        *,
        soon: timedelta = timedelta(days=30),
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._letters = letters
        self._clock = clock
        self._metrics = metrics
        self._age = age
        self._soon = soon

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
            background = await self._background(session, request, recipients, known)
        letter, rule, result = None, ASKED_RULE, "mirror"
        if request.mode == "live":
            letter, rule, result = await self._ask(account, sender, list(dict.fromkeys(recipients)), known)
        self._metrics.lookups.labels("address", result).inc(len(recipients))
        if letter is not None:
            found = entries(letter.package, recipients)
            return ResolutionAnswer(
                recipients=[
                    _from_live(number, known.get(number), letter, found, freshness.snapshot_id, background)
                    for number in recipients
                ],
                freshness=freshness,
            )
        if freshness.snapshot_id is None:
            raise DomainError(
                ErrorCode.DIRECTORY_UNAVAILABLE, f"DETSİS gave no answer and the mirror is empty ({rule})",
                retry_after_seconds=30,
            )  # fmt: skip
        now = self._clock.now()
        return ResolutionAnswer(
            recipients=[
                _from_mirror(number, known.get(number), rule, freshness, now, background) for number in recipients
            ],
            freshness=freshness,
        )

    async def _background(
        self,
        session: AsyncSession,
        request: ResolutionRequest,
        recipients: list[DetsisNumber],
        known: Mapping[int, Unit],
    ) -> mirror_warnings.Background | None:
        """What else the mirror has about the recipients; None unless asked for: no letter's address needs it."""
        asked = mirror_warnings.Asked(request.eyp_version, request.encrypted)
        if not (request.thorough or request.encrypted or request.eyp_version is not None):
            return None
        return await mirror_warnings.of_units(session, recipients, known, asked, self._clock.now(), self._soon)

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


def _from_live(
    number: DetsisNumber,
    unit: Unit | None,
    letter: LiveLetter,
    found: Entries,
    snapshot_id: int | None,
    background: mirror_warnings.Background | None,
) -> ResolvedAddress:
    address, problem = judged(number, unit, letter, found)
    row = letter.units.get(number)
    warnings: list[DirectoryWarning] = []
    if problem is not ResolutionProblem.UNKNOWN:
        warnings += doubts.of_live_address(number, found, found.by_number.get(number), unit)
        if background is not None:
            warnings += mirror_warnings.of_addresses(unit) if unit is not None else ()
            warnings += background.of(number)
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else (row.name if row is not None else None),
        address=address,
        problem=problem,
        level=mirror_warnings.level(problem, warnings),
        warnings=warnings,
        source=AddressSource.LIVE,
        rule=LIVE_RULE,
        snapshot_id=snapshot_id,
        resolved_at=letter.answered_at,
    )


def _from_mirror(
    number: DetsisNumber,
    unit: Unit | None,
    rule: str,
    freshness: Freshness,
    now: datetime,
    background: mirror_warnings.Background | None,
) -> ResolvedAddress:
    address, problem = mirrored(unit)
    warnings = list(mirror_warnings.of_mirrored_address(unit, freshness))
    warnings += background.of(number) if background is not None else []
    return ResolvedAddress(
        detsis_no=number,
        name=unit.name if unit is not None else None,
        address=address,
        problem=problem,
        level=mirror_warnings.level(problem, warnings),
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
