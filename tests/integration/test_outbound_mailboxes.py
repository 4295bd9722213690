"""Exactly one process drains a mailbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text

from services.kep_relay.instance import Instance
from services.kep_relay.mailboxes import AddressBook, mailbox_lease
from shared.clock import SystemClock
from tests.support.relay import Relay, running_relay


async def test_a_mailbox_is_leased_to_one_living_process_at_a_time(database_url: str, tmp_path: Path) -> None:
    clock = SystemClock()
    async with running_relay(database_url, tmp_path, clock=clock) as relay:
        database = relay.deps.database
        other = Instance(database, clock, ttl_seconds=30)
        await other.renew()
        ours = {"instance_id": relay.deps.instance.instance_id, "clock": clock, "ttl_seconds": 30, "revision": 1}
        theirs = {"instance_id": other.instance_id, "clock": clock, "ttl_seconds": 30, "revision": 1}
        async with mailbox_lease(database, "a-1", **ours) as lease:
            assert lease is not None
            async with mailbox_lease(database, "a-1", **theirs) as refused:
                assert refused is None
        async with mailbox_lease(database, "a-1", **theirs) as free:
            assert free is not None
            await other.aclose()
            async with mailbox_lease(database, "a-1", **ours) as taken_from_the_dead:
                assert taken_from_the_dead is not None
        async with mailbox_lease(database, "no-such-mailbox", **ours) as nothing:
            assert nothing is None


async def test_a_lease_is_renewed_while_held_and_says_when_it_is_lost(database_url: str, tmp_path: Path) -> None:
    clock = SystemClock()
    async with running_relay(database_url, tmp_path, clock=clock) as relay:
        arguments = {"instance_id": relay.deps.instance.instance_id, "clock": clock, "ttl_seconds": 3, "revision": 1}
        async with mailbox_lease(relay.deps.database, "a-1", **arguments) as lease:
            assert lease is not None
            taken_until = await expires_at(relay)
            async with asyncio.timeout(60):
                while await expires_at(relay) == taken_until and not lease.lost.is_set():
                    await asyncio.sleep(0.05)
            assert not lease.lost.is_set()
            other = Instance(relay.deps.database, clock, ttl_seconds=30)
            await other.renew()
            await relay.execute(
                "UPDATE mailboxes SET leased_by = :other, lease_expires_at = now() + interval '1 hour'",
                other=other.instance_id,
            )
            await asyncio.wait_for(lease.lost.wait(), 60)
        row_holder = {"instance_id": uuid4(), "clock": clock, "ttl_seconds": 30, "revision": 1}
        async with mailbox_lease(relay.deps.database, "a-1", **row_holder) as refused:
            assert refused is None


async def expires_at(relay: Relay) -> object:
    async with relay.deps.database.autocommit() as session:
        return await session.scalar(text("SELECT lease_expires_at FROM mailboxes"))


async def test_a_lease_whose_renewal_breaks_is_lost(database_url: str, tmp_path: Path) -> None:
    clock = SystemClock()
    async with running_relay(database_url, tmp_path, clock=clock) as relay:
        ours = {"instance_id": relay.deps.instance.instance_id, "clock": clock, "ttl_seconds": 0.6, "revision": 1}
        async with mailbox_lease(relay.deps.database, "a-1", **ours) as lease:
            assert lease is not None
            await relay.execute("ALTER TABLE mailboxes RENAME COLUMN leased_by TO gone")
            await asyncio.wait_for(lease.lost.wait(), 60)
            await relay.execute("ALTER TABLE mailboxes RENAME COLUMN gone TO leased_by")


async def test_a_mailbox_is_not_drained_by_what_was_known_of_it_before(database_url: str, tmp_path: Path) -> None:
    """Stopped after a refused login, or changed, while its row was being read: the old password is not tried again."""
    clock = SystemClock()
    async with running_relay(database_url, tmp_path, clock=clock) as relay:
        ours = {"instance_id": relay.deps.instance.instance_id, "clock": clock, "ttl_seconds": 30}
        for change in ("stopped_at = now()", "active = false", "revision = 2"):
            await relay.execute(f"UPDATE mailboxes SET {change}")
            async with mailbox_lease(relay.deps.database, "a-1", revision=1, **ours) as refused:
                assert refused is None, change
            await relay.execute("UPDATE mailboxes SET stopped_at = NULL, active = true, revision = 1")
        async with mailbox_lease(relay.deps.database, "a-1", revision=1, **ours) as lease:
            assert lease is not None


def test_addresses_are_confined_to_the_configured_domains() -> None:
    book = AddressBook(["hs[0-9][0-9].kep.tr", "*.hs[0-9][0-9].kep.tr", "testkep.pttkep.gov.tr"])
    for address in ("a@hs01.kep.tr", "a@kurum.hs10.kep.tr", "a@HS03.KEP.TR", "a@testkep.pttkep.gov.tr"):
        assert book.allows(address)
    for address in ("a@example.com", "a@hs1.kep.tr", "a@hs01.kep.tr.example.com", "a@xhs01.kep.tr", "", "hs01.kep.tr@"):
        assert not book.allows(address), address
