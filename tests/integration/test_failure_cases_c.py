"""Failure cases 23 to 35 of kep.md section 7, each by its number, over real SMTP and IMAP with PostgreSQL.

Number 26 and parts of 23 exist only where a WSDL and HTTP are spoken.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.kep_relay.tables import EvidenceRow, InboundPartRow
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion
from tests.support.database import fresh_database
from tests.support.delivering import directory_of, plain_letter, poll_fault, put, read_mail, settled, talker
from tests.support.failure_cases import Bench, bench, imap_server
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter, mail, multipart, part
from tests.support.smtp_server import submission_server
from tests.unit.eyp import letters
from tests.unit.sandbox_kephs.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n<html><h1>Bak\xc4\xb1m</h1></html>\r\n"
PACKAGE = letters.package()


@pytest.fixture(scope="module")
def book() -> dict[int, str]:
    """KEP addresses that the directory knows, by DETSİS number."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    database_server: str, tmp_path_factory: pytest.TempPathFactory, book: dict[int, str]
) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with (
            directory_of(book) as directory,
            bench(url, tmp_path_factory.mktemp("cases"), detsis_sync_url=directory) as made,
        ):
            yield made


@pytest.mark.parametrize("tls", [True, False], ids=["maintenance-page", "no-tls"])
async def test_case_23_maintenance_page_and_broken_tls(world: Bench, tmp_path: Path, tls: bool) -> None:
    """What is no mail server is tried again with pauses; nothing is lost, and the other mailboxes go on."""
    async with talker(tmp_path, PAGE, tls=tls) as page:
        sender, receiver = await world.party(active=False), await world.party(at="hs99")
        await world.configure(sender, smtp=page.address, imap=page.address)
        message_id = await world.hand_over(sender, receiver.address)
        waiting = await world.reached(sender, message_id, "retry_wait")
        await poll_fault(world, sender, "IMAP")
        assert waiting.reason_code == "provider-unavailable"
        assert (await world.relay.mailbox(sender.mailbox_id)).stopped_at is None
        other = await world.party()
        elsewhere = await world.hand_over(other, receiver.address)
        await world.reached(other, elsewhere, "delivered")
        await world.configure(sender)
    await world.reached(sender, message_id, "delivered")
    assert len(world.delivered(receiver.address)) == 2


async def test_case_23_name_that_does_not_resolve(world: Bench) -> None:
    """The same of a host whose name is gone."""
    sender, receiver = await world.party(active=False), await world.party(at="hs99")
    gone = {"host": "kephs.invalid", "port": 465}
    await world.configure(sender, smtp=gone, imap=gone)
    message_id = await world.hand_over(sender, receiver.address)
    await world.reached(sender, message_id, "retry_wait")
    await poll_fault(world, sender, "IMAP")
    await world.configure(sender)
    await world.reached(sender, message_id, "delivered")


async def test_case_24_changed_certificate_is_never_spoken_to_until_its_authority_is_known(
    world: Bench, tmp_path: Path
) -> None:
    """No login, no mail, a reason that names it; the file of authorities counts as soon as it is replaced."""
    authorities = tmp_path / "trusted.pem"
    shutil.copy(world.authorities, authorities)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    async with imap_server(tmp_path / "in") as reading, submission_server(tmp_path / "out") as submitting:
        reading.mails[1] = plain_letter(("a.eyp", PACKAGE))
        sender = await world.party(active=False)
        submitting.username, submitting.password = sender.address, PASSWORD
        own = {"ca_file": str(authorities)}
        await world.configure(
            sender, imap=reading.address | own, smtp=world.own_smtp(submitting) | own
        )  # fmt: skip
        message_id = await world.hand_over(sender, "b@hs99.kep.tr")
        fault = await poll_fault(world, sender, "certificate is not trusted")
        waiting = await world.reached(sender, message_id, "retry_wait", "blocked")
        assert "self-signed certificate" in fault
        assert "certificate" in (waiting.reason or "")
        assert (reading.logins, submitting.logins, submitting.received) == (0, 0, [])
        authorities.write_bytes(Path(reading.address["ca_file"]).read_bytes())
        await settled(world, sender)
        await world.reached(sender, message_id, "submitted")
        await world.configure(sender, active=False)


