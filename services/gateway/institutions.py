"""The institutions whose letters pass here, and how strict the gateway is with each."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.schemas.admin import InstitutionAnswer, InstitutionBody, InstitutionPolicy
from services.gateway.tables import Institution
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


class Institutions:
    """Reads and changes institutions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, detsis_no: int) -> InstitutionAnswer:
        """One institution; NOT_FOUND if it was never entered."""
        async with self._database.reading() as session:
            row = await session.get(Institution, detsis_no)
        if row is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this institution is not configured here")
        return _answer(row)

    async def policy(self, detsis_no: int) -> InstitutionPolicy:
        """How strict to be with its letters."""
        return (await self.get(detsis_no)).policy

    async def numbers(self) -> list[int]:
        """DETSİS numbers of all of them, ascending."""
        async with self._database.reading() as session:
            return list((await session.scalars(select(Institution.detsis_no).order_by(Institution.detsis_no))).all())

    async def put(self, actor: Caller, detsis_no: int, body: InstitutionBody) -> InstitutionAnswer:
        """Enter or change one."""
        now = self._clock.now()
        changed = {"name": body.name, "policy": body.policy.model_dump(mode="json"), "updated_at": now}
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                insert(Institution)
                .values(detsis_no=detsis_no, created_at=now, **changed)
                .on_conflict_do_update(index_elements=[Institution.detsis_no], set_=changed)
            )
            await audit.record(
                work,
                self._clock,
                actor=actor,
                action="institution.put",
                subject=str(detsis_no),
                **body.policy.model_dump(),
            )
        return await self.get(detsis_no)


def _answer(row: Institution) -> InstitutionAnswer:
    return InstitutionAnswer(
        detsis_no=row.detsis_no,
        name=row.name,
        policy=InstitutionPolicy.model_validate(row.policy),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
