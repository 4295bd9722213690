"""Evidence that somebody else may have made: whose signature counts, over which bytes, and about which letter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.kep_relay.outbound import queries
from shared.clock import FixedClock
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter, multipart, part

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ID = "<letter-1@kepgw.test>"
SIGNATURE = part("application/pkcs7-signature; name=smime.p7s", b"\x30\x03\x02\x01\x00")


@dataclass
class World:
    inbound: Inbound
    signer: ScriptedSigner
    clock: FixedClock
    uid: int = 0

    async def receive(self, *mails: bytes) -> None:
        for raw in mails:
            self.uid += 1
            await self.inbound.take_in(raw, "a-1", uid=self.uid)

    async def later(self, **delta: float) -> None:
        self.clock.moment += timedelta(**delta)
        await self.inbound.deps.instance.renew()
        await self.inbound.sweep()
        await self.inbound.run_jobs()


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    async with (
        scripted_signer() as (signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=clock) as inbound,
    ):
        server = {"host": "127.0.0.1", "port": 1}
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap=server)
        yield World(inbound, signer, clock)


@pytest.mark.parametrize(
    "because",
    [
        SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
        SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        SubIndication.POLICY_PROCESSING_ERROR,
        SubIndication.REVOKED_NO_POE,
    ],
)
async def test_a_signature_of_nobody_we_trust_moves_nothing(world: World, because: SubIndication) -> None:
    """Anybody can sign a document with a certificate of his own; that is indeterminate, but no proof."""
    recipient_id = await world.inbound.outgoing(ID)
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    world.signer.open_because = because
    await world.receive(evidence_mail(evidence_xml(60, original_id=ID)))
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention, row.read_at) == ("submitted", ["evidence_unverified"], None)
    # An operator adds the missing authority: the same evidence then counts.
    world.signer.conclusions.clear()
    await world.later(days=1)
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.attention) == ("read", [])


def two_faced(genuine: bytes, forged: bytes, header: bytes) -> bytes:
    """A mail whose signed part is ``genuine`` or ``forged``, depending on who reads its Content-Type."""
    top = b"From: <k@hs98.kep.tr>\r\nX-REM-Msg-Type: Message\r\nX-REM-Evidence-Type: x\r\nContent-Type: " + header
    halves = [
        b"".join(b"--" + mark + b"\r\n" + item + b"\r\n" for item in (content, SIGNATURE)) + b"--" + mark + b"--\r\n"
        for mark, content in ((b"FORGED", forged), (b"GENUINE", genuine))
    ]
    return top + b"\r\n\r\n" + b"".join(halves)


async def test_the_envelope_proves_only_the_bytes_it_covers(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    genuine, forged = (
        multipart("mixed", [part("text/plain", b"Delil"), part("application/xml; name=d.xml", document)])
        for document in (evidence_xml(10, original_id="<other@x>"), evidence_xml(60, original_id=ID))
    )
    world.signer.unsigned = {SignatureFormat.XADES}
    await world.receive(two_faced(genuine, forged, b"multipart/signed; \xa0boundary=FORGED; boundary=GENUINE"))
    assert (await world.inbound.recipient(recipient_id)).state == "submitted"


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(evidence_xml(60, original_id=ID, recipients=["c@hs99.kep.tr"]), id="another-recipient"),
        pytest.param(evidence_xml(60, original_id=ID, sender="mallory@hs98.kep.tr"), id="another-sender"),
    ],
)
async def test_evidence_about_others_is_not_about_our_letter(world: World, document: bytes) -> None:
    """Message-ID and iletiID are chosen by senders: a genuine delil about another letter may carry ours."""
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive(evidence_mail(document))
    row = await world.inbound.recipient(recipient_id)
    assert (row.state, row.read_at) == ("submitted", None)
    (evidence,) = await world.inbound.evidence()
    assert evidence.recipient_id is None
    await world.receive(evidence_mail(evidence_xml(40, original_id=ID, recipients=["B@hs99.kep.tr"])))
    assert (await world.inbound.recipient(recipient_id)).state == "delivered"


async def test_a_letter_to_us_under_our_own_message_id_proves_nothing(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID, state="queued", submitted_at=None, next_attempt_at=NOW)
    accepted = evidence_xml(10, original_id=ID, recipients=["a@hs98.kep.tr"])
    accepted = accepted.replace(
        b"<SenderDetails><AttributedElectronicAddress>a@hs98.kep.tr",
        b"<SenderDetails><AttributedElectronicAddress>b@hs99.kep.tr",
    )
    await world.receive(dispatch(letter(("a.eyp", b"PK\x03\x04"), message_id=ID, sender="b@hs99.kep.tr"), accepted))
    assert (await world.inbound.recipient(recipient_id)).state == "queued"


async def test_references_do_not_outweigh_the_id_in_the_document(world: World) -> None:
    """A later letter to the same recipient, sent by hand as an answer in the same thread."""
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive(evidence_mail(evidence_xml(40, original_id="<by-hand@hs98>"), References=f"<x@y> {ID}"))
    assert (await world.inbound.recipient(recipient_id)).state == "submitted"


async def test_failed_evidence_is_not_listed_as_a_code(world: World) -> None:
    recipient_id = await world.inbound.outgoing(ID)
    await world.receive(evidence_mail(evidence_xml(10, original_id=ID)))
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.FAILED
    await world.receive(evidence_mail(evidence_xml(60, original_id=ID)))
    message_id = (await world.inbound.recipient(recipient_id)).message_id
    async with world.inbound.deps.database.reading() as session:
        described = await queries.one_message(session, message_id, [SENDER_NO])
    assert described.recipients[0].evidence_codes == [10]


@pytest.mark.parametrize("ended", ["cancelled", "expired", "failed"])
@pytest.mark.parametrize(("codes", "flags"), [([10], ["evidence_contradiction"]), ([11], ["address_to_check"])])
async def test_a_letter_that_had_ended_and_went_out_all_the_same_asks_for_a_look(
    world: World, ended: str, codes: Sequence[int], flags: list[str]
) -> None:
    recipient_id = await world.inbound.outgoing(ID, state=ended, submitted_at=None)
    for code in codes:
        await world.receive(evidence_mail(evidence_xml(code, original_id=ID)))
    row = await world.inbound.recipient(recipient_id)
    assert row.state in {"accepted", "rejected"}
    assert row.attention == flags
