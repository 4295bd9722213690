"""The rows of kept verifications: found by institution, claimed by who looks next, added to by who saw the last verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.gateway.schemas.verifications import VerificationState
from services.gateway.tables import SignatureVerdict, SignatureVerification
from services.gateway.verifications.verdicts import Ripeness
from shared.contracts.signatures import VerificationReport
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode

_ERASED: dict[str, Any] = {
    "state": VerificationState.ERASED.value, "report": None, "problem": None, "client_ref": None, "file_name": None,
    "due_at": None,
}  # fmt: skip


async def find(database: Database, institutions: Sequence[int], verification_id: UUID) -> SignatureVerification:
    """One of these institutions' verifications. Raises NOT_FOUND."""
    async with database.autocommit() as session:
        row = await session.scalar(
            select(SignatureVerification).where(
                SignatureVerification.verification_id == verification_id,
                SignatureVerification.institution_no.in_(institutions),
            )
        )
    if row is None:
        raise DomainError(ErrorCode.NOT_FOUND, "no such verification")
    return row


async def get(database: Database, verification_id: UUID) -> SignatureVerification | None:
    """Whoever's it is; for the work that goes on without a caller."""
    async with database.autocommit() as session:
        return await session.get(SignatureVerification, verification_id)


async def verdicts(database: Database, row: SignatureVerification) -> list[SignatureVerdict]:
    """The history up to what ``row`` says, oldest first."""
    async with database.autocommit() as session:
        found = await session.scalars(
            select(SignatureVerdict)
            .where(
                SignatureVerdict.verification_id == row.verification_id,
                SignatureVerdict.sequence <= row.looks,
            )
            .order_by(SignatureVerdict.sequence)
        )
        return list(found)


async def running(database: Database, client_id: str) -> int:
    """How many of a client's verifications have no verdict yet."""
    async with database.autocommit() as session:
        number = await session.scalar(
            select(func.count())
            .select_from(SignatureVerification)
            .where(
                SignatureVerification.client_id == client_id,
                SignatureVerification.state == VerificationState.RUNNING.value,
            )
        )
    return int(number or 0)


async def lock_blob(work: UnitOfWork, sha256: str) -> None:
    """Until the transaction ends nobody else adds a row about these bytes or deletes them."""
    await work.session.execute(select(func.pg_advisory_xact_lock(int(sha256[:15], 16))))


async def add(work: UnitOfWork, values: Mapping[str, Any], now: datetime, give_up_at: datetime) -> bool:
    """Begin a verification; False when an earlier try of the same request has begun it."""
    made = await work.session.scalar(
        upsert(SignatureVerification)
        .values(
            **values, state=VerificationState.RUNNING.value, looks=0, failures=0, due_at=give_up_at, created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(SignatureVerification.verification_id)
    )  # fmt: skip
    return made is not None


async def claim_due(database: Database, now: datetime, lease: timedelta, limit: int) -> dict[UUID, int]:
    """Take those that are due, the longest waiting first, each with its looks; after ``lease`` they are anybody's again."""
    due = (
        select(SignatureVerification.verification_id)
        .where(SignatureVerification.due_at <= now, SignatureVerification.erased_at.is_(None))
        .order_by(SignatureVerification.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    async with database.unit_of_work() as work:
        found = await work.session.execute(
            update(SignatureVerification)
            .where(SignatureVerification.verification_id.in_(due.scalar_subquery()))
            .values(due_at=now + lease)
            .returning(SignatureVerification.verification_id, SignatureVerification.looks)
            .execution_options(synchronize_session=False)
        )
        return {each.verification_id: each.looks for each in found}


async def settle(
    work: UnitOfWork,
    row: SignatureVerification,
    report: VerificationReport,
    ripe: Ripeness,
    *,
    text_of_report: str,
    sha256: str,
    due_at: datetime | None,
    now: datetime,
) -> bool:
    """Write a verdict down; False, and nothing is changed, when somebody came first or the bytes are gone."""
    looks = await work.session.scalar(
        update(SignatureVerification)
        .where(
            SignatureVerification.verification_id == row.verification_id,
            SignatureVerification.looks == row.looks,
            SignatureVerification.erased_at.is_(None),
        )
        .values(
            state=VerificationState.DONE.value, report=text_of_report, report_sha256=sha256, problem=None, failures=0,
            looks=SignatureVerification.looks + 1, due_at=due_at, updated_at=now,
        )
        .returning(SignatureVerification.looks)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    if looks is None:
        return False
    await work.session.execute(
        insert(SignatureVerdict).values(
            verification_id=row.verification_id, sequence=looks, at=now, conclusion=report.conclusion.value,
            indication=report.indication.value,
            sub_indication=report.sub_indication.value if report.sub_indication else None,
            maturity=ripe.maturity.value, final_after=ripe.final_after, report_sha256=sha256,
        )
    )  # fmt: skip
    return True


async def change(database: Database, row: SignatureVerification, **values: Any) -> None:
    """Note what a look without a verdict came to, unless somebody came first."""
    async with database.unit_of_work() as work:
        await work.session.execute(
            update(SignatureVerification)
            .where(
                SignatureVerification.verification_id == row.verification_id,
                SignatureVerification.looks == row.looks,
                SignatureVerification.erased_at.is_(None),
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )


async def older_than(database: Database, before: datetime, limit: int) -> list[SignatureVerification]:
    """Verifications whose bytes are still there, begun before then, the oldest first."""
    async with database.reading() as session:
        found = await session.scalars(
            select(SignatureVerification)
            .where(SignatureVerification.erased_at.is_(None), SignatureVerification.created_at < before)
            .order_by(SignatureVerification.created_at)
            .limit(limit)
        )
        return list(found)


async def needed_elsewhere(work: UnitOfWork, sha256: str, but: UUID) -> bool:
    """Whether another verification still rests on these bytes."""
    return bool(
        await work.session.scalar(
            select(SignatureVerification.verification_id)
            .where(
                or_(SignatureVerification.file_sha256 == sha256, SignatureVerification.content_sha256 == sha256),
                SignatureVerification.verification_id != but,
                SignatureVerification.erased_at.is_(None),
            )
            .limit(1)
        )
    )


async def erase(work: UnitOfWork, verification_id: UUID, now: datetime) -> bool:
    """Forget everything but digests and verdicts; False when that was done."""
    done = await work.session.scalar(
        update(SignatureVerification)
        .where(SignatureVerification.verification_id == verification_id, SignatureVerification.erased_at.is_(None))
        .values(**_ERASED, erased_at=now, updated_at=now)
        .returning(SignatureVerification.verification_id)
        .execution_options(synchronize_session=False)
    )
    return done is not None


async def counts(database: Database, now: datetime) -> tuple[dict[VerificationState, int], float]:
    """How many verifications are in each state, and for how many seconds the longest due has waited."""
    async with database.reading() as session:
        found = await session.execute(
            select(SignatureVerification.state, func.count()).group_by(SignatureVerification.state)
        )
        known = {VerificationState(state): int(number) for state, number in found.all()}
        first = await session.scalar(select(func.min(SignatureVerification.due_at)).where(text("due_at IS NOT NULL")))
    return (
        {state: known.get(state, 0) for state in VerificationState},
        max(0.0, (now - first).total_seconds()) if first is not None else 0.0,
    )
