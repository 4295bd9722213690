from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import aiosmtplib
import pytest

from services.sandbox.faults import Fault
from services.sandbox.kephs import REJECTION_WORD
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.envelope import EnvelopeStamp, compose_dispatch, compose_evidence_mail, letter_facts
from shared.clock import SystemClock
from tests.unit.sandbox_kephs.conftest import TIMING, A, B, C, Kephs, StartProviders, eventually


@pytest.mark.parametrize(
    ("local_part", "codes"),
    [
        ("full", [10, 20, 41]),
        ("unknown", [10, 20, 41]),
        ("nobody.has.this", [10, 20, 41]),
        ("down", [10, 31]),
        ("reject", [10, 21]),
        ("refuse", [11]),
        ("slow", [10, 20, 40]),
        ("late40", [10, 31, 40]),
        ("nodelil", [10]),
        ("lost.2", [10]),
    ],
)
async def test_recipient_decides_the_outcome(kephs: Kephs, local_part: str, codes: list[int]) -> None:
    letter = kephs.letter()
    await kephs.submit(letter, f"{local_part}@hs99.kep.tr")
    await kephs.codes(letter, *codes)


async def test_outcome_takes_its_time(kephs: Kephs) -> None:
    """``slow`` and ``late40`` hold 40 back, ``down`` holds 31 back."""
    slow, late, down = kephs.letter(), kephs.letter(), kephs.letter()
    await kephs.submit(slow, "slow@hs99.kep.tr")
    await kephs.submit(late, "late40@hs99.kep.tr")
    await kephs.submit(down, "down@hs99.kep.tr")
    for letter, codes, seconds in ((slow, (10, 20, 40), 0.15), (late, (10, 31, 40), 0.15), (down, (10, 31), 0.1)):
        issued = await kephs.codes(letter, *codes)
        assert (issued[-1].issued_at - issued[-2].issued_at).total_seconds() >= seconds - 0.02


async def test_dup_gives_everything_twice_and_out_of_order(start: StartProviders) -> None:
    async with start(timing=replace(TIMING, disorder_spread=timedelta(hours=1))) as kephs:
        letter = kephs.letter()
        await kephs.submit(letter, "dup@hs99.kep.tr")
        for number in range(1, 4):
            await eventually(lambda arrived=2 * number: len(kephs.evidence_mails(letter)) == arrived)
            kephs.clock.move_to(timedelta(hours=number, minutes=30))
        assert kephs.order_of_arrival(letter) == [40, 40, 20, 20, 10, 10]
        assert len(kephs.delivered(letter, "dup@hs99.kep.tr")) == 1


async def test_unknown_domain_cannot_be_reached(kephs: Kephs) -> None:
    letter = kephs.letter()
    await kephs.submit(letter, "b@hs08.kep.tr")
    await kephs.codes(letter, 10, 31)


async def test_changed_content_is_rejected_by_evidence(kephs: Kephs) -> None:
    """The message is taken at the door, as its form is right; its signature does not hold: 11."""
    letter = kephs.letter()
    broken = type(letter)(letter.message_id, letter.raw.replace(b'name="belge.eyp"', b'name="belge.exe"'))
    await kephs.submit(broken)
    (rejection,) = await kephs.codes(letter, 11)
    assert b"InvalidSenderSignature" in rejection.xml
    assert kephs.delivered(letter) == []


async def test_control_word_in_the_subject_is_rejected(kephs: Kephs) -> None:
    letter = kephs.letter(subject=f"Konu {REJECTION_WORD}")
    await kephs.submit(letter)
    await kephs.codes(letter, 11)


async def test_relay_that_stays_down_gives_31(kephs: Kephs) -> None:
    kephs.faults.order(Fault("relay.down", {"provider": "hs99"}))
    letter = kephs.letter()
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 31)
    assert kephs.delivered(letter) == []


async def test_relay_that_comes_back_in_time_gives_40(start: StartProviders) -> None:
    async with start(timing=replace(TIMING, unreachable_after=timedelta(hours=1))) as kephs:
        kephs.faults.order(Fault("relay.down", {"provider": "hs99"}, count=2))
        letter = kephs.letter()
        await kephs.submit(letter)
        await kephs.codes(letter, 10, 20, 40)
        assert not kephs.faults.in_force()


