"""What ``app.build`` makes once and hands to the parts of this service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.drivers.choice import Desks, MailOnly
from services.kep_relay.drivers.protocol import KepDriver
from services.kep_relay.instance import Instance
from services.kep_relay.mailboxes import Mailboxes
from services.kep_relay.metrics import RelayMetrics
from services.kep_relay.settings import Settings
from shared.blobs import BlobStore
from shared.clients.directory import DirectoryClient
from shared.clients.registrations import RegistrationsClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.outbound import LedgerSide, UnfinishedLetter
from shared.db.session import Database
from shared.jobs import JobQueue
from shared.service import BackgroundPart


@dataclass(frozen=True)
class Dependencies:
    """Shared by the outgoing and the incoming side."""

    settings: Settings
    clock: Clock
    database: Database
    blobs: BlobStore
    queue: JobQueue
    instance: Instance
    mailboxes: Mailboxes
    driver: KepDriver
    directory: DirectoryClient
    registrations: RegistrationsClient
    signer: SignerClient
    metrics: RelayMetrics
    registry: CollectorRegistry
    desks: Desks = field(default_factory=MailOnly)


Sweep = Callable[[], Awaitable[None]]
"""One idempotent pass over rows that need a job; run by the leader only."""


class LedgerSource(Protocol):
    """One direction of the ledger, read inside the caller's view of the database."""

    async def count(self, session: AsyncSession) -> Mapping[int, LedgerSide]:
        """Each institution's letters, counted."""
        ...

    async def unfinished(self, session: AsyncSession, *, stuck: bool, limit: int) -> Sequence[UnfinishedLetter]:
        """Letters not at their end, oldest first; ``stuck``: only those that nothing will move on."""
        ...


@dataclass(frozen=True)
class Parts:
    """What one side contributes to the service."""

    background: Sequence[BackgroundPart] = ()
    routers: Sequence[APIRouter] = ()
    sweeps: Sequence[Sweep] = field(default=())
    gauges: Sequence[Sweep] = field(default=())
    """Set what is counted in the database; they read many rows, so the leader limits how often they run."""
    ledger: LedgerSource | None = None
