"""Both ends of the line: document systems that hand letters over until they are taken, and one that registers them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from uuid import uuid4

import httpx

from services.cli.api import ApiError
from tests.support.stack import Stack

_RETRY_SECONDS = 0.3


class HandOver:
    """A's document systems: the same request with the same key until there is an answer, as the API asks of them."""

    def __init__(self, stack: Stack, patience_seconds: float) -> None:
        self._stack = stack
        self._patience_seconds = patience_seconds

    def send(self, package: bytes) -> str:
        """The letter's id, once it is accepted; raises ``AssertionError`` when it never is or is refused."""
        key, deadline = str(uuid4()), time.monotonic() + self._patience_seconds
        while True:
            try:
                answer = self._stack.post(package, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                return str(answer.json()["message_id"])
            if answer is not None and answer.status_code < 500 and not answer.json().get("retryable"):
                raise AssertionError(f"refused: {answer.text}")
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not accepted in {self._patience_seconds:g} s: {answer.text if answer else 'no answer'}"
                )
            time.sleep(_RETRY_SECONDS)


class Registry:
    """B's document system: leases letters, registers each package under a number of its own, acknowledges.

    It writes down every package it takes before it acknowledges, as one does who crashes too: what it sees a second time
    under the same id is the gateway's right (the acknowledgement was lost), a second id for the same package is a letter
    that came twice.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self.numbers: dict[str, str] = {}
        """Registry numbers by message id."""
        self.packages: dict[str, str] = {}
        """Package digests by message id."""

    def start(self) -> None:
        """Begin to take letters."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()
        self._thread.join(60)

    @property
    def doubled(self) -> list[str]:
        """Digests of packages that came as more than one letter."""
        return [digest for digest, number in Counter(self.packages.values()).items() if number > 1]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take()
            except (ApiError, httpx.HTTPError):
                self._stopping.wait(_RETRY_SECONDS)

    def _take(self) -> None:
        leased = self._stack.recipient.json(
            "POST", "/inbound-messages/leases", json={"max": 20, "seconds": 30, "wait": 1}
        )
        for item in (leased or {}).get("messages", ()):
            number = self.numbers.setdefault(item["message_id"], f"2026-{len(self.numbers) + 1}")
            self.packages[item["message_id"]] = item["package_sha256"]
            self._stack.recipient.json(
                "POST", f"/inbound-messages/{item['message_id']}/ack",
                json={"lease_token": leased["lease_token"], "registry_no": number},
            )  # fmt: skip
