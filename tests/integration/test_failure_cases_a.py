"""Failure cases 1 to 14 of kep.md section 7, each by its number, over real SMTP and IMAP with PostgreSQL.

Numbers 3, 5 and 6 exist only where the provider builds the message or asks for a second factor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.kep_relay.ledger import LedgerKeeper, NoLetters
from services.sandbox.faults import Fault
from tests.support.database import fresh_database
from tests.support.failure_cases import PATIENCE, Bench, Party, bench, codes, imap_server, running, until
from tests.support.smtp_server import SubmissionServer, submission_server
from tests.unit.sandbox_kephs.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("cases")) as made:
            yield made


async def test_case_01_answer_to_the_submission_lost(world: Bench) -> None:
    """Taken, but the answer did not come: unknown, found in the Sent folder, never sent again."""
    sender, receiver = await world.party(), await world.party(at="hs99")
    world.kephs.faults.order(Fault("smtp.drop_after_data", {"account": sender.address}, count=1))
    message_id = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, message_id, "delivered")
    kinds = [(event.kind, event.to_state) for event in await world.history(sender, message_id)]
    assert ("outcome", "outcome_unknown") in kinds
    assert recipient.attempts == 1
    assert [mail.message_id for mail in world.sent(sender)] == [recipient.message_id_header]
    assert len(world.delivered(receiver.address, recipient.message_id_header)) == 1


async def test_case_01_what_the_provider_never_shows_goes_again_unchanged_after_the_window(
    world: Bench, tmp_path: Path
) -> None:
    """The message got lost together with its answer: nothing for 15 minutes, then the same bytes once more."""
    async with submission_server(tmp_path) as server:
        sender = await own_submission(world, server)
        server.faults.append("after_data")
        message_id = await world.hand_over(sender, "b@hs99.kep.tr")
        await world.reached(sender, message_id, "outcome_unknown")
        for minutes in (5, 9):
            await world.move_clock(minutes=minutes)
            looks = world.metric("kepgw_reconciliations_total", result="absent")
            await until(lambda looks=looks: more(world, looks), "a look into the Sent folder")
            assert (await world.only(sender, message_id)).state == "outcome_unknown"
        assert len(server.received) == 1
        await world.move_clock(minutes=2)
        recipient = await world.reached(sender, message_id, "submitted")
        assert recipient.attempts == 2
        first, second = server.received
        assert first == second
        assert f"Message-ID: {recipient.message_id_header}".encode() in first
        await world.configure(sender, active=False)


async def more(world: Bench, looks: float) -> bool:
    return world.metric("kepgw_reconciliations_total", result="absent") > looks


async def own_submission(world: Bench, server: SubmissionServer, **changes: Any) -> Party:
    """An institution whose mail goes out over ``server`` and is read at the sandbox's provider."""
    sender = await world.party(active=False)
    server.username, server.password = sender.address, PASSWORD
    await world.configure(sender, **({"smtp": world.own_smtp(server)} | changes))
    return sender


async def test_case_02_double_submission(database_url: str, tmp_path: Path) -> None:
    """One worker dies after the provider took the message, others retry, every job comes thrice: one mail."""
    async with bench(database_url, tmp_path, at_work=False) as world:
        sender, receiver = await world.party(), await world.party(at="hs99")
        scope = {"account": sender.address}
        world.kephs.faults.order(Fault("smtp.delay_answer", scope, count=1, value=PATIENCE))
        message_id = await world.hand_over(sender, receiver.address)
        before = await world.only(sender, message_id)
        dying = asyncio.create_task(world.relay.outbound.jobs.submit.task(recipient_id=str(before.recipient_id)))

        async def taken() -> bool:
            return bool(world.sent(sender))

        await until(taken, "the provider to take the message")
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        await world.relay.execute("UPDATE instances SET expires_at = now() - interval '1 hour'")
        async with world.another_relay() as one, world.another_relay() as two, running(one), running(two):
            for _ in range(3):
                async with one.deps.database.unit_of_work() as work:
                    await one.outbound.jobs.defer_submit(work, before.recipient_id, correlation_id="again")
            others = [await world.hand_over(sender, receiver.address) for _ in range(4)]
            recipient = await world.reached(sender, message_id, "delivered")
            headers = [recipient.message_id_header]
            headers += [(await world.reached(sender, other, "delivered")).message_id_header for other in others]
        assert recipient.message_id_header == before.message_id_header
        assert recipient.attempts == 1
        assert Counter(mail.message_id for mail in world.sent(sender)) == Counter(headers)
        assert Counter(mail.original_message_id for mail in world.delivered(receiver.address)) == Counter(headers)
        assert codes(await world.evidence_of(recipient.recipient_id)) == [10, 20, 40]


