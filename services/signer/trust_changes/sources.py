"""Where certificates to propose come from: files, a directory with an index, a directory by purpose, the national store.

All of it is only proposed. Nothing is fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate, pem_or_der
from services.signer.findings import CheckFailed
from services.signer.trust import INTERMEDIATES
from services.signer.trust_changes.documents import ChangeRefused, StoreUnreadable, read_bytes, read_json
from services.signer.trust_changes.manifest import ANCHORS, PURPOSES, Sha256
from services.signer.trust_changes.proposals import Addition
from services.signer.trust_changes.wire import read_national_store

_SOURCE_LIMIT = 16 * 1024 * 1024
"""Bytes of one file."""
_FILES = 4096
_INDEX = "index.json"
_SHORTEST_PREFIX = 16
_SUFFIXES = frozenset({".pem", ".crt", ".cer", ".der"})


class _IndexEntry(BaseModel):
    """What is used of an index's entry; its words about the certificate are the certificate's own to say."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    file: str = Field(max_length=500)
    sha256: Sha256
    root: bool = True
    sources: list[str] = Field(default=[], max_length=20)


_INDEX_OF = TypeAdapter(list[_IndexEntry])


def from_files(files: Iterable[Path], purposes: tuple[str, ...], source: str = "") -> tuple[Addition, ...]:
    """The certificates of PEM or DER files, each for all of ``purposes``; raises ``StoreUnreadable``."""
    return _once(Addition(certificate, purposes, source or path.name) for path in files for certificate in _read(path))


def from_source(path: Path, purposes: tuple[str, ...], source: str = "") -> tuple[Addition, ...]:
    """The certificates of a source, by what it looks like.

    Args:
        path: a directory with ``index.json`` (its certificates that are no roots become intermediates), one with
            a directory for each purpose, another directory of files, the national store (XML), or a PEM bundle.
        purposes: for all that the source itself gives no purpose.
        source: named in the store; the file's name otherwise.

    Raises:
        StoreUnreadable: a file is missing, altered, too large or no certificate.
        ChangeRefused: certificates without a purpose.
    """
    if path.is_dir():
        found = _from_directory(path, purposes)
    else:
        data = read_bytes(path, _SOURCE_LIMIT)
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            rows = read_national_store(data, str(path))
            found = [Addition(_load(row.der, path), purposes, path.name, row.notes) for row in rows]
        else:
            found = [Addition(certificate, purposes, path.name) for certificate in _read(path)]
    if any(not item.purposes for item in found):
        raise ChangeRefused(f"{path} says not what its certificates are for: name a purpose")
    return _once(replace(item, source=source) if source else item for item in found)


def chosen(
    additions: tuple[Addition, ...], only: Iterable[str], purposes_of: Mapping[str, tuple[str, ...]]
) -> tuple[Addition, ...]:
    """Those whose fingerprints begin as one of ``only`` says (all without any), with purposes of their own.

    Raises ``ChangeRefused`` for a beginning that is too short (16 digits) or fits none.
    """
    wanted, own = list(only), dict(purposes_of)
    for prefix in (*wanted, *own):
        if len(prefix) < _SHORTEST_PREFIX:
            raise ChangeRefused(f"{prefix}: at least {_SHORTEST_PREFIX} digits of a fingerprint are wanted")
        if not any(item.certificate.sha256.startswith(prefix) for item in additions):
            raise ChangeRefused(f"{prefix}: no certificate of the source")
    kept = [item for item in additions if not wanted or item.certificate.sha256.startswith(tuple(wanted))]
    for prefix, purposes in own.items():
        kept = [
            replace(item, purposes=purposes) if item.certificate.sha256.startswith(prefix) else item for item in kept
        ]
    return tuple(kept)


def _from_directory(path: Path, purposes: tuple[str, ...]) -> list[Addition]:
    if (path / _INDEX).is_file():
        return _from_index(path, purposes)
    by_purpose = [purpose for purpose in PURPOSES if (path / purpose).is_dir()]
    if by_purpose:
        return [
            Addition(certificate, (purpose,), f"{path.name}/{purpose}/{file.name}")
            for purpose in by_purpose
            for file in _files(path / purpose)
            for certificate in _read(file)
        ]
    return [Addition(certificate, purposes, file.name) for file in _files(path) for certificate in _read(file)]


def _from_index(path: Path, purposes: tuple[str, ...]) -> list[Addition]:
    try:
        entries = _INDEX_OF.validate_python(read_json(path / _INDEX, _SOURCE_LIMIT))
    except (ValidationError, RecursionError) as error:
        raise StoreUnreadable(f"{path / _INDEX}: not an index of certificates") from error
    if len(entries) > ANCHORS:
        raise StoreUnreadable(f"{path / _INDEX}: more than {ANCHORS} certificates")
    found = []
    for entry in entries:
        file = path / entry.file
        if not file.resolve().is_relative_to(path.resolve()):
            raise StoreUnreadable(f"{path / _INDEX}: names a file outside its directory")
        certificates = _read(file)
        if len(certificates) != 1 or certificates[0].sha256 != entry.sha256:
            raise StoreUnreadable(f"{file}: not the certificate that the index names")
        notes = tuple(f"index: {text}"[:500] for text in entry.sources)
        own = purposes if entry.root else (INTERMEDIATES,)
        found.append(Addition(certificates[0], own, f"{path.name}/{entry.file}"[:500], notes))
    return found


def _once(additions: Iterable[Addition]) -> tuple[Addition, ...]:
    found: dict[str, Addition] = {}
    for item in additions:
        known = found.get(item.certificate.sha256)
        if known is None:
            found[item.certificate.sha256] = item
            continue
        wider = tuple(sorted({*known.purposes, *item.purposes} - {INTERMEDIATES})) or known.purposes
        found[item.certificate.sha256] = replace(known, purposes=wider)
    if len(found) > ANCHORS:
        raise StoreUnreadable(f"more than {ANCHORS} certificates")
    return tuple(found.values())


def _files(directory: Path) -> list[Path]:
    found = [path for path in sorted(directory.iterdir()) if path.suffix.lower() in _SUFFIXES and path.is_file()]
    if len(found) > _FILES:
        raise StoreUnreadable(f"{directory}: more than {_FILES} files")
    return found


def _read(path: Path) -> list[Certificate]:
    data = read_bytes(path, _SOURCE_LIMIT)
    try:
        encoded = pem_or_der(data)
    except ASN1_FAULTS as error:
        raise StoreUnreadable(f"{path}: no readable certificate") from error
    if not encoded:
        raise StoreUnreadable(f"{path}: no certificate in it")
    if len(encoded) > ANCHORS:
        raise StoreUnreadable(f"{path}: more than {ANCHORS} certificates")
    return [_load(item, path) for item in encoded]


def _load(encoded: bytes, path: Path) -> Certificate:
    try:
        return load_certificate(encoded)
    except (CheckFailed, *ASN1_FAULTS) as error:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        raise StoreUnreadable(f"{path}: a certificate ({digest}) that cannot be read") from error
