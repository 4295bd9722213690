"""Failure cases 8 and 16 to 22 of kep.md section 7 over real SMTP and IMAP, and how letters go out under them.

Numbers 15, 17 and 20 exist only where evidence and mails are asked for one by one under a provider's own numbers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.database import fresh_database
from tests.support.failure_cases import Bench, Party, bench, codes, imap_server, until
from tests.support.mails import dispatch, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        changes = {"further_folders": ["Arşiv", "Nowhere"], "further_folders_seconds": 0.2, "max_mail_bytes": 200_000}
        async with bench(url, tmp_path_factory.mktemp("cases"), **changes) as made:
            yield made


@pytest.fixture(autouse=True)
def _steered(world: Bench) -> Iterator[None]:
    yield
    world.signer.conclusions.clear()
    world.signer.unsigned.clear()
    world.signer.open_because = SubIndication.TRY_LATER
    world.signer.retry_after_seconds = None
    world.kephs.faults.clear()


async def send(world: Bench, receiver: Party, *, subject: str = "Konu", attachment: bytes = b"PK\x03\x04 paket") -> str:
    """A letter from a stranger to ``receiver`` over SMTP; its Message-ID."""
    written = world.kephs.letter(recipient=receiver.address, subject=subject, attachment=attachment)
    await world.kephs.submit(written, receiver.address)
    return written.message_id


async def available(world: Bench, receiver: Party, number: int) -> None:
    async def there() -> bool:
        return [row.state for row in await world.arrived(receiver)].count("available") == number

    await until(there, f"{number} letters in the queue")


async def test_case_16_signature_that_fails_moves_nothing_and_is_kept(world: Bench) -> None:
    sender, receiver = await world.party(), await world.party(at="hs99")
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.FAILED
    message_id = await world.hand_over(sender, receiver.address)
    recipient_id = (await world.only(sender, message_id)).recipient_id

    async def judged() -> bool:
        evidence = await world.evidence_of(recipient_id)
        return codes(evidence) == [10, 20, 40] and all(item.folded_at for item in evidence)

    await until(judged, "three pieces of evidence")
    recipient = await world.only(sender, message_id)
    assert (recipient.state, recipient.attention) == ("submitted", ["evidence_unverified"])
    assert {item.conclusion for item in await world.evidence_of(recipient_id)} == {"failed"}


async def test_case_16_without_revocation_data_the_letter_goes_on_flagged_and_is_judged_again(world: Bench) -> None:
    sender, receiver = await world.party(), await world.party(at="hs99")
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    world.signer.retry_after_seconds = 600
    message_id = await world.hand_over(sender, receiver.address)
    recipient = await world.reached(sender, message_id, "delivered")
    assert recipient.attention == ["evidence_unverified"]
    world.signer.conclusions.clear()

    async def settled() -> bool:
        await world.move_clock(minutes=11)
        return (await world.only(sender, message_id)).attention == []

    await until(settled, "the verdicts to be settled")
    assert {item.conclusion for item in await world.evidence_of(recipient.recipient_id)} == {"passed"}


async def test_case_16_authority_nobody_knows_moves_nothing(world: Bench) -> None:
    sender, receiver = await world.party(), await world.party(at="hs99")
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.INDETERMINATE
    world.signer.open_because = SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    message_id = await world.hand_over(sender, receiver.address)
    recipient_id = (await world.only(sender, message_id)).recipient_id

    async def judged() -> bool:
        return len([item for item in await world.evidence_of(recipient_id) if item.folded_at]) == 3

    await until(judged, "three verdicts")
    recipient = await world.only(sender, message_id)
    assert (recipient.state, recipient.attention) == ("submitted", ["evidence_unverified"])


async def test_case_18_read_and_moved_by_staff(world: Bench) -> None:
    """A letter that somebody moved before it was read here is found in its folder, told, and acknowledged there."""
    receiver = await world.party(at="hs99", active=False)
    message_id = await send(world, receiver)
    await until(lambda: delivered(world, receiver, 1), "delivery")
    client = await world.kephs.imap(receiver.address)
    await client.select("INBOX")
    assert (await client.create('"Ar&AV8-iv"')).result == "OK"
    assert (await client.copy("1", '"Ar&AV8-iv"')).result == "OK"
    await client.store("1", "+FLAGS", r"(\Deleted)")
    await client.expunge()
    assert world.delivered(receiver.address) == []
    told = world.metric("kepgw_letters_found_in_further_folders_total")
    await world.configure(receiver)
    await available(world, receiver, 1)
    [found] = await world.arrived(receiver)
    assert found.message_id_header == message_id
    assert [mail.folder for mail in await world.raw_mails(receiver)] == ["Arşiv"]
    assert world.metric("kepgw_letters_found_in_further_folders_total") == told + 1
    await register(world, receiver, found.message_id)

    async def seen() -> bool:
        [kept] = world.kephs.providers.messages(receiver.address, "Arşiv")
        return kept.seen

    await until(seen, "the letter to be marked where it is")


async def delivered(world: Bench, receiver: Party, number: int) -> bool:
    return len(world.delivered(receiver.address)) == number


async def register(world: Bench, receiver: Party, message_id: UUID) -> None:
    mine = {"institution": receiver.number}
    lease = {"institution_nos": [receiver.number], "client_id": "ebys"}
    leased = (await world.relay.http.post("/inbound-messages/leases", params=mine, json=lease)).json()
    body = {"lease_token": leased["lease_token"], "registry_no": "E-2026/1"}
    answer = await world.relay.http.post(f"/inbound-messages/{message_id}/ack", params=mine, json=body)
    assert answer.status_code == 200, answer.text


async def test_case_19_same_message_in_two_folders(world: Bench) -> None:
    receiver = await world.party(at="hs99")
    message_id = await send(world, receiver)
    await available(world, receiver, 1)
    client = await world.kephs.imap(receiver.address)
    await client.select("INBOX")
    assert (await client.create('"Ar&AV8-iv"')).result == "OK"
    assert (await client.copy("1", '"Ar&AV8-iv"')).result == "OK"
    assert (await client.copy("1", "INBOX")).result == "OK"

    async def all_read() -> bool:
        states = [(mail.folder, mail.state) for mail in await world.raw_mails(receiver)]
        return sorted(states) == [("Arşiv", "duplicate"), ("INBOX", "duplicate"), ("INBOX", "ingested")]

    await until(all_read, "all three copies")
    [one] = await world.arrived(receiver)
    assert (one.message_id_header, one.state) == (message_id, "available")
    await world.balanced()


async def test_case_21_huge_mail_holds_up_no_other(world: Bench) -> None:
    receiver = await world.party(at="hs99", active=False)
    await send(world, receiver, subject="before")
    await send(world, receiver, subject="huge", attachment=b"PK\x03\x04" + bytes(300_000))
    await send(world, receiver, subject="after")
    await until(lambda: delivered(world, receiver, 3), "delivery")
    await world.configure(receiver)
    await available(world, receiver, 2)
    rows = await world.arrived(receiver)
    [huge] = [row for row in rows if row.state == "quarantined"]
    assert huge.reason_code == "too-large"
    assert {row.subject for row in rows if row.state == "available"} == {"before", "after"}
    assert len(world.delivered(receiver.address)) == 3
    await world.balanced()


async def test_case_22_truncated_literal_is_never_a_mail(world: Bench, tmp_path: Path) -> None:
    """The connection ends inside the announced bytes: nothing is stored, the others come in, and it comes whole later."""
    async with imap_server(tmp_path) as server:
        server.mails = {
            uid: dispatch(letter(("a.eyp", b"PK\x03\x04"), message_id=f"<{uid}@x>"), Message_ID=f"<d{uid}@x>")
            for uid in (1, 2, 3)
        }
        server.cut[2] = len(server.mails[2]) - 10
        receiver = await world.party(at="hs99", active=False)
        await world.configure(receiver, imap=server.address)
        await available(world, receiver, 2)

        async def tried_again() -> bool:
            return server.cuts >= 3

        await until(tried_again, "further tries")
        assert [mail.uid for mail in await world.raw_mails(receiver)] == [1, 3]
        server.cut.clear()
        await available(world, receiver, 3)
        stored = {mail.uid: mail.sha256 for mail in await world.raw_mails(receiver)}
        assert await world.relay.deps.blobs.get(stored[2] or "", limit=1_000_000) == server.mails[2]
        await world.configure(receiver, active=False)
