"""One round of deletions is finite: what cannot go is asked for once an hour and keeps no other mail from going."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from services.kep_relay.drivers.protocol import InboxSession, MailboxAccount
from services.kep_relay.inbound.deletion import DELETED, ProviderDeletion
from services.kep_relay.inbound.metrics import InboundMetrics
from services.kep_relay.tables import MailboxRow, RawMailRow
from shared.clock import FixedClock
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode
from tests.support.inbound import Inbound, running_inbound
from tests.support.relay import SENDER_NO, START

MANY = 101
GONE = "0" * 64


@dataclass
class Provider:
    """A folder at a provider."""

    uidvalidity: int = 1
    refuses: bool = False
    asked: list[int] = field(default_factory=list)

    async def delete(self, uid: int) -> None:
        self.asked.append(uid)
        if self.refuses:
            raise DomainError(ErrorCode.PROVIDER_REFUSED, "no UIDPLUS")


@dataclass
class World:
    relay: Inbound
    clock: FixedClock
    deletion: ProviderDeletion
    account: MailboxAccount
    provider: Provider
    sha256: str

    async def mails(self, *digests: str) -> None:
        """Evidence that is done with, archived under these digests, in this order."""
        async with self.relay.deps.database.unit_of_work() as work:
            work.session.add_all(
                RawMailRow(
                    raw_mail_id=new_id(), mailbox_id="a-1", institution_no=SENDER_NO, folder="INBOX", uidvalidity=1,
                    uid=uid, sha256=sha256, size=4, received_at=START, state="ingested", kind="evidence",
                )
                for uid, sha256 in enumerate(digests, 1)
            )  # fmt: skip

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.deletion.clean(self.account, cast("InboxSession", self.provider))

    async def deleted(self) -> int:
        async with self.relay.deps.database.reading() as session:
            query = select(func.count()).select_from(RawMailRow).where(RawMailRow.reason_code == DELETED)
            return int(await session.scalar(query) or 0)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = FixedClock(START + timedelta(days=60))
    async with running_inbound(database_url, tmp_path, signer_url="http://127.0.0.1:1", clock=clock) as relay:
        await relay.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        async with relay.deps.database.reading() as session:
            account = relay.deps.mailboxes.account(await session.get_one(MailboxRow, "a-1"))
        deletion = ProviderDeletion(
            relay.deps.database, relay.deps.blobs, clock, InboundMetrics(CollectorRegistry()), days={"a-1": 30}
        )
        sha256 = (await relay.deps.blobs.put(b"mail", limit=10)).sha256
        yield World(relay, clock, deletion, account, Provider(), sha256)


async def test_a_provider_that_refuses_is_asked_once_an_hour_however_many_wait(world: World) -> None:
    world.provider.refuses = True
    await world.mails(*[world.sha256] * MANY)
    await world.look(3)
    assert len(world.provider.asked) == 1
    world.clock.moment += timedelta(minutes=61)
    await world.look(3)
    assert world.provider.asked == [1, 2], "it may be about this one mail"


async def test_broken_copies_keep_no_other_mail_from_going(world: World) -> None:
    await world.mails(*[GONE] * (MANY - 1), world.sha256)
    await world.look(3)
    assert world.provider.asked == [MANY]
    assert await world.deleted() == 1


async def test_a_store_that_cannot_be_read_does_not_end_the_session(world: World, tmp_path: Path) -> None:
    await world.mails(world.sha256)
    [file] = list(tmp_path.rglob(world.sha256))
    file.unlink()
    file.mkdir()
    await world.look(2)
    assert (world.provider.asked, await world.deleted()) == ([], 0)
    file.rmdir()
    file.write_bytes(b"mail")
    world.clock.moment += timedelta(minutes=61)
    await world.look()
    world.clock.moment += timedelta(minutes=61)
    await world.look()
    assert (world.provider.asked, await world.deleted()) == ([1], 1)
