"""A letter signed by the real signer and handed to a real SMTP server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.kep_relay.drivers.smtp_imap.driver import SmtpImapDriver
from services.kep_relay.drivers.smtp_imap.imap import ImapReading
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.outbound.wiring import sign_by
from services.signer.app import build
from services.signer.settings import Settings as SignerSettings
from shared.clients.signer import SignerClient
from shared.clock import SystemClock
from shared.contracts.mailboxes import ServerAddress
from shared.contracts.signatures import Profile, SignatureFormat, VerificationRequest
from tests.support.gateway import serving
from tests.support.pki import PASSWORD, build_pki
from tests.support.relay import mailbox_configuration, running_relay
from tests.support.smtp_server import submission_server


@pytest.fixture
async def signer(tmp_path: Path) -> AsyncIterator[SignerClient]:
    clock = SystemClock()
    pki = build_pki(clock.now())
    directory = tmp_path / "signer"
    trust = directory / "trust"
    for purpose in ("qualified", "seal", "kephs", "timestamp", "intermediates"):
        (trust / purpose).mkdir(parents=True)
    pki.signer.write_pkcs12(directory / "key.p12")
    (directory / "password").write_bytes(PASSWORD)
    entry = {
        "key_id": "a-signing", "institution_no": 10000001, "purposes": ["kep-message"], "pkcs12": "key.p12",
        "password_file": "password",
    }  # fmt: skip
    (directory / "keys.json").write_text(json.dumps([entry]), encoding="utf-8")
    settings = SignerSettings.model_validate(
        {
            "port": 0, "ops_port": 0, "service_tokens": {"kep_relay": "t"}, "trust_directory": trust,
            "keys_file": directory / "keys.json",
        }
    )  # fmt: skip
    service = await build(settings, clock)
    async with service.resources, serving(service.app) as url:
        client = SignerClient(url, SecretStr("t"))
        yield client
        await client.aclose()


async def test_what_arrives_is_what_was_signed(database_url: str, tmp_path: Path, signer: SignerClient) -> None:
    async with submission_server(tmp_path) as server:
        smtp = ServerAddress(host="127.0.0.1", port=server.port, ca_file=str(server.ca_file))
        driver = SmtpImapDriver(SmtpSubmission(SmtpTimes(), client_name="client.test"), ImapReading())
        mailbox = mailbox_configuration(smtp=smtp, username=server.username, password=server.password)
        async with running_relay(
            database_url,
            tmp_path / "blobs",
            clock=SystemClock(),
            driver=driver,
            signer=sign_by(signer),
            mailbox=mailbox,
        ) as relay:
            message_id = await relay.hand_over(10000002, 10000003)
            for recipient in (await relay.letter(message_id)).recipients:
                await relay.submit(recipient.recipient_id)
            letter = await relay.letter(message_id)
            assert letter.state_counts == {"submitted": 2}, letter.recipients
            rows = [await relay.row(recipient.recipient_id) for recipient in letter.recipients]
            stored = [await relay.deps.blobs.get(row.composed_sha256 or "", limit=10**7) for row in rows]
        await driver.aclose()
        assert server.received == stored
    for raw in stored:
        request = VerificationRequest(format=SignatureFormat.SMIME, profile=Profile.INTEGRITY_ONLY)
        report = await signer.verify(request, raw)
        assert report.signatures[0].integrity, report


async def test_a_key_that_signer_does_not_have_blocks(database_url: str, tmp_path: Path, signer: SignerClient) -> None:
    mailbox = mailbox_configuration(signing_key_id="unknown")
    async with running_relay(
        database_url, tmp_path / "blobs", clock=SystemClock(), signer=sign_by(signer), mailbox=mailbox
    ) as relay:
        message_id = await relay.hand_over(10000002)
        await relay.submit((await relay.letter(message_id)).recipients[0].recipient_id)
        recipient = (await relay.letter(message_id)).recipients[0]
        assert (recipient.state, recipient.reason_code) == ("blocked", "signing-key-unavailable")
        assert recipient.reason is not None
        assert "unknown" in recipient.reason
