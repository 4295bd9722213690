"""Parts fail, one after another: the letter waits, says why, and goes out exactly once when the part is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from services.cli.api import ApiError
from tests.support.stack import PATIENCE, A, B, Stack, codes, problem, recipient_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SENDERS_PROVIDER, RECIPIENTS_PROVIDER = {"provider": "hs98"}, {"provider": "hs99"}


def arrives_once(stack: Stack, message_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
    """The letter is delivered, and lies in the recipient's mailbox once: by Message-ID and by its package."""
    message = stack.wait_for(message_id, "delivered", "read", seconds=seconds)
    assert stack.copies(message) == 1
    assert stack.delivered_packages().count(message["package_sha256"]) == 1
    recipient = recipient_of(message)
    assert recipient["reason_code"] is None, "what is over is no reason any more"
    assert stack.ledger()["outbound"]["imbalance"] == 0
    return message


def sent_copies(stack: Stack, message: dict[str, Any]) -> int:
    """How often A's provider took the letter."""
    header = recipient_of(message)["message_id_header"]
    return sum(mail["message_id"] == header for mail in stack.folder(A, "Sent"))


# The sender's provider


@pytest.mark.parametrize("fault", ["smtp.drop_before_data", "smtp.tempfail"])
def test_submission_is_down(stack: Stack, fault: str) -> None:
    # A session that is still open from the letter before fails at once, a new one is not even greeted.
    with stack.faulty(fault, scope=SENDERS_PROVIDER), stack.faulty("smtp.refuse_connection", scope=SENDERS_PROVIDER):
        sent = stack.send()
        waiting = stack.wait_for_reason(sent["message_id"], "provider-unavailable")
        assert waiting["state"] == "retry_wait"
        assert recipient_of(waiting)["reason"]
        assert recipient_of(waiting)["next_attempt_at"]
        assert sent_copies(stack, waiting) == 0
    message = arrives_once(stack, sent["message_id"])
    assert recipient_of(message)["attempts"] >= 2
    assert sent_copies(stack, message) == 1


def test_submission_refuses_for_good(stack: Stack) -> None:
    with stack.faulty("smtp.permfail", scope=SENDERS_PROVIDER):
        sent = stack.send()
        failed = stack.wait_for(sent["message_id"], "failed")
    assert recipient_of(failed)["reason_code"] == "provider-refused"
    assert "550" in recipient_of(failed)["reason"]
    assert stack.copies(failed) == 0
    again = stack.sender.json(
        "POST", f"/outbound-messages/{sent['message_id']}/resend", headers={"Idempotency-Key": sent["message_id"]}
    )
    assert again["message_id"] != sent["message_id"]
    arrives_once(stack, again["message_id"])


def test_answer_to_the_submission_is_lost(stack: Stack) -> None:
    lost_before = stack.metric("kep_relay", "kepgw_outcome_unknown_total")
    # Evidence would settle it too, and sooner than the look into the Sent folder.
    with (
        stack.faulty("evidence.delay", value=20),
        stack.faulty("smtp.drop_after_data", scope=SENDERS_PROVIDER, count=1),
    ):
        sent = stack.send()
        stack.wait_for(sent["message_id"], "submitted", "accepted", "relayed", "delivered")
    message = arrives_once(stack, sent["message_id"])
    assert recipient_of(message)["attempts"] == 1, "found in the Sent folder, so never sent again"
    assert sent_copies(stack, message) == 1
    # By the history: the states themselves pass too quickly to be seen on every machine.
    events = [(event["kind"], event["to_state"]) for event in stack.events(sent["message_id"])]
    assert events.index(("outcome", "outcome_unknown")) < events.index(("reconciled", "submitted"))
    assert stack.metric("kep_relay", "kepgw_outcome_unknown_total") == lost_before + 1


def test_answer_lost_and_mailbox_unreachable(stack: Stack) -> None:
    """The provider cannot be asked: that is not a "no", so nothing is sent again."""
    with (
        _mailboxes_down(stack, SENDERS_PROVIDER),
        stack.faulty("smtp.drop_after_data", scope=SENDERS_PROVIDER, count=1),
    ):
        sent = stack.send()
        unknown = stack.wait_for(sent["message_id"], "outcome_unknown")
        looks = _looks_in_vain(stack)
        wait_until(lambda: _looks_in_vain(stack) > looks + 1, PATIENCE, "looks that could not be made")
        assert stack.message(sent["message_id"])["state"] == "outcome_unknown"
        assert recipient_of(stack.message(sent["message_id"]))["reason"]
        assert sent_copies(stack, unknown) == 1
    message = arrives_once(stack, sent["message_id"])
    assert sent_copies(stack, message) == 1
    assert recipient_of(message)["attempts"] == 1


