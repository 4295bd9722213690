"""Which letters are held back to spare a provider: by endpoint, by account, one call in flight, at a distance."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from services.kep_relay.drivers.protocol import Blocked, TemporaryFailure
from services.kep_relay.outbound import queries
from services.kep_relay.outbound.pacing import Pacing
from shared.contracts.mailboxes import ServerAddress
from shared.errors import ErrorCode
from tests.support.relay import SENDER_NO, Relay, mailbox_configuration, running_relay


async def letter_of(relay: Relay, number: int) -> str:
    """Hand over and attempt one letter of that institution; the state it then has."""
    message_id = await relay.hand_over(10000002, institution_no=number)
    async with relay.deps.database.reading() as session:
        [recipient] = (await queries.one_message(session, message_id, [number])).recipients
    await relay.submit(recipient.recipient_id)
    return (await relay.row(recipient.recipient_id)).state


async def with_accounts(relay: Relay) -> None:
    """Beside the relay's own account: one at the same host, one at another."""
    for number, port in ((10000011, 465), (10000012, 466)):
        smtp = ServerAddress(host="127.0.0.1", port=port)
        changed = mailbox_configuration(institution_no=number, address=f"k.{number}@hs98.kep.tr", smtp=smtp)
        async with relay.deps.database.unit_of_work() as work:
            await relay.deps.mailboxes.put(work, f"a-{number}", changed)


async def test_an_unreachable_host_is_spared_by_all_its_accounts(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, retry_pauses_seconds=[600], instance_ttl_seconds=600) as relay:
        await with_accounts(relay)
        relay.provider.answers.append(TemporaryFailure("provider-unavailable", "reset", unreachable=True))
        assert await letter_of(relay, SENDER_NO) == "retry_wait"
        assert await letter_of(relay, 10000011) == "retry_wait"
        assert relay.provider.calls == 1
        assert await letter_of(relay, 10000012) == "submitted"
        assert relay.provider.calls == 2


async def test_letters_that_wait_for_their_turn_meanwhile_are_held_back_too(database_url: str, tmp_path: Path) -> None:
    settings = {"retry_pauses_seconds": [600], "instance_ttl_seconds": 600, "submissions_per_mailbox": 1}
    async with running_relay(database_url, tmp_path, **settings) as relay:
        relay.provider.answers.append(TemporaryFailure("provider-unavailable", "reset", unreachable=True))
        message_id = await relay.hand_over(*range(10000002, 10000006))
        recipients = (await relay.letter(message_id)).recipients
        relay.provider.answering.clear()
        trying = [asyncio.create_task(relay.submit(item.recipient_id)) for item in recipients]
        await asyncio.wait_for(relay.provider.reached.wait(), 60)
        async with asyncio.timeout(60):
            while None in [(await relay.row(item.recipient_id)).composed_sha256 for item in recipients]:
                await asyncio.sleep(0.02)
        relay.provider.answering.set()
        await asyncio.gather(*trying)
        assert relay.provider.calls == 1


async def test_a_login_put_off_rests_its_own_account_only(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, retry_pauses_seconds=[600], instance_ttl_seconds=600) as relay:
        await with_accounts(relay)
        put_off = TemporaryFailure("provider-unavailable", "454 later", unreachable=True, account_only=True)
        relay.provider.answers.append(put_off)
        assert await letter_of(relay, SENDER_NO) == "retry_wait"
        assert await letter_of(relay, SENDER_NO) == "retry_wait"
        assert relay.provider.calls == 1
        assert await letter_of(relay, 10000011) == "submitted"


async def test_letters_behind_one_without_credit_wait_while_it_is_tried_again(
    database_url: str, tmp_path: Path
) -> None:
    async with running_relay(database_url, tmp_path, blocked_pauses_seconds=[60], instance_ttl_seconds=600) as relay:
        relay.provider.answers.append(Blocked(ErrorCode.KEP_CREDIT_EXHAUSTED, "552 no credit"))
        assert await letter_of(relay, SENDER_NO) == "blocked"
        assert await letter_of(relay, SENDER_NO) == "blocked"
        relay.clock.moment += timedelta(seconds=61)
        await relay.side.sweep.sweep()
        first, second = sorted({UUID(found) for found in await relay.jobs("kep_relay.submit")})
        relay.provider.answering.clear()
        relay.provider.reached.clear()
        trying = asyncio.create_task(relay.submit(first))
        await asyncio.wait_for(relay.provider.reached.wait(), 60)
        await asyncio.wait_for(relay.submit(second), 8)
        waiting = await relay.row(second)
        assert (waiting.state, waiting.reason_code, waiting.attempts) == ("blocked", "kep-credit-exhausted", 0)
        relay.provider.answering.set()
        await trying
        taken = await relay.row(first)
        assert (taken.state, taken.reason_code) == ("submitted", None)
        await relay.side.sweep.sweep()
        await relay.submit(second)
        assert [mail.envelope.message_id_header for mail in relay.provider.sent] == [
            taken.message_id_header, waiting.message_id_header,
        ]  # fmt: skip


async def test_letters_that_wait_long_for_their_turn_have_one_job(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, instance_ttl_seconds=600) as relay:
        message_id = await relay.hand_over(10000002, 10000003)
        first, second = [str(item.recipient_id) for item in (await relay.letter(message_id)).recipients]
        await relay.execute("DELETE FROM procrastinate_jobs WHERE args->>'recipient_id' = :lost", lost=second)
        relay.clock.moment += timedelta(minutes=5)
        for _ in range(2):
            await relay.side.sweep.sweep()
            assert sorted(await relay.jobs("kep_relay.submit")) == [first, second]
        swept = relay.deps.registry.get_sample_value("kepgw_swept_rows_total", {"what": "queued"})
        assert swept == 1, "what has a job is not looked at again and again"


async def test_one_call_in_flight_for_each_account(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, submissions_per_mailbox=1, instance_ttl_seconds=600) as relay:
        relay.provider.pause = 0.02
        message_id = await relay.hand_over(*range(10000002, 10000008))
        recipients = (await relay.letter(message_id)).recipients
        while len(relay.provider.sent) < 6:  # one that got no turn in time is asked for again
            await asyncio.gather(*(relay.submit(item.recipient_id) for item in recipients))
        assert relay.provider.most_at_once == 1
        assert set(relay.provider.copies().values()) == {1}


async def test_submissions_of_an_account_keep_their_distance() -> None:
    pacing, starts = Pacing(slots=4, interval_seconds=0.05, patience_seconds=60), []

    async def one() -> None:
        async with pacing.slot("a") as granted:
            assert granted
            starts.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(one() for _ in range(4)))
    assert all(later - earlier > 0.045 for earlier, later in itertools.pairwise(starts))
