"""Second factors for the gateway, which says who answers."""

from __future__ import annotations

from fastapi import APIRouter

from services.kep_relay.mailboxes import owned_mailbox
from services.kep_relay.routes.institutions import Institutions
from services.kep_relay.routes.mailboxes import MailboxId
from services.kep_relay.second_factor.challenges import SecondFactors
from services.kep_relay.tables import MailboxRow
from shared.contracts.second_factor import SecondFactor, SecondFactorAnswer, SecondFactorChallenge
from shared.db.session import Database


def second_factor_routes(database: Database, second_factors: SecondFactors) -> APIRouter:
    """``/mailboxes/{mailbox_id}/second-factor``."""
    routes = APIRouter()

    async def owned(mailbox_id: str, institutions: list[int]) -> MailboxRow:
        async with database.reading() as session:
            return await owned_mailbox(session, mailbox_id, institutions)

    @routes.get("/mailboxes/{mailbox_id}/second-factor")
    async def show(mailbox_id: MailboxId, institution: Institutions) -> SecondFactor:
        return await second_factors.show(await owned(mailbox_id, institution))

    @routes.post("/mailboxes/{mailbox_id}/second-factor")
    async def begin(mailbox_id: MailboxId, challenge: SecondFactorChallenge, institution: Institutions) -> SecondFactor:
        return await second_factors.begin(await owned(mailbox_id, institution), by=challenge.by)

    @routes.post("/mailboxes/{mailbox_id}/second-factor/confirm")
    async def confirm(mailbox_id: MailboxId, answer: SecondFactorAnswer, institution: Institutions) -> SecondFactor:
        return await second_factors.answer(await owned(mailbox_id, institution), answer)

    return routes
