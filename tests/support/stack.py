"""What a test can do with the running stack (``launch.running_stack``): steer it from outside, and look at it.

Nothing in it is replaced: four services, the sandbox, PostgreSQL, all as processes. Tests send signals,
stop and start processes, and use the sandbox's control API.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import hashlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.cli.supervisor.processes import ChildProcess
from services.cli.supervisor.up import RunningGateway
from shared.tls import default_context
from tests.support.database import KeptServer
from tests.support.fork_server import ForkedService

Result = TypeVar("Result")
A, B = 10000001, 10000002
"""The two institutions of the sandbox that can write."""
PROCESSES = ("gateway", "kep_relay", "detsis_sync", "signer", "sandbox")
PATIENCE = 180
"""Seconds to wait for what must happen: far more than it takes, because other work may slow a machine down tenfold."""
_LONGEST_PAUSE = 0.4
_LOG_LINES = 20
MEDIA_TYPE = "application/eyazisma"


def wait_until(condition: Callable[[], Result], seconds: float, what: str, *, pause: float = 0.05) -> Result:
    """The first true value of ``condition``; fails the test when there is none in time.

    The ``pause`` grows: asking takes time from what is waited for.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what} (last: {value!r})")
        time.sleep(pause)
        pause = _longer(pause)
    return value


def _longer(pause: float) -> float:
    return max(pause, min(pause * 1.15, _LONGEST_PAUSE))


