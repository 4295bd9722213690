"""The sessions with one token: how many, when they are opened again, and that a wrong PIN is tried once.

A session that fails is ended with its process, and so are the idle ones beside it: after a reset of the
token none of them is worth anything. The call is made once more in a new session; signing or opening twice
does no harm. After a failure to open, the token rests for a moment, so that callers are told at once.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from services.signer.tokens.session import TokenSession
from services.signer.tokens.vocabulary import FaultKind, Operation, TokenAddress, TokenFault

log = structlog.get_logger(__name__)

_ANSWERS = frozenset(
    {
        FaultKind.INPUT_REFUSED,
        FaultKind.UNCLEAR,
        FaultKind.NOT_POSSIBLE,
        FaultKind.KEY_ABSENT,
        FaultKind.KEY_AMBIGUOUS,
    }
)
"""What says nothing against the session."""
_PIN = frozenset({FaultKind.PIN_REFUSED, FaultKind.PIN_LAST_TRY, FaultKind.PIN_UNANSWERED})
_FINAL = _PIN | {FaultKind.NO_ANSWER, FaultKind.CLOSED, FaultKind.BUSY}
"""After these the same call is not made again by itself."""
_MOST_UNANSWERED = 2
"""Cards lock after three wrong PINs, and a login without an answer may have been one."""

OnFault = Callable[[FaultKind], None]


@dataclass(frozen=True)
class TokenLimits:
    """Bounds for one token: sessions, and seconds for one call, for a free session, and of rest after a failure."""

    sessions: int = 4
    timeout_seconds: float = 10.0
    patience_seconds: float = 15.0
    rest_seconds: float = 2.0


@dataclass(frozen=True)
class _Pin:
    text: str
    fingerprint: str
    """Of content and time of change, so that an operator may have the same PIN tried again by ``touch``."""


@dataclass
class _Tried:
    """How it went with the PIN of one fingerprint."""

    fingerprint: str = ""
    unanswered: int = 0
    refusal: FaultKind | None = None


@dataclass(frozen=True)
class _Opened:
    session: TokenSession
    epoch: int


class TokenPool:
    """The token's sessions; to be used from threads. ``fault`` says why it cannot be used now."""

    def __init__(self, address: TokenAddress, pin_file: Path, limits: TokenLimits, on_fault: OnFault) -> None:
        self.address = address
        self.pin_file = pin_file
        self.limits = limits
        self.fault: TokenFault | None = None
        self.epoch = 0
        """Goes up when sessions were lost: another token of the same name may be there now."""
        self._on_fault = on_fault
        self._permits = threading.BoundedSemaphore(limits.sessions)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._idle: list[_Opened] = []
        self._living = 0
        self._tried = _Tried()
        self._rests_until = 0.0
        self._closed = False

    def sessions(self) -> tuple[int, int]:
        """How many sessions are idle, and how many are at work."""
        with self._lock:
            return len(self._idle), self._living - len(self._idle)

    def ask(self, operation: Operation, **fields: Any) -> dict[str, Any]:
        """The token's answer, within the limits' time; raises ``TokenFault``."""
        if not self._permits.acquire(timeout=self.limits.patience_seconds):
            raise self._told(TokenFault(FaultKind.BUSY))
        try:
            answer = self._ask(operation, fields)
        except TokenFault as fault:
            if fault.kind in _ANSWERS:
                raise
            raise self._told(fault) from None
        finally:
            self._permits.release()
        if self.fault is not None:
            log.warning("token_usable_again", token=str(self.address))
            self.fault = None
        return answer

    def look(self) -> None:
        """Find out whether the token is there now, and log in again where it came back; raises nothing."""
        idle, busy = self.sessions()
        if busy and not idle:
            return  # all are at work, which tells as much
        try:
            self.ask(Operation.CHECK)
        except TokenFault as fault:
            log.info("token_looked_at", token=str(self.address), fault=str(fault))

    def ask_publicly(self, operation: Operation, **fields: Any) -> dict[str, Any]:
        """The answer of a session without login; raises ``TokenFault``."""
        session = TokenSession.start(self.address, self.limits.timeout_seconds)
        session.open(None, self.limits.timeout_seconds)
        try:
            return session.ask(operation, self.limits.timeout_seconds, **fields)
        finally:
            session.end()

    def close(self) -> None:
        """End every session; nothing is opened afterwards."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._living -= len(idle)
        for opened in idle:
            opened.session.end()

    def _ask(self, operation: Operation, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._once(operation, fields)
        except TokenFault as fault:
            if fault.kind in _ANSWERS | _FINAL or self._is_resting():
                raise
            log.info("token_session_lost", token=str(self.address), fault=str(fault))
            return self._once(operation, fields)

    def _once(self, operation: Operation, fields: dict[str, Any]) -> dict[str, Any]:
        opened = self._take()
        try:
            answer = opened.session.ask(operation, self.limits.timeout_seconds, **fields)
        except TokenFault as fault:
            if fault.kind in _ANSWERS:
                self._give_back(opened)
            else:
                self._drop(opened)
                if fault.kind is FaultKind.NO_ANSWER:
                    self._rest()
            raise
        except BaseException:
            self._drop(opened)
            raise
        self._give_back(opened)
        return answer

    def _take(self) -> _Opened:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        # One login at a time: others wait and learn how it ended.
        with self._opening:
            with self._lock:
                if self._idle:
                    return self._idle.pop()
            return self._open()

    def _open(self) -> _Opened:
        if self._closed:
            raise TokenFault(FaultKind.CLOSED)
        pin = self._read_pin()
        if self._tried.fingerprint != pin.fingerprint:
            self._tried = _Tried(pin.fingerprint)
        if self._tried.refusal is not None:
            raise TokenFault(self._tried.refusal)
        fault = self.fault  # read once: another thread may take it back
        if self._is_resting() and fault is not None:
            raise TokenFault(fault.kind, fault.name)
        try:
            session = TokenSession.start(self.address, self.limits.timeout_seconds)
            self._log_in(session, pin)
        except TokenFault:
            self._rest()
            raise
        with self._lock:
            self._living += 1
            opened = _Opened(session, self.epoch)
        log.info("token_session_opened", audit=True, token=str(self.address))
        return opened

    def _log_in(self, session: TokenSession, pin: _Pin) -> None:
        """Once; raises ``TokenFault``, of a kind that keeps from trying again where the PIN may be wrong."""
        try:
            session.open(pin.text, self.limits.timeout_seconds, suspicious=self._tried.unanswered > 0)
        except TokenFault as fault:
            kind = fault.kind
            if kind not in _PIN:
                self._tried.unanswered += 1
                if self._tried.unanswered < _MOST_UNANSWERED:
                    raise
                kind = FaultKind.PIN_UNANSWERED
            self._tried.refusal = kind
            log.error("token_pin_refused", audit=True, token=str(self.address), reason=fault.name or fault.kind.value)  # noqa: TRY400 - no traceback is wanted
            self._on_fault(kind)
            raise TokenFault(kind, fault.name) from None
        self._tried.unanswered = 0

    def _read_pin(self) -> _Pin:
        try:
            content = self.pin_file.read_bytes()
            text = content.rstrip(b"\r\n").decode()
            changed = self.pin_file.stat().st_mtime_ns
        except (OSError, ValueError):
            raise TokenFault(FaultKind.PIN_REFUSED, "PIN file unreadable") from None
        if not text:
            # As it is for a moment while somebody writes it; an empty PIN would be an attempt that the token counts.
            raise TokenFault(FaultKind.PIN_REFUSED, "PIN file empty")
        return _Pin(text, hashlib.sha256(content + str(changed).encode()).hexdigest())

    def _give_back(self, opened: _Opened) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(opened)
                return
            self._living -= 1
        opened.session.end()

    def _drop(self, opened: _Opened) -> None:
        """End a session and the idle ones of its time; those that others opened since are good."""
        with self._lock:
            lost = [opened, *(item for item in self._idle if item.epoch <= opened.epoch)]
            self._idle = [item for item in self._idle if item.epoch > opened.epoch]
            self._living -= len(lost)
            self.epoch = max(self.epoch, opened.epoch + 1)
        for item in lost:
            item.session.close()

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + self.limits.rest_seconds

    def _is_resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def _told(self, fault: TokenFault) -> TokenFault:
        """Count and remember a fault; a refused PIN is counted where it is tried, not at each call after it."""
        if fault.kind not in _PIN:
            self._on_fault(fault.kind)
        if fault.kind is not FaultKind.BUSY:
            before = self.fault
            if before is None or before.kind is not fault.kind:
                log.warning("token_unusable", token=str(self.address), fault=str(fault))
            self.fault = fault
        return fault
