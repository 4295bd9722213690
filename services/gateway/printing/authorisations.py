"""Who may make official prints: decisions of an institution, entered by an operator (legal.md L.17)."""

from __future__ import annotations

from datetime import date

from sqlalchemy.dialects.postgresql import insert

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.schemas.printing import PrintAuthorisationAnswer, PrintAuthorisationBody
from services.gateway.tables import PrintAuthorisation
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


class PrintAuthorisations:
    """Reads and changes them; what one said earlier stands in the audit log and with each print."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, institution_no: int, authorisation_id: str) -> PrintAuthorisationAnswer:
        """One of them; NOT_FOUND if the institution has no such authorisation."""
        async with self._database.autocommit() as session:
            row = await session.get(PrintAuthorisation, (institution_no, authorisation_id))
        if row is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the institution has no such authorisation")
        return _answer(row)

    async def valid(self, institution_no: int, authorisation_id: str, day: date) -> PrintAuthorisationAnswer:
        """One that holds on ``day``. Raises PRINT_UNAUTHORISED if there is none of this name that does."""
        try:
            found = await self.get(institution_no, authorisation_id)
        except DomainError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            raise DomainError(ErrorCode.PRINT_UNAUTHORISED, error.detail) from None
        if day < found.valid_from or (found.valid_until is not None and found.valid_until < day):
            raise DomainError(ErrorCode.PRINT_UNAUTHORISED, "the authorisation does not hold today")
        return found

    async def put(
        self, actor: Caller, institution_no: int, authorisation_id: str, body: PrintAuthorisationBody
    ) -> PrintAuthorisationAnswer:
        """Enter or change one of an institution that exists."""
        now = self._clock.now()
        changed = {**body.model_dump(), "updated_at": now}
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(PrintAuthorisation)
                .values(institution_no=institution_no, authorisation_id=authorisation_id, created_at=now, **changed)
                .on_conflict_do_update(
                    index_elements=[PrintAuthorisation.institution_no, PrintAuthorisation.authorisation_id],
                    set_=changed,
                )
            )
            await audit.record(
                work, self._clock, actor=actor, action="print-authorisation.put", subject=authorisation_id,
                institution=institution_no, **{name: str(value) for name, value in body if value is not None},
            )  # fmt: skip
        return await self.get(institution_no, authorisation_id)


def _answer(row: PrintAuthorisation) -> PrintAuthorisationAnswer:
    return PrintAuthorisationAnswer(
        institution_no=row.institution_no, authorisation_id=row.authorisation_id, name=row.name, title=row.title,
        document_no=row.document_no, authorised_on=row.authorised_on, valid_from=row.valid_from,
        valid_until=row.valid_until, scope=row.scope, created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip
