"""Failure case 25 of kep.md section 7: servers with old TLS, one by one and by configuration."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.kep_relay.drivers.protocol import MailboxAccount
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.drivers.smtp_imap.tls import client_context
from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import kep_address
from shared.errors import DomainError
from tests.support.delivering import talker

GREETING = b"* OK ready\r\n"
_TIMING = ImapTiming(connect_seconds=20, command_seconds=20)


def _old(context: ssl.SSLContext) -> None:
    """TLS 1.2 with a cipher that the strict profile does not offer."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")


def _ancient(context: ssl.SSLContext) -> None:
    """Nothing above TLS 1.1."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def account(server: dict[str, object]) -> MailboxAccount:
    address = ServerAddress.model_validate(server)
    return MailboxAccount(
        "m", 10000001, kep_address("a@hs98.kep.tr"), "a", SecretStr("x"), address, address, "INBOX", "Sent", 1
    )


async def fault(reading: ImapReading, mailbox: MailboxAccount) -> str:
    with pytest.raises(DomainError) as caught:
        async with reading.open_inbox(mailbox):
            pass
    return caught.value.detail


async def test_case_25_old_server_needs_its_profile_and_gets_no_other(tmp_path: Path) -> None:
    """Strict by default; with the profile of this endpoint the handshake succeeds (and this server then hangs up)."""
    async with talker(tmp_path, GREETING, tls=True, prepare=_old) as server:
        mailbox = account(server.address)
        named = f"127.0.0.1:{server.port}"
        assert "greeting failed" in await fault(ImapReading(_TIMING), mailbox)
        assert "greeting failed" in await fault(ImapReading(_TIMING, legacy_tls=["127.0.0.1:1"]), mailbox)
        assert server.visits == 0
        assert "greeting failed" not in await fault(ImapReading(_TIMING, legacy_tls=[named]), mailbox)
        smtp = SmtpSubmission(SmtpTimes(connect=20, command=20), client_name="test", legacy_tls=[named])
        with pytest.raises(DomainError):
            await smtp.probe(mailbox)
        await smtp.aclose()
        assert server.visits == 2


async def test_case_25_profile_takes_no_stranger_and_nothing_below_tls_1_2(tmp_path: Path) -> None:
    async with talker(tmp_path, GREETING, tls=True, prepare=_old) as server:
        named = f"127.0.0.1:{server.port}"
        stranger = account(server.address | {"ca_file": None})
        assert "certificate is not trusted" in await fault(ImapReading(_TIMING, legacy_tls=[named]), stranger)
    (tmp_path / "ancient").mkdir()
    async with talker(tmp_path / "ancient", GREETING, tls=True, prepare=_ancient) as server:
        named = f"127.0.0.1:{server.port}"
        await fault(ImapReading(_TIMING, legacy_tls=[named]), account(server.address))
        assert server.visits == 0


async def test_case_25_strict_profile_is_the_default() -> None:
    address = ServerAddress(host="Mail.Example", port=993)
    strict, legacy = await client_context(address), await client_context(address, {"mail.example:993"})
    for context in (strict, legacy):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    names = [{cipher["name"] for cipher in context.get_ciphers()} for context in (strict, legacy)]
    assert "AES128-SHA" in names[1] - names[0]
