"""Evidence that a provider only lists, from the SOAP service to the letter's state (kep.md 2.9 and section 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.kep_relay.evidence.listed.documents import FOLDER
from services.kep_relay.tables import RawMailRow
from services.sandbox.faults import Fault
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion
from tests.support.asking import Asking, running_asking
from tests.support.database import fresh_database
from tests.support.eyws_provider import A, B

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    with fresh_database(database_server) as url:
        async with running_asking(url, tmp_path_factory.mktemp("asking")) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: Asking) -> AsyncIterator[Asking]:
    """Letters of other tests are asked about no more, so that each test sees its own calls."""
    yield shared
    shared.providers.faults.clear()
    await shared.inbound.execute("UPDATE kep_relay.evidence_polls SET next_at = NULL")
    await shared.inbound.execute("UPDATE kep_relay.listed_evidence SET fetch_at = NULL")


async def test_what_is_listed_is_fetched_and_proves_the_state(world: Asking) -> None:
    letter, recipient_id = await world.send(B, 10, 20, 40)
    await world.later()
    poll = await world.poll(recipient_id)
    assert (poll.asked, poll.next_at is not None) == (0, True)
    await world.later(seconds=29)
    assert (await world.poll(recipient_id)).asked == 0
    await world.later(seconds=2)
    row = await world.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", [])
    assert row.delivered_at is not None
    entries = await world.listed(recipient_id)
    assert {10, 20, 40} <= {entry.code for entry in entries}
    assert all(entry.fetched_at is not None and entry.recipient == B for entry in entries)
    evidence = [item for item in await world.inbound.evidence() if item.recipient_id == recipient_id]
    assert {item.correlated_by for item in evidence} == {"original-id"}
    assert {item.original_id for item in evidence} == {letter.message_id.strip("<>")}
    async with world.inbound.deps.database.reading() as session:
        raws = (await session.scalars(select(RawMailRow).where(RawMailRow.folder == FOLDER))).all()
    assert {item.raw_mail_id for item in evidence} <= {raw.raw_mail_id for raw in raws}
    for raw in raws:
        assert raw.sha256 is not None
        assert await world.inbound.deps.blobs.size(raw.sha256) == raw.size
    assert await world.inbound.letters() == []


async def test_case_15_listed_but_not_downloadable_over_eyws(world: Asking) -> None:
    """The list alone moves the state, flagged; the document is tried again for days and settles it."""
    world.providers.faults.order(Fault("eyws.evidence_download_fails", {}))
    _letter, recipient_id = await world.send(B, 10, 40)
    timed = world.metric("kepgw_state_transition_seconds_count", direction="outbound", state="delivered")
    await world.asked()
    after = world.metric("kepgw_state_transition_seconds_count", direction="outbound", state="delivered")
    assert after == timed + 1
    row = await world.recipient(recipient_id)
    assert (row.state, row.attention, row.delivered_at) == ("delivered", ["evidence_unproven"], None)
    assert world.metric("kepgw_evidence_documents_waiting") >= 2
    for minutes in (1, 2, 6, 16, 61, 361):
        await world.later(minutes=minutes)
    assert (await world.state(recipient_id)) == ("delivered", ["evidence_unproven"])
    assert all(entry.fetches >= 6 and entry.fetch_fault for entry in await world.listed(recipient_id))
    world.providers.faults.clear()
    await world.later(hours=6, minutes=1)
    row = await world.recipient(recipient_id)
    assert (row.state, row.attention) == ("delivered", [])
    assert row.delivered_at is not None
    assert all(entry.fetched_at is not None for entry in await world.listed(recipient_id))
    assert world.metric("kepgw_evidence_documents_waiting") == 0


async def test_case_09_recipient_mailbox_full_over_eyws(world: Asking) -> None:
    """41 is final: with the provider's reason and the document, and nothing is asked any more."""
    _letter, recipient_id = await world.send("full@hs99.kep.tr", 10, 41)
    world.providers.faults.order(Fault("eyws.evidence_download_fails", {}))
    await world.asked()
    row = await world.recipient(recipient_id)
    assert (row.state, row.attention) == ("undelivered", ["address_to_check", "evidence_unproven"])
    world.providers.faults.clear()
    await world.later(minutes=2)
    row = await world.recipient(recipient_id)
    assert (row.state, row.reason_code) == ("undelivered", "evidence.41")
    assert "evidence_unproven" not in row.attention
    assert row.reason
    assert (await world.poll(recipient_id)).next_at is None
    assert any(item.code == 41 and item.recipient_id == recipient_id for item in await world.inbound.evidence())


