"""``python -m services.signer.workers.process BYTES``: judges files and certificates, one question after the other.

It limits itself before it reads anything (``BYTES`` of address space), has no settings and no secrets, asks
nothing of the network, and may be killed at any time. Its descriptor 0 is one end of a socket pair; it ends with that.
"""

from __future__ import annotations

import array
import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.signer.evidence import Evidence
from services.signer.facts import BytesContent, Content, FileContent
from services.signer.pipeline import judge, read_facts
from services.signer.standing import judge_certificate
from services.signer.workers.confinement import confine, processor_time
from services.signer.workers.snapshots import Receiver
from services.signer.workers.vocabulary import (
    CHANNEL,
    LONGEST_ANSWER,
    LONGEST_DETAIL,
    MOST_DESCRIPTORS,
    PREFIX,
    Answer,
    Part,
    Question,
    Reason,
)
from services.signer.workers.wanted import told

WITHOUT_LANDLOCK = "the kernel gives no Landlock: limits only"


@dataclass(frozen=True)
class Message:
    """A question, the bytes after it, and the descriptors that came along."""

    question: Question
    rest: memoryview
    descriptors: tuple[int, ...]


class Judge:
    """The worker's state: the evidence of the last question."""

    def __init__(self) -> None:
        self._receiver = Receiver()
        self._evidence: Evidence | None = None

    def answer(self, message: Message) -> Answer:
        """The answer to one question; a fault of ours is one too."""
        question = message.question
        try:
            parts = _Parts(message)
            if question.snapshot is not None:
                sizes = iter([item.size for item in question.snapshot.new])
                # What signer keeps has been read before, and is no file's expense.
                self._evidence = self._receiver.evidence(question.snapshot, map(parts.take, sizes))
            assert self._evidence is not None
            with processor_time(question.cpu_seconds):
                if question.request is None:
                    return _certificates(question, self._evidence, parts)
                return _file(question, self._evidence, parts)
        except MemoryError:
            return Answer(failure=Reason.MEMORY)
        except Exception:  # noqa: BLE001 - signer hears of it and logs it
            return Answer(failure=Reason.FAULT, detail=traceback.format_exc()[-LONGEST_DETAIL:])


class _Parts:
    """The bytes after a question in their order, and its descriptors in theirs."""

    def __init__(self, message: Message) -> None:
        self._rest = message.rest
        self._descriptors = iter(message.descriptors)
        self._position = 0

    def take(self, size: int) -> bytes:
        start = self._position
        self._position += size
        if self._position > len(self._rest):
            raise ValueError("fewer bytes than told")
        return bytes(self._rest[start : self._position])

    def whole(self, part: Part) -> bytes:
        if not part.in_descriptor:
            return self.take(part.size)
        found = os.pread(next(self._descriptors), part.size, 0)
        if len(found) != part.size:
            raise ValueError("fewer bytes than told")
        return found

    def content(self, part: Part) -> Content:
        if part.in_descriptor:
            return FileContent(next(self._descriptors), part.size)
        return BytesContent(self.take(part.size))


def _file(question: Question, evidence: Evidence, parts: _Parts) -> Answer:
    assert question.request is not None
    assert question.file is not None
    data = parts.whole(question.file)
    content = None if question.content is None else parts.content(question.content)
    facts = read_facts(data, content, question.request.format, known=evidence.trust.intermediates)
    judgement = judge(facts, question.request, evidence, question.now, retry_after_seconds=question.retry_after_seconds)
    return Answer(report=judgement.report, wanted=told(judgement.wanted))


def _certificates(question: Question, evidence: Evidence, parts: _Parts) -> Answer:
    assert question.purpose is not None
    judgements = [
        judge_certificate(
            parts.take(size),
            question.purpose,
            evidence,
            question.now,
            retry_after_seconds=question.retry_after_seconds,
        )
        for size in question.certificates
    ]
    wanted = dict.fromkeys(item for judgement in judgements for item in judgement.wanted)
    return Answer(verdicts=[judgement.verdict for judgement in judgements], wanted=told(tuple(wanted)))


def receive(channel: socket.socket) -> Message | None:
    """The next question; None when signer has closed the channel or is gone."""
    start, descriptors = _start(channel)
    if len(start) < PREFIX.size:
        return None
    length, following = PREFIX.unpack(start)
    text, rest = _exactly(channel, length), _exactly(channel, following)
    if text is None or rest is None:
        return None
    return Message(Question.model_validate_json(bytes(text)), rest, descriptors)


def _start(channel: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """The prefix of a message; descriptors come with its first byte."""
    numbers = array.array("i")
    found, ancillary, _flags, _address = channel.recvmsg(
        PREFIX.size, socket.CMSG_LEN(MOST_DESCRIPTORS * numbers.itemsize)
    )
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    if found:
        found += bytes(_exactly(channel, PREFIX.size - len(found)) or b"")
    return found, tuple(numbers)


def _exactly(channel: socket.socket, size: int) -> memoryview | None:
    buffer = memoryview(bytearray(size))
    position = 0
    while position < size:
        read = channel.recv_into(buffer[position:])
        if not read:
            return None
        position += read
    return buffer


def send(channel: socket.socket, answer: Answer) -> None:
    """Send an answer; one that is too long becomes a fault."""
    encoded = answer.model_dump_json().encode()
    if len(encoded) > LONGEST_ANSWER:
        encoded = Answer(failure=Reason.FAULT, detail="the report is too long").model_dump_json().encode()
    channel.sendall(PREFIX.pack(len(encoded), 0) + encoded)


def main(channel: socket.socket, answer: Callable[[Message], Answer], detail: str = "") -> None:
    """Say that it is ready, then answer until the questions end; after a failure there are no more questions."""
    send(channel, Answer(detail=detail))
    for message in _messages(channel):
        try:
            told_back = answer(message)
        finally:
            for descriptor in message.descriptors:
                os.close(descriptor)
        send(channel, told_back)
        if told_back.failure is not None:
            return


def _messages(channel: socket.socket) -> Iterator[Message]:
    while (message := receive(channel)) is not None:
        yield message


if __name__ == "__main__":
    held = confine(int(sys.argv[1]))
    # What the imports made stays: the collector need not look at it after each file.
    gc.collect()
    gc.freeze()
    main(socket.socket(fileno=CHANNEL), Judge().answer, "" if held else WITHOUT_LANDLOCK)
