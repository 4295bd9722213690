"""Failures of kep.md section 7 by their number, as PTT KEP's SOAP service shows them (driver ``eyws``)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from services.kep_relay.drivers.eyws.metrics import contract_differences
from services.kep_relay.drivers.eyws.numbers import NumberBook
from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    LoginRefusedError,
    OutcomeUnknown,
    SecondFactorNeededError,
    SubmissionOutcome,
    TemporaryFailure,
)
from services.kep_relay.tables import OutboundRecipientRow
from services.sandbox.kephs import LoginPolicy
from shared.clock import ISTANBUL, FixedClock, SystemClock
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode
from tests.support.eyws_provider import SMS_KEY, A, B, EywsProviders, running_providers
from tests.support.eyws_relay import NUMBERS, SoapDesk, soap_configuration, soap_desk, soap_driver
from tests.support.inbound import Inbound, running_inbound, until
from tests.support.ports import free_port
from tests.support.relay import PACKAGE, Register, submission


@pytest.fixture
async def providers(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[EywsProviders]:
    async with running_providers(tmp_path, policies=getattr(request, "param", None)) as running:
        yield running


@pytest.fixture
async def desk(database_url: str, providers: EywsProviders) -> AsyncIterator[SoapDesk]:
    async with soap_desk(database_url, providers) as desk:
        yield desk


@dataclass
class World:
    """The relay with two accounts at the service."""

    inbound: Inbound
    providers: EywsProviders

    async def hand_over(self) -> UUID:
        """A letter from ``A`` to ``B``; the id of its one recipient."""
        stored = await self.inbound.deps.blobs.put(PACKAGE, limit=1_000_000)
        message_id = new_id()
        letter = submission(stored.sha256, stored.size, [NUMBERS[B]])
        await self.inbound.outbound.acceptance.accept(message_id, letter)
        async with self.inbound.deps.database.reading() as session:
            found = await session.scalar(
                select(OutboundRecipientRow.recipient_id).where(OutboundRecipientRow.message_id == message_id)
            )
            assert found is not None
            return found

    async def submit(self, recipient_id: UUID) -> OutboundRecipientRow:
        await self.inbound.outbound.jobs.submit.task(recipient_id=str(recipient_id))
        return await self.inbound.recipient(recipient_id)

    async def again(self, recipient_id: UUID) -> OutboundRecipientRow:
        """What blocked it is looked at once more, as the sweep does when that is due."""
        await self.inbound.execute("UPDATE outbound_recipients SET next_attempt_at = now() - interval '1 second'")
        await self.inbound.outbound.sweep.sweep()
        return await self.submit(recipient_id)

    async def reconcile(self, recipient_id: UUID) -> OutboundRecipientRow:
        await self.inbound.outbound.jobs.reconcile.task(recipient_id=str(recipient_id))
        return await self.inbound.recipient(recipient_id)

    def sent(self) -> list[str | None]:
        return [mail.original_message_id or mail.message_id for mail in self.providers.mails(A, "Sent")]


@pytest.fixture
async def world(
    database_url: str, providers: EywsProviders, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    register = Register(SystemClock(), addresses={NUMBERS[B]: B})
    options: dict[str, Any] = getattr(request, "param", {})
    database = Database(database_url, schema="kep_relay")
    driver = soap_driver(database, max_file_bytes=options.get("max_mail_bytes", 8_000_000))
    async with running_inbound(
        database_url, tmp_path / "blobs", signer_url="http://127.0.0.1:9", driver=driver, register=register, **options
    ) as inbound:
        async with inbound.deps.database.unit_of_work() as work:
            for mailbox_id, address in (("a-1", A), ("b-1", B)):
                await inbound.deps.mailboxes.put(work, mailbox_id, soap_configuration(providers, address))
        yield World(inbound, providers)
    await database.aclose()


async def arrived(desk: SoapDesk, **arguments: Any) -> bytes:
    """A letter from ``A`` in the mailbox of ``B``; the bytes that are stored there."""
    letter = desk.providers.letter(**arguments)
    assert isinstance(await desk.submit(await desk.account(A), letter), Accepted)
    mail = await desk.providers.delivered(letter)
    return desk.providers.providers.content(B, "INBOX", mail.uid)


async def test_case_01_answer_to_the_submission_lost_over_eyws(world: World) -> None:
    recipient_id = await world.hand_over()
    world.providers.order("eyws.lost_answer", operation="Yukle", count=1)
    row = await world.submit(recipient_id)
    assert row.state == "outcome_unknown", row.reason
    first, sent = row.composed_sha256, world.sent()
    assert sent == [row.message_id_header]
    row = await world.reconcile(recipient_id)
    assert (row.state, row.composed_sha256, row.attempts) == ("submitted", first, 1)
    assert world.sent() == sent


@pytest.mark.parametrize("world", [{"reconcile_window_seconds": 0, "reconcile_pauses_seconds": [0.1]}], indirect=True)
async def test_case_01_what_never_arrived_is_sent_again_unchanged_over_eyws(world: World) -> None:
    recipient_id = await world.hand_over()
    world.providers.order("eyws.drop", operation="Yukle", count=1)
    row = await world.submit(recipient_id)
    assert row.state == "outcome_unknown", row.reason
    name, content = row.message_id_header, row.composed_sha256
    world.providers.order("eyws.html_page", operation="PaketSorgula", count=1)
    assert (await world.reconcile(recipient_id)).state == "outcome_unknown", "a web page is no proof of absence"
    assert (await world.reconcile(recipient_id)).state == "queued"
    row = await world.submit(recipient_id)
    assert (row.state, row.message_id_header, row.composed_sha256, row.attempts) == ("submitted", name, content, 2)
    assert world.sent() == [name]


@pytest.mark.parametrize("fault", ["eyws.lost_answer", "eyws.drop"])
@pytest.mark.parametrize("world", [{"reconcile_window_seconds": 0, "reconcile_pauses_seconds": [0.1]}], indirect=True)
async def test_case_03_the_provider_never_builds_a_message_over_eyws(world: World, fault: str) -> None:
    """So there is no answer of SmimeGonder to be lost: a submission is Yukle, and its search only looks (record 0037)."""
    recipient_id = await world.hand_over()
    world.providers.order(fault, operation="Yukle", count=1)
    row = await world.submit(recipient_id)
    assert row.state == "outcome_unknown", row.reason
    name, content = row.message_id_header, row.composed_sha256
    row = await world.reconcile(recipient_id)
    if fault == "eyws.drop":
        assert row.state == "queued"
        row = await world.submit(recipient_id)
    assert (row.state, row.message_id_header, row.composed_sha256) == ("submitted", name, content)
    (mail,) = world.providers.mails(A, "Sent")
    sent = world.providers.providers.content(A, "Sent", mail.uid)
    assert hashlib.sha256(sent).hexdigest() == content
    calls = dict(world.providers.providers.calls(A))
    assert calls.pop("Yukle") == (2 if fault == "eyws.drop" else 1)
    assert calls.keys() <= {
        "PaketSorgula", "DizinSorgula", "PaketDelilSorgula", "PaketDetayDelilSorgula", "KontorSorgula", "KotaSorgula",
    }  # fmt: skip
    assert calls["PaketSorgula"] == 1


async def test_case_04_wrong_password_stops_the_account_at_once_over_eyws(world: World) -> None:
    async with world.inbound.deps.database.unit_of_work() as work:
        wrong = soap_configuration(world.providers, A, eyws_second_password="expired")
        await world.inbound.deps.mailboxes.put(work, "a-1", wrong)
    first, second = await world.hand_over(), await world.hand_over()
    row = await world.submit(first)
    assert (row.state, row.reason_code) == ("blocked", "mailbox-not-ready")
    assert "Yanlış" in (row.reason or "")
    assert "expired" not in (row.reason or "")
    assert (await world.inbound.mailbox("a-1")).stopped_at is not None
    assert world.providers.providers.standing(A).wrong_passwords == 1
    assert (await world.submit(second)).state == "blocked"
    assert world.providers.providers.standing(A).wrong_passwords == 1, "nothing more is tried"
    async with world.inbound.deps.database.unit_of_work() as work:
        await world.inbound.deps.mailboxes.put(work, "a-1", soap_configuration(world.providers, A))
    assert (await world.again(first)).state == "submitted"


@pytest.mark.parametrize("providers", [{B: LoginPolicy.OTP}], indirect=True)
async def test_case_05_second_factor_over_eyws(desk: SoapDesk) -> None:
    stored = await arrived(desk)
    mailbox = await desk.account(B, eyws_login="sms")
    async with desk.driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        with pytest.raises(SecondFactorNeededError):
            await inbox.size(number)
        refused = await desk.driver.challenge(mailbox)
        with pytest.raises(DomainError) as caught:
            await desk.driver.answer(mailbox, refused, b"000000-no")
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
        assert "000000-no" not in caught.value.detail
        challenge = await desk.driver.challenge(mailbox)
        assert (challenge.kind, challenge.text, challenge.digest) == ("sms", None, None)
        desk.security_ids["b-1"] = await desk.driver.answer(mailbox, challenge, SMS_KEY.encode())
        assert await inbox.list_new(0) == [number]
        assert await inbox.fetch(number, limit=10_000_000) == stored
    desk.security_ids["b-1"] = SecretStr("ran-out")
    async with desk.driver.open_inbox(mailbox) as inbox:
        with pytest.raises(SecondFactorNeededError) as expired:
            await inbox.fetch(number, limit=10_000_000)
        assert "ran-out" not in expired.value.detail


async def test_case_07_credit_exhausted_over_eyws(world: World) -> None:
    recipient_id = await world.hand_over()
    world.providers.order("eyws.credit_exhausted", account=A)
    row = await world.submit(recipient_id)
    assert (row.state, row.reason_code) == ("blocked", "kep-credit-exhausted")
    assert "104 Kontör yetersiz" in (row.reason or "")
    assert (await world.inbound.mailbox("a-1")).stopped_at is None
    world.providers.faults.clear()
    assert (await world.again(recipient_id)).state == "submitted"
    assert len(world.sent()) == 1


async def test_case_15_listed_evidence_that_cannot_be_downloaded_over_eyws(desk: SoapDesk) -> None:
    mailbox, letter = await desk.account(A), desk.providers.letter()
    await desk.submit(mailbox, letter)

    async def one() -> str | None:
        return next((entry.provider_id for entry in await desk.driver.list_evidence(mailbox, letter.message_id)), None)

    evidence_id = await until(one, timeout=60)
    for fault, value, code in (
        ("eyws.evidence_download_fails", None, ErrorCode.PROVIDER_REFUSED),
        ("eyws.truncated_xop", None, ErrorCode.PROVIDER_UNAVAILABLE),
        ("eyws.truncated_xop", 1.0, ErrorCode.PROVIDER_UNAVAILABLE),
    ):
        desk.providers.order(fault, operation="PaketDelilIndir", count=1, value=value)
        with pytest.raises(DomainError) as caught:
            await desk.driver.fetch_evidence(mailbox, evidence_id, limit=1_000_000)
        assert caught.value.code is code
        assert not isinstance(caught.value, LoginRefusedError)
    document = await desk.driver.fetch_evidence(mailbox, evidence_id, limit=1_000_000)
    assert document.rstrip().endswith(b">")


async def test_case_17_listed_but_nothing_is_handed_out_over_eyws(desk: SoapDesk) -> None:
    stored = await arrived(desk)
    mailbox = await desk.account(B)
    async with desk.driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        desk.providers.order("eyws.empty_download", operation="Indir", count=1)
        with pytest.raises(DomainError, match="hands out nothing yet") as caught:
            await inbox.fetch(number, limit=10_000_000)
        assert caught.value.code is ErrorCode.PROVIDER_REFUSED
        assert await inbox.list_new(0) == [number]
        assert await inbox.fetch(number, limit=10_000_000) == stored


async def test_case_17_a_message_that_vanished_is_an_incident_over_eyws(desk: SoapDesk) -> None:
    await arrived(desk)
    mailbox = await desk.account(B)
    async with desk.driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        await inbox.delete(number)
        assert await inbox.list_new(0) == [number], "what was seen is not forgotten"
        with pytest.raises(DomainError, match="somebody else deleted or moved it") as caught:
            await inbox.fetch(number, limit=10_000_000)
        assert caught.value.code is ErrorCode.PROVIDER_REFUSED
        await inbox.mark_seen(number)


async def test_case_19_the_same_message_listed_twice_is_one_over_eyws(desk: SoapDesk) -> None:
    await arrived(desk)
    mailbox = await desk.account(B)
    desk.providers.order("eyws.duplicate_entry", operation="PaketSorgula")
    async with desk.driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        assert await inbox.list_new(0) == [number]
        await inbox.fetch(number, limit=10_000_000)
        assert await inbox.list_new(number) == []
    book = NumberBook(desk.database, SystemClock())
    seen = await book.find("b-1", number)
    assert seen is not None
    moved = replace(seen, folder="INBOX.Arsiv")
    other = replace(seen, message_id="<other@kepgw.test>")
    assert await book.enter("b-1", [moved, other]) == {seen.message_id: number, other.message_id: number + 1}
    assert await book.find("b-1", number) == moved
    first, second = await asyncio.gather(*(book.enter("b-1", [replace(seen, message_id="<new@x>")]) for _ in "12"))
    assert first == second == {"<new@x>": number + 2}


async def test_case_20_another_message_than_asked_for_is_refused_over_eyws(desk: SoapDesk) -> None:
    first, second = await arrived(desk), await arrived(desk, subject="İkinci")
    mailbox = await desk.account(B)
    desk.providers.order("eyws.renumber", operation="PaketSorgula")
    desk.providers.order("eyws.wrong_content", operation="Indir", count=1)
    async with desk.driver.open_inbox(mailbox) as inbox:
        numbers = await inbox.list_new(0)
        with pytest.raises(DomainError, match="another message") as caught:
            await inbox.fetch(numbers[0], limit=10_000_000)
        assert caught.value.code is ErrorCode.PROVIDER_REFUSED
        assert [await inbox.fetch(number, limit=10_000_000) for number in numbers] == [first, second]


@pytest.mark.parametrize("world", [{"max_mail_bytes": 100_000}], indirect=True)
async def test_case_21_a_huge_message_holds_up_no_other_over_eyws(world: World) -> None:
    huge = world.providers.letter(attachment=bytes(range(256)) * 2000)
    small = world.providers.letter()
    account = world.inbound.deps.mailboxes.account(await world.inbound.mailbox("a-1"))
    desk = SoapDesk(
        world.inbound.deps.driver, world.providers, world.inbound.deps.database, world.inbound.deps.mailboxes
    )  # type: ignore[arg-type]
    for letter in (huge, small):
        assert isinstance(await desk.submit(account, letter), Accepted)
        await world.providers.delivered(letter)

    async def both() -> list[tuple[str | None, bool]] | None:
        rows = [row for row in await world.inbound.raw_mails() if row.mailbox_id == "b-1"]
        return [(row.reason_code, row.sha256 is not None) for row in rows] if len(rows) == 2 else None

    async with world.inbound.at_work():
        assert sorted(await until(both, timeout=90), key=str) == [("too-large", False), (None, True)]
    assert len(world.providers.mails(B)) == 2


@pytest.mark.parametrize("value", [None, 1.0], ids=["as if whole", "reset"])
async def test_case_22_a_truncated_answer_is_no_content_over_eyws(desk: SoapDesk, value: float | None) -> None:
    stored = await arrived(desk)
    mailbox = await desk.account(B)
    desk.providers.order("eyws.truncated_xop", operation="Indir", count=1, value=value)
    async with desk.driver.open_inbox(mailbox) as inbox:
        (number,) = await inbox.list_new(0)
        with pytest.raises(DomainError) as caught:
            await inbox.fetch(number, limit=10_000_000)
        assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
        assert await inbox.list_new(0) == [number]
        assert await inbox.fetch(number, limit=10_000_000) == stored


@pytest.mark.parametrize(
    ("fault", "value", "kind"),
    [
        ("eyws.html_page", 200.0, OutcomeUnknown),
        ("eyws.html_page", 502.0, OutcomeUnknown),
        ("eyws.html_page", 503.0, TemporaryFailure),
        ("eyws.empty_body", None, OutcomeUnknown),
        ("eyws.soap_fault", None, OutcomeUnknown),
        ("eyws.refuse_connection", None, TemporaryFailure),
        ("eyws.outer_ok_inner_failed", None, OutcomeUnknown),
    ],
)
async def test_case_23_answers_that_are_none_over_eyws(
    desk: SoapDesk, fault: str, value: float | None, kind: type[SubmissionOutcome]
) -> None:
    mailbox = await desk.account(A)
    scope = {} if fault == "eyws.refuse_connection" else {"account": A}
    desk.providers.order(fault, value=value, **scope)
    outcome = await desk.submit(mailbox, desk.providers.letter())
    assert isinstance(outcome, kind), outcome
    if fault != "eyws.outer_ok_inner_failed":
        with pytest.raises(DomainError) as caught:
            await desk.driver.find_sent(mailbox, message_id_header="<x@y>", rem_id="none")
        assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    desk.providers.faults.clear()
    assert isinstance(await desk.submit(mailbox, desk.providers.letter()), Accepted)


async def test_case_23_the_second_host_while_the_first_is_away_over_eyws(desk: SoapDesk) -> None:
    url = desk.providers.accounts[A].url
    away = f"https://127.0.0.1:{free_port()}/x"
    mailbox = await desk.account(A, eyws_url=away, eyws_fallback_url=url)
    for _ in range(4):
        assert isinstance(await desk.submit(mailbox, desk.providers.letter()), Accepted)
    alone = await desk.account(A, eyws_url=away)
    nowhere = await desk.account(A, eyws_url="https://no-such-host.invalid/x")
    untrusted = await desk.account(A, eyws_ca_file=None)
    for mailbox in (alone, nowhere, untrusted):
        outcome = await desk.submit(mailbox, desk.providers.letter())
        assert isinstance(outcome, TemporaryFailure), outcome
        assert outcome.unreachable
    assert "certificate is not trusted" in outcome.reason
    with pytest.raises(DomainError):
        await desk.driver.probe(untrusted)


async def test_case_26_the_contract_changed_and_the_pinned_one_is_used_over_eyws(
    database_url: str, providers: EywsProviders
) -> None:
    registry = CollectorRegistry()
    clock = FixedClock(SystemClock().now())
    async with soap_desk(database_url, providers, clock=clock, differences=contract_differences(registry)) as desk:
        await _compare_contracts(desk, registry, clock)


async def _compare_contracts(desk: SoapDesk, registry: CollectorRegistry, clock: FixedClock) -> None:
    mailbox = await desk.account(A)

    def alarm() -> float | None:
        return registry.get_sample_value("kepgw_provider_contract_differences")

    assert list(await desk.driver.contract_drift(mailbox)) == []
    desk.providers.order("eyws.wsdl_changed")
    assert list(await desk.driver.contract_drift(mailbox)) == [], "an operation more changes nothing for this driver"
    desk.providers.order("eyws.wsdl_changed", value=1.0)
    differences = await desk.driver.contract_drift(mailbox)
    assert differences, "a renamed element is told"
    assert alarm() == len(differences)
    desk.providers.faults.clear()
    await desk.driver.standing(mailbox)
    assert alarm() == len(differences), "compared once an hour only"
    clock.moment += timedelta(hours=1)
    await desk.driver.standing(mailbox)
    assert alarm() == 0
    desk.providers.order("eyws.wsdl_changed", value=1.0)
    assert isinstance(await desk.submit(mailbox, desk.providers.letter()), Accepted)


async def test_case_27_mail_around_midnight_and_before_the_window_over_eyws(
    database_url: str, providers: EywsProviders
) -> None:
    """Our clock is a day ahead, or two days behind: what came is listed all the same, and nothing twice."""
    now = SystemClock().now()
    clock = FixedClock(now)
    async with soap_desk(database_url, providers, clock=clock) as desk:
        await arrived(desk)
        mailbox = await desk.account(B)
        async with desk.driver.open_inbox(mailbox) as inbox:
            for hours in (0, 23, 47, -23):
                clock.moment = now + timedelta(hours=hours)
                assert await inbox.list_new(0) == [1], hours


async def test_case_28_times_without_zone_are_turkish_over_eyws(desk: SoapDesk) -> None:
    mailbox, letter = await desk.account(A), desk.providers.letter()
    await desk.submit(mailbox, letter)

    async def listed() -> Any:
        return next(iter(await desk.driver.list_evidence(mailbox, letter.message_id)), None)

    entry = await until(listed, timeout=60)
    issued = {item.code: item.issued_at for item in desk.providers.providers.evidence(letter.message_id)}[entry.code]
    assert "+" not in entry.at_text
    assert entry.at_text == f"{entry.at.astimezone(ISTANBUL):%Y-%m-%dT%H:%M:%S}"
    assert abs(entry.at - issued) < timedelta(minutes=1)


async def test_case_40_too_many_calls_and_a_locked_account_over_eyws(desk: SoapDesk) -> None:
    mailbox = await desk.account(A)
    desk.providers.order("eyws.rate_limited", account=A)
    outcome = await desk.submit(mailbox, desk.providers.letter())
    assert isinstance(outcome, TemporaryFailure)
    assert outcome.unreachable, "the account's other letters wait as well"
    with pytest.raises(DomainError) as caught:
        await desk.driver.standing(mailbox)
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    desk.providers.faults.clear()
    desk.providers.providers.change_standing(A, locked=True)
    locked = await desk.submit(mailbox, desk.providers.letter())
    assert isinstance(locked, Blocked)
    assert locked.stop_account


@pytest.mark.parametrize("kind", ["eYazisma", "standart", "EYAZISMA"])
async def test_case_42_header_and_call_name_the_same_type_over_eyws(desk: SoapDesk, kind: str) -> None:
    """The service refuses a message whose header says something else than the call."""
    assert isinstance(await desk.submit(await desk.account(A), desk.providers.letter(kind=kind)), Accepted)


async def test_case_42_an_unknown_type_is_never_handed_over_over_eyws(desk: SoapDesk) -> None:
    outcome = await desk.submit(await desk.account(A), desk.providers.letter(kind="mektup"))
    assert "mektup" in getattr(outcome, "reason", "")
    assert desk.providers.mails(A, "Sent") == []
