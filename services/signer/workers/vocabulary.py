"""What signer and its workers say to each other: JSON with bytes after it, validated on both sides.

A worker that has read a hostile file may be hostile itself. So nothing it sends is more than text in a known
form, of bounded length; descriptors travel one way only.
"""

from __future__ import annotations

import struct
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.signatures import (
    CertificatePurpose,
    CertificateVerdict,
    VerificationReport,
    VerificationRequest,
)

PREFIX = struct.Struct(">IQ")
"""Before every message: bytes of JSON, and of what follows it."""
LONGEST_ANSWER = 16 * 1024 * 1024
LONGEST_DETAIL = 4000
"""Characters; they go into signer's log."""
MOST_WANTED = 64
MOST_DESCRIPTORS = 2
CHANNEL = 0
"""Number of the worker's descriptor for its end of the socket pair."""


class Reason(StrEnum):
    """Why a worker was ended."""

    TIMEOUT = "timeout"
    CPU = "cpu"
    MEMORY = "memory"
    DIED = "died"
    """By a signal, without an answer, or with one that is none."""
    FAULT = "fault"
    """It met a fault of ours, which it reported."""
    WORN = "worn"
    """It has done its share, or grown; no verification was lost."""


class WorkerFailed(Exception):  # noqa: N818 - names what happened to a verification
    """There is no verdict, and ``reason`` says why; the worker is gone."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason.value)
        self.reason = reason


class WorkersUnavailable(Exception):  # noqa: N818 - names the state of the machine
    """No worker could be started or got free: nothing is known about the file, and nothing was tried."""


class ItemKind(StrEnum):
    """What evidence consists of."""

    CERTIFICATE = "certificate"
    LIST = "list"
    RESPONSE = "response"


class Item(Contract):
    """One piece of evidence whose ``size`` bytes follow."""

    kind: ItemKind
    sha256: str
    size: int


class Snapshot(Contract):
    """The evidence by digests; what the worker has not got is ``new``, what is not named it forgets."""

    trust_sha256: str
    anchors: dict[str, list[str]]
    ends: dict[str, datetime]
    intermediates: list[str]
    lists: list[str]
    responses: list[str]
    certificates: list[str]
    supplied: list[str]
    new: list[Item]


class Part(Contract):
    """A file: ``size`` bytes that follow, or those of the next descriptor."""

    size: int
    in_descriptor: bool


class Question(Contract):
    """One verification: of a file when there is a ``request``, of certificates otherwise."""

    snapshot: Snapshot | None = None
    """None: the evidence of the question before."""
    now: datetime
    retry_after_seconds: int
    cpu_seconds: float
    request: VerificationRequest | None = None
    file: Part | None = None
    content: Part | None = None
    purpose: CertificatePurpose | None = None
    certificates: list[int] = Field(default_factory=list)
    """Their sizes."""


class WantedKind(StrEnum):
    """What would help."""

    LIST = "list"
    RESPONSE = "response"
    ISSUER = "issuer"


class WantedItem(Contract):
    """What would help, with certificates as DER in base64."""

    kind: WantedKind
    certificate: str
    issuer: str | None = None
    others: list[str] = Field(default_factory=list)
    fresher: bool = False


class Answer(Contract):
    """A report or verdicts, or a failure."""

    report: VerificationReport | None = None
    verdicts: list[CertificateVerdict] | None = None
    wanted: list[WantedItem] = Field(default_factory=list)
    failure: Reason | None = None
    detail: str = Field(default="", max_length=LONGEST_DETAIL)
