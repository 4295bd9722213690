"""Trust anchors: a directory of certificates, by purpose; nothing else is ever trusted.

``qualified/ seal/ kephs/ timestamp/ encryption/`` hold anchors, ``intermediates/`` holds certificates
that help to build paths and are worth nothing by themselves. Files are PEM (one or more certificates)
or DER. Without anchors of its own ``encryption`` has those of ``seal``: institutions get both
certificates from the same authority.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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

    def for_purposes(self, purposes: tuple[str, ...]) -> tuple[Certificate, ...]:
        """The anchors of any of the given purposes, without repetition."""
        found: dict[str, Certificate] = {}
        for purpose in purposes:
            for certificate in self.anchors.get(purpose, ()):
                found.setdefault(certificate.sha256, certificate)
        return tuple(found.values())

    @property
    def size(self) -> int:
        """Number of anchors."""
        return sum(len(certificates) for certificates in self.anchors.values())


def make_store(anchors: dict[str, tuple[Certificate, ...]], intermediates: tuple[Certificate, ...] = ()) -> TrustStore:
    """A store whose name is the digest over purposes and fingerprints, in order."""
    lines = sorted(f"{purpose} {item.sha256}\n" for purpose, items in anchors.items() for item in items)
    return TrustStore(anchors, intermediates, hashlib.sha256("".join(lines).encode()).hexdigest())


def load_store(directory: Path) -> TrustStore:
    """Read the directory; raises ``TrustUnreadable`` rather than go on with half of it."""
    if not directory.is_dir():
        raise TrustUnreadable(f"{directory}: no such directory")
    anchors = {purpose: _load(directory / purpose) for purpose in ANCHOR_PURPOSES}
    anchors["encryption"] = anchors["encryption"] or anchors["seal"]
    return make_store(anchors, _load(directory / INTERMEDIATES))


def _load(directory: Path) -> tuple[Certificate, ...]:
    if not directory.is_dir():
        return ()
    found: dict[str, Certificate] = {}
    for path in sorted(directory.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
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
        self._store = load_store(directory)

    @property
    def store(self) -> TrustStore:
        """The set of anchors in use."""
        return self._store

    def reload(self) -> TrustStore:
        """Read the directory again; on ``TrustUnreadable`` the old set stays in use."""
        state = self._fingerprint()
        if state != self._state:
            self._store = load_store(self._directory)
            self._state = state
        return self._store

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        entries = []
        for path in sorted(self._directory.glob("*/*")):
            try:
                status = path.stat()
            except OSError:
                continue
            entries.append((str(path), status.st_mtime_ns, status.st_size))
        return tuple(entries)
