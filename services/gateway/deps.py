"""Hands out what ``app.build`` wired, and the caller the gatekeeper let in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from services.gateway import audit
from services.gateway.api_keys import ApiKeys
from services.gateway.callers import Caller
from services.gateway.clients.relay import RelayClient
from services.gateway.drafts.beginning import Beginnings
from services.gateway.drafts.drafting import Drafts
from services.gateway.drafts.finishing import Finishing
from services.gateway.idempotency import IdempotencyKeys
from services.gateway.institutions import Institutions
from services.gateway.live_choices import LiveChoices
from services.gateway.printing.prints import Prints
from services.gateway.submission import Submissions
from services.gateway.verifications.keeping import Verifications
from services.gateway.verifications.rendering import PaperReports
from shared.clients.correspondence import CorrespondenceClient
from shared.clients.directory import DirectoryClient
from shared.clients.live import LiveClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.db.session import Database


@dataclass(frozen=True)
class Gateway:
    """Everything the routes use."""

    relay: RelayClient
    directory: DirectoryClient
    registrations: RegistrationsClient
    correspondence: CorrespondenceClient
    live: LiveClient
    live_choices: LiveChoices
    signer: SignerClient
    submissions: Submissions
    drafts: Drafts
    beginnings: Beginnings
    finishing: Finishing
    keys: IdempotencyKeys
    institutions: Institutions
    api_keys: ApiKeys
    prints: Prints
    verifications: Verifications
    papers: PaperReports
    database: Database
    clock: Clock
    spool: Path
    max_package_bytes: int

    async def audit(self, actor: Caller, action: str, subject: str, **detail: str | int | list[str]) -> None:
        """Note a change that another service is about to make: an attempt that fails is worth a line, too."""
        async with self.database.unit_of_work() as work:
            await audit.record(work, self.clock, actor=actor, action=action, subject=subject, **detail)


# Coroutines, although they wait for nothing: FastAPI sends plain functions to a thread, once per request each.


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


GatewayParts = Annotated[Gateway, Depends(_gateway)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
