"""A letter's way to the provider, on a real database: states, reasons, history, and exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kep_relay.drivers.protocol import Blocked, PermanentFailure, TemporaryFailure
from shared.contracts.directory import ResolutionProblem
from shared.domain.identifiers import new_id
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode
from tests.support.relay import PACKAGE, SENDER_NO, START, Relay, mailbox_configuration, running_relay, submission


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(database_url, tmp_path / "blobs") as running:
        yield running


async def only_recipient(relay: Relay, message_id):
    return (await relay.letter(message_id)).recipients[0]


async def test_a_letter_is_resolved_composed_and_submitted(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    assert recipient.state == OutboundState.QUEUED
    assert await relay.jobs("kep_relay.submit") == [str(recipient.recipient_id)]

    await relay.submit(recipient.recipient_id)

    done = await only_recipient(relay, message_id)
    assert done.state == OutboundState.SUBMITTED
    assert (done.kep_address, done.address_source, done.address_rule) == (
        "kurum.10000002@hs99.kep.tr",
        "live",
        "live.eYazismaPaketi",
    )
    assert done.submitted_at == done.resolved_at == START
    assert done.attempts == 1
    [mail] = relay.provider.sent
    parsed = message_from_bytes(mail.raw, policy=policy.default)
    assert parsed["Message-ID"] == done.message_id_header == recipient.message_id_header
    assert parsed["X-TR-REM-iletiID"] == done.rem_id
    attachment = next(part for part in parsed.walk() if part.get_filename("").endswith(".eyp"))
    assert attachment.get_payload(decode=True) == PACKAGE
    row = await relay.row(done.recipient_id)
    assert await relay.deps.blobs.get(row.composed_sha256, limit=10_000_000) == mail.raw
    assert row.claim_token is None
    kinds = [event.kind for event in await relay.events(message_id)]
    assert kinds == ["handed_over", "resolved", "composed", "attempt", "outcome"]
    assert done.address_snapshot_id == 7
    assert (await relay.events(message_id))[1].detail == (
        "kurum.10000002@hs99.kep.tr (live, live.eYazismaPaketi, snapshot 7)"
    )
    assert [event.sequence for event in await relay.events(message_id)] == [1, 2, 3, 4, 5]
    assert (await relay.ledger.read()).outbound.imbalance == 0


async def test_the_history_only_grows(relay: Relay) -> None:
    await relay.hand_over(10000002)
    for statement in ("UPDATE outbound_events SET kind = 'x'", "DELETE FROM outbound_events"):
        with pytest.raises(DBAPIError, match="append-only"):
            await relay.execute(statement)


async def test_one_message_per_recipient(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002, 10000003)
    for recipient in (await relay.letter(message_id)).recipients:
        await relay.submit(recipient.recipient_id)
    letter = await relay.letter(message_id)
    assert letter.state_counts == {"submitted": 2}
    assert len({mail.envelope.recipient for mail in relay.provider.sent}) == 2
    assert set(relay.provider.copies().values()) == {1}


async def test_many_jobs_for_one_recipient_send_once(relay: Relay) -> None:
    relay.provider.pause = 0.05
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await asyncio.gather(*(relay.submit(recipient.recipient_id) for _ in range(6)))
    assert relay.provider.calls == 1


async def test_an_account_gets_no_more_sessions_than_configured(database_url: str, tmp_path: Path) -> None:
    async with running_relay(database_url, tmp_path, submissions_per_mailbox=2) as relay:
        relay.provider.pause = 0.05
        message_id = await relay.hand_over(*range(10000002, 10000008))
        recipients = (await relay.letter(message_id)).recipients
        await asyncio.gather(*(relay.submit(item.recipient_id) for item in recipients))
        assert relay.provider.most_at_once == 2
        assert len(relay.provider.sent) == 6


@pytest.mark.parametrize(
    ("fault", "state", "reason_code"),
    [
        (DomainError(ErrorCode.DIRECTORY_UNAVAILABLE, "no answer"), OutboundState.RETRY_WAIT, "directory-unavailable"),
        (DomainError(ErrorCode.DIRECTORY_REFUSED, "no account"), OutboundState.BLOCKED, "directory-refused"),
    ],
)
async def test_a_directory_that_fails_is_waited_for(relay: Relay, fault, state, reason_code) -> None:
    relay.register.fault = fault
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await relay.submit(recipient.recipient_id)
    waiting = await only_recipient(relay, message_id)
    assert (waiting.state, waiting.reason_code, waiting.reason) == (state, reason_code, fault.detail)
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > START
    assert waiting.attempts == 0
    assert relay.provider.calls == 0


@pytest.mark.parametrize("problem", list(ResolutionProblem))
async def test_a_recipient_without_usable_address_blocks(relay: Relay, problem: ResolutionProblem) -> None:
    relay.register.problems[10000002] = problem
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await relay.submit(recipient.recipient_id)
    blocked = await only_recipient(relay, message_id)
    assert (blocked.state, blocked.reason_code) == (OutboundState.BLOCKED, problem.value)
    assert blocked.address_problem == problem
    assert relay.provider.calls == 0


async def test_an_address_outside_the_configured_domains_is_never_written_to(relay: Relay) -> None:
    relay.register.addresses[10000002] = "someone@example.com"
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await relay.submit(recipient.recipient_id)
    assert (await only_recipient(relay, message_id)).state == OutboundState.BLOCKED
    assert relay.provider.calls == 0


async def test_signer_down_is_waited_for_and_the_letter_goes_out_when_it_is_back(relay: Relay) -> None:
    relay.desk.fault = DomainError(ErrorCode.SIGNER_UNAVAILABLE, "no answer (ConnectError)")
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    for _ in range(3):
        await relay.submit(recipient.recipient_id)
        waiting = await only_recipient(relay, message_id)
        assert (waiting.state, waiting.reason_code) == (OutboundState.RETRY_WAIT, "signer-unavailable")
        assert waiting.next_attempt_at is not None
        relay.clock.moment = waiting.next_attempt_at
    assert sum(event.kind == "waiting" for event in await relay.events(message_id)) == 1
    relay.desk.fault = None
    await relay.submit(recipient.recipient_id)
    assert (await only_recipient(relay, message_id)).state == OutboundState.SUBMITTED
    assert set(relay.provider.copies().values()) == {1}


async def test_a_temporary_failure_sends_the_same_bytes_again(relay: Relay) -> None:
    relay.provider.answers.append(TemporaryFailure("provider-unavailable", "451 later"))
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await relay.submit(recipient.recipient_id)
    first = await relay.row(recipient.recipient_id)
    assert (first.state, first.reason, first.attempts) == ("retry_wait", "451 later", 1)
    await relay.submit(recipient.recipient_id)  # too early: nothing happens
    assert relay.provider.calls == 1
    relay.clock.moment += timedelta(seconds=2)
    await relay.submit(recipient.recipient_id)
    second = await relay.row(recipient.recipient_id)
    assert (second.state, second.attempts, second.reason_code) == ("submitted", 2, None)
    assert first.composed_sha256 == second.composed_sha256
    assert relay.desk.signed == 1


async def test_a_refusal_is_final_and_says_why(relay: Relay) -> None:
    relay.provider.answers.append(PermanentFailure("provider-refused", "550 no such user"))
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    await relay.submit(recipient.recipient_id)
    failed = await only_recipient(relay, message_id)
    assert (failed.state, failed.reason_code, failed.reason) == (
        OutboundState.FAILED,
        "provider-refused",
        "550 no such user",
    )
    ledger = (await relay.ledger.read()).outbound
    assert (ledger.accepted, ledger.terminal, ledger.in_flight, ledger.imbalance) == (1, 1, 0, 0)


async def test_a_refused_login_stops_the_account_until_it_is_configured_anew(relay: Relay) -> None:
    relay.provider.answers.append(Blocked("mailbox-not-ready", "535 no", stop_account=True))
    one, two = await relay.hand_over(10000002), await relay.hand_over(10000003)
    for message_id in (one, two):
        await relay.submit((await only_recipient(relay, message_id)).recipient_id)
    assert relay.provider.calls == 1
    for message_id in (one, two):
        blocked = await only_recipient(relay, message_id)
        assert (blocked.state, blocked.reason_code) == (OutboundState.BLOCKED, "mailbox-not-ready")
    async with relay.deps.database.unit_of_work() as work:
        await relay.deps.mailboxes.put(work, "a-1", mailbox_configuration(password="another"))
    await relay.side.sweep.sweep()
    for message_id in (one, two):
        await relay.submit((await only_recipient(relay, message_id)).recipient_id)
    assert len(relay.provider.sent) == 2


async def test_an_unreachable_provider_is_spared_the_other_letters(relay: Relay) -> None:
    relay.provider.answers.append(TemporaryFailure("provider-unavailable", "refused", unreachable=True))
    one, two = await relay.hand_over(10000002), await relay.hand_over(10000003)
    for message_id in (one, two):
        await relay.submit((await only_recipient(relay, message_id)).recipient_id)
    assert relay.provider.calls == 1
    other = await only_recipient(relay, two)
    assert (other.state, other.reason_code, other.attempts) == (OutboundState.RETRY_WAIT, "provider-unavailable", 0)


async def test_the_same_submission_again_changes_nothing_and_another_one_conflicts(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    stored = await relay.deps.blobs.put(PACKAGE, limit=1_000_000)
    same = submission(stored.sha256, stored.size, [10000002])
    assert await relay.side.acceptance.accept(message_id, same) is False
    with pytest.raises(DomainError) as conflict:
        await relay.side.acceptance.accept(message_id, same.model_copy(update={"subject": "another"}))
    assert conflict.value.code == ErrorCode.STATE_CONFLICT
    assert (await relay.ledger.read()).outbound.accepted == 1


async def test_two_identical_submissions_at_once_make_one_letter(relay: Relay) -> None:
    stored = await relay.deps.blobs.put(PACKAGE, limit=1_000_000)
    message_id, content = new_id(), submission(stored.sha256, stored.size, [10000002, 10000003])
    created = await asyncio.gather(*(relay.side.acceptance.accept(message_id, content) for _ in range(4)))
    assert sorted(created) == [False, False, False, True]
    assert (await relay.ledger.read()).outbound.accepted == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"institution_no": 10000099}, ErrorCode.MAILBOX_MISSING),
        ({"package_sha256": "0" * 64}, ErrorCode.NOT_FOUND),
        ({"package_sha256": "xyz"}, ErrorCode.VALIDATION_FAILED),
        ({"package_size": 1}, ErrorCode.VALIDATION_FAILED),
        ({"package_size": 10**9}, ErrorCode.TOO_LARGE),
        ({"recipient_nos": [10000002, 10000002]}, ErrorCode.VALIDATION_FAILED),
        ({"recipient_nos": [12]}, ErrorCode.VALIDATION_FAILED),
        ({"expires_at": START}, ErrorCode.VALIDATION_FAILED),
    ],
)
async def test_a_submission_that_cannot_be_taken_leaves_nothing(relay: Relay, changes, code) -> None:
    with pytest.raises(DomainError) as refused:
        await relay.hand_over(10000002, **changes)
    assert refused.value.code == code
    assert (await relay.ledger.read()).outbound.accepted == 0
    assert await relay.jobs("kep_relay.submit") == []


async def test_cancel_reaches_what_is_not_submitted(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002, 10000003)
    first, second = (await relay.letter(message_id)).recipients
    await relay.submit(first.recipient_id)
    cancelled, too_late = await relay.side.acceptance.cancel(message_id, [10000001])
    assert (cancelled, too_late) == ([second.recipient_id], [first.recipient_id])
    await relay.submit(second.recipient_id)
    assert len(relay.provider.sent) == 1
    with pytest.raises(DomainError):
        await relay.side.acceptance.cancel(message_id, [10000077])


async def test_cancel_meets_a_letter_whose_reason_to_wait_changes_meanwhile(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient_id = (await relay.letter(message_id)).recipients[0].recipient_id
    async with relay.deps.database.unit_of_work() as work:
        await work.session.execute(text("UPDATE outbound_recipients SET state = 'blocked'"))
        cancelling = asyncio.create_task(relay.side.acceptance.cancel(message_id, [SENDER_NO]))

        async def waits() -> bool:
            async with relay.deps.database.autocommit() as session:
                return bool(await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

        async with asyncio.timeout(60):
            while not await waits():
                await asyncio.sleep(0.02)
    assert await cancelling == ([recipient_id], [])
    assert (await relay.row(recipient_id)).state == OutboundState.CANCELLED


async def test_cancel_beats_a_letter_that_is_being_prepared(relay: Relay) -> None:
    message_id = await relay.hand_over(10000002)
    recipient = await only_recipient(relay, message_id)
    relay.register.gate = asyncio.Event()
    task = asyncio.create_task(relay.submit(recipient.recipient_id))
    await relay.register.asked.wait()
    cancelled, _too_late = await relay.side.acceptance.cancel(message_id, [10000001])
    relay.register.gate.set()
    await task
    assert cancelled == [recipient.recipient_id]
    assert (await only_recipient(relay, message_id)).state == OutboundState.CANCELLED
    assert relay.provider.calls == 0


async def test_resend_makes_a_new_letter_for_those_not_reached(relay: Relay) -> None:
    relay.provider.answers.append(PermanentFailure("provider-refused", "550 no"))
    message_id = await relay.hand_over(10000002, 10000003)
    for recipient in (await relay.letter(message_id)).recipients:
        await relay.submit(recipient.recipient_id)
    new_message_id = new_id()
    assert await relay.side.acceptance.resend(message_id, [10000001], new_message_id) is True
    assert await relay.side.acceptance.resend(message_id, [10000001], new_message_id) is False
    again = await relay.letter(new_message_id)
    assert again.resend_of == message_id
    assert [item.detsis_no for item in again.recipients] == [10000002]
    await relay.submit(again.recipients[0].recipient_id)
    with pytest.raises(DomainError) as conflict:
        await relay.side.acceptance.resend(new_message_id, [10000001], new_id())
    assert conflict.value.code == ErrorCode.STATE_CONFLICT


async def test_nobody_is_sent_to_again_twice(relay: Relay) -> None:
    """Two persons, each with a key of their own, would otherwise make two letters out of one."""
    relay.provider.answers += [PermanentFailure("provider-refused", "550 no")] * 2
    message_id = await relay.hand_over(10000002, 10000003)
    first, second = (await relay.letter(message_id)).recipients
    await relay.submit(first.recipient_id)
    resend = relay.side.acceptance.resend
    one, other = new_id(), new_id()
    results = await asyncio.gather(
        resend(message_id, [SENDER_NO], one), resend(message_id, [SENDER_NO], other), return_exceptions=True
    )
    (conflict,) = (result for result in results if isinstance(result, DomainError))
    assert conflict.code == ErrorCode.STATE_CONFLICT
    later = one if results[0] is True else other
    with pytest.raises(DomainError, match="sent again already"):
        await resend(message_id, [SENDER_NO], new_id())
    # One that ends later has its turn, and so has the later letter once it has ended badly as well.
    await relay.submit(second.recipient_id)
    rest = new_id()
    assert await resend(message_id, [SENDER_NO], rest)
    assert [item.detsis_no for item in (await relay.letter(rest)).recipients] == [second.detsis_no]
    relay.provider.answers.append(PermanentFailure("provider-refused", "550 no"))
    await relay.submit((await relay.letter(later)).recipients[0].recipient_id)
    assert await resend(later, [SENDER_NO], new_id())
