"""One hostile mail, or one strange answer about it, holds up neither itself nor another one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.clock import FixedClock
from shared.errors import ErrorCode
from tests.support.inbound import ID_OF_TESTS, SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LONG = "".join(random.Random(7).choices([chr(code) for code in range(0x4E00, 0x9000)], k=940))
"""Three bytes each, and nothing a database could compress."""


@dataclass
class World:
    inbound: Inbound
    signer: ScriptedSigner
    clock: FixedClock


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    async with (
        scripted_signer() as (signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=clock) as inbound,
    ):
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield World(inbound, signer, clock)


def a_letter(message_id: str = "<l@x>") -> bytes:
    return dispatch(letter(("a.eyp", b"PK\x03\x04"), message_id=message_id))


async def test_a_letter_with_an_endless_message_id_is_a_letter(world: World) -> None:
    raw = a_letter("<MARK@x>").replace(b"MARK", LONG.encode())
    await world.inbound.take_in(raw, uid=1)
    await world.inbound.take_in(raw.replace(b"KEP iletisi", b"KEP iletisj"), uid=2)
    (received,) = await world.inbound.letters()
    assert received.state == "available"
    assert [mail.state for mail in await world.inbound.raw_mails()] == ["ingested", "duplicate"]


async def test_evidence_with_endless_identifiers_counts(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID_OF_TESTS)
    for number, (code, original_id) in enumerate([(10, ID_OF_TESTS), (40, None)]):
        document = evidence_xml(code, original_id=original_id, dispatch_id=f"<{LONG}@hs98>")
        await world.inbound.take_in(evidence_mail(document), uid=number)
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"


async def test_a_verdict_with_characters_no_database_takes_is_kept(world: World) -> None:
    world.signer.policy_version = "a\0b"
    recipient_id = await world.inbound.outgoing(ID_OF_TESTS)
    await world.inbound.take_in(evidence_mail(evidence_xml(40, original_id=ID_OF_TESTS)), uid=1)
    await world.inbound.take_in(a_letter(), uid=2)
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"
    (received,) = await world.inbound.letters()
    assert received.state == "available"


async def test_a_letter_that_signer_will_never_take_is_offered_undecided(world: World) -> None:
    world.signer.refuses = ErrorCode.TOO_LARGE
    await world.inbound.take_in(a_letter(), uid=1)
    (received,) = await world.inbound.letters()
    assert (received.state, received.conclusion) in {("available", "indeterminate"), ("available", "failed")}
