"""The institutions whose letters pass here, and how strict the gateway is with each."""

from __future__ import annotations

from datetime import datetime, timedelta

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

    def __init__(self, database: Database, clock: Clock, *, cache_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._remember = timedelta(seconds=cache_seconds)
        self._policies: dict[int, tuple[datetime, InstitutionPolicy]] = {}

    async def get(self, detsis_no: int) -> InstitutionAnswer:
        """One institution; NOT_FOUND if it was never entered."""
        async with self._database.autocommit() as session:
            row = await session.get(Institution, detsis_no)
        if row is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this institution is not configured here")
        return _answer(row)

    async def policy(self, detsis_no: int) -> InstitutionPolicy:
        """How strict to be with its letters: as read within the cache time, or as changed here since."""
        now = self._clock.now()
        known = self._policies.get(detsis_no)
        if known is not None and now - known[0] < self._remember:
            return known[1]
        policy = (await self.get(detsis_no)).policy
        self._policies[detsis_no] = (now, policy)
        return policy

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
        self._policies.pop(detsis_no, None)
        return await self.get(detsis_no)


def _answer(row: Institution) -> InstitutionAnswer:
    return InstitutionAnswer(
        detsis_no=row.detsis_no,
        name=row.name,
        policy=InstitutionPolicy.model_validate(row.policy),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
