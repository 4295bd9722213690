"""The versions of a store on disk: the last one, the chain down from it, and the certificates they name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate
from services.signer.findings import CheckFailed
from services.signer.trust_changes.documents import (
    ChangeRefused,
    StoreUnreadable,
    as_json,
    canonical,
    parse,
    read_bytes,
    read_document,
    write_new,
    write_over,
)
from services.signer.trust_changes.manifest import Manifest, Version

_NAME = re.compile(r"(\d{6})\.json")
_VERSION_LIMIT = 8 * 1024 * 1024
_CERTIFICATE_LIMIT = 64 * 1024
"""Bytes."""
_VERSIONS = 10_000


@dataclass(frozen=True)
class Head:
    """A version as it lies on disk; whether it is signed is for ``Officers`` to say."""

    version: Version
    manifest: Manifest

    @property
    def number(self) -> int:
        """Of the version."""
        return self.manifest.version


def last_number(store: Path) -> int:
    """The number of the last version, 0 without any; raises ``StoreUnreadable`` when there are gaps."""
    directory = store / "versions"
    try:
        names = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise StoreUnreadable(f"{directory}: {error.strerror or error}") from error
    numbers = [int(found[1]) for name in names if (found := _NAME.fullmatch(name))]
    if len(numbers) > _VERSIONS:
        raise StoreUnreadable(f"{directory}: more than {_VERSIONS} versions")
    if numbers != list(range(1, len(numbers) + 1)):
        raise StoreUnreadable(f"{directory}: a version is missing")
    return len(numbers)


def read_version(store: Path, number: int) -> Head:
    """One version; raises ``StoreUnreadable``."""
    path = _path(store, number)
    version = read_document(path, Version, _VERSION_LIMIT)
    manifest = parse(version.manifest, Manifest, str(path))
    if manifest.version != number:
        raise StoreUnreadable(f"{path}: says that it is version {manifest.version}")
    return Head(version, manifest)


def read_last(store: Path) -> Head | None:
    """The last version, None in a new store; raises ``StoreUnreadable``."""
    number = last_number(store)
    return read_version(store, number) if number else None


def chain(store: Path, head: Head, *, down_to: int = 1) -> Iterator[Head]:
    """``head`` and the versions before it, each the one that its successor names.

    Raises ``StoreUnreadable`` at the first that is not, or that claims to have been made after its successor.
    """
    yield head
    upper = head
    for number in range(head.number - 1, down_to - 1, -1):
        lower = read_version(store, number)
        if lower.version.sha256 != upper.manifest.previous_sha256:
            raise StoreUnreadable(f"{_path(store, number)}: not the version that version {upper.number} continues")
        if lower.manifest.created > upper.manifest.created:
            raise StoreUnreadable(f"{_path(store, upper.number)}: made before version {number}")
        yield lower
        upper = lower


def read_certificates(store: Path, manifest: Manifest) -> dict[str, Certificate]:
    """The certificates of a manifest by fingerprint; raises ``StoreUnreadable`` for one missing or altered."""
    return {entry.sha256: _certificate(_anchor(store, entry.sha256), entry.sha256) for entry in manifest.anchors}


def write_certificates(store: Path, certificates: Iterable[Certificate]) -> None:
    """Put certificates beside the versions; trusted they are only when a version names them."""
    for certificate in certificates:
        write_over(_anchor(store, certificate.sha256), certificate.der)


def append(store: Path, version: Version) -> None:
    """Make ``version`` the last one, in one step; raises ``ChangeRefused`` when another was quicker."""
    number = parse(version.manifest, Manifest, "the new version").version
    if not write_new(_path(store, number), canonical(as_json(version))):
        raise ChangeRefused(f"there is a version {number} already: somebody else was quicker")


def decode_certificate(data: bytes, sha256: str, place: str) -> Certificate:
    """A certificate (DER) that must be the one of this fingerprint; raises ``StoreUnreadable``."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreUnreadable(f"{place}: altered, its SHA-256 is another one")
    try:
        return load_certificate(data)
    except (CheckFailed, *ASN1_FAULTS) as error:
        raise StoreUnreadable(f"{place}: not a readable certificate") from error


def _certificate(path: Path, sha256: str) -> Certificate:
    return decode_certificate(read_bytes(path, _CERTIFICATE_LIMIT), sha256, str(path))


def _path(store: Path, number: int) -> Path:
    return store / "versions" / f"{number:06}.json"


def _anchor(store: Path, sha256: str) -> Path:
    return store / "anchors" / f"{sha256}.der"
