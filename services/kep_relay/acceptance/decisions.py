"""What an authorised person decides about a letter: accepted, or refused with reasons (legal.md L.9, L.11)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.kep_relay.acceptance.describing import describe, reasons_of
from services.kep_relay.acceptance.periods import Periods
from services.kep_relay.inbound.queries import owned
from services.kep_relay.tables import AcceptanceRow
from shared.clock import Clock
from shared.contracts.acceptance import Acceptance, AcceptanceDecision, AcceptanceState
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode, Fault

_S = AcceptanceState


class Decisions:
    """Ends periods."""

    def __init__(self, database: Database, clock: Clock, periods: Periods) -> None:
        self._database = database
        self._clock = clock
        self._periods = periods

    async def decide(self, message_id: UUID, institutions: Sequence[int], body: AcceptanceDecision) -> Acceptance:
        """Write down what a person decided; the same again is the same answer.

        Raises NOT_FOUND, VALIDATION_FAILED, and STATE_CONFLICT when there is no period, or it is over or decided.
        """
        _check(body)
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            await owned(work.session, message_id, institutions, lock=True)
            row = await work.session.get(AcceptanceRow, message_id, with_for_update=True)
            if row is None:
                raise DomainError(ErrorCode.STATE_CONFLICT, "only a letter of another administration can be refused")
            if row.state == body.decision and row.decided_by == body.decided_by and reasons_of(row) == body.reasons:
                return describe(row)
            if row.state != _S.PENDING:
                raise DomainError(ErrorCode.STATE_CONFLICT, f"the letter is {row.state}, since {row.decided_at}")
            if row.due_at <= now:
                raise DomainError(ErrorCode.STATE_CONFLICT, f"the period of the letter ended {row.due_at}")
            row.reasons = [item.model_dump(mode="json") for item in body.reasons]
            await self._periods.end(work, row, body.decision, decided_by=body.decided_by)
            return describe(row)


def _check(body: AcceptanceDecision) -> None:
    fault = None
    if body.decision not in {_S.ACCEPTED, _S.REFUSED}:
        fault = Fault("/decision", "accepted or refused")
    elif (body.decision is _S.REFUSED) != bool(body.reasons):
        fault = Fault("/reasons", "a refusal has reasons, and an acceptance none")
    if fault is not None:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "this decision cannot be written down", faults=[fault])
