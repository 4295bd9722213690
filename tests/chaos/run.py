"""One run: letters go through two relay replicas while the storm lasts; then calm, and the count."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

from tests.chaos.reckoning import Reckoning, messages_of, reckon, settled
from tests.chaos.replica import REPLICA, second_relay
from tests.chaos.storm import Storm, is_ready
from tests.chaos.traffic import HandOver, Registry
from tests.support.stack import Stack, wait_until

SETTINGS = {"KEPGW_SIGNER_RETRY_AFTER_SECONDS": "3"}
"""On top of the test stack's: a revocation list that was away is asked for again soon."""
_SUPERVISED = ("kep_relay", REPLICA, "gateway", "signer", "detsis_sync")
_CLIENTS = 6
_WORD_SECONDS = 30

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What was done to the letters, and what came of them."""

    reckoning: Reckoning
    kills: Counter[str]
    faults: Counter[str]
    seconds: float


def run(stack: Stack, *, letters: int, seconds: float, seed: int, calm_seconds: float, tell: Tell) -> Outcome:
    """``seconds``: how long letters are handed over under the storm, evenly; ``calm_seconds``: time to settle afterwards."""
    started = time.monotonic()
    chance = random.Random(seed)
    packages = [stack.package(subject=f"Yazı {number} {uuid4()}") for number in range(letters)]
    before = {mail["original_message_id"] for mail in stack.letters_at()}
    tell(f"{letters} letters written; the storm begins (seed {seed})")
    with second_relay(stack), stack.supervised(*_SUPERVISED):
        storm, registry = Storm(stack, chance), Registry(stack)
        registry.start()
        storm.start()
        try:
            with ThreadPoolExecutor(_CLIENTS) as clients:
                handing_over = _hand_over(stack, clients, packages, seconds, calm_seconds, tell)
                # The storm is over when the time is, however many letters are still to be taken.
                storm.stop()
                tell(f"calm: {sum(storm.kills.values())} kills, {sum(storm.faults.values())} faults; letters settle")
                ids = {job.result(calm_seconds + 60) for job in handing_over}
        finally:
            storm.stop()
        for name in _SUPERVISED:
            wait_until(lambda name=name: is_ready(stack, name), 120, f"{name} is back")
        _wait_until_settled(stack, ids, calm_seconds, tell)
        wanted = {item["package_sha256"] for item in messages_of(stack, ids)}
        wait_until(lambda: wanted <= set(registry.packages.values()), calm_seconds, "B has registered all", pause=1)
        registry.stop()
        result = reckon(stack, ids, before, registry.packages)
    return Outcome(result, storm.kills, storm.faults, time.monotonic() - started)


def _wait_until_settled(stack: Stack, ids: set[str], seconds: float, tell: Tell) -> None:
    """Fails with what the letters wait for, whose logs are gone once the stack is."""
    started = time.monotonic()
    next_word = started + _WORD_SECONDS
    while not settled(stack, ids):
        now = time.monotonic()
        if now > started + seconds:
            raise AssertionError("\n".join(_waiting(stack, ids)) + f"\n{stack.log_tails()}")
        if now > next_word:
            next_word = now + _WORD_SECONDS
            tell(f"after {now - started:.0f} s of calm: {_states(stack, ids)}")
        time.sleep(1)


def _states(stack: Stack, ids: set[str]) -> str:
    counts = Counter(
        f"{message['state']} {recipient['reason_code'] or ''}".strip()
        for message in messages_of(stack, ids)
        for recipient in message["recipients"]
    )
    return ", ".join(f"{number} {state}" for state, number in counts.most_common())


def _waiting(stack: Stack, ids: set[str]) -> Iterator[str]:
    for message in messages_of(stack, ids):
        if message["state"] in {"delivered", "read"}:
            continue
        (recipient,) = message["recipients"]
        yield f"{message['message_id']} {message['state']} {recipient['reason_code']} {recipient['next_attempt_at']}"
        for event in stack.events(message["message_id"]):
            yield f"    {event['at']} {event['kind']} {event['to_state']} {event['detail']}"
        for record in stack.evidence(message["message_id"]):
            yield f"    {record['code']} {record['envelope_conclusion']} {record['signature_conclusion']}"


def _hand_over(
    stack: Stack, clients: ThreadPoolExecutor, packages: list[bytes], seconds: float, patience: float, tell: Tell
) -> list[Future[str]]:
    """Give the letters to the clients, evenly over ``seconds``; each comes to its id in its own time."""
    sender, pace = HandOver(stack, patience), seconds / len(packages)
    started, told, jobs = time.monotonic(), 0, []
    for number, package in enumerate(packages, 1):
        jobs.append(clients.submit(sender.send, package))
        time.sleep(max(0.0, started + number * pace - time.monotonic()))
        if number * 10 // len(packages) > told:
            told = number * 10 // len(packages)
            taken = sum(job.done() for job in jobs)
            tell(f"{number} letters given out, {taken} taken, after {time.monotonic() - started:.0f} s")
    return jobs
