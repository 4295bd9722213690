"""How letters go out when answers are cut, hosts are away, time runs out, or the input means harm."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import pytest_asyncio

from shared.domain.identifiers import new_id
from tests.support.cut_smtp import STAGES, CutServer, Way, cut_server
from tests.support.database import fresh_database
from tests.support.failure_cases import Bench, bench, until
from tests.support.smtp_server import submission_server
from tests.unit.sandbox_kephs.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("outbound")) as made:
            yield made


@pytest.mark.parametrize("way", ["silence", "half", "nonsense"])
async def test_answers_cut_at_every_stage(world: Bench, tmp_path: Path, way: Way) -> None:
    """Before the final dot: again. After it: unknown, never a second copy. At the farewell: nothing to it."""
    async with contextlib.AsyncExitStack() as stack:
        letters = []
        for stage in STAGES:
            own = tmp_path / stage
            own.mkdir()
            server = await stack.enter_async_context(cut_server(own, stage, way))
            sender = await world.party(active=False)
            await world.configure(sender, smtp=server.address)
            letters.append((server, sender, await world.hand_over(sender, "b@hs99.kep.tr")))
        taken = dict.fromkeys(STAGES, 1)
        for server, sender, message_id in letters:
            # A short message may be on its way with its dot before the end of the link is noticed.
            expected = {"answer": ["outcome_unknown"], "content": ["submitted", "outcome_unknown"]}
            recipient = await world.reached(sender, message_id, *expected.get(server.stage, ["submitted"]))
            unknown = recipient.state == "outcome_unknown"
            assert recipient.attempts == (1 if unknown or server.stage == "quit" else 2), server.stage
            if unknown and server.stage == "content":
                taken["content"] = 0
            if server.stage == "quit":  # said when the next letter finds the session too old
                later = await world.hand_over(sender, "b@hs99.kep.tr")
                assert (await world.reached(sender, later, "submitted")).attempts == 1
                taken["quit"] = 2
        looks = world.metric("kepgw_reconciliations_total", result="absent")
        await until(lambda: looked(world, looks + 3), "looks into the Sent folder")
        # The farewell is said in the background.
        await until(lambda: all_cut([server for server, _, _ in letters]), "every cut")
        for server, sender, message_id in letters:
            assert len(server.received) == taken[server.stage], server.stage
            if server.stage == "answer":
                assert (await world.only(sender, message_id)).state == "outcome_unknown"
            await world.configure(sender, active=False)


async def all_cut(servers: list[CutServer]) -> bool:
    return not any(server.armed for server in servers)


async def looked(world: Bench, number: float) -> bool:
    return world.metric("kepgw_reconciliations_total", result="absent") >= number


INJECTIONS = [
    "Konu\r\nBcc: x@hs99.kep.tr",
    "Konu\nX-TR-REM-iletiTip: standart",
    "Konu\r\n\r\nGövde",
    "=?utf-8?q?a=0D=0ABcc:_x@hs99.kep.tr?=",
    "Konu\u2028Bcc: x@hs99.kep.tr\u0085X: y\x0bZ: z",
    "Konu\x01 📨 \u202egnp.exe",
    "İ" * 500,
]


async def test_subjects_and_names_cannot_add_headers(world: Bench, tmp_path: Path) -> None:
    async with submission_server(tmp_path) as server:
        sender = await world.party(active=False)
        server.username, server.password = sender.address, PASSWORD
        await world.configure(sender, smtp=world.own_smtp(server), imap=world.nowhere())
        letters = [
            await world.hand_over(
                sender, "b@hs99.kep.tr", subject=text, package_filename=f'{text}"; x="y.eyp', document_id=text,
            )
            for text in INJECTIONS
        ]  # fmt: skip
        for message_id in letters:
            await world.reached(sender, message_id, "submitted")
        assert len(server.received) == len(INJECTIONS)
        await world.configure(sender, active=False)
    names = [
        "from", "to", "subject", "date", "message-id", "mime-version", "x-tr-rem-iletitip", "x-tr-rem-iletiid",
        "content-type",
    ]  # fmt: skip
    for raw in server.received:
        mail = message_from_bytes(raw, policy=policy.default)
        assert [name.lower() for name in mail] == names
        assert mail["X-TR-REM-iletiTip"] == "eYazisma"
        assert len(str(mail["Subject"])) <= 200
        assert not any(char in str(mail["Subject"]) for char in "\r\n\x00\u2028\u0085\u202e")
        [attached] = [part for part in mail.walk() if part.get_content_disposition() == "attachment"][:1]
        assert sorted(part.lower() for part in attached) == [
            "content-disposition", "content-transfer-encoding", "content-type",
        ]  # fmt: skip
        assert attached.get_filename().endswith(".eyp")
        assert set(attached["Content-Disposition"].params) == {"filename"}


async def test_time_runs_out(world: Bench) -> None:
    """What nobody takes until its time is over expires, and is not sent when the host comes back."""
    sender, receiver = await world.party(smtp=world.nowhere()), await world.party(at="hs99")
    expires_at = world.clock.now() + timedelta(hours=1)
    message_id = await world.hand_over(sender, receiver.address, expires_at=expires_at)
    await world.reached(sender, message_id, "retry_wait")
    await world.move_clock(hours=2)
    await world.reached(sender, message_id, "expired")
    await world.configure(sender)
    later = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, later, "delivered")
    assert [mail.message_id for mail in world.sent(sender)] == [recipient.message_id_header]
    assert (await world.only(sender, message_id)).state == "expired"


async def test_cancelled_while_it_waits(world: Bench) -> None:
    sender, receiver = await world.party(smtp=world.nowhere()), await world.party(at="hs99")
    message_id = await world.hand_over(sender, receiver.address)
    await world.reached(sender, message_id, "retry_wait")
    cancelled, too_late = await world.relay.outbound.acceptance.cancel(message_id, [sender.number])
    assert (len(cancelled), too_late) == (1, [])
    await world.configure(sender)
    later = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, later, "delivered")
    assert [mail.message_id for mail in world.sent(sender)] == [recipient.message_id_header]
    assert (await world.only(sender, message_id)).state == "cancelled"
    assert await world.relay.outbound.acceptance.cancel(later, [sender.number]) == ([], [recipient.recipient_id])


async def test_sent_again_as_a_new_letter(world: Bench) -> None:
    """To the address that the register has by then, linked to the first, whose history stays as it is."""
    sender, receiver = await world.party(), await world.party(at="hs99")
    message_id = await world.hand_over(sender, "full@hs99.kep.tr")
    first = await world.reached(sender, message_id, "undelivered")
    world.register.addresses[first.detsis_no or 0] = receiver.address
    again = new_id()
    assert await world.relay.outbound.acceptance.resend(message_id, [sender.number], again)
    assert not await world.relay.outbound.acceptance.resend(message_id, [sender.number], again)
    second = await world.reached(sender, again, "delivered")
    letter = await world.letter(sender, again)
    assert letter.resend_of == message_id
    assert second.message_id_header != first.message_id_header
    assert len(world.delivered(receiver.address, second.message_id_header)) == 1
    assert (await world.only(sender, message_id)).state == "undelivered"