async def test_case_10_recipient_provider_down_then_delivered_over_eyws(world: Asking) -> None:
    """31 ends the letter badly but not the asking; a later 40 wins, with an alert, and both documents stay."""
    letter, recipient_id = await world.send("late40@hs99.kep.tr", 10, 31, 40)
    await world.asked()
    assert (await world.state(recipient_id)) == ("delivered", ["evidence_contradiction"])
    assert ("relay_failed", "delivered") in await world.history(recipient_id)
    codes = {item.code for item in await world.inbound.evidence() if item.recipient_id == recipient_id}
    assert {31, 40} <= codes
    assert letter.message_id
    assert (await world.poll(recipient_id)).next_at is not None


async def test_case_10_unreachable_for_good_is_asked_about_to_the_end_of_the_schedule_over_eyws(world: Asking) -> None:
    _letter, recipient_id = await world.send("down@hs99.kep.tr", 10, 31)
    await world.asked()
    assert (await world.state(recipient_id))[0] == "relay_failed"
    poll = await world.poll(recipient_id)
    assert poll.next_at is not None
    await world.inbound.execute(
        "UPDATE kep_relay.evidence_polls SET asked = 79 WHERE recipient_id = :id", id=recipient_id
    )
    await world.later(days=1)
    assert (await world.poll(recipient_id)).next_at is None


async def test_case_11_out_of_order_and_repeated_over_eyws(world: Asking) -> None:
    """The opposite order, every entry twice, the whole list again: one state, one piece of each, one history."""
    world.providers.faults.order(Fault("eyws.reorder_evidence", {}))
    world.providers.faults.order(Fault("eyws.duplicate_entry", {}))
    _letter, recipient_id = await world.send(B, 10, 20, 40)
    await world.asked()
    assert (await world.state(recipient_id)) == ("delivered", [])
    history, entries = await world.history(recipient_id), await world.listed(recipient_id)
    version = (await world.recipient(recipient_id)).version
    await world.later(minutes=1, seconds=1)
    await world.later(minutes=2, seconds=1)
    assert (await world.poll(recipient_id)).asked == 3
    assert await world.history(recipient_id) == history
    assert [entry.number for entry in await world.listed(recipient_id)] == [entry.number for entry in entries]
    assert (await world.recipient(recipient_id)).version == version
    evidence = [item.code for item in await world.inbound.evidence() if item.recipient_id == recipient_id]
    assert sorted(evidence) == [10, 20, 40]


async def test_case_12_evidence_never_comes_over_eyws(world: Asking) -> None:
    """Accepted is all that is known: never called delivered, flagged, and asked about on."""
    _letter, recipient_id = await world.send("nodelil@hs99.kep.tr", 10)
    await world.asked()
    assert (await world.state(recipient_id))[0] in {"submitted", "accepted"}
    await world.later(hours=25)
    await world.inbound.outbound.sweep.sweep()
    state, attention = await world.state(recipient_id)
    assert state in {"submitted", "accepted"}
    assert "evidence_overdue" in attention
    assert (await world.poll(recipient_id)).next_at is not None


async def test_case_13_a_list_without_recipients_marks_its_own_letter_only_over_eyws(world: Asking) -> None:
    """One letter fails and one arrives; the plain list names nobody, and each was asked about by itself."""
    _failed, failed_id = await world.send("full@hs99.kep.tr", 10, 41)
    _arrived, arrived_id = await world.send(B, 10, 40)
    await world.later()
    world.providers.faults.order(Fault("eyws.soap_fault", {"operation": "PaketDetayDelilSorgula"}, count=2))
    await world.later(seconds=31)
    assert (await world.state(failed_id))[0] == "undelivered"
    assert (await world.state(arrived_id))[0] == "delivered"
    for recipient_id in (failed_id, arrived_id):
        assert {entry.recipient for entry in await world.listed(recipient_id)} == {None}


