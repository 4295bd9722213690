"""The ledger by direction, institution and state: what it says of letters that wait, and of those nothing moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from services.kep_relay.ledger import MOST_STUCK, LedgerKeeper
from services.kep_relay.tally import StateCount, sides, total
from shared.clock import FixedClock
from shared.domain.identifiers import new_id
from tests.support.inbound import SENDER_NO, Inbound, running_inbound, scripted_signer
from tests.support.mails import dispatch, letter
from tests.support.relay import submission

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
OTHER_NO = 10000003


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Inbound]:
    async with (
        scripted_signer() as (_signer, url),
        running_inbound(database_url, tmp_path, signer_url=url, clock=FixedClock(NOW)) as inbound,
    ):
        for mailbox_id, number in (("a-1", SENDER_NO), ("c-1", OTHER_NO)):
            await inbound.put_mailbox(
                mailbox_id, number, f"{mailbox_id}@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1}
            )
        yield inbound


@pytest.fixture
def ledger(relay: Inbound) -> LedgerKeeper:
    assert relay.parts.ledger is not None
    return LedgerKeeper(relay.deps.database, relay.deps.clock, relay.deps.metrics, inbound=relay.parts.ledger)


async def hand_over(relay: Inbound, institution_no: int, *recipients: int) -> UUID:
    stored = await relay.deps.blobs.put(b"PK\x03\x04 package", limit=1000)
    message_id = new_id()
    order = submission(stored.sha256, stored.size, recipients, institution_no=institution_no)
    await relay.outbound.acceptance.accept(message_id, order)
    return message_id


async def test_every_letter_is_counted_by_direction_institution_and_state(relay: Inbound, ledger: LedgerKeeper) -> None:
    waiting = await hand_over(relay, SENDER_NO, 10000002, 10000004)
    await hand_over(relay, OTHER_NO, 10000002)
    await relay.execute(
        "UPDATE outbound_recipients SET state = 'blocked', reason_code = 'kep-credit-exhausted', reason = 'no credit',"
        " next_attempt_at = :at, created_at = :created WHERE message_id = :id AND position = 1",
        id=waiting, at=NOW + timedelta(minutes=5), created=NOW - timedelta(hours=2),
    )  # fmt: skip
    await relay.execute("UPDATE outbound_recipients SET state = 'read' WHERE institution_no = :number", number=OTHER_NO)
    await relay.take_in(dispatch(letter()), uid=1)
    await relay.store(dispatch(letter(message_id="<not-read-yet@a>")), "c-1", uid=1)

    found = await ledger.read()
    assert (found.outbound.accepted, found.outbound.terminal, found.outbound.in_flight) == (3, 1, 2)
    assert found.outbound.states == {"blocked": 1, "queued": 1, "read": 1}
    assert (found.inbound.accepted, found.inbound.terminal, found.inbound.in_flight) == (2, 0, 2)
    assert found.inbound.states == {"available": 1, "stored": 1}
    assert found.outbound.imbalance == found.inbound.imbalance == 0
    oldest = found.outbound.oldest
    assert oldest is not None
    assert (oldest.message_id, oldest.institution_no, oldest.state) == (waiting, SENDER_NO, "blocked")
    assert (oldest.reason_code, oldest.reason) == ("kep-credit-exhausted", "no credit")
    assert (oldest.since, oldest.next_step_at) == (NOW - timedelta(hours=2), NOW + timedelta(minutes=5))
    assert found.outbound.oldest_in_flight_at == oldest.since
    shares = {item.institution_no: item for item in found.institutions}
    assert list(shares) == [SENDER_NO, OTHER_NO]
    assert shares[SENDER_NO].outbound.states == {"blocked": 1, "queued": 1}
    assert shares[OTHER_NO].outbound.states == {"read": 1}
    assert shares[SENDER_NO].inbound.states == {"available": 1}
    assert shares[OTHER_NO].inbound.states == {"stored": 1}

    await ledger.publish()
    value = relay.deps.registry.get_sample_value
    assert value("kepgw_messages_in_state", {"direction": "outbound", "state": "blocked"}) == 1
    assert value("kepgw_messages_in_state", {"direction": "inbound", "state": "stored"}) == 1
    assert value("kepgw_oldest_message_age_seconds", {"direction": "outbound"}) == 7200


async def test_letters_that_nothing_will_move_are_named(relay: Inbound, ledger: LedgerKeeper) -> None:
    stuck = [await hand_over(relay, SENDER_NO, 10000002) for _ in range(2)]
    await hand_over(relay, OTHER_NO, 10000002)
    await relay.take_in(dispatch(letter()), uid=1)
    assert (await ledger.read()).outbound.stuck == []
    await relay.execute(
        "UPDATE outbound_recipients SET state = 'outcome_unknown', next_attempt_at = NULL WHERE institution_no = :number",
        number=SENDER_NO,
    )
    await relay.execute("UPDATE inbound_messages SET state = 'parsed', verify_at = NULL")
    found = await ledger.read()
    assert found.outbound.imbalance == 2
    assert {item.message_id for item in found.outbound.stuck} == set(stuck)
    assert found.inbound.imbalance == 1
    assert [item.state for item in found.inbound.stuck] == ["parsed"]
    assert {item.institution_no: item.outbound.imbalance for item in found.institutions} == {SENDER_NO: 2, OTHER_NO: 0}
    assert len(found.outbound.stuck) <= MOST_STUCK


def test_what_one_institution_lacks_another_one_does_not_make_good() -> None:
    lacking = StateCount(SENDER_NO, "queued", 1, 1, NOW)
    too_many = StateCount(OTHER_NO, "read", 2, 0, NOW)
    found = sides({SENDER_NO: 2, OTHER_NO: 1}, [lacking, too_many], terminal={"read"})
    assert {number: side.imbalance for number, side in found.items()} == {SENDER_NO: 1, OTHER_NO: -1}
    assert total(found.values()).imbalance == 2
    assert total([]).imbalance == 0


def test_one_that_has_rows_and_was_never_accepted_is_an_imbalance() -> None:
    found = sides({}, [StateCount(SENDER_NO, "read", 1, 0, NOW)], terminal={"read"})
    assert found[SENDER_NO].imbalance == -1