def _looks_in_vain(stack: Stack) -> float:
    return stack.metric("kep_relay", "kepgw_reconciliations_total", result="unavailable")


def test_senders_mailbox_is_down(stack: Stack) -> None:
    """The letter goes out; its evidence waits at the provider."""
    with _mailboxes_down(stack, SENDERS_PROVIDER):
        sent = stack.send()
        submitted = stack.wait_for(sent["message_id"], "submitted")
        wait_until(lambda: stack.copies(submitted) == 1, PATIENCE, "the letter is at B's provider")
        assert stack.message(sent["message_id"])["state"] == "submitted", "nothing is delivered before its evidence"
    arrives_once(stack, sent["message_id"])


def test_recipients_mailbox_is_down(stack: Stack) -> None:
    """B's own drain waits; what came meanwhile is taken once."""
    with _mailboxes_down(stack, RECIPIENTS_PROVIDER):
        sent = stack.send()
        arrives_once(stack, sent["message_id"])
        assert _inbound(stack, sent) == []
    (letter,) = wait_until(lambda: _inbound(stack, sent), PATIENCE, "B's gateway has the letter")
    assert letter["package_sha256"] == sent["package_sha256"]
    assert len(_inbound(stack, sent)) == 1


@contextmanager
def _mailboxes_down(stack: Stack, scope: dict[str, str]) -> Iterator[None]:
    """Open IMAP sessions are cut at their next sign of life, new ones are not greeted."""
    with stack.faulty("imap.drop", scope=scope), stack.faulty("imap.refuse_connection", scope=scope):
        yield


