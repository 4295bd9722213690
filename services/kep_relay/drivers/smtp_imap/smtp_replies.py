"""What an SMTP reply, or its absence, means at each stage: a pure table (RFC 5321, 4.2)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import Enum

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    OutcomeUnknown,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from shared.errors import ErrorCode

MAX_TEXT = 300


class Stage(Enum):
    """How far a submission had come."""

    CONNECT = "connect"
    LOGIN = "login"
    SENDER = "sender"
    """MAIL FROM."""
    RECIPIENT = "recipient"
    """RCPT TO."""
    DATA = "data"
    """The DATA command itself."""
    CONTENT = "content"
    """Bytes of the message, before the final dot."""
    ANSWER = "answer"
    """The final dot is on its way: from here on the provider may have the message."""


_ABOUT_A_MESSAGE = frozenset({Stage.SENDER, Stage.RECIPIENT, Stage.DATA, Stage.ANSWER})


def on_reply(stage: Stage, code: int, text: str, *, credit_words: Sequence[str] = ()) -> SubmissionOutcome:
    """The outcome of a reply that is not the expected intermediate one.

    ``credit_words``: a refusal that holds one of them means that the account has no credit (kep.md 7.7);
    providers say so in words only, under whatever code.
    """
    words = one_line(f"{code} {text}")
    if stage in _ABOUT_A_MESSAGE and 400 <= code < 600 and code != 421 and speaks_of(words, credit_words):
        return Blocked(ErrorCode.KEP_CREDIT_EXHAUSTED, words)
    if stage is Stage.ANSWER:
        return _final(code, words)
    if code == 421:
        return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words, unreachable=True)
    if stage is Stage.LOGIN:
        if 500 <= code < 600:
            return Blocked(ErrorCode.MAILBOX_NOT_READY, f"the login was refused: {words}", stop_account=True)
        return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words, unreachable=True, account_only=True)
    if stage is Stage.CONNECT:
        # A refusal to talk at all says nothing about the letter, whatever its first digit.
        return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words, unreachable=True)
    if not 500 <= code < 600:
        return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words)
    if code == 552:
        return PermanentFailure(ErrorCode.TOO_LARGE, words)
    if code == 530:
        return Blocked(ErrorCode.MAILBOX_NOT_READY, f"the provider wants another login: {words}", stop_account=True)
    if stage is Stage.SENDER:
        # The sender is the account, not the letter: the next letter would fare the same.
        return Blocked(ErrorCode.MAILBOX_NOT_READY, f"the provider refused the sender: {words}")
    return PermanentFailure(ErrorCode.PROVIDER_REFUSED, words)


def on_failure(stage: Stage, reason: str) -> SubmissionOutcome:
    """The outcome when the link broke or stayed silent."""
    if stage is Stage.ANSWER:
        return OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, f"no answer after the whole message: {reason}")
    return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, reason, unreachable=True)


def _final(code: int, words: str) -> SubmissionOutcome:
    if 200 <= code < 300:
        return Accepted(words)
    if 400 <= code < 500:
        return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words, unreachable=code == 421)
    if code == 552:
        return PermanentFailure(ErrorCode.TOO_LARGE, words)
    if 500 <= code < 600:
        return PermanentFailure(ErrorCode.PROVIDER_REFUSED, words)
    return OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, f"an answer that is none: {words}")


def speaks_of(text: str, words: Sequence[str]) -> bool:
    """Whether one of the words occurs, in whatever case; a Turkish ``ı`` or ``İ`` counts as ``i``."""
    folded = _folded(text)
    return any(_folded(word) in folded for word in words)


def _folded(text: str) -> str:
    return text.replace("İ", "i").replace("ı", "i").casefold()


def one_line(text: str) -> str:
    """Outside text fit for a log line and a status page: one line, printable, short."""
    visible = "".join(" " if unicodedata.category(char).startswith(("C", "Z")) else char for char in text)
    return " ".join(visible.split())[:MAX_TEXT]
