"""The rows of packages under way: found by institution, changed only by who has seen the last change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from services.gateway.callers import Caller
from services.gateway.drafts.stages import UpdateOrder
from services.gateway.schemas.drafts import DraftKind, DraftState, PackageUpdateBody
from services.gateway.schemas.letters import LetterMetadata, OrganisationParty
from services.gateway.tables import PackageDraft, PackageDraftEvent, PackageDraftFile
from shared.clock import Clock
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode
from shared.telemetry.logging import correlation_id

ENDED = (DraftState.FINISHED, DraftState.DISCARDED)


@dataclass(frozen=True)
class Draft:
    """A package under way as it was read: one row with its files."""

    row: PackageDraft
    files: Mapping[str, PackageDraftFile]

    @property
    def state(self) -> DraftState:
        """How far it is."""
        return DraftState(self.row.state)

    @cached_property
    def request(self) -> LetterMetadata | UpdateOrder:
        """What is to be written. Reading it out of the row takes a while for a letter to hundreds."""
        if self.row.kind == DraftKind.LETTER:
            return LetterMetadata.model_validate(self.row.request)
        return UpdateOrder(
            PackageUpdateBody.model_validate(self.row.request["body"]),
            OrganisationParty.model_validate(self.row.request["originator"]),
        )


@dataclass(frozen=True)
class PutFile:
    """A file that a step brings."""

    sha256: str
    size: int
    checked: dict[str, Any] | None = None


@dataclass(frozen=True)
class Change:
    """One step, as it goes into the rows and into the history."""

    kind: str
    state: DraftState
    values: Mapping[str, Any] = field(default_factory=dict)
    put: Mapping[str, PutFile] = field(default_factory=dict)
    removed: Sequence[str] = ()
    sha256: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


async def find(database: Database, institutions: Sequence[int], package_id: UUID) -> Draft:
    """One of these institutions' packages. Raises NOT_FOUND."""
    async with database.reading() as session:
        return await _read(session, institutions, package_id)


async def _read(session: AsyncSession, institutions: Sequence[int], package_id: UUID) -> Draft:
    row = await session.scalar(
        select(PackageDraft).where(PackageDraft.package_id == package_id, PackageDraft.institution_no.in_(institutions))
    )
    if row is None:
        raise DomainError(ErrorCode.NOT_FOUND, "no such package")
    files = await session.scalars(select(PackageDraftFile).where(PackageDraftFile.package_id == package_id))
    return Draft(row, {item.name: item for item in files})


async def history(database: Database, draft: Draft) -> list[PackageDraftEvent]:
    """What happened up to the revision that was read, oldest first."""
    async with database.reading() as session:
        found = await session.scalars(
            select(PackageDraftEvent)
            .where(
                PackageDraftEvent.package_id == draft.row.package_id,
                PackageDraftEvent.sequence <= draft.row.revision,
            )
            .order_by(PackageDraftEvent.sequence)
        )
        return list(found)


async def page(
    database: Database, institutions: Sequence[int], states: Sequence[DraftState], before: UUID | None, limit: int
) -> list[PackageDraft]:
    """Packages of these institutions, newest first."""
    wanted = select(PackageDraft).where(PackageDraft.institution_no.in_(institutions))
    if states:
        wanted = wanted.where(PackageDraft.state.in_(states))
    if before is not None:
        wanted = wanted.where(PackageDraft.package_id < before)
    async with database.reading() as session:
        return list(await session.scalars(wanted.order_by(PackageDraft.package_id.desc()).limit(limit)))


async def add(work: UnitOfWork, clock: Clock, caller: Caller, values: Mapping[str, Any], change: Change) -> bool:
    """Begin a package; False when an earlier try has begun it already."""
    now = clock.now()
    made = await work.session.scalar(
        upsert(PackageDraft)
        .values(
            **values, client_id=caller.client_id, state=change.state.value, revision=1, findings=[], created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(PackageDraft.package_id)
    )  # fmt: skip
    if made is None:
        return False
    await _put_files(work, made, change, now)
    await _tell(work, made, 1, now, caller, change)
    return True


async def apply(work: UnitOfWork, clock: Clock, caller: Caller | None, draft: Draft, change: Change) -> bool:
    """Take a step from ``draft`` as it was read; False, and nothing is changed, when another step came before it."""
    now, package_id = clock.now(), draft.row.package_id
    revision = await work.session.scalar(
        update(PackageDraft)
        .where(PackageDraft.package_id == package_id, PackageDraft.revision == draft.row.revision)
        .values(**change.values, state=change.state.value, revision=PackageDraft.revision + 1, updated_at=now)
        .returning(PackageDraft.revision)
        .execution_options(synchronize_session=False)
    )
    if revision is None:
        return False
    if change.removed:
        await work.session.execute(
            delete(PackageDraftFile).where(
                PackageDraftFile.package_id == package_id, PackageDraftFile.name.in_(change.removed)
            )
        )
    await _put_files(work, package_id, change, now)
    await _tell(work, package_id, revision, now, caller, change)
    return True


async def _put_files(work: UnitOfWork, package_id: UUID, change: Change, now: datetime) -> None:
    for name, file in change.put.items():
        values = {"sha256": file.sha256, "size": file.size, "checked": file.checked, "put_at": now}
        await work.session.execute(
            upsert(PackageDraftFile)
            .values(package_id=package_id, name=name, **values)
            .on_conflict_do_update(index_elements=["package_id", "name"], set_=values)
        )


async def _tell(
    work: UnitOfWork, package_id: UUID, sequence: int, now: datetime, caller: Caller | None, change: Change
) -> None:
    await work.session.execute(
        insert(PackageDraftEvent).values(
            package_id=package_id,
            sequence=sequence,
            at=now,
            client_id=caller.client_id if caller else None,
            key_prefix=caller.key_prefix if caller else None,
            kind=change.kind,
            state=change.state.value,
            sha256=change.sha256,
            detail=dict(change.detail),
            correlation_id=correlation_id.get() or None,
        )
    )


async def idle(database: Database, before: datetime, limit: int) -> list[Draft]:
    """Packages that are not finished and that nobody has touched since, the oldest first."""
    async with database.reading() as session:
        found = await session.scalars(
            select(PackageDraft)
            .where(PackageDraft.state.not_in(ENDED), PackageDraft.updated_at < before)
            .order_by(PackageDraft.updated_at)
            .limit(limit)
        )
        drafts = []
        for row in found.all():
            files = await session.scalars(select(PackageDraftFile).where(PackageDraftFile.package_id == row.package_id))
            drafts.append(Draft(row, {item.name: item for item in files}))
        return drafts


async def counts(database: Database) -> dict[DraftState, int]:
    """How many packages are in each state."""
    async with database.reading() as session:
        found = await session.execute(select(PackageDraft.state, func.count()).group_by(PackageDraft.state))
        known = {DraftState(state): int(number) for state, number in found.all()}
    return {state: known.get(state, 0) for state in DraftState}
