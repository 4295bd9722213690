"""The notice of a refusal: ordered by a person, once, about what may be told, and sent like every outgoing letter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from services.kep_relay.drivers.protocol import PermanentFailure
from services.kep_relay.tables import OutboundRecipientRow
from shared.clock import FixedClock
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion
from shared.errors import ErrorCode
from shared.eyp import Identifier, LegalEntity, Person, PersonName, SecurityCode
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.kep_provider import MemoryProvider
from tests.support.mails import dispatch, evidence_xml, letter
from tests.unit.eyp import letters

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DUE = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}
SENDER = "a@hs98.kep.tr"
REASON = {"rule": "R.30", "text": "Ek listesindeki çizim pakette yok."}
REFUSAL = {"decision": "refused", "decided_by": "F. Örnek", "reasons": [REASON]}
ORDER = {"decided_by": "G. Deneme", "client_id": "ebys", "correlation_id": "c-1"}


@dataclass
class World:
    relay: Inbound
    provider: MemoryProvider
    signer: ScriptedSigner
    clock: FixedClock

    async def received(self, package: bytes | None = None, *, uid: int = 1, **options: Any) -> str:
        content = letters.package() if package is None else package
        await self.relay.take_in(dispatch(letter(("a.eyp", content), **options)), uid=uid)
        return str((await self.relay.letters())[-1].message_id)

    async def refused(self, package: bytes | None = None, **options: Any) -> str:
        message_id = await self.received(package, **options)
        await self.refuse(message_id)
        return message_id

    async def refuse(self, message_id: str) -> None:
        answer = await self.relay.http.post(f"/inbound-messages/{message_id}/acceptance", params=MINE, json=REFUSAL)
        assert answer.status_code == 200, answer.text

    async def order(self, message_id: str, **changes: Any) -> httpx.Response:
        body = ORDER | {"notice_id": str(uuid4())} | changes
        return await self.relay.http.post(f"/inbound-messages/{message_id}/refusal-notice", params=MINE, json=body)

    async def notices(self) -> list[OutboundRecipientRow]:
        async with self.relay.deps.database.reading() as session:
            found = await session.execute(text("SELECT recipient_id FROM kep_relay.outbound_recipients ORDER BY 1"))
            return [await session.get_one(OutboundRecipientRow, row[0]) for row in found]

    async def submit(self) -> EmailMessage:
        """Have the one notice sent; the mail the provider has then."""
        (row,) = await self.notices()
        await self.attempt(row)
        return self.sent()

    async def attempt(self, row: OutboundRecipientRow) -> None:
        """The notice's next step, as a job would take it."""
        await self.relay.deps.instance.renew()  # by the machine's clock, which does not wait for a slow test
        jobs = self.relay.outbound.jobs
        job = jobs.reconcile if row.state == "outcome_unknown" else jobs.submit
        await job.task(recipient_id=str(row.recipient_id))

    def sent(self) -> EmailMessage:
        (mail,) = self.provider.sent
        found = message_from_bytes(mail.raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    async def inbound(self, message_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.relay.http.get(f"/inbound-messages/{message_id}", params=MINE)).json()
        return found


def body(mail: EmailMessage) -> str:
    (part,) = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    return part.get_content()  # type: ignore[no-any-return]


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock, provider = FixedClock(NOON), MemoryProvider()
    async with (
        scripted_signer() as (signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=clock, driver=provider) as relay,
    ):
        await relay.put_mailbox("b-1", SENDER_NO, "b@hs99.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        await relay.put_mailbox(
            "a-1", SENDER_NO, "gelen@hs99.kep.tr", sends=False, imap={"host": "127.0.0.1", "port": 1}
        )
        yield World(relay, provider, signer, clock)


async def test_the_notice_says_everything_and_is_a_reply(world: World) -> None:
    message_id = await world.refused()
    answer = await world.order(message_id, text="Ek ayrıca gönderilebilir.")
    assert answer.status_code == 201, answer.text
    notice = answer.json()
    assert (notice["kind"], notice["reply_to"], notice["state"]) == ("notice", message_id, "queued")
    assert (await world.inbound(message_id))["refusal_notice_id"] == notice["message_id"]
    (recipient,) = notice["recipients"]
    assert (recipient["detsis_no"], recipient["kep_address"], recipient["address_rule"]) == (None, SENDER, "reply")
    mail = await world.submit()
    assert (mail["From"], mail["To"], mail["Subject"]) == ("b@hs99.kep.tr", SENDER, "Ret bildirimi")
    assert (mail["In-Reply-To"], mail["References"]) == ("<letter@a>", "<letter@a>")
    assert (mail["X-TR-REM-iletiTip"], mail["X-TR-REM-iletiID"]) == ("standart", recipient["rem_id"])
    assert mail["Message-ID"] == recipient["message_id_header"]
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/signed", "multipart/mixed", "text/plain", "application/x-pkcs7-signature",
    ]  # fmt: skip
    said = body(mail)
    for expected in (
        "Message-ID: <letter@a>", "rem-1", f"Gönderen KEP adresi: {SENDER}", "Alıcı KEP adresi: gelen@hs99.kep.tr",
        "Belge sayısı: E-10000001-000-1", "Belge tarihi: 02.03.2026", letters.DOCUMENT_ID,
        "20.11.2026 12:00:00 (Türkiye saati)", "1. Kural R.30 - Ek listesindeki çizim pakette yok.",
        "L.9 (yürürlük 01.07.2020): Resmî Yazışmalarda", "Kararı veren: F. Örnek", "Bildirimi gönderten: G. Deneme",
        f"Bildirim kimliği: {notice['message_id']}", "Ek ayrıca gönderilebilir.",
    ):  # fmt: skip
        assert expected in said
    events = (await world.relay.http.get("/events", params=MINE)).json()["events"]
    assert [item["acceptance"] for item in events if item["acceptance"]] == ["refused"]