async def test_case_04_wrong_password(world: Bench, tmp_path: Path) -> None:
    """One login, then the account stands still, with an alarm, until somebody configures it anew."""
    async with submission_server(tmp_path) as server:
        sender = await own_submission(world, server, password="expired", imap=world.nowhere())
        letters = [await world.hand_over(sender, "b@hs99.kep.tr") for _ in range(3)]
        for message_id in letters:
            waiting = await world.reached(sender, message_id, "blocked")
            assert waiting.reason_code == "mailbox-not-ready"
            assert waiting.reason is not None
            assert "expired" not in waiting.reason
        assert (await world.relay.mailbox(sender.mailbox_id)).stopped_at is not None
        await LedgerKeeper(
            world.relay.deps.database, world.clock, world.relay.deps.metrics, inbound=NoLetters()
        ).publish()
        assert world.metric("kepgw_mailboxes_stopped") >= 1
        unblocked = world.metric("kepgw_swept_rows_total", what="unblocked")
        await until(lambda: swept_again(world, unblocked + 6), "the blocked letters to be looked at again")
        assert server.logins == 1
        await world.configure(sender, smtp=world.own_smtp(server))
        for message_id in letters:
            await world.reached(sender, message_id, "submitted")
        assert len(server.received) == 3
        await world.configure(sender, active=False)


async def swept_again(world: Bench, number: float) -> bool:
    return world.metric("kepgw_swept_rows_total", what="unblocked") >= number


async def test_case_04_a_search_does_not_try_a_refused_password_again(world: Bench, tmp_path: Path) -> None:
    """The answer is lost and the password has run out: looking for the message must not lock the account."""
    async with submission_server(tmp_path) as server, imap_server(tmp_path) as reading:
        server.faults.append("after_data")
        sender = await own_submission(world, server, imap=reading.address)
        message_id = await world.hand_over(sender, "b@hs99.kep.tr")
        await world.reached(sender, message_id, "outcome_unknown")
        # Not before: the drain alone would stop the account, and nothing would ever be handed over.
        reading.refuses_login, before = True, reading.logins

        async def stopped() -> bool:
            return (await world.relay.mailbox(sender.mailbox_id)).stopped_at is not None

        await until(stopped, "the account to be stopped")
        looks = world.metric("kepgw_reconciliations_total", result="unavailable")

        async def looked() -> bool:
            return world.metric("kepgw_reconciliations_total", result="unavailable") >= looks + 3

        await until(looked, "further looks")
        # The drain and the search may both have been under way; neither comes again.
        assert reading.logins - before <= 2
        assert (await world.only(sender, message_id)).state == "outcome_unknown"
        await world.configure(sender, active=False)


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [("full", "undelivered", 41), ("unknown", "undelivered", 41), ("refuse", "rejected", 11), ("reject", "relay_failed", 21)],
)  # fmt: skip
async def test_case_09_recipient_cannot_be_reached(world: Bench, word: str, state: str, code: int) -> None:
    """A final failure, told once with its reason and its evidence, and a hint at the register."""
    sender = await world.party()
    message_id = await world.hand_over(sender, f"{word}@hs99.kep.tr")
    recipient = await world.reached(sender, message_id, state)
    assert recipient.reason_code == f"evidence.{code}"
    assert recipient.reason
    assert recipient.attention == ["address_to_check"]
    [last] = [event for event in await world.history(sender, message_id) if event.to_state == state]
    [document] = [item for item in await world.evidence_of(recipient.recipient_id) if item.code == code]
    assert last.evidence_id == document.evidence_id
    content = await world.relay.deps.blobs.get(document.sha256, limit=1_000_000)
    assert content in [item.xml for item in world.kephs.providers.evidence(recipient.message_id_header)]
    assert world.delivered(f"{word}@hs99.kep.tr", recipient.message_id_header) == []


async def test_case_10_recipient_provider_is_down(world: Bench) -> None:
    sender = await world.party()
    message_id = await world.hand_over(sender, "down@hs99.kep.tr")
    recipient = await world.reached(sender, message_id, "relay_failed")
    assert recipient.reason_code == "evidence.31"
    assert codes(await world.evidence_of(recipient.recipient_id)) == [10, 31]


async def test_case_10_a_later_delivery_wins_over_31(world: Bench) -> None:
    sender, receiver = await world.party(), await world.party(at="hs99", word="late40")
    message_id = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, message_id, "delivered")

    async def all_three() -> bool:
        return codes(await world.evidence_of(recipient.recipient_id)) == [10, 31, 40]

    await until(all_three, "10, 31 and 40")

    await until(lambda: flagged(world, sender, message_id, "evidence_contradiction"), "the contradiction to be flagged")
    assert (await world.only(sender, message_id)).state == "delivered"
    assert len(world.delivered(receiver.address, recipient.message_id_header)) == 1


