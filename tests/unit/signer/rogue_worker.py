"""``python -m tests.unit.signer.rogue_worker MODE BYTES``: a worker that a hostile file has taken over, or broken."""

from __future__ import annotations

import os
import socket
import sys
import time

from services.signer.workers.process import Judge, Message, main
from services.signer.workers.vocabulary import CHANNEL, PREFIX, Answer, Reason, WantedItem, WantedKind
from shared.contracts.signatures import Profile

MODES = (
    "noise",
    "endless",
    "nested",
    "unasked",
    "descriptors",
    "profile",
    "anchors",
    "moment",
    "nothing",
    "wanted",
    "talkative",
)
"""Everything that counts as no answer."""


class Rogue:
    """Answers as it likes; in mode ``honest`` as it should."""

    def __init__(self, mode: str, channel: socket.socket) -> None:
        self._mode = mode
        self._channel = channel
        self._judge = Judge()

    def answer(self, message: Message) -> Answer:
        match self._mode:
            case "noise":
                self._channel.sendall(os.urandom(64))
            case "endless":
                self._channel.sendall(PREFIX.pack(0xFFFFFFFF, 0))
            case "nested":
                text = b'{"report":' + b"[" * 100_000
                self._channel.sendall(PREFIX.pack(len(text), 0) + text)
            case "unasked":
                self._channel.sendall(PREFIX.pack(2, 9) + b"{}" + b"x" * 9)
            case "descriptors":
                socket.send_fds(self._channel, [PREFIX.pack(2, 0) + b"{}"], [0, 1, 2])
            case "half":
                self._channel.sendall(PREFIX.pack(100, 0) + b"{")
                time.sleep(600)
            case "silent":
                time.sleep(600)
            case "nothing":
                return Answer()
            case "wanted":
                honest = self._judge.answer(message)
                return honest.model_copy(update={"wanted": [WantedItem(kind=WantedKind.ISSUER, certificate="AAAA")]})
            case "talkative":
                return Answer.model_construct(failure=Reason.FAULT, detail="x" * 8_000_000)
            case "memory":
                raise MemoryError
            case "profile" | "anchors" | "moment":
                return self._altered(message)
        return self._judge.answer(message)

    def _altered(self, message: Message) -> Answer:
        honest = self._judge.answer(message)
        assert honest.report is not None
        changes: dict[str, dict[str, object]] = {
            "profile": {"profile": Profile.INTEGRITY_ONLY},
            "anchors": {"trust_store_sha256": "0" * 64},
            "moment": {"verified_at": honest.report.verified_at.replace(year=2001)},
        }
        return honest.model_copy(update={"report": honest.report.model_copy(update=changes[self._mode])})


if __name__ == "__main__":
    own = socket.socket(fileno=CHANNEL)
    main(own, Rogue(sys.argv[1], own).answer)