async def test_envelope_of_a_stranger_is_refused_with_21(kephs: Kephs) -> None:
    """Only a provider's transaction certificate opens the relay."""
    letter = kephs.letter()
    facts = letter_facts(letter.raw, dispatch_id="<REM.1@hs98.kep.tr>", recipients=(B,))
    now = SystemClock().now()
    stamp = EnvelopeStamp("<1@hs98.kep.tr>", "kephs@hs98.kep.tr", "hs98", B, now)
    envelope = compose_dispatch(
        letter.raw, facts, b"<none/>", "none", stamp, lambda entity: sign_detached(entity, kephs.signer, now)
    )
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=kephs.providers.ports["hs99"].relay, use_tls=False, timeout=60)
    async with client:
        await client.sendmail("kephs@hs98.kep.tr", [B], envelope)
    await kephs.codes(letter, 21)
    assert kephs.delivered(letter) == []


async def test_evidence_of_a_stranger_is_not_placed(kephs: Kephs) -> None:
    letter = kephs.letter()
    facts = letter_facts(letter.raw, dispatch_id="<REM.1@hs99.kep.tr>", recipients=(B,))
    now = SystemClock().now()
    stamp = EnvelopeStamp("<1@hs99.kep.tr>", "kephs@hs99.kep.tr", "hs99", A, now)
    mail = compose_evidence_mail(
        40, "X-1", b"<none/>", facts, stamp, lambda entity: sign_detached(entity, kephs.signer, now)
    )
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=kephs.providers.ports["hs98"].relay, use_tls=False, timeout=60)
    async with client:
        with pytest.raises(aiosmtplib.SMTPDataError):
            await client.sendmail("kephs@hs99.kep.tr", [A], mail)
    assert kephs.providers.messages(A) == []


async def test_evidence_can_be_late(kephs: Kephs) -> None:
    kephs.faults.order(Fault("evidence.delay", {"code": "10"}, value=3600))
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.evidence_mails(letter)) == 2)
    kephs.clock.move_to(timedelta(hours=2))
    await kephs.codes(letter, 10, 20, 40)
    assert kephs.order_of_arrival(letter)[-1] == 10


async def test_evidence_can_come_twice(kephs: Kephs) -> None:
    kephs.faults.order(Fault("evidence.duplicate", {"code": "40"}, count=1))
    letter = kephs.letter()
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40, mails=4)
    assert sorted(kephs.order_of_arrival(letter)) == [10, 20, 40, 40]


async def test_evidence_of_an_unknown_kind_comes_with_delivery(kephs: Kephs) -> None:
    kephs.faults.order(Fault("evidence.unknown_code", count=1))
    letter = kephs.letter()
    await kephs.submit(letter)
    issued = await kephs.codes(letter, 10, 20, 40, 70)
    assert b"AcceptanceRejectionByRecipient" in issued[-1].xml


async def test_a_recipient_named_twice_gets_one_copy(kephs: Kephs) -> None:
    letter = kephs.letter(recipient=C)
    await kephs.submit(letter, C, C)
    await kephs.codes(letter, 10, 40)
    assert len(kephs.delivered(letter, C)) == 1


async def test_a_letter_deleted_from_sent_does_not_stop_the_next(start: StartProviders) -> None:
    """The scripted wait is used to empty the folder before the provider comes back to the letter."""
    async with start(timing=replace(TIMING, late_delivery=timedelta(hours=1))) as kephs:
        lost, letter = kephs.letter(), kephs.letter()
        await kephs.submit(lost, "late40@hs99.kep.tr")
        await kephs.codes(lost, 10, 31)
        client = await kephs.imap(A)
        await client.select("Sent")
        await client.uid("store", "1:*", "+FLAGS", "(\\Deleted)")
        await client.expunge()
        kephs.clock.move_to(timedelta(hours=2))
        await kephs.submit(letter)
        await kephs.codes(letter, 10, 20, 40)
        await eventually(lambda: kephs.providers.unfinished() == 0)
        assert not kephs.delivered(lost, "late40@hs99.kep.tr")


async def test_twenty_letters_at_once_all_arrive(kephs: Kephs) -> None:
    letters = [kephs.letter() for _ in range(20)]
    await asyncio.gather(*(kephs.submit(letter) for letter in letters))
    await eventually(lambda: all(len(kephs.evidence_mails(letter)) == 3 for letter in letters), 20)
    assert sorted(mail.original_sha256 for mail in kephs.providers.messages(B)) == sorted(
        letter.sha256 for letter in letters
    )
