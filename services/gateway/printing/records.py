"""The list of prints that were handed out: append-only, with a copy number for each letter (legal.md L.21)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.schemas.printing import PrintPage, PrintRecord
from services.gateway.tables import Print
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode, Fault
from shared.telemetry.logging import correlation_id


class PrintRecords:
    """Writes and reads them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def next_copy(self, institution_no: int, letter_sha256: str) -> int:
        """The number the next print of this letter would get. It is taken only by ``add``."""
        query = select(func.max(Print.copy_number)).where(
            Print.institution_no == institution_no, Print.letter_sha256 == letter_sha256
        )
        async with self._database.autocommit() as session:
            return (await session.scalar(query) or 0) + 1

    async def add(self, actor: Caller, record: PrintRecord) -> bool:
        """Keep a print, with its line in the audit log. False: another print took its copy number meanwhile."""
        statement = (
            insert(Print)
            .values(
                print_id=record.print_id, institution_no=record.institution_no, letter_sha256=record.letter_sha256,
                copy_number=record.copy_number, package_sha256=record.package_sha256, message_id=record.message_id,
                document_id=record.document_id, at=record.at, client_id=record.client_id, key_prefix=record.key_id,
                record=record.model_dump(mode="json"), correlation_id=correlation_id.get() or None,
            )
            .on_conflict_do_nothing(constraint="uq_prints_copy")
            .returning(Print.print_id)
        )  # fmt: skip
        async with self._database.unit_of_work() as work:
            if await work.session.scalar(statement) is None:
                return False
            await audit.record(
                work, self._clock, actor=actor, action="letter.print", subject=str(record.print_id),
                institution=record.institution_no, package=record.package_sha256, print=record.print_sha256,
                profile=record.profile.value, copy=record.copy_number, purpose=record.purpose or "",
            )  # fmt: skip
        return True

    async def page(
        self,
        institutions: Sequence[int],
        *,
        message_id: UUID | None = None,
        document_id: str | None = None,
        package_sha256: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> PrintPage:
        """Prints of these institutions, newest first. Raises VALIDATION_FAILED for what is no cursor of ours."""
        query = select(Print).where(Print.institution_no.in_(institutions)).order_by(Print.print_id.desc())
        if message_id is not None:
            query = query.where(Print.message_id == message_id)
        if document_id is not None:
            query = query.where(Print.document_id == document_id.upper())
        if package_sha256 is not None:
            query = query.where(Print.package_sha256 == package_sha256.lower())
        if cursor is not None:
            query = query.where(Print.print_id < _position(cursor))
        async with self._database.autocommit() as session:
            rows = (await session.scalars(query.limit(limit + 1))).all()
        shown = [PrintRecord.model_validate(row.record) for row in rows[:limit]]
        return PrintPage(prints=shown, next_cursor=str(shown[-1].print_id) if len(rows) > limit else None)


def _position(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError:
        fault = Fault("/cursor", "is not a cursor")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "not a cursor of ours", faults=[fault]) from None
