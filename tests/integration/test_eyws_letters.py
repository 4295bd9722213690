"""A letter's whole life over PTT KEP's SOAP service on both ends: handed over, sent, read, proven."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.kep_relay.outbound.compose import Sign
from services.kep_relay.tables import OutboundRecipientRow
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.pki.identity import Identity
from shared.clock import SystemClock
from shared.domain.identifiers import new_id
from tests.support.eyws_provider import A, B, EywsProviders, running_providers
from tests.support.eyws_relay import IDS, NUMBERS, soap_configuration
from tests.support.inbound import Inbound, running_inbound, scripted_signer, until
from tests.support.relay import PACKAGE, Register, submission

PATIENCE = 120


@dataclass(frozen=True)
class Signing:
    """Signs with the sandbox's own key of an authorised agent."""

    identity: Identity

    def with_key(self, key_id: str, institution_no: int) -> Sign:
        async def sign(content: AsyncIterable[bytes]) -> bytes:
            whole = b"".join([piece async for piece in content])
            return sign_detached(whole, self.identity, SystemClock().now())

        return sign


@dataclass
class World:
    inbound: Inbound
    providers: EywsProviders

    async def recipient(self) -> OutboundRecipientRow:
        async with self.inbound.deps.database.reading() as session:
            return (await session.scalars(select(OutboundRecipientRow))).one()

    async def codes(self) -> list[int]:
        """Of the evidence that is kept."""
        return sorted(item.code for item in await self.inbound.evidence() if item.recipient_id and item.code)

    async def letter(self, state: str) -> dict[str, Any] | None:
        page = await self.inbound.http.get("/inbound-messages", params={"institution": NUMBERS[B], "state": state})
        return next(iter(page.json()["messages"]), None)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    register = Register(SystemClock(), addresses={NUMBERS[B]: B})
    async with (
        running_providers(tmp_path) as providers,
        scripted_signer() as (_, url),
        running_inbound(
            database_url, tmp_path / "blobs", signer_url=url, soap=True, register=register,
            sign=Signing(providers.signer).with_key, evidence_poll_steps=[(1, 10_000)],
        ) as inbound,
    ):  # fmt: skip
        async with inbound.deps.database.unit_of_work() as work:
            for address in (A, B):
                await inbound.deps.mailboxes.put(work, IDS[address], soap_configuration(providers, address))
        yield World(inbound, providers)


async def test_a_letter_from_hand_over_to_read(world: World) -> None:
    stored = await world.inbound.deps.blobs.put(PACKAGE, limit=1_000_000)
    letter = submission(stored.sha256, stored.size, [NUMBERS[B]])
    await world.inbound.outbound.acceptance.accept(new_id(), letter)
    client, mine = world.inbound.http, {"institution": NUMBERS[B]}
    async with world.inbound.at_work():
        received = await until(lambda: world.letter("available"), timeout=PATIENCE)
        assert received["package_sha256"] == hashlib.sha256(PACKAGE).hexdigest()
        assert (received["sender_address"], received["subject"]) == (A, letter.subject)
        row = await world.recipient()
        assert received["message_id_header"] == row.message_id_header
        raw = (await client.get(f"/inbound-messages/{received['message_id']}/raw", params=mine)).content
        assert raw == world.providers.providers.content(B, "INBOX", 1)

        async def delivered() -> bool:
            return (await world.recipient()).state == "delivered"

        await until(delivered, timeout=PATIENCE)
        assert not world.providers.mails(B)[0].seen, "nobody has read it yet"

        lease = {"institution_nos": [NUMBERS[B]], "client_id": "ebys-b"}
        leased = (await client.post("/inbound-messages/leases", params=mine, json=lease)).json()
        body = {"lease_token": leased["lease_token"], "registry_no": "E-2026/7"}
        answer = await client.post(f"/inbound-messages/{received['message_id']}/ack", params=mine, json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, "consumed")

        async def proven() -> bool:
            found = await world.recipient()
            return (found.state, found.attention, await world.codes()) == ("read", [], [10, 20, 40, 60])

        await until(proven, timeout=PATIENCE)
    assert world.providers.mails(B)[0].seen
    assert [mail.message_id for mail in world.providers.mails(A, "Sent")] == [row.message_id_header]
    assert world.providers.mails(A) == [], "no evidence came as mail"
    assert await world.inbound.ledger_imbalance() == 0
