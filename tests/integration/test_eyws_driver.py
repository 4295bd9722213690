"""The driver ``eyws`` against the sandbox's SOAP service: one call after the other, and what each means."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from services.kep_relay.drivers.eyws import answer
from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    Challenge,
    ListedEvidence,
    LoginRefusedError,
    PermanentFailure,
    SecondFactorNeededError,
)
from services.kep_relay.tables import MailboxRow
from shared.clock import FixedClock, SystemClock
from shared.contracts.mailboxes import EywsService
from shared.errors import DomainError, ErrorCode
from tests.support.eyws_provider import A, B, EywsProviders, running_providers
from tests.support.eyws_relay import SoapDesk, soap_configuration, soap_desk, soap_driver
from tests.support.inbound import until
from tests.unit.sandbox_kephs.pki import server_context


@pytest.fixture
async def providers(tmp_path: Path) -> AsyncIterator[EywsProviders]:
    async with running_providers(tmp_path) as running:
        yield running


@pytest.fixture
async def desk(database_url: str, providers: EywsProviders) -> AsyncIterator[SoapDesk]:
    async with soap_desk(database_url, providers) as desk:
        yield desk


async def test_a_letter_goes_out_and_in_byte_for_byte(desk: SoapDesk) -> None:
    sender, recipient = await desk.account(A), await desk.account(B)
    letter = desk.providers.letter(attachment=b"PK\x03\x04" + bytes(range(256)) * 5000)
    outcome = await desk.submit(sender, letter)
    assert outcome == Accepted(f"0 {letter.message_id}")
    assert await desk.driver.find_sent(sender, message_id_header=letter.message_id, rem_id="none")
    stored = desk.providers.providers.content(B, "INBOX", (await desk.providers.delivered(letter)).uid)
    async with desk.driver.open_inbox(recipient) as inbox:
        (number,) = await inbox.list_new(0)
        assert await inbox.size(number) == len(stored)
        assert b"".join([piece async for piece in inbox.pieces(number, limit=10_000_000)]) == stored
        assert await inbox.fetch(number, limit=10_000_000) == stored
        assert list(await inbox.list_new(number)) == []
        assert not desk.providers.mails(B)[0].seen
        await inbox.mark_seen(number)
    assert desk.providers.mails(B)[0].seen
    async with desk.driver.open_inbox(recipient) as again:
        assert list(await again.list_new(0)) == [number]


async def test_binaries_inside_the_xml_are_read_as_well(desk: SoapDesk) -> None:
    sender, recipient = await desk.account(A), await desk.account(B)
    letter = desk.providers.letter(attachment=bytes(range(256)) * 8000)
    await desk.submit(sender, letter)
    stored = desk.providers.providers.content(B, "INBOX", (await desk.providers.delivered(letter)).uid)
    desk.providers.order("eyws.inline")
    async with desk.driver.open_inbox(recipient) as inbox:
        (number,) = await inbox.list_new(0)
        assert await inbox.fetch(number, limit=10_000_000) == stored


async def test_a_message_over_the_limit_stays_and_is_told(database_url: str, providers: EywsProviders) -> None:
    async with soap_desk(database_url, providers, max_file_bytes=100_000) as desk:
        sender, recipient = await desk.account(A), await desk.account(B)
        letter = providers.letter(attachment=bytes(400_000))
        await desk.submit(sender, letter)
        await providers.delivered(letter)
        for inline in (False, True):
            if inline:
                providers.order("eyws.inline")
            async with desk.driver.open_inbox(recipient) as inbox:
                (number,) = await inbox.list_new(0)
                with pytest.raises(DomainError) as caught:
                    await inbox.size(number)
                assert caught.value.code is ErrorCode.TOO_LARGE
        assert len(providers.mails(B)) == 1


async def test_a_message_that_was_never_sent_is_not_found(desk: SoapDesk) -> None:
    mailbox = await desk.account(A)
    assert not await desk.driver.find_sent(mailbox, message_id_header="<no@such>", rem_id="none")
    misnamed = await desk.account(A, sent_folder="OUTBOX")
    with pytest.raises(DomainError, match=r"OUTBOX.*INBOX\.Sent") as caught:
        await desk.driver.find_sent(misnamed, message_id_header="<no@such>", rem_id="none")
    assert caught.value.code is ErrorCode.PROVIDER_REFUSED


async def test_an_empty_list_of_sent_mail_is_checked_with_the_evidence(desk: SoapDesk) -> None:
    mailbox, letter = await desk.account(A), desk.providers.letter()
    await desk.submit(mailbox, letter)
    await desk.providers.issued(letter, 10)
    desk.providers.order("eyws.nil_arrays", operation="PaketSorgula")
    assert await desk.driver.find_sent(mailbox, message_id_header=letter.message_id, rem_id="none")


async def test_a_folder_that_is_not_there_is_named_with_those_that_are(desk: SoapDesk) -> None:
    mailbox = await desk.account(A, inbox_folder="Gelen")
    async with desk.driver.open_inbox(mailbox) as inbox:
        with pytest.raises(DomainError, match=r"'Gelen'.*INBOX"):
            await inbox.list_new(0)


async def test_evidence_is_listed_with_recipients_and_downloaded(desk: SoapDesk) -> None:
    mailbox, letter = await desk.account(A), desk.providers.letter()
    await desk.submit(mailbox, letter)
    desk.providers.order("eyws.duplicate_entry")

    async def listed_whole() -> Sequence[ListedEvidence] | None:
        found = await desk.driver.list_evidence(mailbox, letter.message_id)
        return found if len(found) >= 3 else None

    listed = await until(listed_whole, timeout=60)
    assert sorted(entry.code or 0 for entry in listed) == [10, 20, 40]
    delivered = next(entry for entry in listed if entry.code == 40)
    assert delivered.recipient == B
    assert delivered.at is not None
    assert delivered.at.utcoffset() is not None
    document = await desk.driver.fetch_evidence(mailbox, delivered.provider_id, limit=1_000_000)
    assert document.lstrip().startswith(b"<")
    with pytest.raises(DomainError) as caught:
        await desk.driver.fetch_evidence(mailbox, delivered.provider_id, limit=100)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert list(await desk.driver.list_evidence(mailbox, "<no@such>")) == []


async def test_what_the_account_has_left(desk: SoapDesk) -> None:
    standing = await desk.driver.standing(await desk.account(A))
    assert standing.credit is not None
    assert standing.credit_unit == "Kontör"
    assert standing.quota_kilobytes is not None


@pytest.mark.parametrize("ask", ["standing", "find_sent", "list_evidence", "list_new"])
async def test_a_wrong_password_is_one_try_and_no_other_error(desk: SoapDesk, ask: str) -> None:
    mailbox = await desk.account(A, password="wrong-secret")
    with pytest.raises(LoginRefusedError) as caught:
        if ask == "standing":
            await desk.driver.standing(mailbox)
        elif ask == "find_sent":
            await desk.driver.find_sent(mailbox, message_id_header="<x@y>", rem_id="none")
        elif ask == "list_evidence":
            await desk.driver.list_evidence(mailbox, "<x@y>")
        else:
            async with desk.driver.open_inbox(mailbox) as inbox:
                await inbox.list_new(0)
    assert "wrong-secret" not in str(caught.value)
    outcome = await desk.submit(mailbox, desk.providers.letter())
    assert isinstance(outcome, Blocked)
    assert outcome.stop_account


async def test_a_message_that_is_not_marked_or_named_as_it_should_be_never_leaves(desk: SoapDesk) -> None:
    mailbox = await desk.account(A)
    unmarked = desk.providers.letter(kind=None)
    twice = desk.providers.letter()
    twice = type(twice)(twice.message_id, b"X-TR-REM-iletiTip: standart\r\n" + twice.raw)
    renamed = desk.providers.letter()
    renamed = type(renamed)("<another@kepgw.test>", renamed.raw)
    for letter in (unmarked, twice, renamed):
        outcome = await desk.submit(mailbox, letter)
        assert isinstance(outcome, PermanentFailure)
        assert outcome.reason_code == ErrorCode.VALIDATION_FAILED
    assert desk.providers.mails(A, "Sent") == []


async def test_secrets_are_stored_encrypted_and_never_described(desk: SoapDesk, database_url: str) -> None:
    mailbox = await desk.account(A)
    account = desk.providers.accounts[A]
    secrets = (account.password, account.second_password, account.agent_no)
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT mailboxes::text FROM kep_relay.mailboxes").fetchone()
    assert row is not None
    for text in (repr(mailbox), row[0], repr(soap_configuration(desk.providers, A))):
        assert not any(secret in text for secret in secrets)
    kept = await desk.account(A, password=None, eyws_agent_no=None, eyws_second_password=None)
    assert kept.eyws_service.agent_no.get_secret_value() == account.agent_no
    assert (await desk.driver.standing(kept)).credit is not None


async def test_one_call_of_an_account_runs_at_a_time(desk: SoapDesk) -> None:
    mailbox, running, most = await desk.account(A), 0, 0
    transport = desk.driver._desk.transport
    exchange = transport._exchange

    async def counted(*arguments: object) -> object:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await exchange(*arguments)  # type: ignore[arg-type]
        finally:
            running -= 1

    transport._exchange = counted  # type: ignore[method-assign, assignment]
    await asyncio.gather(*(desk.driver.standing(mailbox) for _ in range(5)))
    assert most == 1


def test_only_https_addresses_are_taken() -> None:
    for url in ("http://eyws.example/x", "https://user@eyws.example/", "https:///x", "ftp://eyws.example/"):
        with pytest.raises(ValueError, match="https"):
            EywsService(url=url)


async def test_a_refused_login_keeps_out_all_that_wait_until_the_configuration_changes(desk: SoapDesk) -> None:
    wrong = await desk.account(A, password="wrong-secret")
    outcomes = await asyncio.gather(*(desk.submit(wrong, desk.providers.letter()) for _ in range(4)))
    assert all(isinstance(outcome, Blocked) and outcome.stop_account for outcome in outcomes)
    desk.providers.order("eyws.drop")  # whatever is asked now fails otherwise
    with pytest.raises(LoginRefusedError):
        await desk.driver.standing(wrong)
    desk.providers.faults.clear()
    assert (await desk.driver.standing(await desk.account(A))).credit is not None


async def test_a_list_that_is_too_large_is_asked_for_in_halves(desk: SoapDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, recipient = await desk.account(A), await desk.account(B)
    for hours in range(3):
        desk.providers.clock.move_to(timedelta(hours=hours))
        letter = desk.providers.letter()
        await desk.submit(sender, letter)
        await desk.providers.delivered(letter)
    monkeypatch.setattr(answer, "_MOST_NODES", 25)  # room for two entries
    async with desk.driver.open_inbox(recipient) as inbox:
        assert list(await inbox.list_new(0)) == [1, 2, 3]
    monkeypatch.setattr(answer, "_MOST_NODES", 10)  # not even for one
    async with desk.driver.open_inbox(recipient) as inbox:
        with pytest.raises(DomainError) as caught:
            await inbox.list_new(0)
        assert caught.value.code is ErrorCode.TOO_LARGE


@asynccontextmanager
async def answering(desk: SoapDesk, directory: Path, body: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A service that gives every call the same answer: its address, and the calls it got."""
    calls: list[bytes] = []

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        calls.append(await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0])))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    context = server_context(desk.providers.server, directory)
    server = await asyncio.start_server(repeat, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", calls


async def test_a_password_refused_by_a_fault_is_one_try_as_well(desk: SoapDesk, tmp_path: Path) -> None:
    content = "<s:Fault><faultcode>s:Server</faultcode><faultstring>Şifre veya Parola Yanlış</faultstring></s:Fault>"
    body = f'<s:Envelope xmlns:s="{answer.SOAP}"><s:Body>{content}</s:Body></s:Envelope>'.encode()
    async with answering(desk, tmp_path, body) as (url, calls):
        mailbox = await desk.account(A, eyws_url=url)
        outcome = await desk.submit(mailbox, desk.providers.letter())
        assert isinstance(outcome, Blocked)
        assert outcome.stop_account
        for _try in range(2):
            with pytest.raises(LoginRefusedError, match="Yanl"):
                await desk.driver.standing(mailbox)
        assert len(calls) == 1


@pytest.mark.parametrize("echo", ["fault", "refusal"])
async def test_a_service_that_repeats_a_key_tells_it_to_nobody(desk: SoapDesk, tmp_path: Path, echo: str) -> None:
    """What a person typed, and the id of the challenge, are as secret as the passwords (kep.md 6.14)."""
    key, challenge_id = str(864_208 + 1), "challenge-77"
    words = f"key {key} of {challenge_id} is wrong"
    content = {
        "fault": f"<s:Fault><faultcode>s:Client</faultcode><faultstring>{words}</faultstring></s:Fault>",
        "refusal": '<a:GuvenliGirisResponse xmlns:a="http://ws.apache.org/axis2"><a:return><durum>1</durum>'
        f"<hataaciklama>{words}</hataaciklama></a:return></a:GuvenliGirisResponse>",
    }[echo]
    body = f'<s:Envelope xmlns:s="{answer.SOAP}"><s:Body>{content}</s:Body></s:Envelope>'.encode()

    async with answering(desk, tmp_path, body) as (url, _calls):
        mailbox = await desk.account(B, eyws_login="sms", eyws_url=url)
        challenge = Challenge("sms", SecretStr(challenge_id))
        with pytest.raises(DomainError, match="is wrong") as caught:
            await desk.driver.answer(mailbox, challenge, key.encode())
    told = "".join(traceback.format_exception(caught.value))
    assert key not in told
    assert challenge_id not in told


async def test_what_arrived_while_nobody_looked_is_listed_however_long_that_was(desk: SoapDesk) -> None:
    """An account may be stopped for months; its letters wait (kep.md 7.27)."""
    letter = desk.providers.letter()
    await desk.submit(await desk.account(A), letter)
    await desk.providers.delivered(letter)
    mailbox, now = await desk.account(B), SystemClock().now()
    driver = soap_driver(desk.database, clock=FixedClock(now + timedelta(days=40)))
    async with driver.open_inbox(mailbox) as inbox:
        assert await inbox.list_new(0) == [], "an account that is new here begins 30 days back"
    async with desk.database.unit_of_work() as work:
        (await work.session.get_one(MailboxRow, "b-1")).last_successful_poll_at = now + timedelta(hours=24)
    async with driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        assert letter.message_id.encode() in await inbox.fetch(number, limit=10_000_000)


async def test_a_message_that_is_never_handed_out_asks_for_one_more_second_factor_at_most(desk: SoapDesk) -> None:
    for _ in range(2):
        letter = desk.providers.letter()
        await desk.submit(await desk.account(A), letter)
        await desk.providers.delivered(letter)
    mailbox = await desk.account(B, eyws_login="sms")
    desk.providers.order("eyws.empty_download", operation="Indir", count=3)
    desk.security_ids["b-1"] = SecretStr("first-id")
    for _ in range(2):
        async with desk.driver.open_inbox(mailbox) as inbox:
            numbers = await inbox.list_new(0)
            with pytest.raises(SecondFactorNeededError):
                await inbox.size(numbers[0])
    desk.security_ids["b-1"] = SecretStr("second-id")
    async with desk.driver.open_inbox(mailbox) as inbox:
        with pytest.raises(DomainError, match="hands out nothing yet") as caught:
            await inbox.size(numbers[0])
        assert caught.value.code is ErrorCode.PROVIDER_REFUSED
        assert await inbox.size(numbers[1]), "the one behind it is read"
