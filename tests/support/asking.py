"""The relay's accounts at the sandbox's SOAP service, step by step on a clock that only a test moves.

Letters are sent to the service by the real driver; what the relay then asks for and takes in goes the
way it goes in the service. Nothing runs by itself, so nothing depends on how fast the machine is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from services.kep_relay.drivers.protocol import Accepted, Envelope, MailboxAccount
from services.kep_relay.tables import (
    EvidencePollRow,
    ListedEvidenceRow,
    OutboundEventRow,
    OutboundRecipientRow,
    SecondFactorRow,
)
from shared.clock import FixedClock, SystemClock
from shared.contracts.signatures import SignatureFormat
from shared.domain.identifiers import KepAddress
from tests.support.eyws_provider import A, B, EywsProviders, WrittenLetter, running_providers
from tests.support.eyws_relay import IDS, pieces, soap_configuration
from tests.support.inbound import Inbound, ScriptedSigner, running_inbound, scripted_signer


@dataclass
class Asking:
    """What a test needs to see evidence come that is asked for."""

    inbound: Inbound
    providers: EywsProviders
    signer: ScriptedSigner
    clock: FixedClock

    async def configure(self, address: str = A, **changes: Any) -> MailboxAccount:
        async with self.inbound.deps.database.unit_of_work() as work:
            row, _ = await self.inbound.deps.mailboxes.put(
                work, IDS[address], soap_configuration(self.providers, address, **changes)
            )
            return self.inbound.deps.mailboxes.account(row)

    async def account(self, address: str) -> MailboxAccount:
        return self.inbound.deps.mailboxes.account(await self.inbound.mailbox(IDS[address]))

    async def send(self, recipient: str = B, *codes: int) -> tuple[WrittenLetter, UUID]:
        """A letter from ``A``, once these kinds of evidence exist, and the relay's row of it."""
        letter = self.providers.letter(recipient=recipient)
        envelope = Envelope(KepAddress(A), KepAddress(recipient), letter.message_id)
        account = await self.account(A)
        outcome = await self.inbound.deps.driver.submit(account, envelope, pieces(letter.raw), size=len(letter.raw))
        assert isinstance(outcome, Accepted)
        await self.providers.issued(letter, *codes)
        return letter, await self.inbound.outgoing(letter.message_id, recipient=recipient)

    async def later(self, **delta: float) -> None:
        """Move the clock, look at what is due, and do it."""
        self.clock.moment += timedelta(**delta)
        await self.inbound.deps.instance.renew()
        await self.inbound.sweep()
        await self.inbound.run_jobs()
        for gauge in self.inbound.parts.gauges:
            await gauge()

    async def asked(self) -> None:
        """The first question about a letter that has just been sent."""
        await self.later()
        await self.later(seconds=31)

    async def recipient(self, recipient_id: UUID) -> OutboundRecipientRow:
        return await self.inbound.recipient(recipient_id)

    async def state(self, recipient_id: UUID) -> tuple[str, list[str]]:
        row = await self.recipient(recipient_id)
        return row.state, row.attention

    async def poll(self, recipient_id: UUID) -> EvidencePollRow:
        async with self.inbound.deps.database.reading() as session:
            return await session.get_one(EvidencePollRow, recipient_id)

    async def listed(self, recipient_id: UUID) -> Sequence[ListedEvidenceRow]:
        async with self.inbound.deps.database.reading() as session:
            rows = await session.scalars(
                select(ListedEvidenceRow)
                .where(ListedEvidenceRow.recipient_id == recipient_id)
                .order_by(ListedEvidenceRow.number)
            )
            return rows.all()

    async def history(self, recipient_id: UUID) -> list[tuple[str | None, str | None]]:
        """The changes of state that evidence made."""
        async with self.inbound.deps.database.reading() as session:
            rows = await session.scalars(
                select(OutboundEventRow)
                .where(OutboundEventRow.recipient_id == recipient_id, OutboundEventRow.kind == "evidence")
                .order_by(OutboundEventRow.sequence)
            )
            return [(row.from_state, row.to_state) for row in rows]

    async def second_factor(self, address: str) -> SecondFactorRow | None:
        async with self.inbound.deps.database.reading() as session:
            return await session.get(SecondFactorRow, IDS[address])

    def metric(self, name: str, **labels: str) -> float:
        return metric(self.inbound.registry, name, **labels)


def metric(registry: CollectorRegistry, name: str, **labels: str) -> float:
    value = registry.get_sample_value(name, labels)
    assert value is not None, name
    return value


@asynccontextmanager
async def running_asking(database_url: str, directory: Path, **changes: Any) -> AsyncIterator[Asking]:
    """``A``, ``B`` and ``C`` configured; no signature around documents, as with the real service."""
    directory.mkdir(exist_ok=True)
    clock = FixedClock(SystemClock().now())
    async with (
        running_providers(directory) as providers,
        scripted_signer() as (signer, url),
        running_inbound(
            database_url, directory / "blobs", signer_url=url, clock=clock, soap=True, **changes
        ) as inbound,
    ):
        signer.unsigned = {SignatureFormat.SMIME}
        world = Asking(inbound, providers, signer, clock)
        for address in IDS:
            await world.configure(address)
        yield world