def _inbound(stack: Stack, sent: dict[str, Any]) -> list[dict[str, Any]]:
    """B's letters with this one's package."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        parameters = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = stack.recipient.json("GET", "/inbound-messages", params=parameters)
        found += [item for item in page["messages"] if item["package_sha256"] == sent["package_sha256"]]
        if (cursor := page["next_cursor"]) is None:
            return found


def test_provider_of_the_recipient_is_down(stack: Stack) -> None:
    with stack.faulty("relay.down", scope=RECIPIENTS_PROVIDER):
        sent = stack.send()
        failed = stack.wait_for(sent["message_id"], "relay_failed")
    assert codes(stack.evidence(sent["message_id"])) == [10, 31]
    assert recipient_of(failed)["reason_code"] == "evidence.31"
    assert stack.copies(failed) == 0


# Evidence that comes badly


def test_evidence_twice_counts_once(stack: Stack) -> None:
    with stack.faulty("evidence.duplicate"):
        sent = stack.send()
        message = arrives_once(stack, sent["message_id"])
    wait_until(lambda: set(codes(stack.evidence(sent["message_id"]))) == {10, 20, 40}, PATIENCE, "all evidence")
    assert recipient_of(message)["evidence_codes"] == [10, 20, 40]
    assert recipient_of(message)["attention"] == []


def test_forged_evidence_proves_nothing(stack: Stack) -> None:
    with stack.faulty("evidence.bad_signature", scope={"code": "40"}):
        sent = stack.send()
        flagged = wait_until(
            lambda: (
                message
                if "evidence_unverified" in recipient_of(message := stack.message(sent["message_id"]))["attention"]
                else None
            ),
            PATIENCE,
            "a person is asked to look",
        )
    assert flagged["state"] in {"accepted", "relayed"}
    record = next(item for item in stack.evidence(sent["message_id"]) if item["code"] == 40)
    assert record["signature_conclusion"] == "failed"


# DETSİS


def test_detsis_is_down_and_the_mirror_helps(stack: Stack) -> None:
    with stack.faulty("detsis.down"):
        _until_mirror_answers(stack)
        sent = stack.send()
        message = arrives_once(stack, sent["message_id"])
    recipient = recipient_of(message)
    assert recipient["address_source"] == "mirror"
    assert recipient["address_rule"] == "mirror.detsis-down"
    _until_live_again(stack)


def test_detsis_is_down_and_the_mirror_empty(stack: Stack) -> None:
    with stack.faulty("detsis.down"), _mirror_never_filled(stack):
        _until_mirror_answers(stack)
        sent = stack.send()
        waiting = stack.wait_for_reason(sent["message_id"], "directory-unavailable")
        assert waiting["state"] == "retry_wait"
        assert recipient_of(waiting)["kep_address"] is None
    arrives_once(stack, sent["message_id"])
    _until_live_again(stack)


@contextmanager
def _mirror_never_filled(stack: Stack) -> Iterator[None]:
    """As on the day of installation: no refresh has ever been accepted."""
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        accepted = connection.execute(
            "UPDATE detsis_sync.runs SET state = 'failed' WHERE state = 'accepted' RETURNING run_id"
        ).fetchall()
        assert accepted
        try:
            yield
        finally:
            connection.execute(
                "UPDATE detsis_sync.runs SET state = 'accepted' WHERE run_id = ANY(%s)", ([row[0] for row in accepted],)
            )


def _until_mirror_answers(stack: Stack) -> None:
    """What DETSİS said about the letter before is forgotten: it serves further steps for a few seconds."""

    def is_forgotten() -> bool:
        order = {"institution_no": A, "recipients": [B]}
        try:
            answer = stack.sender.json("POST", "/directory/resolve", json=order)
        except ApiError as error:
            return bool(error.problem["code"] == "directory-unavailable")
        return bool(answer["recipients"][0]["source"] == "mirror")

    wait_until(is_forgotten, PATIENCE, "the mirror, or nobody, answers instead of DETSİS", pause=0.5)


def _until_live_again(stack: Stack) -> None:
    """The next letter is resolved by DETSİS itself: the pause after a failure is over."""

    def is_live() -> bool:
        sent = stack.send()
        message = arrives_once(stack, sent["message_id"])
        return bool(recipient_of(message)["address_source"] == "live")

    wait_until(is_live, PATIENCE, "DETSİS is asked again", pause=1)


# Our own processes


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("detsis_sync", {"directory-unavailable", "service-unavailable"}),
        ("signer", {"signer-unavailable", "service-unavailable"}),
    ],
)
def test_a_service_is_stopped(stack: Stack, name: str, reasons: set[str]) -> None:
    with stack.stopped(name):
        sent = stack.send()
        waiting = stack.wait_for_reason(sent["message_id"], *reasons)
        assert waiting["state"] == "retry_wait"
        assert sent_copies(stack, waiting) == 0
        for other in ("gateway", "kep_relay"):
            assert stack.ops(other, "/readyz").status_code == 200, "a waiting letter is no reason to take a part out"
    arrives_once(stack, sent["message_id"])


def test_relay_is_stopped(stack: Stack) -> None:
    """Without kep_relay nothing can be stored durably, so nothing is accepted; the repeat is one letter."""
    package, key = stack.package(), "while-the-relay-was-down"
    with stack.stopped("kep_relay"):
        refused = stack.post(package, headers={"Idempotency-Key": key})
        assert refused.status_code == 503
        assert problem(refused) in {"service-unavailable", "durability-unavailable"}
        assert refused.json()["retryable"] is True
        assert stack.ops("gateway", "/readyz").status_code == 200
    accepted = stack.post(package, headers={"Idempotency-Key": key})
    assert accepted.status_code == 202
    arrives_once(stack, accepted.json()["message_id"])


def test_relay_stops_while_letters_are_under_way(stack: Stack) -> None:
    with stack.faulty("smtp.tempfail", scope=SENDERS_PROVIDER):
        sent = stack.send()
        stack.wait_for_reason(sent["message_id"], "provider-unavailable")
        stack.stop("kep_relay")
    stack.start("kep_relay")
    arrives_once(stack, sent["message_id"])


def test_sandbox_restarts_while_letters_are_under_way(stack: Stack) -> None:
    """The whole outside world goes away at once, and comes back with the same mailboxes."""
    package = stack.package()
    with stack.stopped("sandbox"):
        _until_mirror_answers(stack)
        sent = stack.send(package)
        waiting = stack.wait_for_reason(sent["message_id"], "provider-unavailable")
        assert recipient_of(waiting)["address_source"] == "mirror"
    arrives_once(stack, sent["message_id"])


def test_database_is_stopped(stack: Stack) -> None:
    with_database = ("gateway", "kep_relay", "detsis_sync")
    sent = stack.send()
    arrives_once(stack, sent["message_id"])
    package = stack.package()
    stack.database.stop()
    try:
        for name in with_database:
            ready = wait_until(
                lambda name=name: answer if (answer := stack.ops(name, "/readyz")).status_code == 503 else None,
                PATIENCE,
                f"{name} says that it is not ready",
            )
            assert ready.json()["ready"] is False
            assert ready.json()["checks"]["database"] != "ok"
            assert stack.ops(name, "/livez").status_code == 200, "a restart would not bring the database back"
        assert stack.ops("signer", "/readyz").status_code == 200
        refused = stack.post(package)
        assert refused.status_code == 503
        assert refused.json()["retryable"] is True
    finally:
        stack.database.start()
    for name in with_database:
        wait_until(lambda name=name: stack.ops(name, "/readyz").status_code == 200, PATIENCE, f"{name} is ready again")
    after = stack.send(package)
    arrives_once(stack, after["message_id"])
    assert stack.message(sent["message_id"])["state"] == "delivered"