async def test_case_27_day_boundary(world: Bench) -> None:
    """Mails around midnight in Turkey are found by their number, whatever dates they bear, and each once."""
    receiver = await world.party()
    now = world.clock.now()
    midnight = now.replace(hour=21, minute=0, second=0, microsecond=0)
    midnight += timedelta(days=midnight <= now)
    await world.move_clock(seconds=(midnight - now).total_seconds() - 1)
    client = await world.kephs.imap(receiver.address)
    dates = [midnight - timedelta(seconds=1), midnight + timedelta(days=1), midnight - timedelta(days=1), midnight]
    for date in dates:
        assert (await client.append(plain_letter(("a.pdf", b"%PDF")), mailbox="INBOX", date=date)).result == "OK"
    await world.move_clock(seconds=2)
    assert (await client.append(plain_letter(("a.pdf", b"%PDF")), mailbox="INBOX", date=dates[2])).result == "OK"
    await client.logout()
    await settled(world, receiver, 5)
    assert [row.state for row in await world.raw_mails(receiver)] == ["ingested"] * 5


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-20T23:30:00", datetime(2026, 11, 20, 20, 30, tzinfo=UTC)),
        ("2026-11-20 23:30:00.123456789", datetime(2026, 11, 20, 20, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-20T23:30:00Z", datetime(2026, 11, 20, 23, 30, tzinfo=UTC)),
        ("20.11.2026 23:30", None),
    ],
)
async def test_case_28_time_without_a_zone(world: Bench, written: str, moment: datetime | None) -> None:
    """It is Turkey's; the text is kept as it stood there, also one that is no time."""
    receiver = await world.party()
    document = evidence_xml(40, original_id=f"<{uuid4()}@x>", identifier=str(uuid4()), event_time=written)
    await read_mail(world, receiver, evidence_mail(document))
    async with world.relay.deps.database.reading() as session:
        [row] = await session.scalars(select(EvidenceRow).where(EvidenceRow.mailbox_id == receiver.mailbox_id))
    assert (row.event_time, row.event_time_text) == (moment, written)
    assert row.sha256 == hashlib.sha256(document).hexdigest()


def _original(entity: bytes, **headers: str) -> bytes:
    """An unsigned original message around ``entity``, inside a dispatch."""
    fields = {
        "From": "<a@hs98.kep.tr>", "To": "<b@hs99.kep.tr>", "Message-ID": f"<{uuid4()}@kepgw.test>", "Subject": "Konu",
    }  # fmt: skip
    return dispatch(mail(fields | headers, entity))


