"""A refused letter's sender is told over real SMTP and IMAP: signed by the real signer, proven by evidence, once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from services.kep_relay.outbound.wiring import sign_by
from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import Fault, FaultBoard
from services.sandbox.kephs import start_providers
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clients.signer import SignerClient
from shared.clock import SystemClock
from shared.contracts.outbound import OutboundMessage
from tests.integration.test_inbound_journey import RECEIVER_NO, identity, signed_package, write_lists
from tests.support.gateway import TOKENS, serving
from tests.support.inbound import SENDER_NO, Inbound, running_inbound, until
from tests.support.pki import PASSWORD as KEY_PASSWORD
from tests.support.pki import Pki, build_pki
from tests.unit.sandbox_kephs.conftest import PASSWORD, TIMING, A, B, Kephs, Letter, plans, write_letter
from tests.unit.sandbox_kephs.pki import client_context, make_identity, make_root, server_context

REFUSAL = {
    "decision": "refused", "decided_by": "F. Örnek", "reasons": [{"rule": "R.30", "text": "Ek listesindeki çizim yok."}],
}  # fmt: skip
SIGNED = ("envelope", "sender-signature")


@dataclass
class World:
    kephs: Kephs
    relay: Inbound
    pki: Pki

    def letter(self) -> Letter:
        return write_letter(identity(self.pki.signer, self.pki.qualified), attachment=signed_package(self.pki))

    async def available(self, institution_no: int) -> dict[str, Any] | None:
        parameters = {"institution": institution_no, "state": "available"}
        page = (await self.relay.http.get("/inbound-messages", params=parameters)).json()
        return next(iter(page["messages"]), None)

    async def call(self, institution_no: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.relay.http.post(path, params={"institution": institution_no}, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def order(self, message_id: str) -> OutboundMessage:
        body = {"notice_id": str(uuid4()), "decided_by": "G. Deneme", "client_id": "ebys-b", "correlation_id": "c"}
        path = f"/inbound-messages/{message_id}/refusal-notice"
        return OutboundMessage.model_validate(await self.call(RECEIVER_NO, path, body))

    async def is_in(self, recipient_id: UUID, state: str) -> bool:
        return (await self.relay.recipient(recipient_id)).state == state


def signer_settings(pki: Pki, directory: Path) -> SignerSettings:
    trust = pki.write_trust(directory / "trust")
    pki.signer.write_pkcs12(directory / "key.p12")
    (directory / "password").write_bytes(KEY_PASSWORD)
    entry = {
        "key_id": "key", "institution_no": RECEIVER_NO, "purposes": ["kep-message"], "pkcs12": "key.p12",
        "password_file": "password",
    }  # fmt: skip
    (directory / "keys.json").write_text(json.dumps([entry]), encoding="utf-8")
    return SignerSettings.model_validate(
        {
            "port": 0, "ops_port": 0, "service_tokens": TOKENS, "trust_directory": trust,
            "revocation_directory": write_lists(pki, directory / "crl"), "retry_after_seconds": 600,
            "keys_file": directory / "keys.json",
        }
    )  # fmt: skip


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    pki, root = build_pki(SystemClock().now()), make_root()
    transaction = identity(pki.transaction, pki.kephs)
    identities = {
        "hs98": transaction, "hs99": transaction, "server": make_identity(root, "127.0.0.1", host="127.0.0.1"),
    }  # fmt: skip
    authorities = tmp_path / "tls.pem"
    authorities.write_bytes(root.certificate_pem)
    faults, clock = FaultBoard(), ShiftedClock(SystemClock())
    async with AsyncExitStack() as stack:
        providers = await start_providers(
            plans(identities),
            server_context=server_context(identities["server"], tmp_path),
            state_directory=tmp_path / "kephs",
            clock=clock,
            faults=faults,
            timing=TIMING,
        )
        stack.push_async_callback(providers.aclose)
        kephs = Kephs(providers, faults, clock, client_context(root), transaction, root, identities)
        signer = await build_signer(signer_settings(pki, tmp_path), SystemClock())
        await stack.enter_async_context(signer.resources)
        url = await stack.enter_async_context(serving(signer.app))
        client = SignerClient(url, SecretStr(TOKENS["kep_relay"]))
        stack.push_async_callback(client.aclose)
        relay = await stack.enter_async_context(
            running_inbound(
                database_url, tmp_path / "blobs", signer_url=url, signer_token=TOKENS["kep_relay"],
                sign=sign_by(client), reconcile_pauses_seconds=[0.2],
            )
        )  # fmt: skip
        for mailbox_id, number, address in (("a-1", SENDER_NO, A), ("b-1", RECEIVER_NO, B)):
            ports = providers.ports[address.partition("@")[2].partition(".")[0]]
            reached = {"host": "127.0.0.1", "ca_file": str(authorities)}
            await relay.put_mailbox(
                mailbox_id, number, address, password=PASSWORD, smtp=reached | {"port": ports.smtp},
                imap=reached | {"port": ports.imap}, poll_interval_seconds=5,
            )  # fmt: skip
        yield World(kephs, relay, pki)


@pytest.mark.parametrize("answer_lost", [False, True], ids=["answered", "answer-lost"])
async def test_the_sender_is_told_and_evidence_comes_back(world: World, answer_lost: bool) -> None:
    letter = world.letter()
    async with world.relay.at_work():
        await world.kephs.submit(letter)
        refused = await until(lambda: world.available(RECEIVER_NO), 60)
        await world.call(RECEIVER_NO, f"/inbound-messages/{refused['message_id']}/acceptance", REFUSAL)
        if answer_lost:
            world.kephs.faults.order(Fault("smtp.drop_after_data", {"account": B}))
        (recipient,) = (await world.order(refused["message_id"])).recipients
        await until(lambda: world.is_in(recipient.recipient_id, "delivered"), 60)

        told = await until(lambda: world.available(SENDER_NO), 60)
        assert (told["subject"], told["sender_address"], told["reason_code"]) == ("Ret bildirimi", B, "no-package")
        assert (told["message_id_header"], told["rem_id"]) == (recipient.message_id_header, recipient.rem_id)
        path, mine = f"/inbound-messages/{told['message_id']}", {"institution": SENDER_NO}
        verification = (await world.relay.http.get(f"{path}/verification", params=mine)).json()
        verdicts = {item["component"]: item["report"]["conclusion"] for item in verification["components"]}
        assert verdicts == dict.fromkeys(SIGNED, "passed"), verification
        raw = message_from_bytes(
            (await world.relay.http.get(f"{path}/raw", params=mine)).content, policy=policy.default
        )
        original = next(part.get_payload(0) for part in raw.walk() if part.get_content_type() == "message/rfc822")
        assert (original["In-Reply-To"], original["References"]) == (letter.message_id, letter.message_id)
        assert original["X-TR-REM-iletiTip"] == "standart"
        text = (await world.relay.http.get(f"{path}/parts/1", params=mine)).content.decode()
        assert f"Message-ID: {letter.message_id}" in text
        assert "1. Kural R.30 - Ek listesindeki çizim yok." in text

        lease = {"institution_nos": [SENDER_NO], "client_id": "ebys-a"}
        leased = await world.call(SENDER_NO, "/inbound-messages/leases", lease)
        await world.call(SENDER_NO, f"{path}/ack", {"lease_token": leased["lease_token"], "registry_no": "2026/9"})
        await until(lambda: world.is_in(recipient.recipient_id, "read"), 60)
    codes = [item.code for item in await world.relay.evidence() if item.recipient_id == recipient.recipient_id]
    assert sorted(filter(None, codes)) == [10, 20, 40, 60]
    letters = [mail for mail in world.kephs.providers.messages(A) if mail.kind == "letter"]
    assert [mail.original_message_id for mail in letters] == [recipient.message_id_header], "one notice, not two"
    row = await world.relay.recipient(recipient.recipient_id)
    assert (row.attempts, row.attention) == (1, [])
