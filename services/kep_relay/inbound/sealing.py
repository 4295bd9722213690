"""Seals a letter that is more secret than KEP may carry, and keeps the incident (legal.md L.27): one transaction.

The bytes lie in the blob store already, because what arrives is stored before it is understood (record 0005). They
stay there; what is to become of them is the security officer's decision. The row loses what could tell about the
content: subject, names of files, number and id of the letter.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy import delete, update

from services.kep_relay.inbound.classified import ArrivalRules, Degree
from services.kep_relay.inbound.consumer_routing import withdraw
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.tables import (
    ClassifiedIncidentRow,
    InboundMessageRow,
    InboundPartRow,
    VerificationMailRow,
)
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.domain.message import InboundState

log = structlog.get_logger(__name__)

CLASSIFIED = "classified"
_MEASURE = "sealed"


class Sealing:
    """Seals letters."""

    def __init__(self, database: Database, clock: Clock, metrics: InboundMetrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics

    async def seal(self, message_id: UUID, degree: Degree, rules: ArrivalRules) -> None:
        """Seal a letter, whatever its state; again changes nothing. Raises when the database is away."""
        code = degree.most
        assert code is not None
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = await work.session.get_one(InboundMessageRow, message_id, with_for_update=True)
            if row.state == InboundState.SEALED:
                return
            assert row.raw_sha256 is not None
            work.session.add(
                ClassifiedIncidentRow(
                    incident_id=new_id(),
                    message_id=message_id,
                    institution_no=row.institution_no,
                    mailbox_address=row.mailbox_address,
                    sender_address=row.sender_address,
                    degree=code.value,
                    found_in=degree.found_in.value,
                    raw_sha256=row.raw_sha256,
                    raw_size=row.raw_size,
                    package_sha256=row.package_sha256,
                    state_before=row.state,
                    rule=rules.rule,
                    rules_of=rules.in_force_since,
                    measure=_MEASURE,
                    received_at=row.received_at,
                    detected_at=now,
                )
            )
            _strip(row)
            row.state, row.reason_code, row.security_code = InboundState.SEALED, CLASSIFIED, code.value
            row.updated_at = now
            row.version += 1
            await work.session.execute(
                update(InboundPartRow)
                .where(InboundPartRow.message_id == message_id)
                .values(filename=None)
                .execution_options(synchronize_session=False)
            )
            await withdraw(work, message_id, now)
            # Links out of the letter's text; a mail that asks for confirmation has no package and is never sealed.
            await work.session.execute(delete(VerificationMailRow).where(VerificationMailRow.message_id == message_id))
        self._metrics.classified.labels(code.value).inc()
        log.error("letter_sealed", message_id=str(message_id), degree=code.value, rule=rules.rule)


def _strip(row: InboundMessageRow) -> None:
    row.subject = row.package_filename = row.document_id = row.document_no = row.last_rejection = None
    row.opened_sha256 = row.opened_size = None
    row.lease_token = row.lease_client_id = row.lease_expires_at = None
