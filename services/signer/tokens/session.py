"""One session with a token, in a process of its own that is killed when it does not answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import services
from services.signer.tokens.vocabulary import LONGEST_LINE, FaultKind, Operation, TokenAddress, TokenFault
from shared.config import PREFIX

_PROGRAM = "services.signer.tokens.process"
_ROOT = str(Path(services.__file__).parents[1])
_LAST_SECONDS = 2.0


class TokenSession:
    """A process with one session; used by one thread at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def start(cls, address: TokenAddress, timeout_seconds: float) -> Self:
        """Start the process and find the token, which takes no PIN; raises ``TokenFault``, the process is gone then."""
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                # Ctrl-C on signer's terminal must not end it in the middle of a call.
                start_new_session=True,
            )
        except OSError as error:
            # No process, descriptor or memory left to start it with.
            raise TokenFault(FaultKind.DIED, type(error).__name__) from error
        session = cls(process)
        try:
            named = {"module": address.module, "label": address.label, "serial": address.serial}
            session.ask(Operation.FIND, timeout_seconds, **named)
        except BaseException:
            session.close()
            raise
        return session

    def open(self, pin: str | None, timeout_seconds: float, *, suspicious: bool = False) -> None:
        """Open the session and log in once; without a PIN only public objects are seen.

        ``suspicious`` keeps from logging in where the token counts a failure. Raises ``TokenFault``; the
        process is gone then.
        """
        try:
            self.ask(Operation.OPEN, timeout_seconds, pin=pin, suspicious=suspicious)
        except BaseException:
            self.close()
            raise

    def ask(self, operation: Operation, timeout_seconds: float, **fields: Any) -> dict[str, Any]:
        """The token's answer; raises ``TokenFault``: NO_ANSWER after the time, DIED, or what the process says."""
        request = json.dumps({"operation": operation.value, **fields}).encode() + b"\n"
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(request)
            pipe.flush()
        except OSError as error:
            raise TokenFault(FaultKind.DIED) from error
        return _answer(self._line(timeout_seconds))

    def _line(self, timeout_seconds: float) -> bytes:
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_seconds
        line = b""
        poll = select.poll()
        poll.register(number, select.POLLIN)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TokenFault(FaultKind.NO_ANSWER)
            chunk = os.read(number, LONGEST_LINE)
            line += chunk
            if not chunk or len(line) > LONGEST_LINE:
                raise TokenFault(FaultKind.DIED)
        return line

    def end(self) -> None:
        """Let the process close its session, then end it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)
        self.close()

    def close(self) -> None:
        """End the process at once: whatever its module is doing, nobody waits for it any more."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        # One that hangs inside a driver cannot even be killed; it must not hold us.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_SECONDS)


def _answer(line: bytes) -> dict[str, Any]:
    """What was answered; a process that answers out of form is as good as dead."""
    try:
        told = json.loads(line)
        fault = FaultKind(told["fault"]) if "fault" in told else None
        answer: dict[str, Any] = {} if fault is not None else dict(told["answer"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenFault(FaultKind.DIED) from error
    if fault is not None:
        raise TokenFault(fault, str(told.get("name", "")))
    return answer


def _environment() -> dict[str, str]:
    """Ours without our settings: a vendor's module has no business with service tokens."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))}