_TURKISH = "Şğıİöçü KONU".encode("windows-1254")
_TNEF = part("application/ms-tnef", b"\x78\x9f\x3e\x22" + bytes(200), disposition='attachment; filename="winmail.dat"')
_BROKEN = {
    "unknown-charset": _original(part("text/plain; charset=x-yok", _TURKISH)),
    "eight-bit-headers": _original(b"\r\nx\r\n", Subject="KONU").replace(b"KONU", _TURKISH),
    "no-boundary": _original(b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nmetin\r\n--x--\r\n"),
    "wrong-boundary": _original(multipart("mixed", [part("text/plain", b"x")]).replace(b"\r\n--b", b"\r\n--c")),
    "no-closing-boundary": _original(multipart("mixed", [part("text/plain", b"x")])[:-26]),
    "winmail": _original(multipart("mixed", [part("text/plain", b"x"), _TNEF])),
    "winmail-nested": _original(
        multipart("mixed", [part("message/rfc822", mail({"Subject": "x"}, multipart("mixed", [_TNEF])), encode=False)])
    ),
    "broken-base64": _original(b"Content-Transfer-Encoding: base64\r\n\r\n!!!=QUJD=\r\n"),
    "bare-line-feeds": _original(multipart("mixed", [part("text/plain", b"x")])).replace(b"\r\n", b"\n"),
    "no-headers": b"\r\n\r\n",
    "null-bytes": _original(b"Content-Type: text/plain\0; charset\0\r\n\r\n\0\0\0\r\n"),
    "endless-encoded-word": _original(b"\r\nx", Subject="=?utf-8?b?" + "QUJD" * 5000),
}


@pytest.mark.parametrize("kind", sorted(_BROKEN))
async def test_case_29_broken_mime(world: Bench, kind: str) -> None:
    """Somebody sees it, its bytes are kept exactly, and the mail behind it is read."""
    receiver, raw = await world.party(), _BROKEN[kind]
    await put(world, receiver, raw, plain_letter(("a.pdf", b"%PDF")))
    seen = await settled(world, receiver, 2)
    [kept, _next] = await world.raw_mails(receiver)
    assert kept.message_id in {row.message_id for row in seen}
    assert kept.sha256 == hashlib.sha256(raw).hexdigest()
    assert await world.relay.deps.blobs.get(kept.sha256, limit=1_000_000) == raw
    page = (await world.relay.http.get("/inbound-messages", params={"institution": receiver.number})).json()
    assert {item["message_id"] for item in page["messages"]} == {str(row.message_id) for row in seen}
    if kind == "winmail":
        async with world.relay.deps.database.reading() as session:
            names = await session.scalars(
                select(InboundPartRow.filename).where(InboundPartRow.message_id == kept.message_id)
            )
            assert "winmail.dat" in list(names)


@pytest.mark.parametrize("change", ["line-ends", "transfer-encoding", "none"])
async def test_case_30_invalid_signature_of_the_sender(world: Bench, change: str) -> None:
    """Judged on the bytes as they came; the letter is offered with its verdict, whatever that is."""
    receiver = await world.party()
    original = letter(("a.pdf", b"%PDF"), message_id=f"<{uuid4()}@kepgw.test>")
    if change == "line-ends":
        original = original.replace(b"\r\n", b"\n")
    if change == "transfer-encoding":
        original = original.replace(base64.encodebytes(b"Ekte.").replace(b"\n", b""), b"RWt0ZS4")
    if change != "none":
        world.signer.conclusions[SignatureFormat.SMIME] = Conclusion.FAILED
    try:
        await put(world, receiver, dispatch(original))
        [row] = await settled(world, receiver)
    finally:
        world.signer.conclusions.pop(SignatureFormat.SMIME, None)
    assert row.state == "available"
    assert row.original_sha256 == hashlib.sha256(original).hexdigest()
    assert row.conclusion == ("passed" if change == "none" else "failed")
    assert row.reason_code == "no-package"


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as container:
        container.writestr("yazi.eyp", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("attachments", "reason"),
    [
        ([], "no-package"),
        ([("a.eyp", PACKAGE), ("b.eyp", PACKAGE + b"\0")], "several-packages"),
        ([("belge.dat", PACKAGE)], None),
        ([("yazi.zip", _zipped(PACKAGE))], "no-package"),
        ([("a.eyps", b"PK\x03\x04 encrypted")], "package-invalid"),
    ],
    ids=["missing", "several", "renamed", "zipped", "eyps"],
)
async def test_case_31_package_missing_several_renamed_zipped(
    world: Bench, attachments: list[tuple[str, bytes]], reason: str | None
) -> None:
    """Offered with a reason code; nothing is thrown away: every part can be fetched."""
    receiver = await world.party()
    await put(world, receiver, plain_letter(*attachments))
    [row] = await settled(world, receiver)
    assert row.state == "available"
    assert row.reason_code == reason
    for number, (_name, content) in enumerate(attachments, 2):
        answer = await world.relay.http.get(
            f"/inbound-messages/{row.message_id}/parts/{number}", params={"institution": receiver.number}
        )
        assert answer.content == content


@pytest.mark.parametrize(
    "package",
    [PACKAGE[: len(PACKAGE) // 2], b"PK\x03\x04 no package", letters.first_generation_package("9.9")],
    ids=["cut", "rubbish", "unknown-version"],
)
async def test_case_32_corrupt_package_is_received_with_its_defect_and_can_be_refused(
    world: Bench, package: bytes
) -> None:
    """Registered as received with a defect; the findings are what a refusal's reasons are made of."""
    receiver = await world.party()
    mine = {"institution": receiver.number}
    await put(world, receiver, plain_letter(("a.eyp", package)))
    [row] = await settled(world, receiver)
    assert (row.state, row.reason_code, row.conclusion) == ("available", "package-invalid", "failed")
    found = (await world.relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=mine)).json()
    fatal = [item for item in found["findings"] if item["severity"] == "fatal"]
    assert fatal
    shown = (await world.relay.http.get(f"/inbound-messages/{row.message_id}", params=mine)).json()
    assert shown["acceptance"]["state"] == "pending"
    reasons = [{"rule": fatal[0]["rule"], "text": fatal[0]["message_tr"]}]
    answer = await world.relay.http.post(
        f"/inbound-messages/{row.message_id}/acceptance", params=mine,
        json={"decision": "refused", "decided_by": "Evrak sorumlusu", "reasons": reasons},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    [kept] = await world.arrived(receiver)
    assert kept.raw_sha256 == row.raw_sha256


OUR_NUMBER, THEIR_NUMBER = 10000002, 10000001
"""Addressee and originator of the packages made here."""


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        ({OUR_NUMBER: "mine", THEIR_NUMBER: "a@hs98.kep.tr"}, None),
        ({OUR_NUMBER: "baska@hs99.kep.tr", THEIR_NUMBER: "a@hs98.kep.tr"}, "addressed-elsewhere"),
        ({OUR_NUMBER: "mine", THEIR_NUMBER: "gercek@hs97.kep.tr"}, "sender-mismatch"),
        ({}, None),
    ],
    ids=["case_33_34_as_it_should_be", "case_33_other_body", "case_34_sender_spoofed", "case_33_34_nothing_known"],
)
async def test_case_33_addressed_to_another_body_and_34_sender_spoofed_inside_the_package(
    world: Bench, book: dict[int, str], registered: dict[int, str], reason: str | None
) -> None:
    """Offered to a person with the reason and a finding; the sender shown is whom KEP proves, never whom a package names."""
    receiver = await world.party()
    mine = {"institution": receiver.number}
    book |= {number: receiver.address if address == "mine" else address for number, address in registered.items()}
    try:
        await put(world, receiver, plain_letter(("a.eyp", PACKAGE)))
        [row] = await settled(world, receiver)
    finally:
        book.clear()
    assert (row.state, row.reason_code, row.sender_address) == ("available", reason, "a@hs98.kep.tr")
    found = (await world.relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=mine)).json()
    flagged = [item for item in found["findings"] if item["rule"] in {"addressed-elsewhere", "sender-mismatch"}]
    assert [(item["rule"], item["severity"]) for item in flagged] == ([(reason, "important")] if reason else [])
    assert all(item["message_tr"] for item in flagged)
    shown = (await world.relay.http.get(f"/inbound-messages/{row.message_id}", params=mine)).json()
    assert shown["acceptance"]["state"] == "pending", "it can still be refused"
