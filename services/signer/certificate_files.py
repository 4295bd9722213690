"""Certificates and revocation lists from files that an operator names: bounded, PEM or DER, one or many.

A directory stands for the files in it. One that is laid out like the trust directory (``trust.py``)
gives the anchors of every purpose; its ``intermediates`` are never anchors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from asn1crypto import pem

from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate, pem_or_der
from services.signer.checks.ocsp import OcspResponse, load_response
from services.signer.checks.revocation_list import RevocationList, load_list
from services.signer.findings import CheckFailed
from services.signer.trust import ANCHOR_PURPOSES, INTERMEDIATES
from shared.contracts.signatures import Text

_CERTIFICATES = 10_000
_CERTIFICATE_FILE, _LIST_FILE, _LISTS_IN_ALL = 32 * 1024 * 1024, 64 * 1024 * 1024, 256 * 1024 * 1024
"""Bytes."""
_RESPONSE_FILE = 64 * 1024
_FILES = 4096
_PEM_LISTS = ("X509 CRL", "CRL")
_T = TypeVar("_T")


class FileUnreadable(Exception):  # noqa: N818 - names the state of the file
    """A file is not there, too large, or not what it was named as; the message names it."""


@dataclass(frozen=True)
class Unusable:
    """A revocation list or response that was left out, and why."""

    file: str
    why: Text


def read_certificates(paths: Iterable[Path]) -> tuple[Certificate, ...]:
    """The certificates of files and directories, in order, each once.

    Raises ``FileUnreadable`` rather than go on with half of them.
    """
    found: dict[str, Certificate] = {}
    for path in _files(paths):
        try:
            for encoded in pem_or_der(_read(path, _CERTIFICATE_FILE)):
                certificate = load_certificate(encoded)
                found.setdefault(certificate.sha256, certificate)
                if len(found) > _CERTIFICATES:
                    raise FileUnreadable(f"{path}: more than {_CERTIFICATES} certificates")
        except CheckFailed as failure:
            raise FileUnreadable(f"{path}: {failure.text.en}") from failure
        except ASN1_FAULTS as error:
            raise FileUnreadable(f"{path}: no readable certificate") from error
    return tuple(found.values())


def read_anchors(path: Path) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...]]:
    """Anchors of a file or directory, and the certificates of its ``intermediates``.

    Raises ``FileUnreadable``, also when there is no anchor.
    """
    if not path.is_dir():
        return read_certificates([path]), ()
    purposes = [path / purpose for purpose in ANCHOR_PURPOSES if (path / purpose).is_dir()]
    anchors = read_certificates([path, *purposes])
    if not anchors:
        raise FileUnreadable(f"{path}: no certificate")
    return anchors, _helpers(path)


def read_store(path: Path) -> tuple[dict[str, tuple[Certificate, ...]], tuple[Certificate, ...]]:
    """Anchors by purpose and the certificates of ``intermediates``, of a directory laid out like the trust directory.

    The anchors of any other file or directory count for every purpose. Raises ``FileUnreadable``, also when there is
    no anchor.
    """
    purposes = [purpose for purpose in ANCHOR_PURPOSES if (path / purpose).is_dir()]
    if not purposes:
        anchors, helpers = read_anchors(path)
        return dict.fromkeys(ANCHOR_PURPOSES, anchors), helpers
    found = {purpose: read_certificates([path / purpose]) for purpose in purposes}
    if not any(found.values()):
        raise FileUnreadable(f"{path}: no certificate")
    return found, _helpers(path)


def _helpers(path: Path) -> tuple[Certificate, ...]:
    helpers = path / INTERMEDIATES
    return read_certificates([helpers]) if helpers.is_dir() else ()


def open_regular(path: Path, limit: int) -> BinaryIO:
    """A file to read, to be closed by the caller; never waits for a pipe or a device.

    Raises ``FileUnreadable`` when it is not there, not a regular file, or larger than ``limit`` bytes.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), "rb")
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror or error}") from error
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
        return file
    file.close()
    raise FileUnreadable(
        f"{path}: larger than {limit} bytes" if stat.S_ISREG(status.st_mode) else f"{path}: not a file"
    )


def read_lists(paths: Iterable[Path]) -> tuple[tuple[RevocationList, ...], tuple[Unusable, ...]]:
    """The revocation lists of files and directories, and those that cannot be used; raises ``FileUnreadable``."""
    return _usable(paths, _LIST_FILE, load_list, "not a revocation list")


def read_responses(paths: Iterable[Path]) -> tuple[tuple[OcspResponse, ...], tuple[Unusable, ...]]:
    """The same for OCSP responses (DER)."""
    return _usable(paths, _RESPONSE_FILE, load_response, "not an OCSP response")


def _usable(
    paths: Iterable[Path], limit: int, load: Callable[[bytes], _T], otherwise: str
) -> tuple[tuple[_T, ...], tuple[Unusable, ...]]:
    found: dict[bytes, _T] = {}
    unusable = []
    room = _LISTS_IN_ALL
    for path in _files(paths):
        data = _read(path, limit)
        room -= len(data)
        if room < 0:
            raise FileUnreadable(f"{path}: more than {_LISTS_IN_ALL} bytes of revocation data")
        try:
            for encoded in _each_list(data):
                if encoded not in found:
                    found[encoded] = load(encoded)
        except CheckFailed as failure:
            unusable.append(Unusable(path.name, failure.text))
        except ASN1_FAULTS as error:
            raise FileUnreadable(f"{path}: {otherwise}") from error
    return tuple(found.values()), tuple(unusable)


def _each_list(data: bytes) -> list[bytes]:
    if not pem.detect(data):
        return [data]
    return [encoded for kind, _headers, encoded in pem.unarmor(data, multiple=True) if kind in _PEM_LISTS]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    seen = 0
    for path in paths:
        # What a directory holds beside files (and hidden ones) is nobody's certificate.
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        for item in inside:
            if item is not path and (not item.is_file() or item.name.startswith(".")):
                continue
            seen += 1
            if seen > _FILES:
                raise FileUnreadable(f"{path}: more than {_FILES} files")
            yield item


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise FileUnreadable(f"{path}: larger than {limit} bytes")
    return data
