"""A week in a minute: 26 October to 1 November 2026, with a half day, a public holiday and a weekend, on clocks that are moved.

Letters go out and come in over the sandbox's providers; their clock, the relay's and the gateway's are one. At the end of
every day everything has the state that the day has left it in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from services.gateway.verifications.sweeping import VerificationSweep
from services.kep_relay.outbound import moves, queries
from services.kep_relay.outbound.deemed_read import DeemedRead, DeemedReadRule
from services.kep_relay.outbound.history import EventKind
from services.kep_relay.outbound.wiring import sign_by
from services.kep_relay.tables import AcceptanceRow, InboundMessageRow, OutboundRecipientRow
from services.sandbox.faults import Fault
from services.sandbox.kephs import Timing
from shared.clients.signer import SignerClient
from shared.clock import ISTANBUL, FixedClock
from shared.domain.identifiers import new_id
from shared.domain.message import OutboundState
from shared.domain.working_days import WorkingDays
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.inbound import Inbound, running_inbound
from tests.support.relay import SENDER_NO, submission
from tests.support.relay_world import RECEIVER_NO, A, B, RelayWorld, relay_world
from tests.unit.eyp import letters

PACKAGE = letters.package()
LOST_NO, SLOW_NO, FULL_NO = 10000011, 10000012, 10000013
SCRIPTED = {LOST_NO: "nodelil@hs99.kep.tr", SLOW_NO: "slow@hs99.kep.tr", FULL_NO: "full@hs99.kep.tr"}
TIMING = Timing(slow_delivery=timedelta(hours=30), relay_retry=timedelta(milliseconds=40))
PATIENCE_SECONDS = 90
MINE = {"institution": RECEIVER_NO}
LEASE = {"institution_nos": [RECEIVER_NO], "client_id": "ebys-b", "seconds": 300, "max": 10}
LEASED_TOO_OFTEN = 3


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of that week, by the clocks of Istanbul; days after the 31st are November's."""
    month = 10 if day <= 31 else 11
    return datetime(2026, month, day if month == 10 else day - 31, hour, minute, tzinfo=ISTANBUL)


