"""Two kep_relay processes on one database: each mailbox has one reader, each letter one sender, whoever dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import text

from services.gateway.clients.relay import RelayClient
from services.kep_relay.settings import Settings
from services.sandbox.faults import Fault
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.domain.message import OutboundState
from shared.tls import default_context
from tests.support.gateway import TOKENS
from tests.support.ports import free_port
from tests.support.relay import SENDER_NO, relay_settings, submission
from tests.support.relay_world import RECEIVER_NO, A, B, RelayWorld, relay_world
from tests.support.schemas import bring_up

QUICK = {
    "INSTANCE_TTL_SECONDS": "6", "MAILBOX_LEASE_SECONDS": "4", "MAILBOX_LOOK_SECONDS": "0.2", "SWEEP_INTERVAL_SECONDS": "0.3",
    "RECONCILE_PAUSES_SECONDS": "[0.3]", "RECONCILE_WINDOW_SECONDS": "20", "RETRY_PAUSES_SECONDS": "[0.3]",
    "RECONNECT_PAUSES_SECONDS": "[0.2]", "SMTP_DATA_SECONDS": "5",
}  # fmt: skip
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.timeout(600)


@dataclass
class Replica:
    """One process."""

    process: asyncio.subprocess.Process
    client: RelayClient
    ops: str

    def connected_to(self, port: int) -> bool:
        """Whether it has a connection open to this port, by the kernel's table."""
        sockets = set()
        with contextlib.suppress(FileNotFoundError):  # it is gone, or has closed one meanwhile
            for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    sockets.add(str(entry.readlink()))
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            far_port, established = int(fields[2].rpartition(":")[2], 16), fields[3] == "01"
            if far_port == port and established and f"socket:[{fields[9]}]" in sockets:
                return True
        return False

    async def leads(self, http: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return "kepgw_leader 1.0" in (await http.get(f"{self.ops}/metrics")).text
        return False


@dataclass
class Cluster:
    """Both processes, what stands around them, and the database they share."""

    replicas: list[Replica]
    world: RelayWorld
    database: Database
    http: httpx.AsyncClient
    packages: int = 0

    async def hand_over(self, replica: Replica) -> UUID:
        self.packages += 1
        package = b"PK\x03\x04 package %d" % self.packages
        digest, message_id = hashlib.sha256(package).hexdigest(), new_id()

        async def content() -> AsyncIterator[bytes]:
            yield package

        await replica.client.put_package(digest, content(), len(package))
        await replica.client.put_outbound(message_id, submission(digest, len(package), [RECEIVER_NO]))
        return message_id

    async def states(self) -> dict[UUID, str]:
        rows = await self.rows("SELECT message_id, state FROM outbound_recipients")
        return {row[0]: row[1] for row in rows}

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.reading() as session:
            return list(await session.execute(text(statement)))

    async def holder(self, mailbox_id: str = "b-1") -> UUID | None:
        """The instance that has the right to read a mailbox."""
        rows = await self.rows(f"SELECT leased_by FROM mailboxes WHERE mailbox_id = '{mailbox_id}'")
        found: UUID | None = rows[0][0]
        return found

    def readers(self) -> list[Replica]:
        """Who is connected to B's provider over IMAP; nobody but readers of B's mailbox ever is."""
        port = self.world.kephs.providers.ports["hs99"].imap
        return [replica for replica in self.replicas if replica.connected_to(port)]

    async def reader(self) -> Replica:
        """The one process that reads B's mailbox."""

        async def one() -> bool:
            return len(self.readers()) == 1

        await until(one, "one process reads B's mailbox")
        return self.readers()[0]

    async def leader(self) -> Replica:
        found: list[Replica] = []

        async def one() -> bool:
            found[:] = [replica for replica in self.replicas if await replica.leads(self.http)]
            return len(found) == 1

        await until(one, "one process leads")
        return found[0]

    async def all_delivered(self, letters: list[UUID]) -> None:
        async def delivered() -> bool:
            states = await self.states()
            return all(states[letter] == OutboundState.DELIVERED for letter in letters)

        await until(delivered, "every letter is delivered")

    async def require_each_once(self, letters: list[UUID]) -> None:
        """At both providers, and as letters that came in; every mail was taken in exactly once."""
        headers = [row[0] for row in await self.rows("SELECT message_id_header FROM outbound_recipients")]
        assert len(headers) == len(letters)
        assert {self.world.copies(header, A, "Sent") for header in headers} == {1}
        assert {self.world.copies(header) for header in headers} == {1}

        async def all_in() -> bool:
            number: int = (await self.rows("SELECT count(*) FROM inbound_messages WHERE state = 'available'"))[0][0]
            return number == len(letters)

        await until(all_in, "every letter has come in")
        doubled = await self.rows("SELECT count(*) FROM raw_mails WHERE state = 'duplicate'")
        assert doubled[0][0] == 0
        ledger = await self.replicas[-1].client.ledger()
        assert (ledger.outbound.accepted, ledger.outbound.imbalance) == (len(letters), 0)
        assert (ledger.inbound.accepted, ledger.inbound.imbalance) == (len(letters), 0)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {PATIENCE_SECONDS} s: {what}")


async def start_replica(settings: dict[str, str], log: Path) -> Replica:
    port, ops_port = free_port(), free_port()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    own = {f"KEPGW_KEP_RELAY_{key}": value for key, value in settings.items()} | {
        "KEPGW_KEP_RELAY_PORT": str(port), "KEPGW_KEP_RELAY_OPS_PORT": str(ops_port),
    }  # fmt: skip
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.kep_relay", env=inherited | own, stderr=file
        )
    client = RelayClient(f"http://127.0.0.1:{port}", SecretStr(TOKENS["gateway"]))
    return Replica(process, client, f"http://127.0.0.1:{ops_port}")


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    await asyncio.to_thread(bring_up, database_url, "kep_relay")
    async with (
        relay_world(tmp_path) as world,
        httpx.AsyncClient(timeout=30, verify=default_context(), trust_env=False) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        settings = QUICK | {
            "DATABASE_URL": database_url, "BLOB_STORE_URL": f"file://{tmp_path / 'blobs'}",
            "SECRET_KEYS": Fernet.generate_key().decode(), "DETSIS_SYNC_URL": world.directory_url,
            "SIGNER_URL": world.signer_url, "SERVICE_TOKENS": json.dumps(TOKENS),
        }  # fmt: skip
        database = Database(database_url, schema="kep_relay")
        stack.push_async_callback(database.aclose)
        replicas = []
        for number in range(2):
            replica = await start_replica(settings, tmp_path / f"relay-{number}.log")
            replicas.append(replica)
            stack.push_async_callback(replica.client.aclose)
            stack.push_async_callback(replica.process.wait)
            stack.callback(send, replica, signal.SIGKILL)
        running = Cluster(replicas, world, database, http)

        async def ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                answers = [await http.get(f"{replica.ops}/readyz") for replica in replicas]
                return all(answer.status_code == 200 for answer in answers)
            return False

        await until(ready, "both processes are ready")
        for mailbox_id, number, address in (("a-1", SENDER_NO, A), ("b-1", RECEIVER_NO, B)):
            await replicas[0].client.put_mailbox(mailbox_id, world.configuration(number, address))
        yield running


def send(replica: Replica, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(replica.process.pid, number)


async def test_letters_of_two_relays_go_and_come_once_and_a_mailbox_has_one_reader(cluster: Cluster) -> None:
    letters = [await cluster.hand_over(cluster.replicas[number % 2]) for number in range(16)]

    await cluster.all_delivered(letters)
    await cluster.require_each_once(letters)
    # Not at every moment: one that the machine kept waiting for longer than its right lasts lets go when it goes on.
    reader = await cluster.reader()

    # One that hangs is not there for the others. When it goes on it must find its right gone, and repeat nothing.
    holder = await cluster.holder()
    send(reader, signal.SIGSTOP)

    async def taken_over() -> bool:
        return await cluster.holder() not in {holder, None}

    await until(taken_over, "the other one reads the mailbox")
    other = next(replica for replica in cluster.replicas if replica is not reader)
    letters += [await cluster.hand_over(other) for _ in range(4)]
    send(reader, signal.SIGCONT)

    async def hung_up() -> bool:
        return cluster.readers() == [other]

    await until(hung_up, "the one that hung has let go of the mailbox")
    await cluster.all_delivered(letters)
    await cluster.require_each_once(letters)


async def test_what_a_killed_relay_held_the_other_one_takes_over(cluster: Cluster) -> None:
    leader = await cluster.leader()
    reader = await cluster.reader()
    letters = [await cluster.hand_over(replica) for replica in cluster.replicas for _ in range(4)]
    # The answers are on their way when it dies: what it had in hand has gone out, and nobody was told.
    cluster.world.kephs.faults.order(Fault("smtp.delay_answer", {}, value=3600))
    slow = [await cluster.hand_over(replica) for replica in cluster.replicas for _ in range(4)]

    async def in_hand() -> bool:
        states = await cluster.states()
        return any(states[letter] == OutboundState.SUBMITTING for letter in slow)

    await until(in_hand, "a letter is being submitted")
    holder = await cluster.holder()
    send(leader, signal.SIGKILL)
    await leader.process.wait()
    cluster.world.kephs.faults.clear()
    cluster.replicas.remove(leader)
    (survivor,) = cluster.replicas
    assert await cluster.leader() is survivor
    if reader is leader:

        async def taken_over() -> bool:
            return await cluster.holder() not in {holder, None}

        await until(taken_over, "the other one reads the mailbox")
    assert await cluster.reader() is survivor
    await cluster.all_delivered(letters + slow)
    await cluster.require_each_once(letters + slow)


def test_with_the_settings_as_they_come_a_dead_process_is_replaced_within_a_minute(tmp_path: Path) -> None:
    """Everything it held is bound to its life sign; who takes over looks for it this often."""
    settings: Settings = relay_settings("postgresql://nowhere/", tmp_path)
    mailbox = min(settings.mailbox_lease_seconds, settings.instance_ttl_seconds) + settings.mailbox_look_seconds
    letter = settings.instance_ttl_seconds + 2 * settings.sweep_interval_seconds
    assert mailbox <= 30
    assert letter <= 60
