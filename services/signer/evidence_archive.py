"""The evidence that verdicts rest on, kept so that they can be made again years later without any network.

Content addressed: a file's name is the SHA-256 of its bytes, below two levels of directories. Each is written once,
whole or not at all. A trust store is kept as the text that its name is the digest of, beside its certificates. What
came inside a file stays there: who repeats a verdict has the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.ocsp import OcspResponse, load_response
from services.signer.checks.revocation import RevocationList, load_list
from services.signer.evidence import Evidence
from services.signer.findings import CheckFailed
from services.signer.trust import TrustStore, make_store, manifest
from shared.clock import Clock
from shared.contracts.signatures import EvidenceItem, EvidenceKind, EvidenceOrigin, VerificationReport

log = structlog.get_logger(__name__)

_NAME = re.compile(r"[0-9a-f]{64}")
_LINE = re.compile(r"(?P<purpose>[a-z]+) (?P<name>[0-9a-f]{64})(?: until (?P<end>\S+))?")
_LONGEST = 256 * 1024 * 1024
_TOUCHED_AGAIN = timedelta(hours=12)
_LEFT_OVER = timedelta(days=1)
"""After this a file that was being written is of a process that is gone."""


class EvidenceMissing(Exception):  # noqa: N818 - names the state of the archive
    """A piece is not there, or is not what its name says; the message names it."""


class EvidenceArchive:
    """A directory of evidence; a piece is kept for ``days`` after the last verdict that rests on it."""

    def __init__(
        self, directory: Path, clock: Clock, *, days: int, on_outcome: Callable[[str], None] = lambda _result: None
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._days = timedelta(days=days)
        self._on_outcome = on_outcome
        # What is seen to be there must not be removed before its time is set anew.
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, report: VerificationReport, evidence: Evidence) -> bool:
        """Write what ``report`` rests on and is not in its file; False, and logged, when the disk refuses."""
        try:
            for name, encoded in _needed(report, evidence):
                self._put(name, encoded)
        except OSError as error:
            self._on_outcome("failed")
            log.error("evidence_not_archived", reason=str(error))  # noqa: TRY400 - the reason says it all
            return False
        return True

    def read(self, name: str) -> bytes:
        """One piece by its SHA-256 (lower-case hex); raises ``EvidenceMissing``."""
        return read_evidence(self._directory, name)

    def prune(self) -> int:
        """Remove what no verdict of the last days rests on; how many pieces."""
        now = self._clock.now()
        removed = 0
        for path in self._directory.glob("??/??/*"):
            kept = self._days if _NAME.fullmatch(path.name) else _LEFT_OVER
            # Gone meanwhile, or not ours to remove: the next round sees.
            with suppress(OSError), self._lock:
                if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > kept:
                    path.unlink()
                    removed += 1
        return removed

    def _put(self, name: str, encoded: bytes) -> None:
        path = _place(self._directory, name)
        at = self._clock.now().timestamp()
        with self._lock:
            if path.exists():
                if at - path.stat().st_mtime > _TOUCHED_AGAIN.total_seconds():
                    os.utime(path, (at, at))
                self._on_outcome("present")
                return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(encoded)
                file.flush()
                os.fsync(file.fileno())
            os.utime(half, (at, at))
            half.replace(path)
        except OSError:
            half.unlink(missing_ok=True)
            raise
        for directory in (path.parent, path.parent.parent, self._directory):
            _sync(directory)
        self._on_outcome("written")


def read_evidence(directory: Path, name: str) -> bytes:
    """One piece by its SHA-256 (lower-case hex); raises ``EvidenceMissing`` also when its bytes are others."""
    if not _NAME.fullmatch(name):
        raise EvidenceMissing(f"{name[:64]!r} is no SHA-256")
    try:
        with _place(directory, name).open("rb") as file:
            encoded = file.read(_LONGEST + 1)
    except OSError as error:
        raise EvidenceMissing(f"{name} is not in the archive") from error
    if len(encoded) > _LONGEST or hashlib.sha256(encoded).hexdigest() != name:
        raise EvidenceMissing(f"{name} is not what its name says")
    return encoded


def load_evidence(report: VerificationReport, directory: Path) -> Evidence:
    """What ``report`` rests on beside its file, as it was: the same judgement of the same file gives the same report.

    Raises ``EvidenceMissing`` when anything lacks.
    """
    try:
        return _load(report, directory)
    except (CheckFailed, ValueError) as error:
        raise EvidenceMissing(f"a piece cannot be read: {error}") from error


def _load(report: VerificationReport, directory: Path) -> Evidence:
    def named(kind: EvidenceKind, *origins: EvidenceOrigin) -> list[EvidenceItem]:
        return [item for item in report.evidence if item.kind is kind and item.origin in origins]

    brought = (EvidenceOrigin.SUPPLIED, EvidenceOrigin.FETCHED)
    anchors, ends = _anchors(directory, report.trust_store_sha256)
    known = {item.sha256 for items in anchors.values() for item in items}
    between = [
        _certificate(directory, item.sha256)
        for item in named(EvidenceKind.CERTIFICATE, EvidenceOrigin.TRUST_STORE)
        if item.sha256 not in known
    ]
    return Evidence(
        make_store(anchors, tuple(between), ends),
        tuple(
            load_list(read_evidence(directory, item.sha256)) for item in named(EvidenceKind.REVOCATION_LIST, *brought)
        ),
        tuple(
            load_response(read_evidence(directory, item.sha256)) for item in named(EvidenceKind.OCSP_RESPONSE, *brought)
        ),
        tuple(_certificate(directory, item.sha256) for item in named(EvidenceKind.CERTIFICATE, *brought)),
        frozenset(item.sha256 for item in report.evidence if item.origin is EvidenceOrigin.SUPPLIED),
    )


def _anchors(directory: Path, name: str) -> tuple[dict[str, tuple[Certificate, ...]], dict[str, datetime]]:
    found: dict[str, list[Certificate]] = {}
    ends: dict[str, datetime] = {}
    for line in read_evidence(directory, name).decode("ascii").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise EvidenceMissing(f"{name} is no trust store")
        found.setdefault(match["purpose"], []).append(_certificate(directory, match["name"]))
        if match["end"]:
            ends[match["name"]] = datetime.fromisoformat(match["end"])
    return {purpose: tuple(items) for purpose, items in found.items()}, ends


def _certificate(directory: Path, name: str) -> Certificate:
    return load_certificate(read_evidence(directory, name))


def _needed(report: VerificationReport, evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    trust: TrustStore = evidence.trust
    every = (item for items in trust.anchors.values() for item in items)
    yield from {item.sha256: item.der for item in every}.items()
    yield trust.sha256, manifest(trust)
    at_hand: dict[str, Certificate | RevocationList | OcspResponse] = {}
    for pieces in (trust.intermediates, evidence.certificates, evidence.revocation_lists, evidence.responses):
        at_hand |= {piece.sha256: piece for piece in pieces}
    for item in report.evidence:
        piece = at_hand.get(item.sha256)
        if piece is not None and item.origin is not EvidenceOrigin.FILE:
            yield item.sha256, piece.der if isinstance(piece, Certificate) else piece.encoded


def _place(directory: Path, name: str) -> Path:
    return directory / name[:2] / name[2:4] / name


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