@dataclass
class Week:
    """The letters by their names, and what moves them on."""

    world: RelayWorld
    relay: Inbound
    gateway: RunningGateway
    clock: FixedClock
    letters: dict[str, UUID] = field(default_factory=dict)

    async def go_to(self, moment: datetime) -> None:
        """Everybody's clock; the providers wake up for what is due by now."""
        assert moment > self.clock.moment
        self.clock.moment = moment
        self.world.kephs.clock.move_to(timedelta(0))
        await self.relay.deps.instance.renew()
        await self.work()

    async def hand_over(self, name: str, recipient_no: int = RECEIVER_NO) -> None:
        """A letter of A under a name of this test's."""
        stored = await self.relay.deps.blobs.put(PACKAGE, limit=10_000_000)
        message_id = new_id()
        order = submission(stored.sha256, stored.size, [recipient_no], client_ref=name)
        await self.relay.outbound.acceptance.accept(message_id, order)
        self.letters[name] = message_id
        await self.work()

    async def work(self) -> None:
        """Sweep and run what is due, by our clock, until nothing is."""
        for _ in range(2):
            await self.relay.outbound.sweep.sweep()
            await self.relay.sweep()
            while (job := await self._next_job()) is not None:
                await self.relay.deps.queue._app.tasks[job[0]](**job[1])

    async def _next_job(self) -> tuple[str, dict[str, Any]] | None:
        async with self.relay.deps.database.unit_of_work() as work:
            row = (
                await work.session.execute(
                    text(
                        "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs"
                        " WHERE status = 'todo' AND task_name LIKE 'kep_relay.%'"
                        " AND (scheduled_at IS NULL OR scheduled_at <= :now)) RETURNING task_name, args"
                    ),
                    {"now": self.clock.now()},
                )
            ).one_or_none()
        return None if row is None else (row[0], row[1])

    async def become(self, expected: object, look: Callable[[], Awaitable[object]]) -> None:
        """What ``look`` shows must come to be ``expected``, with the clock standing still."""
        found: object = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (found := await look()) != expected:
                    await self.work()
                    await asyncio.sleep(0.05)
        assert found == expected

    # What is looked at

    async def recipient(self, name: str) -> OutboundRecipientRow:
        async with self.relay.deps.database.reading() as session:
            return (
                await session.execute(
                    select(OutboundRecipientRow).where(OutboundRecipientRow.message_id == self.letters[name])
                )
            ).scalar_one()

    async def outgoing(self) -> dict[str, str]:
        """State of every letter of A, with what a person should look at."""
        rows = {name: await self.recipient(name) for name in self.letters}
        return {name: " ".join([row.state, *sorted(row.attention)]) for name, row in rows.items()}

    async def incoming(self) -> dict[str, tuple[str, int, str | None]]:
        """Of every letter at B: its state, how often it was leased, and what became of its acceptance period."""
        headers = {(await self.recipient(name)).message_id_header: name for name in self.letters}
        async with self.relay.deps.database.reading() as session:
            rows = await session.execute(
                select(InboundMessageRow, AcceptanceRow.state).outerjoin(
                    AcceptanceRow, AcceptanceRow.message_id == InboundMessageRow.message_id
                )
            )
            return {headers[row[0].message_id_header]: (row[0].state, row[0].delivery_count, row[1]) for row in rows}

    async def incoming_id(self, name: str) -> UUID:
        header = (await self.recipient(name)).message_id_header
        async with self.relay.deps.database.reading() as session:
            return (
                await session.execute(
                    select(InboundMessageRow.message_id).where(InboundMessageRow.message_id_header == header)
                )
            ).scalar_one()

    async def due(self, name: str) -> datetime:
        """The end of its acceptance period."""
        async with self.relay.deps.database.reading() as session:
            row = await session.get_one(AcceptanceRow, await self.incoming_id(name))
            return row.due_at

    async def deemed_read(self, name: str) -> list[datetime | None]:
        """When it counts as read by each rule: none, 24 hours, the end of the next working day."""
        async with self.relay.deps.database.reading() as session:
            letter = await queries.one_message(session, self.letters[name], [SENDER_NO])
        shown = [DeemedRead(rule, WorkingDays()).shown_in(letter) for rule in DeemedReadRule]
        return [message.recipients[0].deemed_read_at for message in shown]

    async def lease(self) -> dict[str, Any]:
        answer = await self.relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def register(self, name: str, lease: dict[str, Any]) -> None:
        """B's document system acknowledges one letter of a lease."""
        answer = await self.relay.http.post(
            f"/inbound-messages/{await self.incoming_id(name)}/ack", params=MINE,
            json={"lease_token": lease["lease_token"], "registry_no": f"2026/{name}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    async def balanced(self) -> bool:
        async with self.relay.deps.database.reading() as session:
            out = await session.scalar(text("SELECT count(*) FROM outbound_recipients"))
            accepted = await session.scalar(text("SELECT count(*) FROM outbound_events WHERE kind = 'handed_over'"))
        return out == accepted and await self.relay.ledger_imbalance() == 0

    async def kept_at_the_gateway(self) -> tuple[str, int]:
        """After the evening's round: the state of the verification that was kept, and how many keys are remembered."""
        parts: Any = self.gateway.service.app
        await VerificationSweep(parts.state.gateway.verifications).erase()
        stop = asyncio.Event()
        forgetting = asyncio.create_task(parts.state.gateway.keys.sweep(stop))
        await asyncio.sleep(0)
        stop.set()
        await forgetting
        async with parts.state.gateway.database.reading() as session:
            state = await session.scalar(text("SELECT state FROM signature_verifications"))
            keys = await session.scalar(text("SELECT count(*) FROM idempotency_keys"))
        return str(state), int(keys or 0)


@pytest.fixture
async def week(database_url: str, tmp_path: Path) -> AsyncIterator[Week]:
    clock = FixedClock(at(26, 9))
    async with (
        relay_world(tmp_path, clock=clock, timing=TIMING) as world,
        contextlib.AsyncExitStack() as stack,
    ):
        world.register.addresses.update(SCRIPTED)
        signer = SignerClient(world.signer_url, SecretStr("unused"))
        stack.push_async_callback(signer.aclose)
        relay = await stack.enter_async_context(
            running_inbound(
                database_url, tmp_path / "blobs", signer_url=world.signer_url, clock=clock, sign=sign_by(signer),
                register=world.register, message_ttl_hours=48, retry_pauses_seconds=[1], max_deliveries=LEASED_TOO_OFTEN,
            )
        )  # fmt: skip
        gateway = await stack.enter_async_context(
            running_gateway(
                database_url, tmp_path, clock=clock, signer_url=world.signer_url, verification_retention_days=2,
                idempotency_retention_days=3,
            )
        )  # fmt: skip
        async with relay.deps.database.unit_of_work() as work:
            for mailbox_id, number, address in (("a-1", SENDER_NO, A), ("b-1", RECEIVER_NO, B)):
                configuration = world.configuration(number, address, poll_interval_seconds=0.2)
                await relay.deps.mailboxes.put(work, mailbox_id, configuration)
        stop = asyncio.Event()
        draining = [asyncio.create_task(part.run(stop)) for part in relay.parts.background if part.name == "drain"]
        assert draining
        try:
            yield Week(world, relay, gateway, clock)
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*draining), 30)


