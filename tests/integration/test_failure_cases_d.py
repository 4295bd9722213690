"""Failure cases 36 to 44 of kep.md section 7, each by its number, over real SMTP and IMAP with PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.readiness import ReadinessOfMailboxes
from shared.contracts.signatures import SigningKey, SigningPurpose
from shared.errors import DomainError, ErrorCode
from tests.support.database import fresh_database
from tests.support.delivering import LimitedImap, plain_letter, poll_fault, put, served, settled
from tests.support.failure_cases import Bench, Party, bench, imap_server, running, until
from tests.support.mails import evidence_mail, evidence_xml
from tests.support.smtp_server import submission_server
from tests.unit.eyp import letters
from tests.unit.sandbox_kephs.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("cases")) as made:
            yield made


async def lease(world: Bench, party: Party, **fields: Any) -> tuple[str, list[str]]:
    body = {"institution_nos": [party.number], "client_id": "ebys"} | fields
    answer = await world.relay.http.post("/inbound-messages/leases", params={"institution": party.number}, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["lease_token"], [item["message_id"] for item in answer.json()["messages"]]


async def acknowledge(world: Bench, party: Party, message_id: str, token: str, registry_no: str) -> int:
    answer = await world.relay.http.post(
        f"/inbound-messages/{message_id}/ack", params={"institution": party.number},
        json={"lease_token": token, "registry_no": registry_no},
    )  # fmt: skip
    return answer.status_code


def seen(world: Bench, party: Party) -> list[bool]:
    return [mail.seen for mail in world.kephs.providers.messages(party.address)]


async def all_seen(world: Bench, party: Party) -> None:
    async def are() -> bool:
        return all(seen(world, party))

    await until(are, "the provider to be told")


async def test_case_36_document_system_behind_us_is_down(world: Bench) -> None:
    """What is stored durably waits for it, however long; the provider is told at storing or at its receipt, by policy."""
    patient, eager = await world.party(), await world.party(read_policy="on_store")
    for party in (patient, eager):
        await put(world, party, *(plain_letter((f"{number}.pdf", b"%PDF")) for number in range(3)))
        await settled(world, party, 3)
    await all_seen(world, eager)
    assert seen(world, patient) == [False] * 3
    _lost, leased = await lease(world, patient, seconds=300)
    assert len(leased) == 3
    await world.move_clock(days=1)
    for party in (patient, eager):
        token, offered = await lease(world, party, wait=20)
        assert len(offered) == 3
        for number, message_id in enumerate(offered):
            assert await acknowledge(world, party, message_id, token, f"{party.number}/{number}") == 200
        await all_seen(world, party)
        assert {row.state for row in await world.arrived(party)} == {"consumed"}
    await world.balanced()


async def test_case_37_each_step_stands_on_its_own(world: Bench) -> None:
    """Signer away, then the provider away: the steps before are kept, each is done later, and none of them twice."""
    receiver = await world.party()
    world.signer.away = True
    try:
        await put(world, receiver, plain_letter(("a.eyp", letters.package())))

        async def waits() -> bool:
            return [row.reason_code for row in await world.arrived(receiver)] == ["signer-unavailable"]

        await until(waits, "the letter to wait for signer")
        [raw] = await world.raw_mails(receiver)
        assert raw.state == "ingested"
    finally:
        world.signer.away = False
    await world.move_clock(minutes=5)
    [row] = await settled(world, receiver)
    token, [message_id] = await lease(world, receiver)
    await world.configure(receiver, imap=world.nowhere())
    assert await acknowledge(world, receiver, message_id, token, "2026/1") == 200
    assert await acknowledge(world, receiver, message_id, token, "2026/1") == 200
    assert await acknowledge(world, receiver, message_id, token, "2026/2") == 409
    assert seen(world, receiver) == [False]
    assert [item.state for item in await world.arrived(receiver)] == ["consumed"]
    await world.configure(receiver)
    await world.move_clock(minutes=5)
    await all_seen(world, receiver)
    [again] = await world.arrived(receiver)
    assert (again.message_id, again.registry_no, again.delivery_count) == (row.message_id, "2026/1", 1)


async def test_case_38_poison_message_blocks_nothing_and_ends_before_a_person(world: Bench, tmp_path: Path) -> None:
    """One mail breaks the link each time it is asked for: the others are read, it is listed as quarantined in the end."""
    async with imap_server(tmp_path) as server:
        server.mails = {number: plain_letter((f"{number}.pdf", b"%PDF")) for number in range(1, 5)}
        server.cut = {1: 10}
        receiver = await world.party(active=False)
        await world.configure(receiver, imap=server.address)
        rows = await settled(world, receiver, 4)
        assert sorted(row.state for row in rows) == ["available"] * 3 + ["quarantined"]
        poison = next(row for row in await world.raw_mails(receiver) if row.uid == 1)
        assert (poison.state, poison.reason_code, poison.sha256) == ("quarantined", "provider-unavailable", None)
        assert server.cuts >= 2
        server.mails[5] = plain_letter(("5.pdf", b"%PDF"))
        await settled(world, receiver, 5)
        await world.configure(receiver, active=False)
    await world.balanced()


async def test_case_39_two_instances_on_one_account(database_url: str, tmp_path: Path) -> None:
    """One polls, the other takes over within a minute of its death; each mail is stored and acknowledged once."""
    settings = {"instance_ttl_seconds": 30, "mailbox_lease_seconds": 15}
    async with bench(database_url, tmp_path, at_work=False, **settings) as world:
        server = LimitedImap({})
        async with served(server, tmp_path), world.another_relay(**settings) as dying:
            receiver = await world.party(active=False)
            await world.configure(receiver, imap=server.address)
            server.mails[1] = plain_letter(("1.pdf", b"%PDF"))
            death = asyncio.Event()
            victim = asyncio.create_task(_drain_until(dying, death))
            await settled_raw(world, receiver, 1)
            async with running(world.relay):
                server.mails[2] = plain_letter(("2.pdf", b"%PDF"))
                await settled(world, receiver, 2)
                assert server.most_open == 1, "both processes live, one of them polls"
                victim.cancel()
                await asyncio.gather(victim, return_exceptions=True)
                await world.relay.execute(
                    "UPDATE mailboxes SET leased_by = :dead, lease_expires_at = :late WHERE mailbox_id = :mailbox",
                    dead=dying.deps.instance.instance_id, late=world.clock.now() + timedelta(seconds=15),
                    mailbox=receiver.mailbox_id,
                )  # fmt: skip
                server.mails[3] = plain_letter(("3.pdf", b"%PDF"))
                await world.move_clock(seconds=59)
                await settled(world, receiver, 3)
                token, offered = await lease(world, receiver)
                assert [await acknowledge(world, receiver, item, token, item) for item in offered] == [200] * 3
        assert [row.state for row in await world.raw_mails(receiver)] == ["ingested"] * 3
        assert {row.delivery_count for row in await world.arrived(receiver)} == {1}
        await world.balanced()


async def _drain_until(relay: Any, stop: asyncio.Event) -> None:
    """Read mailboxes as a process does that holds its life sign; jobs are left to others."""
    await asyncio.gather(*(part.run(stop) for part in relay.parts.background))


async def settled_raw(world: Bench, party: Party, number: int) -> None:
    async def stored() -> bool:
        return len(await world.raw_mails(party)) == number

    await until(stored, f"{number} stored mails")


async def test_case_40_rate_limit_is_no_refusal_of_the_account(world: Bench, tmp_path: Path) -> None:
    """Turned away for now, over IMAP and SMTP: pauses, one connection at a time, and it goes on by itself."""
    server = LimitedImap({1: plain_letter(("a.pdf", b"%PDF"))})
    server.address, server.mails, server.limited = {}, {1: plain_letter(("a.pdf", b"%PDF"))}, 3
    (tmp_path / "smtp").mkdir()
    async with served(server, tmp_path), submission_server(tmp_path / "smtp") as submitting:
        sender = await world.party(active=False)
        submitting.username, submitting.password = sender.address, PASSWORD
        submitting.sender_replies.extend(["421 4.7.0 too many messages, slow down"] * 2)
        await world.configure(sender, imap=server.address, smtp=world.own_smtp(submitting))
        message_id = await world.hand_over(sender, "b@hs99.kep.tr")
        await settled(world, sender)
        recipient = await world.reached(sender, message_id, "submitted")
        assert (server.logins, server.most_open) == (4, 1)
        assert len(submitting.received) == 1
        assert recipient.attempts >= 2
        assert (await world.relay.mailbox(sender.mailbox_id)).stopped_at is None
        await world.configure(sender, active=False)


async def test_case_40_locked_account_is_left_alone(world: Bench, tmp_path: Path) -> None:
    """A refusal of the account itself stops it: one login, no loop, until somebody changes its configuration."""
    async with imap_server(tmp_path, refuses_login=True) as server:
        receiver = await world.party(active=False)
        await world.configure(receiver, imap=server.address)
        await poll_fault(world, receiver, "refused the login")
        await world.move_clock(hours=1)
        other = await world.party()
        await put(world, other, plain_letter(("a.pdf", b"%PDF")))
        await settled(world, other)
        assert server.logins == 1
        assert (await world.relay.mailbox(receiver.mailbox_id)).stopped_at is not None
        await world.configure(receiver, active=False)


@pytest.mark.parametrize(
    ("left", "ok", "words"),
    [
        (timedelta(days=31, hours=1), True, "31 days left"),
        (timedelta(days=29, hours=1), True, "29 days left: renew it"),
        (timedelta(0), False, "ran out"),
    ],
)
async def test_case_41_certificate_that_ends(world: Bench, left: timedelta, ok: bool, words: str) -> None:
    """Said thirty days ahead in the mailbox's health check (and by an alert on signer's own metric); failing at the end."""
    sender, now = await world.party(), world.clock.now()

    async def key(key_id: str) -> SigningKey | None:
        return SigningKey(
            key_id=key_id, institution_no=sender.number, purposes=[SigningPurpose.KEP_MESSAGE], subject="CN=Kurum",
            certificate_sha256="0" * 64, not_after=now + left,
        )  # fmt: skip

    deps = world.relay.deps
    readiness = ReadinessOfMailboxes(
        mailboxes=deps.mailboxes, addresses=AddressBook(deps.settings.kep_domains), driver=deps.driver, key=key,
        clock=world.clock,
    )  # fmt: skip
    found = await readiness.check(await world.relay.mailbox(sender.mailbox_id))
    [check] = [item for item in found.checks if item.id == "certificate"]
    assert check.ok is ok
    assert words in check.detail


@contextlib.asynccontextmanager
async def submitted(world: Bench, directory: Path) -> AsyncIterator[tuple[Party, UUID, str, bytes]]:
    """A letter that some provider took and nothing is known of since: sender, letter, Message-ID, bytes."""
    async with submission_server(directory) as server:
        sender = await world.party(active=False)
        server.username, server.password = sender.address, PASSWORD
        await world.configure(sender, smtp=world.own_smtp(server))
        message_id = await world.hand_over(sender, "b@hs99.kep.tr")
        recipient = await world.reached(sender, message_id, "submitted")
        yield sender, message_id, recipient.message_id_header, server.received[0]
        await world.configure(sender, active=False)


def about(sender: Party, code: int, header: str, **fields: Any) -> bytes:
    """Evidence about a letter of ``sender``."""
    return evidence_mail(
        evidence_xml(code, original_id=header, identifier=str(uuid4()), sender=sender.address, **fields)
    )


async def test_case_41_agent_removed_is_a_rejection_with_its_reason(world: Bench, tmp_path: Path) -> None:
    """Evidence 11 that names the signature: final, with the provider's reason and the evidence, and nothing is sent again."""
    async with submitted(world, tmp_path) as (sender, message_id, header, _sent):
        await put(world, sender, about(sender, 11, header, reason="imza sahibi işlem yetkilisi değil"))
        recipient = await world.reached(sender, message_id, "rejected")
        assert "imza sahibi işlem yetkilisi değil" in (recipient.reason or "")
        assert [item.code for item in await world.evidence_of(recipient.recipient_id)] == [11]
        assert recipient.attempts == 1


