"""From a raw mail to a letter that can be leased: reasons, duplicates, verdicts, and signer's absence."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.kep_relay.tables import InboundVerificationRow
from shared.clock import FixedClock
from shared.contracts.signatures import Profile, SignatureFormat
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, evidence_xml, letter, mail
from tests.unit.eyp import letters

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}
PACKAGE = letters.package()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def signer_and_url() -> AsyncIterator[tuple[ScriptedSigner, str]]:
    async with scripted_signer() as pair:
        yield pair


@pytest.fixture
def signer(signer_and_url: tuple[ScriptedSigner, str]) -> ScriptedSigner:
    return signer_and_url[0]


@pytest.fixture
async def relay(
    database_url: str,
    tmp_path: Path,
    clock: FixedClock,
    signer_and_url: tuple[ScriptedSigner, str],
    request: pytest.FixtureRequest,
) -> AsyncIterator[Inbound]:
    changes = {"detsis_verification_senders": ["detsis@hs01.kep.tr"], **getattr(request, "param", {})}
    async with running_inbound(database_url, tmp_path, signer_url=signer_and_url[1], clock=clock, **changes) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


@pytest.mark.parametrize(
    ("raw", "state", "reason_code"),
    [
        (dispatch(letter(("a.eyp", PACKAGE))), "available", None),
        (dispatch(letter(("a.pdf", b"%PDF"))), "available", "no-package"),
        (dispatch(letter(("a.eyp", PACKAGE), ("b.eyp", PACKAGE))), "available", "several-packages"),
        (dispatch(letter(("a.eyps", PACKAGE))), "available", None),
        (dispatch(letter(("a.eyp", b"no zip at all"))), "available", "package-invalid"),
        (dispatch(letter(sender="detsis@hs01.kep.tr")), "quarantined", "detsis-verification"),
        (mail({"Subject": "Reklam", "From": "<x@y>"}, b"\r\nx"), "quarantined", "unrecognised"),
        (b"\x00", "quarantined", "unrecognised"),
    ],
)
async def test_every_mail_ends_where_somebody_sees_it(
    relay: Inbound, raw: bytes, state: str, reason_code: str | None
) -> None:
    await relay.take_in(raw, uid=1)
    (row,) = await relay.letters()
    assert (row.state, row.reason_code) == (state, reason_code)
    assert row.raw_sha256 is not None
    assert await relay.deps.blobs.get(row.raw_sha256, limit=10_000_000) == raw
    page = (await relay.http.get("/inbound-messages", params=MINE)).json()
    assert page["messages"][0]["state"] == state
    assert await relay.ledger_imbalance() == 0


async def test_what_signer_is_asked(relay: Inbound, signer: ScriptedSigner) -> None:
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    assert [(item.format, item.profile) for item in signer.asked] == [
        (SignatureFormat.SMIME, Profile.KEPHS_TRANSACTION),
        (SignatureFormat.SMIME, Profile.QUALIFIED_SIGNATURE),
        (SignatureFormat.CADES, Profile.QUALIFIED_SIGNATURE),
        (SignatureFormat.CADES, Profile.INSTITUTION_SEAL),
    ]
    assert {item.moment for item in signer.asked} == {NOW}
    (row,) = await relay.letters()
    assert (row.conclusion, row.document_id) == ("passed", letters.DOCUMENT_ID)
    assert row.document_no is not None


@pytest.mark.parametrize("relay", [{"sender_signature_profile": "integrity-only"}], indirect=True)
async def test_profile_of_the_senders_signature_is_a_setting(relay: Inbound, signer: ScriptedSigner) -> None:
    await relay.take_in(dispatch(letter()), uid=1)
    assert signer.asked[1].profile is Profile.INTEGRITY_ONLY


async def test_same_letter_again_is_one_letter(relay: Inbound) -> None:
    original = letter(("a.eyp", PACKAGE), message_id="<one@a>")
    await relay.take_in(dispatch(original), uid=1)
    await relay.take_in(dispatch(original, Message_ID="<another-envelope@hs98>"), uid=2)
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE), message_id="<two@a>")), uid=3)
    assert [row.message_key for row in await relay.letters()] == ["one@a", "two@a"]
    assert [raw.state for raw in await relay.raw_mails()] == ["ingested", "duplicate", "ingested"]
    assert relay.registry.get_sample_value("kepgw_duplicates_suppressed_total", {"kind": "letter"}) == 1
    assert await relay.ledger_imbalance() == 0


async def test_failed_verdict_does_not_hide_the_letter(relay: Inbound, signer: ScriptedSigner) -> None:
    signer.conclusions[SignatureFormat.CADES] = Conclusion.FAILED
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    (row,) = await relay.letters()
    assert (row.state, row.conclusion, row.reason_code) == ("available", "failed", "signature-failed")


async def test_unsigned_letter_is_a_failed_one(relay: Inbound, signer: ScriptedSigner) -> None:
    signer.unsigned = {SignatureFormat.SMIME}
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    assert (await relay.letters())[0].conclusion == "failed"


async def test_signer_away_leaves_the_letter_visible_and_waiting(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.away = True
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    page = (await relay.http.get("/inbound-messages", params=MINE)).json()
    assert [(item["state"], item["reason_code"]) for item in page["messages"]] == [("parsed", "signer-unavailable")]
    assert await relay.ledger_imbalance() == 0
    signer.away = False
    clock.moment += timedelta(seconds=20)
    await relay.sweep()
    await relay.run_jobs()
    (row,) = await relay.letters()
    assert (row.state, row.reason_code, row.conclusion) == ("available", None, "passed")


async def test_undecided_verdict_is_settled_later_and_both_are_kept(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.conclusions[SignatureFormat.CADES] = Conclusion.INDETERMINATE
    signer.retry_after_seconds = 60
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE))), uid=1)
    (row,) = await relay.letters()
    assert (row.state, row.conclusion) == ("available", "indeterminate")
    signer.conclusions.clear()
    clock.moment += timedelta(seconds=90)
    await relay.sweep()
    await relay.run_jobs()
    async with relay.deps.database.reading() as session:
        verdicts = await session.scalars(
            select(InboundVerificationRow.conclusion).order_by(InboundVerificationRow.sequence)
        )
        assert list(verdicts) == ["indeterminate", "passed"]
    (row,) = await relay.letters()
    assert (row.state, row.conclusion, row.verify_at) == ("available", "passed", None)
    answer = await relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=MINE)
    assert answer.json()["conclusion"] == "passed"


async def test_parts_are_served_as_they_are(relay: Inbound) -> None:
    await relay.take_in(dispatch(letter(("a.html", b"<script>"), ("a.eyp", PACKAGE)), evidence_xml(10)), uid=1)
    (row,) = await relay.letters()
    path = f"/inbound-messages/{row.message_id}"
    shown = (await relay.http.get(path, params=MINE)).json()
    assert [(item["number"], item["filename"]) for item in shown["parts"]] == [(1, None), (2, "a.html"), (3, "a.eyp")]
    answer = await relay.http.get(f"{path}/parts/2", params=MINE)
    assert (answer.content, answer.headers["content-type"]) == (b"<script>", "application/octet-stream")
    assert (await relay.http.get(f"{path}/parts/3", params=MINE | {"start": 2, "end": 6})).content == PACKAGE[2:6]
    assert (await relay.http.get(f"{path}/parts/3", params=MINE | {"start": len(PACKAGE) + 1})).status_code == 416
    assert (await relay.http.get(f"{path}/parts/4", params=MINE)).status_code == 404


async def test_lost_jobs_are_made_again_from_the_rows(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.away = True
    await relay.take_in(dispatch(letter(("a.eyp", PACKAGE)), evidence_xml(10)), uid=1)
    await relay.execute("UPDATE raw_mails SET state = 'stored', next_attempt_at = :now", now=NOW)
    await relay.execute("DELETE FROM acceptances")
    await relay.execute("DELETE FROM inbound_parts")
    await relay.execute("DELETE FROM evidence")
    await relay.execute("DELETE FROM inbound_messages")
    await relay.execute("DELETE FROM procrastinate_jobs")
    signer.away = False
    clock.moment += timedelta(seconds=20)
    await relay.sweep()
    await relay.run_jobs()
    assert [row.state for row in await relay.letters()] == ["available"]
    assert [row.conclusion for row in await relay.evidence()] == ["passed"]


async def test_mail_that_cannot_be_read_is_quarantined_with_its_bytes(relay: Inbound, clock: FixedClock) -> None:
    """Here the bytes are gone from the store: the worst thing reading can meet."""
    raw = dispatch(letter(("a.eyp", PACKAGE)))
    digest = await relay.store(raw, uid=1)
    path = Path(relay.deps.settings.blob_store_url.removeprefix("file://"))
    (path / digest[:2] / digest[2:4] / digest).unlink()
    for _ in range(8):
        await relay.run_jobs()
        clock.moment += timedelta(hours=1)
        await relay.sweep()
    (row,) = await relay.letters()
    assert (row.state, row.reason_code) == ("quarantined", "ingest-failed")
    assert await relay.ledger_imbalance() == 0


async def test_a_full_disk_keeps_a_large_mail_waiting_and_puts_nothing_aside(
    relay: Inbound, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Large mails are read from a temporary file; more failures than a broken mail gets attempts."""
    await relay.store(dispatch(letter(("a.bin", b"\x00" * 2_000_000))), uid=1)
    with monkeypatch.context() as machine:
        machine.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        for _ in range(7):
            with pytest.raises(DomainError) as caught:
                await relay.run_jobs()
            assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE
            clock.moment += timedelta(minutes=10)
            await relay.sweep()
    (waiting,) = await relay.raw_mails()
    assert (waiting.state, waiting.attempts) == ("stored", 0)
    await relay.run_jobs()
    (taken,) = await relay.letters()
    assert (taken.state, taken.reason_code) == ("available", "no-package")
