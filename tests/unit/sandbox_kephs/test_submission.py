from __future__ import annotations

import aiosmtplib
import pytest

from services.sandbox.faults import Fault
from services.sandbox.world import ListenerPlan
from tests.unit.sandbox_kephs.conftest import A, B, C, Kephs, Letter, StartProviders, eventually


async def refused(kephs: Kephs, letter: Letter, **arguments: str) -> aiosmtplib.SMTPResponseException:
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await kephs.submit(letter, **arguments)  # type: ignore[arg-type]
    assert kephs.providers.messages(A, "Sent") == []
    assert kephs.providers.evidence() == []
    return caught.value


async def test_wrong_password(kephs: Kephs) -> None:
    assert (await refused(kephs, kephs.letter(), password="wrong")).code == 535


async def test_no_login(kephs: Kephs) -> None:
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=kephs.providers.ports["hs98"].smtp, use_tls=True, tls_context=kephs.tls, timeout=60
    )
    async with client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await client.sendmail(A, [B], kephs.letter().raw)
    assert caught.value.code == 530


async def test_login_mechanisms(kephs: Kephs) -> None:
    for method in ("auth_plain", "auth_login"):
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1",
            port=kephs.providers.ports["hs98"].smtp,
            use_tls=True,
            tls_context=kephs.tls,
            timeout=60,
        )
        async with client:
            await client.ehlo()
            assert (await getattr(client, method)(A, "pw-of-everyone")).code == 235


async def test_envelope_sender_is_not_the_account(kephs: Kephs) -> None:
    assert (await refused(kephs, kephs.letter(), sender=C)).code == 553


async def test_header_from_is_not_the_account(kephs: Kephs) -> None:
    assert (await refused(kephs, kephs.letter(sender=C))).code == 553


async def test_kind_header_is_missing(kephs: Kephs) -> None:
    error = await refused(kephs, kephs.letter(kind=None))
    assert error.code == 554
    assert "X-TR-REM-iletiTip" in error.message


async def test_message_is_not_signed(kephs: Kephs) -> None:
    plain = f"From: {A}\r\nTo: {B}\r\nMessage-ID: <1@x>\r\nX-TR-REM-iletiTip: standart\r\n\r\nMerhaba\r\n"
    assert (await refused(kephs, Letter("<1@x>", plain.encode()))).code == 554


async def test_message_is_too_large(kephs: Kephs) -> None:
    letter = kephs.letter(attachment=bytes(19 * 1024 * 1024 + 500_000))
    assert len(letter.raw) > 25 * 1024 * 1024
    assert (await refused(kephs, letter)).code == 552


async def test_megabytes_arrive_whole(kephs: Kephs) -> None:
    """Lines that begin with dots, in more than one piece of the stream, cross both SMTP hops unchanged."""
    letter = kephs.letter(attachment=bytes(4 * 1024 * 1024), text=b"..\r\n.\r\n.a\r\n\r\n" * 50_000)
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40)
    assert kephs.delivered(letter)[0].original_sha256 == letter.sha256


async def test_empty_message_is_refused_at_once(kephs: Kephs) -> None:
    assert (await refused(kephs, Letter("", b""))).code == 554
    assert (await refused(kephs, Letter("", b"\r\n.\r\n"))).code == 554


@pytest.mark.parametrize(("fault", "code"), [("smtp.tempfail", 451), ("smtp.permfail", 550)])
async def test_ordered_refusal(kephs: Kephs, fault: str, code: int) -> None:
    kephs.faults.order(Fault(fault, {"provider": "hs98"}, count=1))
    letter = kephs.letter()
    assert (await refused(kephs, letter)).code == code
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40)


@pytest.mark.parametrize("fault", ["smtp.refuse_connection", "smtp.drop_before_data"])
async def test_ordered_drop_before_anything_is_stored(kephs: Kephs, fault: str) -> None:
    kephs.faults.order(Fault(fault, count=1))
    letter = kephs.letter()
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await kephs.submit(letter)
    assert kephs.providers.messages(A, "Sent") == []
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40)


async def test_lost_answer_leaves_exactly_one_message(kephs: Kephs) -> None:
    """The client cannot know; the message is in Sent once, found by its Message-ID, and is delivered once."""
    kephs.faults.order(Fault("smtp.drop_after_data", count=1))
    letter = kephs.letter()
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await kephs.submit(letter)
    client = await kephs.imap(A)
    await client.select("Sent")
    result, lines = await client.uid_search(f'HEADER Message-ID "{letter.message_id}"', charset=None)
    assert result == "OK"
    assert lines[0] == b"1"
    await kephs.codes(letter, 10, 20, 40)
    assert len(kephs.delivered(letter)) == 1


async def test_starttls(start: StartProviders) -> None:
    async with start(smtp=ListenerPlan(0, "starttls")) as kephs:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=kephs.providers.ports["hs98"].smtp, use_tls=False, start_tls=False, timeout=60
        )
        async with client:
            with pytest.raises(aiosmtplib.SMTPException):
                await client.login(A, "pw-of-everyone")
        letter = kephs.letter()
        await kephs.submit(letter, starttls=True)
        await kephs.codes(letter, 10, 20, 40)


async def test_mail_and_unfinished_work_survive_a_restart(start: StartProviders) -> None:
    """A letter accepted just before the stop is delivered by the next run; UIDs and UIDVALIDITY stay."""
    async with start() as kephs:
        first, second = kephs.letter(), kephs.letter()
        await kephs.submit(first)
        await kephs.codes(first, 10, 20, 40)
        before = kephs.providers.messages(B)
        client = await kephs.imap(B)
        validity = next(line for line in (await client.select("INBOX"))[1] if b"UIDVALIDITY" in line)
        await kephs.submit(second)
    async with start() as kephs:
        await kephs.codes(second, 10, 20, 40)
        await eventually(lambda: len(kephs.providers.messages(B)) == 2)
        assert kephs.providers.messages(B)[:1] == before
        client = await kephs.imap(B)
        assert validity in (await client.select("INBOX"))[1]