async def test_case_42_type_mark_stands_in_what_is_sent(world: Bench, tmp_path: Path) -> None:
    """A package travels as eYazisma, spelt exactly so: another word makes receiving systems pass the mail over."""
    async with submitted(world, tmp_path) as (_sender, _message_id, header, sent):
        mail = message_from_bytes(sent)
        assert mail.get_all("X-TR-REM-iletiTip") == ["eYazisma"]
        assert mail.get_all("Message-ID") == [header]
        assert len(mail.get_all("X-TR-REM-iletiID") or []) == 1


async def test_case_43_allow_list_of_recipients(world: Bench) -> None:
    """An address of another environment is never written to; the letter says why and goes nowhere."""
    sender = await world.party()
    message_id = await world.hand_over(sender, "b@testkep.example.com")
    recipient = await world.reached(sender, message_id, "blocked")
    assert recipient.reason_code == "recipient-kep-inactive"
    assert "outside the configured KEP domains" in (recipient.reason or "")
    assert world.sent(sender) == []
    with pytest.raises(DomainError) as refused:
        await world.relay.put_mailbox("elsewhere", 10_099_999, "a@testkep.example.com", imap=world.nowhere())
    assert refused.value.code is ErrorCode.VALIDATION_FAILED


async def test_case_43_allow_list_of_senders(database_url: str, tmp_path: Path) -> None:
    """A process set to another environment sends nothing of what it finds in the database."""
    async with bench(database_url, tmp_path, at_work=False) as world:
        sender, receiver = await world.party(), await world.party(at="hs99")
        message_id = await world.hand_over(sender, receiver.address)
        async with world.another_relay(kep_domains=["hs99.kep.tr"]) as other, running(other):
            recipient = await world.reached(sender, message_id, "blocked")
            assert recipient.reason_code == "mailbox-not-ready"
            assert world.sent(sender) == []
        async with running(world.relay):
            await world.configure(sender)
            await world.reached(sender, message_id, "delivered", "read")
        assert len(world.delivered(receiver.address)) == 1


async def test_case_44_sent_is_not_delivered(world: Bench, tmp_path: Path) -> None:
    """10 is accepted, 20 relayed, 40 delivered, 60 read; nothing is called by a later word before its evidence is here."""
    async with submitted(world, tmp_path) as (sender, message_id, header, _sent):
        told = []
        for code, state in ((10, "accepted"), (20, "relayed"), (40, "delivered"), (60, "read")):
            told.append((await world.only(sender, message_id)).state)
            await put(world, sender, about(sender, code, header))
            recipient = await world.reached(sender, message_id, state)
            assert recipient.state == state
        assert told == ["submitted", "accepted", "relayed", "delivered"]
        states = [event.to_state for event in await world.history(sender, message_id) if event.kind == "evidence"]
        assert [str(item) for item in states] == ["accepted", "relayed", "delivered", "read"]