@pytest.mark.parametrize(
    ("conclusion", "expected"),
    [
        ("passed", "Teslim zamanı (teslim deliline göre): 20.11.2026 10:58:07"),
        ("failed", "Teslim zamanı (KEP hesabımızda görüldüğü an): 20.11.2026 12:00:00"),
    ],
)
async def test_the_time_of_delivery_is_that_of_proven_evidence(world: World, conclusion: str, expected: str) -> None:
    proof = evidence_xml(40, original_id="<letter@a>", event_time="2026-11-20T10:58:07+03:00")
    raw = dispatch(letter(("a.eyp", letters.package())), proof)
    await world.relay.take_in(raw, uid=1)
    message_id = str((await world.relay.letters())[-1].message_id)
    await world.refuse(message_id)
    await world.relay.execute("UPDATE kep_relay.evidence SET conclusion = :verdict", verdict=conclusion)
    assert (await world.order(message_id)).status_code == 201
    assert expected in body(await world.submit())


async def test_one_notice_per_letter(world: World) -> None:
    message_id = await world.refused()
    answers = await asyncio.gather(*(world.order(message_id) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert (await world.order(message_id, decided_by="Başkası")).status_code == 409
    assert (await world.order(message_id, text="Ek metin")).status_code == 409
    world.clock.moment = DUE + timedelta(hours=1)
    late = await world.order(message_id)
    assert (late.status_code, late.json()["message_id"]) == (200, answers[0].json()["message_id"])
    assert len(await world.notices()) == 1


async def test_an_order_that_is_cut_off_leaves_nothing_and_can_be_repeated(world: World) -> None:
    message_id = await world.refused()
    await world.relay.execute("ALTER TABLE kep_relay.refusal_notices ADD CONSTRAINT cut CHECK (false) NOT VALID")
    assert (await world.order(message_id)).status_code >= 500
    assert await world.notices() == []
    assert (await world.inbound(message_id))["refusal_notice_id"] is None
    await world.relay.execute("ALTER TABLE kep_relay.refusal_notices DROP CONSTRAINT cut")
    assert (await world.order(message_id)).status_code == 201
    # The process died after that: its jobs are gone, the row is not.
    await world.relay.execute("DELETE FROM procrastinate_jobs")
    await world.submit()
    assert list(world.provider.copies().values()) == [1]


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "lost"])
async def test_killed_while_the_provider_answers(world: World, taken: bool) -> None:
    message_id = await world.refused()
    await world.order(message_id)
    (row,) = await world.notices()
    world.provider.lose_answers, world.provider.drop_messages = int(taken), int(not taken)
    await world.attempt(row)
    for _step in range(40):
        (row,) = await world.notices()
        if row.state == "submitted":
            break
        world.clock.moment = row.next_attempt_at or world.clock.moment
        job = (
            world.relay.outbound.jobs.reconcile if row.state == "outcome_unknown" else world.relay.outbound.jobs.submit
        )
        await job.task(recipient_id=str(row.recipient_id))
    assert row.state == "submitted"
    assert list(world.provider.copies().values()) == [1]


