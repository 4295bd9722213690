"""Second factors, credit and quota of accounts at the SOAP service (kep.md 2.5 and section 7)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from services.kep_relay.accounts.checks import AccountChecks
from services.kep_relay.asking import standing_limits
from services.kep_relay.mailboxes import stop_account
from services.kep_relay.second_factor.states import SecondFactorStates
from services.kep_relay.tables import AccountStandingRow, EventRow, RawMailRow
from services.sandbox.faults import Fault
from services.sandbox.kephs import LoginPolicy
from services.sandbox.kephs.cms import sign_detached
from shared.clock import SystemClock
from shared.contracts.second_factor import SecondFactor
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode
from shared.secrets import SecretBox
from tests.support.asking import Asking, running_asking
from tests.support.database import fresh_database
from tests.support.eyws_provider import SMS_KEY, A, B
from tests.support.inbound import until
from tests.support.relay import PACKAGE, SENDER_NO, mailbox_configuration, running_relay, submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

B_NO = 10000002
BY = {"by": "Ayşe Yılmaz"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    with fresh_database(database_server) as url:
        async with running_asking(url, tmp_path_factory.mktemp("second"), account_interval_seconds=900) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: Asking) -> AsyncIterator[Asking]:
    yield shared
    shared.providers.faults.clear()
    for address in (A, B):
        shared.providers.providers.change_standing(address, policy=LoginPolicy.BASE, quota_kilobytes=None)
        await shared.configure(address)
    await shared.inbound.execute("DELETE FROM kep_relay.second_factors")


async def asks_for(world: Asking, policy: LoginPolicy, login: str) -> None:
    world.providers.providers.change_standing(B, policy=policy)
    await world.configure(B, eyws_login=login)


async def call(world: Asking, method: str, path: str = "", body: dict[str, Any] | None = None, no: int = B_NO) -> Any:
    path = f"/mailboxes/b-1/second-factor{path}"
    return await world.inbound.http.request(method, path, params={"institution": no}, json=body)


async def begin(world: Asking) -> SecondFactor:
    answer = await call(world, "POST", body=BY)
    assert answer.status_code == 200, answer.text
    return SecondFactor.model_validate(answer.json())


async def raws(world: Asking) -> list[RawMailRow]:
    async with world.inbound.deps.database.reading() as session:
        rows = await session.scalars(
            select(RawMailRow).where(RawMailRow.mailbox_id == "b-1", RawMailRow.folder == "INBOX")
        )
        return list(rows.all())


async def events(world: Asking) -> int:
    async with world.inbound.deps.database.reading() as session:
        rows = await session.scalars(select(EventRow).where(EventRow.type == "mailbox.second-factor-needed"))
        return len([row for row in rows if row.detail == {"mailbox_id": "b-1"}])


async def waits(world: Asking) -> bool:
    row = await world.second_factor(B)
    return row is not None and row.state == "needed"


async def test_case_05_second_factor_required_over_eyws(world: Asking) -> None:
    """Listing goes on, downloads wait, a person is told once; after the SMS key everything comes in."""
    await asks_for(world, LoginPolicy.OTP, "sms")
    before, told = len(await raws(world)), await events(world)
    letters = [await world.send(B, 40) for _ in range(2)]
    for letter, _ in letters:
        await world.providers.delivered(letter)
    async with world.inbound.at_work(sweeping=False):
        await until(lambda: waits(world), 60)
        polled = (await world.inbound.mailbox("b-1")).last_successful_poll_at
        world.clock.moment += timedelta(seconds=10)
        await until(lambda: polled_after(world, polled), 60)
        mailbox = await world.inbound.mailbox("b-1")
        assert (mailbox.stopped_at, mailbox.last_poll_fault) == (None, None)
        assert len(await raws(world)) == before
        assert await events(world) == told + 1
        assert await ready(world) is False
        challenge = await begin(world)
        assert (challenge.state, challenge.kind, challenge.challenged_by) == ("challenged", "sms", BY["by"])
        row = await world.second_factor(B)
        assert row is not None
        assert row.security_id_token is not None
        answer = await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})
        assert answer.json()["state"] == "confirmed", answer.text
        await until(lambda: arrived(world, before + 2), 60)
    assert all(raw.state != "quarantined" and raw.sha256 for raw in await raws(world))
    assert await ready(world) is True
    assert await events(world) == told + 1


async def polled_after(world: Asking, moment: Any) -> bool:
    polled = (await world.inbound.mailbox("b-1")).last_successful_poll_at
    return polled is not None and (moment is None or polled > moment)


async def arrived(world: Asking, number: int) -> bool:
    return len(await raws(world)) >= number


async def ready(world: Asking) -> bool:
    checks = await AccountChecks(world.inbound.deps.database, standing_limits(world.inbound.deps.settings))(
        await world.inbound.mailbox("b-1")
    )
    (check,) = [item for item in checks if item.id == "second-factor"]
    return check.ok


async def test_case_06_wrong_or_reused_sms_key_over_eyws(world: Asking) -> None:
    """A wrong key uses the challenge up; one more may be begun, then none until the pause is over."""
    await asks_for(world, LoginPolicy.OTP, "sms")
    for left in (1, 0):
        await begin(world)
        answer = await call(world, "POST", "/confirm", BY | {"sms_code": "000000"})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
        assert f"challenges left: {left}" in answer.json()["detail"]
        assert "000000" not in answer.text
        reused = await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})
        assert reused.json()["code"] == "state-conflict"
    refused = await call(world, "POST", body=BY)
    assert refused.json()["code"] == "rate-limited"
    shown = SecondFactor.model_validate((await call(world, "GET")).json())
    assert (shown.state, shown.challenges_left) == ("needed", 0)
    assert shown.next_challenge_at is not None
    world.clock.moment = shown.next_challenge_at
    await begin(world)
    assert (await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})).json()["state"] == "confirmed"


async def test_a_changed_configuration_does_not_lift_the_pause(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    for _ in range(2):
        await begin(world)
    await world.configure(B, eyws_login="sms")
    assert (await call(world, "POST", body=BY)).json()["code"] == "rate-limited"


async def test_a_signature_over_the_text_opens_the_mailbox(world: Asking) -> None:
    await asks_for(world, LoginPolicy.SIGNATURE, "signature")
    challenge = await begin(world)
    assert challenge.kind == "signature"
    assert challenge.text
    assert challenge.digest_base64
    wrong = await call(world, "POST", "/confirm", BY | {"sms_code": "1"})
    assert wrong.json()["code"] == "validation-failed"
    signature = sign_detached(challenge.text.encode(), world.providers.signer, SystemClock().now())
    answer = await call(world, "POST", "/confirm", BY | {"signature_base64": base64.b64encode(signature).decode()})
    assert answer.json()["state"] == "confirmed", answer.text
    assert answer.json()["confirmed_by"] == BY["by"]


async def test_an_answer_that_gets_lost_leaves_the_challenge_open(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    await begin(world)
    world.providers.faults.order(Fault("eyws.drop", {}, count=1))
    answer = await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})
    assert answer.json()["code"] == "provider-unavailable"
    answer = await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})
    assert answer.json()["state"] == "confirmed", answer.text


async def test_a_confirmation_that_ran_out_is_asked_for_again_and_not_by_itself(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    await begin(world)
    assert (await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})).json()["state"] == "confirmed"
    told = await events(world)
    world.providers.clock.move_to(timedelta(minutes=31))
    before = len(await raws(world))
    letter, _ = await world.send(B, 40)
    await world.providers.delivered(letter)
    world.clock.moment += timedelta(minutes=31)
    async with world.inbound.at_work(sweeping=False):
        await until(lambda: waits(world), 60)
    row = await world.second_factor(B)
    assert row is not None
    assert (row.challenges, row.security_id_token) == (0, None)
    assert await events(world) == told + 1
    assert len(await raws(world)) == before


async def test_an_account_configured_for_passwords_alone_is_not_asked_at_each_look(world: Asking) -> None:
    """The provider wants more than is configured: downloads rest for a quarter of an hour, then one try tells."""
    world.providers.providers.change_standing(B, policy=LoginPolicy.OTP)
    before = len(await raws(world))
    letter, _ = await world.send(B, 40)
    await world.providers.delivered(letter)
    async with world.inbound.at_work(sweeping=False):
        await until(lambda: waits(world), 60)
        needed = await world.second_factor(B)
        assert needed is not None
        world.clock.moment += timedelta(minutes=5)
        polled = world.clock.now()
        await until(lambda: polled_after(world, polled - timedelta(seconds=1)), 60)
        again = await world.second_factor(B)
        assert again is not None
        assert again.updated_at == needed.updated_at
        world.providers.providers.change_standing(B, policy=LoginPolicy.BASE)
        world.clock.moment += timedelta(minutes=11)
        await until(lambda: arrived(world, before + 1), 60)
        await until(lambda: forgotten(world), 60)


async def forgotten(world: Asking) -> bool:
    return await world.second_factor(B) is None


async def test_a_refusal_that_was_on_its_way_does_not_undo_a_confirmation(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    asked_at = world.clock.now() - timedelta(seconds=1)
    await begin(world)
    await call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY})
    table = SecondFactorStates(
        world.inbound.deps.database, SecretBox(world.inbound.deps.settings.secret_keys), world.clock
    )
    account = await world.account(B)
    await table.need(account, reason="late", asked_at=asked_at)
    assert (await table.security_id(account)) is not None
    await table.need(account, reason="ran out", asked_at=world.clock.now() + timedelta(seconds=1))
    assert (await table.security_id(account)) is None


async def test_two_persons_at_once_answer_once(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    await begin(world)
    answers = await asyncio.gather(*(call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY}) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (await call(world, "GET")).json()["state"] == "confirmed"


async def test_an_answer_given_twice_does_not_undo_its_own_confirmation(world: Asking) -> None:
    """The first is so slow that it counts as lost, so the second is let through, and the provider refuses that one."""
    await asks_for(world, LoginPolicy.OTP, "sms")
    await begin(world)
    world.providers.order("eyws.delay", operation="GuvenliGiris", count=1, value=0.5)
    first = asyncio.create_task(call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY}))
    await until(lambda: on_its_way(world), 60)
    world.clock.moment += timedelta(minutes=3)
    await asyncio.gather(first, call(world, "POST", "/confirm", BY | {"sms_code": SMS_KEY}))
    assert (await call(world, "GET")).json()["state"] == "confirmed"


async def on_its_way(world: Asking) -> bool:
    row = await world.second_factor(B)
    return row is not None and row.answering_at is not None


async def test_nothing_secret_is_kept_readable_or_shown(world: Asking) -> None:
    await asks_for(world, LoginPolicy.OTP, "sms")
    await begin(world)
    shown = (await call(world, "GET")).json()
    assert not [name for name in shown if "security" in name]
    async with world.inbound.deps.database.reading() as session:
        rows = (
            (await session.execute(text("SELECT second_factors::text FROM kep_relay.second_factors"))).scalars().all()
        )
    stored = await world.second_factor(B)
    assert stored is not None
    assert stored.security_id_token is not None
    secret = world.inbound.deps.mailboxes._secrets.decrypt(stored.security_id_token).get_secret_value()
    assert secret
    assert not [row for row in rows if secret in row]


async def test_a_mailbox_without_second_factor_and_a_stranger(world: Asking) -> None:
    assert (await call(world, "POST", body=BY)).json()["code"] == "state-conflict"
    assert (await call(world, "GET")).json()["state"] == "not_needed"
    for method, path, body in (("GET", "", None), ("POST", "", BY), ("POST", "/confirm", BY | {"sms_code": "1"})):
        assert (await call(world, method, path, body, no=SENDER_NO)).status_code == 404


async def test_case_08_own_mailbox_full_over_eyws(world: Asking) -> None:
    """Little room is counted and said; none makes the mailbox not ready."""
    await world.later(minutes=16)
    assert world.metric("kepgw_mailboxes_short", of="quota") == 0
    world.providers.providers.change_standing(A, quota_kilobytes=50_000)
    await world.later(minutes=16)
    assert world.metric("kepgw_mailboxes_short", of="quota") == 1
    checks = await AccountChecks(world.inbound.deps.database, standing_limits(world.inbound.deps.settings))(
        await world.inbound.mailbox("a-1")
    )
    assert [(item.id, item.ok) for item in checks] == [("second-factor", True), ("credit", True), ("quota", True)]
    assert "make room" in checks[2].detail


async def test_credit_is_told_at_the_interval_and_wakes_the_oldest_letter(world: Asking) -> None:
    world.providers.providers.change_standing(A, credit=0)
    await world.later(minutes=16)
    assert world.metric("kepgw_mailbox_credit_remaining") == 0
    assert world.metric("kepgw_mailboxes_short", of="credit") == 1
    _letter, recipient_id = await blocked_for_credit(world)
    _other, younger_id = await blocked_for_credit(world)
    world.providers.providers.change_standing(A, credit=500)
    await world.later(minutes=1)
    assert (await world.recipient(recipient_id)).next_attempt_at > world.clock.now()  # type: ignore[operator]
    await world.later(minutes=15)
    assert world.metric("kepgw_mailboxes_short", of="credit") == 0
    assert (await world.recipient(recipient_id)).next_attempt_at == world.clock.now()
    assert (await world.recipient(younger_id)).next_attempt_at > world.clock.now()  # type: ignore[operator]


async def blocked_for_credit(world: Asking) -> tuple[str, Any]:
    letter = world.providers.letter()
    recipient_id = await world.inbound.outgoing(
        letter.message_id, state="blocked", reason_code="kep-credit-exhausted", submitted_at=None,
        next_attempt_at=world.clock.now() + timedelta(hours=5),
    )  # fmt: skip
    return letter.message_id, recipient_id


async def test_a_provider_that_tells_nothing_is_counted_and_asked_less_often(world: Asking) -> None:
    await world.later(minutes=16)
    world.providers.faults.order(Fault("eyws.html_page", {}))
    await world.later(minutes=16)
    assert world.metric("kepgw_mailboxes_short", of="answers") == 0
    for _ in range(5):
        await world.later(minutes=16)
    assert world.metric("kepgw_mailboxes_short", of="answers") == 3
    async with world.inbound.deps.database.reading() as session:
        row = await session.get_one(AccountStandingRow, "a-1")
    assert row.fault
    assert row.credit is not None
    world.providers.faults.clear()
    await world.later(hours=2)
    assert world.metric("kepgw_mailboxes_short", of="answers") == 0


async def test_a_letter_for_an_account_that_is_not_ready_waits_with_its_reason(
    database_url: str, tmp_path: Path
) -> None:
    """202 means durable: the letter is kept, blocked with what a person can act on, and goes once that is done."""
    async with running_relay(database_url, tmp_path) as relay:
        async with relay.deps.database.unit_of_work() as work:
            await stop_account(work, "a-1", revision=1, clock=relay.clock, code="mailbox-not-ready", reason="locked")
        message_id = await relay.hand_over()
        recipient = (await relay.letter(message_id)).recipients[0]
        await relay.submit(recipient.recipient_id)
        recipient = (await relay.letter(message_id)).recipients[0]
        assert (recipient.state, recipient.reason_code, recipient.reason) == ("blocked", "mailbox-not-ready", "locked")
        assert relay.provider.sent == []
        async with relay.deps.database.unit_of_work() as work:
            await relay.deps.mailboxes.put(work, "a-1", mailbox_configuration())
        await relay.side.sweep.sweep()
        await relay.submit(recipient.recipient_id)
        assert (await relay.letter(message_id)).recipients[0].state == "submitted"


async def test_a_letter_is_refused_where_that_is_wanted_but_never_one_that_was_accepted(
    database_url: str, tmp_path: Path
) -> None:
    async with running_relay(database_url, tmp_path, unready_mailbox="refuse") as relay:
        stored = await relay.deps.blobs.put(PACKAGE, limit=1_000_000)
        accepted, letter = new_id(), submission(stored.sha256, stored.size, [10000002])
        assert await relay.side.acceptance.accept(accepted, letter)
        await relay.execute(
            "INSERT INTO kep_relay.account_standings (mailbox_id, next_at, credit) VALUES ('a-1', now(), 0)"
        )
        assert await relay.hand_over(), "it was told of an account that is now reached by mail servers"
        await relay.execute("UPDATE kep_relay.mailboxes SET eyws_url = 'https://eyws.hs98.example/'")
        with pytest.raises(DomainError) as caught:
            await relay.hand_over()
        assert caught.value.code is ErrorCode.KEP_CREDIT_EXHAUSTED
        async with relay.deps.database.unit_of_work() as work:
            await stop_account(work, "a-1", revision=1, clock=relay.clock, code="mailbox-not-ready", reason="locked")
        with pytest.raises(DomainError) as caught:
            await relay.hand_over()
        assert caught.value.code is ErrorCode.MAILBOX_NOT_READY
        assert await relay.side.acceptance.accept(accepted, letter) is False