async def test_case_11_evidence_repeated_and_out_of_order(world: Bench) -> None:
    """Each piece counts once, the state never goes back, and nobody is told twice."""
    sender, receiver = await world.party(), await world.party(at="hs99", word="dup")
    message_id = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, message_id, "delivered")

    async def all_six() -> bool:
        mails = [mail for mail in await world.raw_mails(sender) if mail.kind == "evidence"]
        return len(mails) == 6 and all(mail.state != "stored" for mail in mails)

    await until(all_six, "six evidence mails")

    async def settled() -> bool:
        evidence = await world.evidence_of(recipient.recipient_id)
        return codes(evidence) == [10, 20, 40] and all(item.folded_at for item in evidence)

    await until(settled, "three pieces, folded")
    history = await world.history(sender, message_id)
    proven = [event.evidence_id for event in history if event.kind == "evidence"]
    assert len(proven) == len(set(proven)) == 3
    moves = [event.to_state for event in history if event.kind == "evidence" and event.to_state != event.from_state]
    assert moves == sorted(moves, key=["accepted", "relayed", "delivered"].index)
    assert len(moves) == len(set(moves))
    assert (await world.only(sender, message_id)).state == "delivered"


async def test_case_12_evidence_never_comes(world: Bench) -> None:
    """Told after 24 hours and again after 72, and never shown as delivered."""
    sender = await world.party()
    message_id = await world.hand_over(sender, "nodelil@hs99.kep.tr")
    await world.reached(sender, message_id, "accepted")
    expected: list[str] = []
    for hours, flag in ((23, None), (2, "evidence_overdue"), (46, None), (2, "evidence_long_overdue")):
        await world.move_clock(hours=hours)
        expected += [flag] if flag else []

        await world.relay.outbound.sweep.sweep()
        await until(lambda flags=tuple(expected): flagged(world, sender, message_id, *flags), f"{expected}")
        assert (await world.only(sender, message_id)).state == "accepted"
    told = [event.detail for event in await world.history(sender, message_id) if event.kind == "attention"]
    assert told == ["evidence_overdue", "evidence_long_overdue"]


async def flagged(world: Bench, sender: Party, message_id: UUID, *flags: str) -> bool:
    return sorted((await world.only(sender, message_id)).attention) == sorted(flags)


async def test_case_13_some_recipients_fail(world: Bench) -> None:
    sender, receiver = await world.party(), await world.party(at="hs99")
    message_id = await world.hand_over(sender, receiver.address, "full@hs99.kep.tr", "nodelil@hs99.kep.tr")
    expected = ["delivered", "undelivered", "accepted"]

    async def told() -> bool:
        return [item.state for item in (await world.letter(sender, message_id)).recipients] == expected

    await until(told, "each recipient's own state")
    letter = await world.letter(sender, message_id)
    assert (letter.state, letter.state_counts) == ("undelivered", dict.fromkeys(expected, 1))
    evidence = [codes(await world.evidence_of(item.recipient_id)) for item in letter.recipients]
    assert evidence == [[10, 20, 40], [10, 20, 41], [10]]


async def test_case_14_unknown_evidence(world: Bench) -> None:
    """Kept as it came, counted and flagged; the state is what the known pieces prove."""
    sender, receiver = await world.party(), await world.party(at="hs99")
    before = world.metric("kepgw_evidence_received_total", code="unknown")
    world.kephs.faults.order(Fault("evidence.unknown_code", {"provider": "hs99"}, count=1))
    message_id = await world.hand_over(sender, receiver.address)

    async def both() -> bool:
        recipient = await world.only(sender, message_id)
        return recipient.state == "delivered" and recipient.attention == ["evidence_unknown"]

    await until(both, "delivery and the flag")
    assert world.metric("kepgw_evidence_received_total", code="unknown") == before + 1
    recipient = await world.only(sender, message_id)
    [strange] = [item for item in await world.evidence_of(recipient.recipient_id) if item.code is None]
    assert await world.relay.deps.blobs.get(strange.sha256, limit=1_000_000) in [
        item.xml for item in world.kephs.providers.evidence(recipient.message_id_header) if item.code == 70
    ]


async def test_case_07_credit_exhausted(world: Bench, tmp_path: Path) -> None:
    """One refusal pauses the account's letters; after the top-up the oldest goes first, and then all."""
    refusal = "552 5.2.2 KONTORUNUZ yetersiz"
    async with submission_server(tmp_path) as server:
        server.replies.extend([refusal] * 100)
        sender = await own_submission(world, server, imap=world.nowhere())
        first = await world.hand_over(sender, "b@hs99.kep.tr")
        blocked = await world.reached(sender, first, "blocked")
        assert blocked.reason_code == "kep-credit-exhausted"
        others = [await world.hand_over(sender, "b@hs99.kep.tr") for _ in range(4)]
        for message_id in others:
            waiting = await world.reached(sender, message_id, "blocked")
            assert (waiting.reason_code, waiting.attempts) == ("kep-credit-exhausted", 0)
        assert world.metric("kepgw_submission_outcomes_total", outcome="blocked") >= 1
        server.replies.clear()
        for message_id in (first, *others):
            await world.reached(sender, message_id, "submitted")
        headers = [(await world.only(sender, message_id)).message_id_header for message_id in (first, *others)]
        received = [message_id_of(mail) for mail in server.received]
        # Then several go at the same time.
        assert (received[0], sorted(received)) == (headers[0], sorted(headers))
        await world.configure(sender, active=False)


def message_id_of(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Message-ID"])