async def begin_and_die(week: Week, name: str) -> None:
    """A process writes the intent to submit a letter and is never heard of again."""
    database, now = week.relay.deps.database, week.clock.now()
    stored = await week.relay.deps.blobs.put(PACKAGE, limit=10_000_000)
    message_id = week.letters[name] = new_id()
    await week.relay.outbound.acceptance.accept(message_id, submission(stored.sha256, stored.size, [RECEIVER_NO]))
    row = await week.recipient(name)
    letter = await moves.claim(database, row.recipient_id, uuid4(), instance_id=uuid4(), now=now, seconds=900)
    assert letter is not None
    async with database.unit_of_work() as work:
        assert await moves.move(
            work, recipient_id=row.recipient_id, message_id=message_id, from_state=OutboundState.QUEUED,
            to_state=OutboundState.SUBMITTING, kind=EventKind.ATTEMPT, detail=None, at=now, claim_token=letter.token,
            values={moves.Row.attempts: 1, moves.Row.last_attempt_at: now, moves.Row.next_attempt_at: None},
        )  # fmt: skip


async def keep_a_verification(week: Week) -> None:
    await week.gateway.institution(SENDER_NO)
    key = await week.gateway.key("messages:send", "messages:read", "signatures:verify", institutions=(SENDER_NO,))
    answer = await week.gateway.http.post(
        "/v1/signature-verifications",
        headers={"X-Api-Key": key, "Idempotency-Key": str(uuid4())},
        files={"file": ("a.p7s", b"0\x03 signed"), "keep": (None, "true")},
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.timeout(600)
async def test_a_week(week: Week) -> None:
    await monday(week)
    await tuesday(week)
    await wednesday_a_half_day(week)
    await thursday_a_public_holiday(week)
    await friday(week)
    await the_weekend(week)


async def monday(week: Week) -> None:
    await keep_a_verification(week)
    await begin_and_die(week, "interrupted")
    await week.work()
    assert await week.outgoing() == {"interrupted": "outcome_unknown"}
    for name, number in (
        ("answered", RECEIVER_NO), ("unread", RECEIVER_NO), ("lost", LOST_NO), ("slow", SLOW_NO), ("full", FULL_NO)
    ):  # fmt: skip
        await week.hand_over(name, number)
    await week.go_to(at(26, 9, 14))
    assert (await week.outgoing())["interrupted"] == "outcome_unknown", "the provider may still show it"
    await week.go_to(at(26, 9, 16))
    states = {
        "interrupted": "delivered", "answered": "delivered", "unread": "delivered", "lost": "accepted",
        "slow": "relayed", "full": "undelivered address_to_check",
    }  # fmt: skip
    await week.become(states, week.outgoing)
    offered = dict.fromkeys(("interrupted", "answered", "unread"), ("available", 0, "pending"))
    await week.become(offered, week.incoming)
    assert {await week.due(name) for name in offered} == {at(28, 13)}, "a half day counts, and ends at 13:00"
    assert len((await week.lease())["messages"]) == 3

    await week.go_to(at(26, 18))
    assert await week.outgoing() == states
    assert await week.incoming() == dict.fromkeys(offered, ("available", 1, "pending")), "the leases have run out"
    delivered_at = (await week.recipient("unread")).delivered_at
    assert delivered_at is not None
    assert await week.deemed_read("unread") == [None, delivered_at + timedelta(hours=24), at(27, 17)]
    assert await week.deemed_read("lost") == [None, None, None]
    assert await week.kept_at_the_gateway() == ("done", 1)
    assert await week.balanced()


async def tuesday(week: Week) -> None:
    await week.go_to(at(27, 9, 20))
    found = await week.outgoing()
    assert (found["lost"], found["slow"], found["unread"]) == (
        "accepted evidence_overdue",
        "relayed evidence_overdue",
        "delivered",
    )
    lease = await week.lease()
    assert len(lease["messages"]) == 3
    await week.register("answered", lease)
    await week.go_to(at(27, 16))
    states = {
        "interrupted": "delivered", "answered": "read", "unread": "delivered", "lost": "accepted evidence_overdue", "slow": "delivered",
        "full": "undelivered address_to_check",
    }  # fmt: skip
    await week.become(states, week.outgoing)
    await week.hand_over("before-the-holiday")
    await week.become(states | {"before-the-holiday": "delivered"}, week.outgoing)
    week.world.kephs.faults.order(Fault("smtp.refuse_connection", {"provider": "hs98"}))
    await week.go_to(at(27, 17))
    await week.hand_over("never-sent")

    await week.go_to(at(27, 18))
    await week.become(states | {"before-the-holiday": "delivered", "never-sent": "retry_wait"}, week.outgoing)
    await week.become(
        {
            "answered": ("consumed", 2, "accepted"), "unread": ("available", 2, "pending"),
            "interrupted": ("available", 2, "pending"), "before-the-holiday": ("available", 0, "pending"),
        },
        week.incoming,
    )  # fmt: skip
    assert await week.due("before-the-holiday") == at(30, 17), "the half day, no holiday, Friday"
    by_rule = await week.deemed_read("before-the-holiday")
    assert by_rule[2] == at(30, 17), "a half day is no working day here"
    assert by_rule[1] is not None
    assert by_rule[1].astimezone(ISTANBUL).date() == at(28, 0).date(), "24 hours know no holidays"
    assert await week.deemed_read("answered") == [None, None, None], "it has been read"
    assert await week.kept_at_the_gateway() == ("done", 1)
    assert await week.balanced()


async def wednesday_a_half_day(week: Week) -> None:
    await week.go_to(at(28, 12, 30))
    assert (await week.incoming())["unread"] == ("available", 2, "pending")
    assert len((await week.lease())["messages"]) == 3

    await week.go_to(at(28, 18))
    dead = ("dead_lettered", LEASED_TOO_OFTEN, "deemed-accepted")
    assert await week.incoming() == {
        "answered": ("consumed", 2, "accepted"), "unread": dead, "interrupted": dead,
        "before-the-holiday": ("available", 1, "pending"),
    }  # fmt: skip
    assert (await week.outgoing())["never-sent"] == "retry_wait"
    assert await week.kept_at_the_gateway() == ("erased", 1), "two days are over, three are not"
    assert await week.balanced()


async def thursday_a_public_holiday(week: Week) -> None:
    await week.go_to(at(29, 16, 50))
    assert (await week.outgoing())["never-sent"] == "retry_wait"
    await week.go_to(at(29, 18))
    assert (await week.outgoing())["never-sent"] == "expired"
    assert (await week.incoming())["before-the-holiday"] == ("available", 1, "pending")
    await week.hand_over("after-the-outage")
    await week.become("retry_wait", lambda: _of(week.outgoing(), "after-the-outage"))
    assert await week.kept_at_the_gateway() == ("erased", 0)
    assert await week.balanced()


async def friday(week: Week) -> None:
    week.world.kephs.faults.clear()
    await week.go_to(at(30, 9))

    async def sent() -> bool:
        # The account is left alone for a second of the machine's, whatever our clock says.
        week.clock.moment += timedelta(seconds=2)
        return (await week.outgoing())["after-the-outage"] == "delivered"

    await week.become(True, sent)
    redriven = await week.incoming_id("unread")
    answer = await week.relay.http.post(f"/inbound-messages/{redriven}/redrive", params=MINE)
    assert answer.status_code == 200, answer.text
    await week.register("unread", await week.lease())

    await week.go_to(at(30, 18))
    await week.become(
        {
            "interrupted": "delivered", "answered": "read", "unread": "read", "lost": "accepted evidence_long_overdue evidence_overdue", "slow": "delivered",
            "full": "undelivered address_to_check", "before-the-holiday": "delivered", "never-sent": "expired",
            "after-the-outage": "delivered",
        },
        week.outgoing,
    )  # fmt: skip
    await week.become(
        {
            "answered": ("consumed", 2, "accepted"), "unread": ("consumed", 1, "deemed-accepted"),
            "interrupted": ("dead_lettered", LEASED_TOO_OFTEN, "deemed-accepted"),
            "before-the-holiday": ("available", 2, "deemed-accepted"), "after-the-outage": ("available", 1, "pending"),
        },
        week.incoming,
    )  # fmt: skip
    assert await week.due("after-the-outage") == at(34, 17), "the weekend does not count"
    assert (await week.deemed_read("after-the-outage"))[2] == at(33, 17)
    assert await week.balanced()


async def the_weekend(week: Week) -> None:
    outgoing, incoming = await week.outgoing(), await week.incoming()
    for day in (31, 32):
        await week.go_to(at(day, 18))
        assert await week.outgoing() == outgoing
        assert await week.incoming() == incoming
        assert await week.balanced()
    every = [(await week.recipient(name)).message_id_header for name in week.letters if name != "never-sent"]
    assert [week.world.copies(header, A, "Sent") for header in every] == [1] * len(every)
    assert week.world.copies((await week.recipient("never-sent")).message_id_header, A, "Sent") == 0


async def _of(found: Awaitable[dict[str, str]], name: str) -> str:
    return (await found)[name]
