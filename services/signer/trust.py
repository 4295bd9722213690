"""Trust anchors: a directory of certificates, by purpose; nothing else is ever trusted.

``qualified/ seal/ kephs/ timestamp/ encryption/`` hold anchors, ``intermediates/`` holds certificates
that help to build paths and are worth nothing by themselves. Files are PEM (one or more certificates)
or DER. Without anchors of its own ``encryption`` has those of ``seal``: institutions get both
certificates from the same authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate, pem_or_der
from services.signer.findings import CheckFailed

ANCHOR_PURPOSES = ("qualified", "seal", "kephs", "timestamp", "encryption")
INTERMEDIATES = "intermediates"
_SUFFIXES = frozenset({".pem", ".crt", ".cer", ".der"})
_FILE_LIMIT = 4 * 1024 * 1024


class TrustUnreadable(Exception):  # noqa: N818 - names the state of the directory
    """The directory cannot be used as it is; the message names the file."""


@dataclass(frozen=True)
class TrustStore:
    """A frozen set of anchors; ``sha256`` names it in every report."""

    anchors: dict[str, tuple[Certificate, ...]]
    intermediates: tuple[Certificate, ...]
    sha256: str
    ends: Mapping[str, datetime] = field(default_factory=dict)
    """Fingerprint to the moment (aware) after which an anchor counts for no new signature; most have none."""

    def for_purposes(self, purposes: tuple[str, ...], moment: datetime) -> tuple[Certificate, ...]:
        """The anchors of any of the given purposes that count for what exists at ``moment``, without repetition.

        Args:
            purposes: names of ``ANCHOR_PURPOSES``.
            moment: when the signature is known to have existed; now, when nothing is known (aware).
        """
        return tuple(item for item in self._of(purposes) if not self._ended(item, moment))

    def ended_for(self, purposes: tuple[str, ...], moment: datetime) -> tuple[Certificate, ...]:
        """Those that would have counted earlier and do not at ``moment``."""
        return tuple(item for item in self._of(purposes) if self._ended(item, moment))

    def _of(self, purposes: tuple[str, ...]) -> tuple[Certificate, ...]:
        found: dict[str, Certificate] = {}
        for purpose in purposes:
            for certificate in self.anchors.get(purpose, ()):
                found.setdefault(certificate.sha256, certificate)
        return tuple(found.values())

    def _ended(self, anchor: Certificate, moment: datetime) -> bool:
        end = self.ends.get(anchor.sha256)
        return end is not None and moment > end

    @property
    def size(self) -> int:
        """Number of anchors."""
        return sum(len(certificates) for certificates in self.anchors.values())


def make_store(
    anchors: dict[str, tuple[Certificate, ...]],
    intermediates: tuple[Certificate, ...] = (),
    ends: Mapping[str, datetime] | None = None,
) -> TrustStore:
    """A store whose name is the digest over purposes, fingerprints and ends, in order.

    Args:
        anchors: by purpose.
        intermediates: trusted for nothing, and no part of the name.
        ends: as in ``TrustStore``; without any, the name is that of the same set in a plain directory.
    """
    known = dict(ends or {})
    return TrustStore(anchors, intermediates, hashlib.sha256(_manifest(anchors, known)).hexdigest(), known)


def manifest(store: TrustStore) -> bytes:
    """The text that the store's name is the SHA-256 of: a line for each purpose and anchor, with its end if any."""
    return _manifest(store.anchors, store.ends)


def _manifest(anchors: Mapping[str, tuple[Certificate, ...]], ends: Mapping[str, datetime]) -> bytes:
    lines = sorted(
        f"{purpose} {item.sha256}{_end_in_name(ends.get(item.sha256))}\n"
        for purpose, items in anchors.items()
        for item in items
    )
    return "".join(lines).encode()


def _end_in_name(end: datetime | None) -> str:
    return "" if end is None else f" until {end.astimezone(UTC).isoformat(timespec='seconds')}"


def load_store(directory: Path) -> TrustStore:
    """Read the directory; raises ``TrustUnreadable`` rather than go on with half of it."""
    if not directory.is_dir():
        raise TrustUnreadable(f"{directory}: no such directory")
    anchors = {purpose: _load(directory / purpose) for purpose in ANCHOR_PURPOSES}
    anchors["encryption"] = anchors["encryption"] or anchors["seal"]
    return make_store(anchors, _load(directory / INTERMEDIATES))


def _load(directory: Path) -> tuple[Certificate, ...]:
    try:
        paths = sorted(directory.iterdir()) if directory.is_dir() else []
        files = [path for path in paths if path.suffix.lower() in _SUFFIXES and path.is_file()]
    except OSError as error:
        raise TrustUnreadable(f"{directory}: {error.strerror or error}") from error
    found: dict[str, Certificate] = {}
    for path in files:
        try:
            if path.stat().st_size > _FILE_LIMIT:
                raise TrustUnreadable(f"{path}: larger than {_FILE_LIMIT} bytes")
            for encoded in pem_or_der(path.read_bytes()):
                certificate = load_certificate(encoded)
                found[certificate.sha256] = certificate
        except (OSError, CheckFailed, *ASN1_FAULTS) as error:
            raise TrustUnreadable(f"{path}: not a readable certificate file") from error
    return tuple(found.values())


class TrustDirectory:
    """The store in use, re-read when the directory's files change."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Looked at before it is read: a change in between is then seen at the next look.
        self._state = self._fingerprint()
        self._store = self._load()

    @property
    def store(self) -> TrustStore:
        """The set of anchors in use."""
        return self._store

    def reload(self) -> TrustStore:
        """Read the directory again; on ``TrustUnreadable`` the old set stays in use."""
        state = self._fingerprint()
        if state != self._state:
            self._store = self._load()
            self._state = state
        return self._store

    @property
    def version(self) -> int:
        """Of a managed store; a plain directory has none (0)."""
        return 0

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who brought the set in use, where that is known."""
        return ()

    @property
    def comment(self) -> str:
        """What the set in use was made for, where somebody said it."""
        return ""

    def _load(self) -> TrustStore:
        return load_store(self._directory)

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*/*"))

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        entries = []
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue
            entries.append((str(path), status.st_mtime_ns, status.st_size))
        return tuple(entries)