async def test_case_14_unknown_code_over_eyws(world: Asking) -> None:
    """Kept with its words, counted and flagged; the state is what the known ones say."""
    before = world.metric("kepgw_listed_evidence_total", entry="unknown-code")
    world.providers.faults.order(Fault("evidence.unknown_code", {}))
    _letter, recipient_id = await world.send(B, 10, 40)
    await world.later()
    await world.later(seconds=31)
    state, attention = await world.state(recipient_id)
    assert state == "delivered"
    assert "evidence_unknown" in attention
    assert world.metric("kepgw_listed_evidence_total", entry="unknown-code") == before + 1
    unknown = [entry for entry in await world.listed(recipient_id) if entry.code not in {10, 20, 40}]
    assert [entry.fetched_at is not None for entry in unknown] == [True]


async def test_asking_ends_when_the_letter_was_read(world: Asking) -> None:
    letter, recipient_id = await world.send(B, 10, 40)
    await world.asked()
    assert (await world.poll(recipient_id)).next_at is not None
    async with world.inbound.deps.driver.open_inbox(await world.account(B)) as inbox:
        await world.providers.delivered(letter)
        await inbox.mark_seen((await inbox.list_new(0))[-1])
    await world.providers.issued(letter, 60)
    await world.later(minutes=1, seconds=1)
    row = await world.recipient(recipient_id)
    assert (row.state, row.attention) == ("read", [])
    assert row.read_at is not None
    assert (await world.poll(recipient_id)).next_at is None


async def test_a_provider_that_does_not_answer_is_left_alone_and_nothing_is_lost(world: Asking) -> None:
    """One question fails; the others of the account are not even tried, and all are put off."""
    letters = [await world.send(B, 10, 40) for _ in range(3)]
    await world.later()
    world.providers.faults.order(Fault("eyws.html_page", {}, count=1))
    before = world.metric("kepgw_evidence_polls_total", result="unavailable")
    await world.later(seconds=31)
    assert world.metric("kepgw_evidence_polls_total", result="unavailable") == before + 1
    for _letter, recipient_id in letters:
        assert (await world.poll(recipient_id)).asked == 0
        assert (await world.state(recipient_id)) == ("submitted", [])
    await world.later(seconds=31)
    for _letter, recipient_id in letters:
        assert (await world.state(recipient_id)) == ("delivered", [])


async def test_case_04_refused_passwords_stop_the_account_at_the_first_question_over_eyws(world: Asking) -> None:
    _letter, recipient_id = await world.send(B, 10, 40)
    await world.later()
    await world.configure(A, password="wrong-password")
    try:
        await world.later(seconds=31)
        stopped = await world.inbound.mailbox("a-1")
        assert stopped.stopped_at is not None
        wrong = world.providers.providers.standing(A).wrong_passwords
        await world.later(hours=2)
        assert world.providers.providers.standing(A).wrong_passwords == wrong == 1
        assert (await world.state(recipient_id)) == ("submitted", [])
    finally:
        await world.configure(A)
    await world.later(seconds=1)
    assert (await world.state(recipient_id)) == ("delivered", [])


async def test_a_document_that_does_not_verify_leaves_the_listed_state_flagged(world: Asking) -> None:
    world.signer.conclusions[SignatureFormat.XADES] = Conclusion.FAILED
    try:
        _letter, recipient_id = await world.send(B, 10, 40)
        await world.asked()
        row = await world.recipient(recipient_id)
        assert (row.state, row.attention, row.delivered_at) == ("delivered", ["evidence_unverified"], None)
    finally:
        world.signer.conclusions.clear()


async def test_lost_jobs_and_a_second_run_change_nothing(world: Asking) -> None:
    """Every job is deleted before it runs; the next sweep makes what is needed, and twice does no harm."""
    _letter, recipient_id = await world.send(B, 10, 40)
    await world.later()
    world.clock.moment = (await world.poll(recipient_id)).next_at or world.clock.moment
    await world.inbound.sweep()
    await world.inbound.execute("DELETE FROM procrastinate_jobs")
    await world.later()
    assert (await world.state(recipient_id)) == ("delivered", [])
    raws = len(await world.inbound.raw_mails())
    await world.inbound.execute(
        "UPDATE kep_relay.listed_evidence SET fetch_at = :now, fetched_at = NULL WHERE recipient_id = :id",
        now=world.clock.now(), id=recipient_id,
    )  # fmt: skip
    await world.later()
    assert len(await world.inbound.raw_mails()) == raws
    assert all(entry.fetched_at is not None for entry in await world.listed(recipient_id))
