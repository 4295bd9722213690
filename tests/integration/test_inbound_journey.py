"""A letter between two institutions over real SMTP and IMAP, judged by the real signer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import Fault, FaultBoard
from services.sandbox.kephs import start_providers
from services.sandbox.pki.identity import Identity
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clock import SystemClock
from shared.contracts.inbound import InboundVerification
from shared.domain.verdict import Conclusion
from tests.support.gateway import TOKENS, serving
from tests.support.inbound import SENDER_NO, Inbound, running_inbound, until
from tests.support.pki import Authority, Hierarchy, Holder, Pki, build_pki
from tests.unit.eyp import letters
from tests.unit.sandbox_kephs.conftest import PASSWORD, TIMING, A, B, Kephs, Letter, plans, write_letter
from tests.unit.sandbox_kephs.pki import client_context, make_identity, make_root, server_context
from tests.unit.signer.signing import sign

RECEIVER_NO = 10000002
_REACHED = [("outbound", "delivered"), ("outbound", "read"), ("inbound", "available"), ("inbound", "consumed")]


def identity(holder: Holder, hierarchy: Hierarchy) -> Identity:
    return Identity(holder.certificate, holder.key, (*holder.issuers, hierarchy.root.certificate))  # type: ignore[arg-type]


def signed_package(pki: Pki, *, broken: bool = False) -> bytes:
    started = letters.draft()
    signature = sign(pki.signer, started.digest_to_be_signed())
    if broken:
        signature = signature[:-5] + bytes([signature[-5] ^ 1]) + signature[-4:]
    unsealed = started.with_signature(signature).with_final_metadata(letters.FINAL, created=letters.MOMENT)
    return unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed())).to_bytes()


@dataclass
class World:
    kephs: Kephs
    inbound: Inbound
    pki: Pki

    def letter(self, package: bytes) -> Letter:
        return write_letter(identity(self.pki.signer, self.pki.qualified), attachment=package)

    async def letter_of(self, institution_no: int, state: str) -> dict[str, Any] | None:
        page = await self.inbound.http.get("/inbound-messages", params={"institution": institution_no, "state": state})
        assert page.status_code == 200, page.text
        return next(iter(page.json()["messages"]), None)

    async def verification(self, message_id: str) -> InboundVerification:
        answer = await self.inbound.http.get(
            f"/inbound-messages/{message_id}/verification", params={"institution": RECEIVER_NO}
        )
        return InboundVerification.model_validate_json(answer.content)


def write_lists(pki: Pki, directory: Path) -> Path:
    directory.mkdir()
    for number, content in enumerate(pki.crls(SystemClock().now())):
        (directory / f"{number}.crl").write_bytes(content)
    return directory


@pytest.fixture
async def world(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    options: dict[str, Any] = getattr(request, "param", {})
    pki = build_pki(SystemClock().now())
    assert isinstance(pki.kephs.issuing, Authority)
    root = make_root()
    transaction = identity(pki.transaction, pki.kephs)
    identities = {
        "hs98": transaction,
        "hs99": transaction,
        "server": make_identity(root, "127.0.0.1", host="127.0.0.1"),
    }
    authorities = tmp_path / "tls.pem"
    authorities.write_bytes(root.certificate_pem)
    trust = pki.write_trust(tmp_path / "trust")
    faults, clock = FaultBoard(), ShiftedClock(SystemClock())
    settings = SignerSettings.model_validate(
        {
            "port": 0, "ops_port": 0, "service_tokens": TOKENS, "trust_directory": trust,
            "revocation_directory": write_lists(pki, tmp_path / "crl") if options.get("crl", True) else None,
            "retry_after_seconds": 600,
        }
    )  # fmt: skip
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
        signer = await build_signer(settings, SystemClock())
        await stack.enter_async_context(signer.resources)
        url = await stack.enter_async_context(serving(signer.app))
        inbound = await stack.enter_async_context(
            running_inbound(database_url, tmp_path / "blobs", signer_url=url, signer_token=TOKENS["kep_relay"])
        )
        for mailbox_id, number, address in (("a-1", SENDER_NO, A), ("b-1", RECEIVER_NO, B)):
            port = providers.ports[address.partition("@")[2].partition(".")[0]].imap
            await inbound.put_mailbox(
                mailbox_id, number, address, password=PASSWORD,
                imap={"host": "127.0.0.1", "port": port, "ca_file": str(authorities)}, poll_interval_seconds=5,
            )  # fmt: skip
        yield World(kephs, inbound, pki)


async def test_letter_arrives_verified_and_evidence_closes_it(world: World) -> None:
    package = signed_package(world.pki)
    letter = world.letter(package)
    recipient_id = await world.inbound.outgoing(letter.message_id)
    client = world.inbound.http
    mine = {"institution": RECEIVER_NO}
    async with world.inbound.at_work():
        await world.kephs.submit(letter)
        received = await until(lambda: world.letter_of(RECEIVER_NO, "available"))
        assert received["conclusion"] == "passed", await world.verification(received["message_id"])
        assert (received["reason_code"], received["sender_address"], received["subject"]) == (None, A, "Görüş talebi")
        assert received["package_sha256"] == hashlib.sha256(package).hexdigest()
        assert received["message_id_header"] == letter.message_id
        assert [part["is_package"] for part in received["parts"]] == [False, True]

        path = f"/inbound-messages/{received['message_id']}"
        verification = await world.verification(received["message_id"])
        assert {item.component: item.report.conclusion for item in verification.components} == {
            "envelope": "passed", "sender-signature": "passed", "package-signature": "passed", "package-seal": "passed",
        }  # fmt: skip
        assert (await client.get(f"{path}/package", params=mine)).content == package
        ranged = await client.get(f"{path}/package", params=mine | {"start": 5, "end": 25})
        assert (ranged.content, ranged.headers["content-length"]) == (package[5:25], "20")
        stored = world.kephs.providers.content(B, "INBOX", 1)
        assert (await client.get(f"{path}/raw", params=mine)).content == stored
        for other in ("package", "raw", "verification", "parts/1"):
            assert (await client.get(f"{path}/{other}", params={"institution": SENDER_NO})).status_code == 404

        async def state() -> str:
            return (await world.inbound.recipient(recipient_id)).state

        async def delivered() -> bool:
            return await state() == "delivered"

        await until(delivered)
        assert not world.kephs.providers.messages(B)[0].seen

        lease = {"institution_nos": [RECEIVER_NO], "client_id": "ebys-b"}
        leased = (await client.post("/inbound-messages/leases", params=mine, json=lease)).json()
        assert [item["message_id"] for item in leased["messages"]] == [received["message_id"]]
        body = {"lease_token": leased["lease_token"], "registry_no": "E-2026/7"}
        answer = await client.post(f"{path}/ack", params=mine, json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, "consumed")

        async def read() -> bool:
            return await state() == "read"

        await until(read)
    row = await world.inbound.recipient(recipient_id)
    assert row.attention == []
    codes = [item.code for item in await world.inbound.evidence() if item.recipient_id == recipient_id]
    assert sorted(filter(None, codes)) == [10, 20, 40, 60]
    final = (await client.get(path, params=mine)).json()
    assert final["provider_acknowledged_at"] is not None
    assert await world.inbound.ledger_imbalance() == 0
    assert {reached: world.inbound.came_to(*reached) for reached in _REACHED} == dict.fromkeys(_REACHED, 1)


async def test_broken_package_signature_is_offered_with_its_verdict(world: World) -> None:
    async with world.inbound.at_work():
        await world.kephs.submit(world.letter(signed_package(world.pki, broken=True)))
        received = await until(lambda: world.letter_of(RECEIVER_NO, "available"))
    assert received["conclusion"] == "failed"
    verification = await world.verification(received["message_id"])
    verdicts = {item.component: item.report.conclusion for item in verification.components}
    assert verdicts["package-signature"] is Conclusion.FAILED
    assert verdicts["envelope"] is Conclusion.PASSED


async def test_spoilt_evidence_fails_at_the_real_signer(world: World) -> None:
    world.kephs.faults.order(Fault("evidence.bad_signature", {"code": "40"}))
    letter = world.letter(b"PK\x03\x04 not a package")
    recipient_id = await world.inbound.outgoing(letter.message_id)

    async def three() -> bool:
        mine = [item for item in await world.inbound.evidence() if item.recipient_id == recipient_id]
        return len(mine) == 3 and all(item.conclusion for item in mine)

    async with world.inbound.at_work():
        await world.kephs.submit(letter)
        await until(three)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("relayed", ["evidence_unverified"])


@pytest.mark.parametrize("world", [{"crl": False}], indirect=True)
async def test_without_revocation_lists_everything_is_undecided_and_goes_on(world: World) -> None:
    letter = world.letter(signed_package(world.pki))
    recipient_id = await world.inbound.outgoing(letter.message_id)

    async def delivered() -> bool:
        return (await world.inbound.recipient(recipient_id)).state == "delivered"

    async with world.inbound.at_work():
        await world.kephs.submit(letter)
        received = await until(lambda: world.letter_of(RECEIVER_NO, "available"))
        await until(delivered)
    assert received["conclusion"] == "indeterminate"
    assert (await world.inbound.recipient(recipient_id)).attention == ["evidence_unverified"]
    assert all(item.verify_at for item in await world.inbound.evidence())
