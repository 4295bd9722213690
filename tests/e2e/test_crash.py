"""kep_relay is killed again and again while fifty letters go through it: none lost, none doubled."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.stack import PATIENCE, A, Stack, problem, recipient_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def _hand_over(stack: Stack, package: bytes) -> str:
    """Like an EBYS: the same request with the same key until it is accepted."""
    key, deadline = str(uuid4()), time.monotonic() + 300
    while True:
        answer = stack.post(package, headers={"Idempotency-Key": key})
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["message_id"])
        assert answer.json()["retryable"], answer.text
        assert problem(answer) in {"service-unavailable", "durability-unavailable", "idempotency-in-progress"}
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def _all_messages(stack: Stack, ids: set[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while len(found) < len(ids):
        parameters = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = stack.sender.json("GET", "/outbound-messages", params=parameters)
        found |= {item["message_id"]: item for item in page["messages"] if item["message_id"] in ids}
        if (cursor := page["next_cursor"]) is None:
            break
    assert set(found) == ids, "a letter that was accepted is not listed"
    return list(found.values())


@pytest.mark.parametrize(
    ("seed", "letters", "kills", "answers_lost"),
    [(20260101, 50, 6, 0.0), (20260102, 25, 2, 0.2)],
    ids=["killed", "killed-and-answers-lost"],
)
def test_no_letter_is_lost_or_doubled(stack: Stack, seed: int, letters: int, kills: int, answers_lost: float) -> None:
    chance = random.Random(seed)
    packages = [stack.package(subject=f"Yazı {number} {uuid4()}") for number in range(letters)]
    before = {mail["original_message_id"] for mail in stack.letters_at()}
    accepted_before = stack.ledger()["outbound"]["accepted"]
    if answers_lost:
        stack.fault("smtp.drop_after_data", scope={"provider": "hs98"}, probability=answers_lost)
    with stack.supervised("kep_relay"), ThreadPoolExecutor(4) as clients:
        handing_over = [clients.submit(_hand_over, stack, package) for package in packages]
        for _ in range(kills):
            # At its work, not while it starts: a moment somewhere in its first second or two of life.
            wait_until(lambda: _is_ready(stack), PATIENCE, "kep_relay is back")
            time.sleep(chance.uniform(0.0, 1.5))
            stack.signal("kep_relay", signal.SIGKILL)
        ids = {job.result(360) for job in handing_over}
        wait_until(lambda: _is_ready(stack), PATIENCE, "kep_relay is back")
        stack.clear_faults()
        assert len(ids) == letters
        wait_until(
            lambda: all(item["state"] == "delivered" for item in _all_messages(stack, ids)),
            400,
            "all are delivered",
            pause=1,
        )

    messages = _all_messages(stack, ids)
    mailbox = [mail for mail in stack.letters_at() if mail["original_message_id"] not in before]
    assert sorted(mail["original_message_id"] for mail in mailbox) == sorted(
        recipient_of(message)["message_id_header"] for message in messages
    ), "each once at the recipient's provider, and nothing else"
    wanted = sorted(message["package_sha256"] for message in messages)
    assert len(set(wanted)) == letters
    received = stack.delivered_packages()
    assert all(received.count(digest) == 1 for digest in wanted)
    sent = [mail["message_id"] for mail in stack.folder(A, "Sent")]
    assert all(sent.count(recipient_of(message)["message_id_header"]) == 1 for message in messages)

    ledger = stack.ledger()
    assert ledger["outbound"]["accepted"] == accepted_before + letters
    assert ledger["outbound"]["imbalance"] == ledger["inbound"]["imbalance"] == 0
    # B's side was drained by the same process: it has each letter once as well.
    wait_until(
        lambda: _taken_in(stack, set(wanted)) == wanted, PATIENCE, "B's gateway has every letter once", pause=0.5
    )


def _is_ready(stack: Stack) -> bool:
    if not stack.alive("kep_relay"):
        return False
    try:
        return stack.ops("kep_relay", "/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _taken_in(stack: Stack, wanted: set[str]) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = stack.recipient.json("GET", "/inbound-messages", params=parameters)
        found += [item["package_sha256"] for item in page["messages"] if item["package_sha256"] in wanted]
        if (cursor := page["next_cursor"]) is None:
            return sorted(found)
