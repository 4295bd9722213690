"""Mailboxes and the ledger for the gateway."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import select

from services.kep_relay.ledger import LedgerKeeper
from services.kep_relay.mailboxes import Mailboxes, describe, owned_mailbox
from services.kep_relay.readiness import ReadinessOfMailboxes
from services.kep_relay.routes.institutions import Institutions
from services.kep_relay.tables import MailboxRow
from shared.contracts.mailboxes import Mailbox, MailboxConfiguration, MailboxReadiness
from shared.contracts.outbound import Ledger
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

MailboxId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


def mailbox_routes(
    database: Database, mailboxes: Mailboxes, readiness: ReadinessOfMailboxes, ledger: LedgerKeeper
) -> APIRouter:
    """``/mailboxes`` and ``/ledger``."""
    routes = APIRouter()

    @routes.get("/mailboxes")
    async def list_mailboxes(institution: Institutions) -> list[Mailbox]:
        async with database.reading() as session:
            rows = await session.scalars(
                select(MailboxRow).where(MailboxRow.institution_no.in_(institution)).order_by(MailboxRow.mailbox_id)
            )
            return [describe(row) for row in rows]

    @routes.put("/mailboxes/{mailbox_id}")
    async def put_mailbox(
        mailbox_id: MailboxId, configuration: MailboxConfiguration, institution: Institutions, response: Response
    ) -> Mailbox:
        if configuration.institution_no not in institution:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, "the mailbox would belong to another institution")
        async with database.unit_of_work() as work:
            row, created = await mailboxes.put(work, mailbox_id, configuration)
        response.status_code = 201 if created else 200
        return describe(row)

    @routes.get("/mailboxes/{mailbox_id}/readiness")
    async def get_readiness(mailbox_id: MailboxId, institution: Institutions) -> MailboxReadiness:
        async with database.reading() as session:
            row = await owned_mailbox(session, mailbox_id, institution)
        return await readiness.check(row)

    @routes.get("/ledger")
    async def get_ledger() -> Ledger:
        return await ledger.read()

    return routes