class Stack:
    """A running stack; every method may be called from the test's thread."""

    def __init__(self, gateway: RunningGateway, loop: asyncio.AbstractEventLoop, database: KeptServer) -> None:
        self.gateway = gateway
        self.database = database
        self._loop = loop
        self.sender = gateway.api(A)
        self.recipient = gateway.api(B)
        self.child_class = type(gateway.processes["gateway"])
        self.admin = gateway.admin
        self.url = gateway.url
        self.world = gateway.world
        self._control = httpx.Client(
            base_url=gateway.world["control_url"], timeout=PATIENCE, verify=default_context(), trust_env=False
        )
        self._ops = httpx.Client(timeout=60, verify=default_context(), trust_env=False)

    def close(self) -> None:
        self._control.close()
        self._ops.close()

    # Processes

    def pid(self, name: str) -> int:
        process = self._child(name).process
        assert process is not None
        return process.pid

    def alive(self, name: str) -> bool:
        process = self._child(name).process
        return process is not None and process.returncode is None

    def signal(self, name: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is gone. Nobody starts it again, unless ``supervised``."""
        process = self._child(name).process
        assert process is not None
        self.signal(name, signal.SIGKILL)
        self._run(process.wait())

    def stop(self, name: str) -> int:
        """SIGTERM, and wait; returns the exit code."""
        child = self._child(name)
        self._run(child.stop())
        assert child.process is not None
        assert child.process.returncode is not None
        return child.process.returncode

    def start(self, name: str, *, ready: bool = True) -> None:
        """Start it (again)."""
        self._run(self._child(name).start())
        if ready:
            self._run(self._child(name).wait_for("/readyz", PATIENCE))

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Without this process for the length of the block."""
        self.stop(name)
        try:
            yield
        finally:
            self.start(name)

    @contextmanager
    def supervised(self, *names: str) -> Iterator[None]:
        """The supervisor starts these again whenever they die, for the length of the block."""
        stopping = asyncio.Event()
        told: list[str] = []
        watchers = [
            asyncio.run_coroutine_threadsafe(self._child(name).watch(stopping, told.append), self._loop)
            for name in names
        ]
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(stopping.set)
            for name, watcher in zip(names, watchers, strict=True):
                # The watcher waits for the process itself: it ends with the next death or right away if it is pausing.
                watcher.cancel()
                if not self.alive(name):
                    self.start(name)

    def command(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run the service's program with ``arguments`` to its end; exit code and what it printed."""
        with tempfile.TemporaryDirectory() as directory:
            output = Path(directory) / "output"
            child = ForkedService(name, environment if environment is not None else self.environment(name), output, 0)
            return self._run(child.run_to_end(*arguments)), output.read_text(encoding="utf-8")

    def environment(self, name: str) -> dict[str, str]:
        return dict(self._child(name).environment)

    def _child(self, name: str) -> ChildProcess:
        return self.gateway.processes[name]

    def _run(self, work: Coroutine[Any, Any, Result], seconds: float = PATIENCE + 60) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    # What processes tell

    def ops(self, name: str, path: str) -> httpx.Response:
        """An answer of the operator's interface."""
        return self._ops.get(f"http://127.0.0.1:{self.gateway.ports[f'{name}_ops']}{path}")

    def metrics(self, name: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample, by name and sorted labels."""
        families = text_string_to_metric_families(self.ops(name, "/metrics").text)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def metric(self, process: str, metric: str, **labels: str) -> float:
        """One sample; fails the test if there is none."""
        return self.metrics(process)[metric, tuple(sorted(labels.items()))]

    def log_lines(self, name: str) -> list[dict[str, Any]]:
        """The process's log, parsed. Lines that are not JSON (a traceback of a dying process) are left out."""
        lines = []
        for line in self._child(name).log_file.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                if isinstance(entry := json.loads(line), dict):
                    lines.append(entry)
        return lines

    def log_tails(self) -> str:
        """The end of every log, for a failed test's report."""
        parts = []
        for name in self.gateway.processes:
            file = self._child(name).log_file
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
            lines = [line for line in lines if '"event": "request"' not in line and '"audit": true' not in line]
            process = self._child(name).process
            code = process.returncode if process is not None else None
            state = "running" if code is None else f"ended with {code}"
            parts.append("\n".join([f"--- {name} ({state})", *(line[:600] for line in lines[-_LOG_LINES:])]))
        return "\n".join(parts)

    def ledger(self) -> dict[str, Any]:
        """kep_relay's own account of all letters."""
        token = json.loads(self.gateway.state.secret("service_tokens.json"))["gateway"]
        answer = self._ops.get(
            f"http://127.0.0.1:{self.gateway.ports['kep_relay']}/internal/v1/ledger",
            headers={"Authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        return dict(answer.json())

    # The outside world

    def control(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._control.request(method, f"/control{path}", **options)
        assert answer.is_success, answer.text
        return answer

    def fault(self, name: str, **order: Any) -> None:
        """Put a fault in force: ``scope``, ``count``, ``probability``, ``value``."""
        self.control("POST", "/faults", json={"name": name, **order})

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

    @contextmanager
    def faulty(self, name: str, **order: Any) -> Iterator[None]:
        """A fault in force for the length of the block."""
        self.fault(name, **order)
        try:
            yield
        finally:
            self.control("DELETE", "/faults", params={"name": name})

    def package(self, recipient_no: int = B, **order: Any) -> bytes:
        """A fresh .eyp from A, as an EBYS writes, signs and seals it."""
        order = {"sender_no": A, "recipient_nos": [recipient_no], **order}
        return self.control("POST", "/packages", json=order).content

    def institution(self, detsis_no: int) -> dict[str, Any]:
        return next(item for item in self.world["institutions"] if item["detsis_no"] == detsis_no)

    def folder(self, detsis_no: int = B, folder: str = "INBOX") -> list[dict[str, Any]]:
        """What the provider holds for an institution."""
        item = self.institution(detsis_no)
        path = f"/providers/{item['provider']}/mailboxes/{item['kep_address']}/messages"
        return list(self.control("GET", path, params={"folder": folder}).json()["messages"])

    def letters_at(self, detsis_no: int = B) -> list[dict[str, Any]]:
        """Letters (not evidence) in an institution's mailbox at its provider."""
        return [mail for mail in self.folder(detsis_no) if mail["kind"] == "letter"]

    def copies(self, message: Mapping[str, Any], detsis_no: int = B) -> int:
        """How often a letter lies in the recipient's mailbox, by its own Message-ID."""
        header = recipient_of(message)["message_id_header"]
        return sum(mail["original_message_id"] == header for mail in self.letters_at(detsis_no))

    def delivered_packages(self, detsis_no: int = B) -> list[str]:
        """SHA-256 of every package in the mailbox, read out of the mails without any of our code."""
        item = self.institution(detsis_no)
        path = f"/providers/{item['provider']}/mailboxes/{item['kep_address']}/messages"
        digests = []
        for mail in self.letters_at(detsis_no):
            content = self.control("GET", f"{path}/{mail['uid']}/content").content
            for part in email.message_from_bytes(content, policy=email.policy.default).walk():
                if (part.get_filename() or "").endswith(".eyp"):
                    package: bytes = part.get_payload(decode=True)
                    digests.append(hashlib.sha256(package).hexdigest())
        return digests

    # Letters

    def post(self, package: bytes, message: object = None, **options: Any) -> httpx.Response:
        """``POST /v1/outbound-messages`` as A; no answer is an error here."""
        message = {"institution_no": A, "recipients": [{"detsis_no": B}]} if message is None else message
        text = message if isinstance(message, (str, bytes)) else json.dumps(message)
        files = {
            "message": (None, text, "application/json"),
            "package": ("letter.eyp", package, MEDIA_TYPE),
        }
        headers = {
            "Authorization": f"Bearer {self.gateway.keys[str(A)]}", "Accept-Language": "en",
            "Idempotency-Key": str(uuid4()), **options.pop("headers", {}),
        }  # fmt: skip
        with httpx.Client(
            base_url=f"{self.url}/v1", timeout=PATIENCE, verify=default_context(), trust_env=False
        ) as client:
            return client.post("/outbound-messages", files=files, headers=headers, **options)

    def send(self, package: bytes | None = None, recipient_no: int = B, **options: Any) -> dict[str, Any]:
        """Hand a letter over; it must be accepted."""
        package = package if package is not None else self.package(recipient_no)
        message = {
            "institution_no": A,
            "recipients": [{"detsis_no": recipient_no}],
            "package_sha256": hashlib.sha256(package).hexdigest(),
        }
        answer = self.post(package, message, **options)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def message(self, message_id: str) -> dict[str, Any]:
        return dict(self.sender.json("GET", f"/outbound-messages/{message_id}"))

    def wait_for(self, message_id: str, *states: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The letter once it is in one of ``states``; fails with where it stands instead."""
        return self._wait_for(message_id, lambda message: message["state"] in states, " or ".join(states), seconds)

    def wait_for_reason(self, message_id: str, *codes: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The letter once its recipient shows one of these reason codes: it waits, and says why."""
        return self._wait_for(
            message_id,
            lambda message: recipient_of(message)["reason_code"] in codes,
            f"waiting because of {' or '.join(codes)}",
            seconds,
        )

    def _wait_for(
        self, message_id: str, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float
    ) -> dict[str, Any]:
        deadline, pause = time.monotonic() + seconds, 0.1
        while not condition(message := self.message(message_id)):
            if time.monotonic() > deadline:
                found = recipient_of(message)
                history = "\n".join(
                    f"{event['at']} {event['kind']} {event['to_state'] or ''} {event['detail'] or ''}"
                    for event in self.events(message_id)
                )
                pytest.fail(
                    f"after {seconds:g} s letter {message_id} is {message['state']!r}, not {what}: "
                    f"{found['reason_code']} {found['reason']}\n{history}"
                )
            time.sleep(pause)
            pause = _longer(pause)
        return message

    def events(self, message_id: str) -> list[dict[str, Any]]:
        return list(self.sender.json("GET", f"/outbound-messages/{message_id}/events"))

    def evidence(self, message_id: str) -> list[dict[str, Any]]:
        return list(self.sender.json("GET", f"/outbound-messages/{message_id}/evidence"))

    def stored_files(self) -> set[Path]:
        """Everything that lies in the blob stores and the gateway's spool."""
        root = self.gateway.state.root
        return {path for name in ("blobs", "spool") for path in (root / name).rglob("*") if path.is_file()}


def recipient_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """The only recipient."""
    (recipient,) = message["recipients"]
    return dict(recipient)


def problem(answer: httpx.Response) -> str:
    """The code of a problem answer; fails the test if it is none."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["code"])


def codes(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """The evidence codes in order of their numbers, each as often as it came."""
    return sorted(record["code"] for record in records if record["code"] is not None)