async def test_a_notice_that_did_not_arrive_is_sent_again_once(world: World) -> None:
    message_id = await world.refused()
    notice = (await world.order(message_id)).json()["message_id"]
    again = {"message_id": str(uuid4())}
    assert not (await world.relay.outbound.acceptance.cancel(UUID(notice), [SENDER_NO]))[1]
    resend = world.relay.outbound.acceptance.resend
    assert await resend(UUID(notice), [SENDER_NO], UUID(again["message_id"]))
    assert not await resend(UUID(notice), [SENDER_NO], UUID(again["message_id"])), "the same again is the same notice"
    with pytest.raises(Exception, match="again already"):
        await resend(UUID(notice), [SENDER_NO], uuid4())
    (_first, second) = await world.notices()
    await world.attempt(second)
    assert world.sent()["In-Reply-To"] == "<letter@a>"


@pytest.mark.parametrize("state", ["pending", "accepted"])
async def test_no_notice_without_a_refusal(world: World, state: str) -> None:
    message_id = await world.received()
    if state == "accepted":
        decision = {"decision": "accepted", "decided_by": "F. Örnek"}
        await world.relay.http.post(f"/inbound-messages/{message_id}/acceptance", params=MINE, json=decision)
    answer = await world.order(message_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert state in answer.json()["detail"]


@pytest.mark.parametrize(
    "originator",
    [
        Person(PersonName("Ayşe", "Örnek"), "10000000146"),
        LegalEntity(Identifier("0123456789012345", "MERSIS"), "Örnek A.Ş."),
    ],
    ids=["person", "company"],
)
@pytest.mark.parametrize("packages", [1, 2])
async def test_not_offered_for_persons_and_companies(world: World, originator: Any, packages: int) -> None:
    package = letters.package(originator=originator)
    other = letters.package(originator=originator, subject="ikinci")
    parts = [("a.eyp", package), ("b.eyp", other)][:packages]
    await world.relay.take_in(dispatch(letter(*parts)), uid=1)
    (row,) = await world.relay.letters()
    assert (await world.inbound(str(row.message_id)))["acceptance"] is None
    answer = await world.order(str(row.message_id))
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert "another administration" in answer.json()["detail"]


async def test_one_package_of_an_administration_keeps_the_period(world: World) -> None:
    person = letters.package(originator=Person(PersonName("Ayşe", "Örnek"), "10000000146"))
    await world.relay.take_in(dispatch(letter(("a.eyp", person), ("b.eyp", letters.package()))), uid=1)
    (row,) = await world.relay.letters()
    assert (await world.inbound(str(row.message_id)))["acceptance"]["state"] == "pending"


async def test_a_refusal_before_the_verdict_is_not_told_of_a_persons_letter(world: World) -> None:
    world.signer.away = True
    message_id = await world.refused(letters.package(originator=Person(PersonName("Ayşe", "Örnek"), "10000000146")))
    early = await world.order(message_id)
    assert (early.status_code, "not judged" in early.json()["detail"]) == (409, True)
    world.signer.away = False
    await world.relay.execute("UPDATE kep_relay.inbound_messages SET verify_at = :now", now=NOON)
    await world.relay.deps.queue._app.tasks["kep_relay.verify"](message_id=message_id)
    later = await world.order(message_id)
    assert (later.status_code, "another administration" in later.json()["detail"]) == (409, True)


async def test_too_late(world: World) -> None:
    message_id = await world.refused()
    world.clock.moment = DUE
    answer = await world.order(message_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert await world.notices() == []


@pytest.mark.parametrize(
    ("package", "sealed"),
    [(SecurityCode.SECRET, True), (SecurityCode.RESTRICTED, False)],
)
async def test_nothing_of_a_confidential_letter_is_told(world: World, package: SecurityCode, sealed: bool) -> None:
    message_id = await world.received(letters.package(security_code=package))
    found = await world.inbound(message_id)
    assert (found["state"] == "sealed") is sealed
    assert found["acceptance"]["state"] == "pending", "the period of a sealed letter goes on"
    await world.refuse(message_id)
    told = await world.order(message_id, text="İçerikten söz eden bir açıklama")
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (422, "/text")
    assert (await world.order(message_id)).status_code == 201
    said = body(await world.submit())
    assert "Message-ID: <letter@a>" in said
    assert "1. Kural R.30" in said
    for withheld in ("çizim", "E-10000001", letters.DOCUMENT_ID, "02.03.2026", "deneme", str(found["package_sha256"])):
        assert withheld not in said


async def test_a_sealed_letters_period_is_told_and_ends_by_silence(world: World) -> None:
    message_id = await world.received(letters.package(security_code=SecurityCode.SECRET))
    for moment in (DUE - (DUE - NOON) / 2, DUE):
        world.clock.moment = moment
        await world.relay.sweep()
    events = (await world.relay.http.get("/events", params=MINE)).json()["events"]
    assert [(item["type"], item["acceptance"], item["rule"]) for item in events] == [
        ("inbound-message.acceptance-due", "pending", "L.9"),
        ("inbound-message.acceptance-decided", "deemed-accepted", "L.10"),
    ]
    assert (await world.inbound(message_id))["acceptance"]["decided_rule"] == "L.10"


async def test_a_persons_sealed_letter_has_no_period(world: World) -> None:
    person = Person(PersonName("Ayşe", "Örnek"), "10000000146")
    message_id = await world.received(letters.package(security_code=SecurityCode.SECRET, originator=person))
    found = await world.inbound(message_id)
    assert (found["state"], found["acceptance"]) == ("sealed", None)


@pytest.mark.parametrize(
    ("sender", "code"),
    [("a@testkep.pttkep.gov.tr", "recipient-kep-inactive"), ("kimse", "recipient-kep-missing")],
    ids=["outside", "unknown"],
)
async def test_where_no_notice_can_go(world: World, sender: str, code: str) -> None:
    message_id = await world.refused(sender=sender)
    answer = await world.order(message_id)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await world.notices() == []


async def test_a_mailbox_without_a_key_sends_no_notice(world: World) -> None:
    await world.relay.execute("UPDATE kep_relay.mailboxes SET signing_key_id = NULL")
    answer = await world.order(await world.refused())
    assert (answer.status_code, answer.json()["code"]) == (409, "mailbox-missing")
    assert await world.notices() == []


async def test_a_mail_whose_provider_is_not_proven_is_not_answered(world: World) -> None:
    world.signer.conclusions[SignatureFormat.SMIME] = Conclusion.FAILED
    answer = await world.order(await world.refused())
    assert (answer.status_code, "not proven" in answer.json()["detail"]) == (409, True)


async def test_what_a_hostile_sender_wrote_stays_in_its_line(world: World) -> None:
    evil = "=?utf-8?B?cmVtCkRBWUFOQUsKTC45?="
    message_id = await world.refused(rem_id=evil, message_id="<a@b>, <c@d>\r\n x")
    assert (await world.order(message_id)).status_code == 201
    mail = await world.submit()
    assert (mail["In-Reply-To"], mail["References"]) == (None, None), "no proper Message-ID: only the text names it"
    said = body(mail).splitlines()
    assert said.count("DAYANAK") == 1
    assert "Message-ID: <a@b>, <c@d> x" in said


async def test_a_foreign_letter_is_not_there(world: World) -> None:
    message_id = await world.refused()
    body = ORDER | {"notice_id": str(uuid4())}
    path = f"/inbound-messages/{message_id}/refusal-notice"
    answer = await world.relay.http.post(path, params={"institution": 10000009}, json=body)
    assert answer.status_code == 404


async def test_a_refused_notice_ends_like_a_refused_letter(world: World) -> None:
    message_id = await world.refused()
    await world.order(message_id)
    world.provider.answers.append(PermanentFailure(ErrorCode.PROVIDER_UNAVAILABLE, "554 no"))
    (row,) = await world.notices()
    await world.attempt(row)
    assert (await world.notices())[0].state == "failed"
    assert (await world.inbound(message_id))["refusal_notice_id"] is not None


async def test_a_refusal_that_nobody_has_told_is_reminded_of(world: World) -> None:
    """The law asks that the sender is told in time; writing the refusal down is not that."""
    told, untold = await world.refused(), await world.refused(message_id="<other@a>", uid=2)

    async def reminders() -> list[tuple[str, str]]:
        found = (
            await world.relay.http.get("/events", params=MINE | {"type": "inbound-message.acceptance-due"})
        ).json()["events"]
        return [(item["message_id"], item["acceptance"]) for item in found]

    world.clock.moment = DUE - (DUE - NOON) / 2
    await world.relay.sweep()
    assert sorted(await reminders()) == sorted([(told, "refused"), (untold, "refused")])
    assert (await world.order(told)).status_code == 201
    for moment in (datetime(2026, 11, 24, 6, 0, tzinfo=UTC), DUE, DUE + timedelta(hours=1)):
        world.clock.moment = moment
        await world.relay.sweep()
    assert (await reminders())[2:] == [(untold, "refused")]
    assert (await world.inbound(untold))["acceptance"]["state"] == "refused", "what was decided stays"
