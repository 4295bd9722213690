"""What a proof file consists of. Pure.

A ZIP archive. ``manifest.json`` names every other file with its SHA-256; ``manifest.tsr``, when there is one, is an
RFC 3161 time-stamp over the very bytes of the manifest, and so over everything. ``events.json`` is the letter's
history: each line carries the digest of the line before and its own, so that none can be taken out or put in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract

FORMAT = "kepgw-proof/1"
MANIFEST = "manifest.json"
TIMESTAMP = "manifest.tsr"
EVENTS = "events.json"
_BEGINNING = "0" * 64


class ProofFileKind(StrEnum):
    """What a file in the archive is."""

    LETTER = "letter"
    """What the gateway knows of the letter, its recipients and the addresses the directory named."""
    EVENTS = "events"
    PACKAGE = "package"
    """The e-Yazışma package, byte for byte as it travelled."""
    NOTICE = "notice"
    """The text of a notice of refusal, which has no package."""
    SENT_MESSAGE = "sent-message"
    """The KEP message to one recipient, byte for byte as it was handed to the provider."""
    EVIDENCE = "evidence"
    """A delil, byte for byte as it came."""
    EVIDENCE_MAIL = "evidence-mail"
    """The whole mail it came in."""
    VERDICT = "verdict"
    """What signer said about the signatures of a delil, each time it was asked."""
    LISTED_EVIDENCE = "listed-evidence"
    """What a provider that is asked for evidence listed about the message to one recipient: its word, no document."""
    EXPLANATION = "explanation"


class ProofFile(Contract):
    """One file in the archive."""

    path: str = Field(min_length=1, max_length=200)
    kind: ProofFileKind
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    recipient_id: UUID | None = None
    evidence_id: UUID | None = None
    code: int | None = None
    """National code of a delil."""


class Manifest(Contract):
    """What the archive holds."""

    format: str
    message_id: UUID
    institution_no: int
    made_at: datetime
    software_version: str
    events_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the last event: it stands for all of them."""
    files: list[ProofFile]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8: the same value is always the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def chained(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events with the digest of the line before (``previous``) and of each line with it (``sha256``)."""
    previous, lines = _BEGINNING, []
    for event in events:
        line = dict(event) | {"previous": previous}
        previous = hashlib.sha256(canonical(line)).hexdigest()
        lines.append(line | {"sha256": previous})
    return lines


def chain_end(lines: Iterable[Mapping[str, Any]]) -> str:
    """The digest that stands for all lines; raises ``ValueError`` naming the first line that does not follow."""
    previous = _BEGINNING
    for number, line in enumerate(lines, 1):
        found = dict(line)
        stated = found.pop("sha256", None)
        if found.get("previous") != previous:
            raise ValueError(f"event {number} does not follow the one before")
        previous = hashlib.sha256(canonical(found)).hexdigest()
        if stated != previous:
            raise ValueError(f"event {number} was changed")
    return previous
