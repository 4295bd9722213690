"""Checks a proof file with nothing but the file: no service, no network. Whatever it holds is hostile."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from shared.proof.format import EVENTS, FORMAT, MANIFEST, TIMESTAMP, Manifest, chain_end

_CHUNK = 1024 * 1024
_MOST_FILES = 20_000
_LARGEST_FILE = 1024 * 1024 * 1024
_LARGEST_MANIFEST = 32 * 1024 * 1024
_LARGEST_STAMP = 256 * 1024
_MOST_BYTES = 8 * 1024 * 1024 * 1024
_MOST_FAULTS = 100
_OWN = frozenset({MANIFEST, TIMESTAMP})
_BOUNDED_READERS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""``zipfile`` reads the other methods without a limit: a kilobyte of bzip2 becomes gigabytes of memory at once."""


class ProofUnreadable(Exception):  # noqa: N818 - names the state of the file
    """The file is no proof file, or too large to be looked into; the message says why."""


@dataclass(frozen=True)
class Checked:
    """What a look into the file gave."""

    manifest: Manifest
    manifest_sha256: str
    faults: tuple[str, ...]
    """In plain words; empty: every file is the one the manifest names, and the history is whole."""
    timestamp: bytes | None
    """The time-stamp over the manifest (DER), to be judged by whoever knows its authority; None without one."""

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, taken out or put in since the manifest was written."""
        return not self.faults


def check(path: Path) -> Checked:
    """Compare everything in the archive with its manifest; raises ``ProofUnreadable`` and ``OSError``."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _checked(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, KeyError, RuntimeError) as error:
        raise ProofUnreadable(f"no proof file: {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise ProofUnreadable(f"no proof file: {error.strerror}") from error
    except (RecursionError, MemoryError, OverflowError) as error:
        raise ProofUnreadable(f"the file confuses the reader: {type(error).__name__}") from error


def _checked(archive: zipfile.ZipFile) -> Checked:
    entries = archive.infolist()
    if len(entries) > _MOST_FILES:
        raise ProofUnreadable(f"more than {_MOST_FILES} files")
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise ProofUnreadable(f"more than {_MOST_BYTES} bytes")
    if any(entry.compress_type not in _BOUNDED_READERS for entry in entries):
        raise ProofUnreadable("files are packed in a way that no proof file is")
    written = _whole(archive, MANIFEST, _LARGEST_MANIFEST)
    try:
        manifest = Manifest.model_validate_json(written)
    except ValidationError as error:
        raise ProofUnreadable(f"the manifest is not as documented: {error.error_count()} faults") from error
    if manifest.format != FORMAT:
        raise ProofUnreadable(f"format {manifest.format[:50]!r} is not known here")
    faults = _compare(archive, entries, manifest)
    names = {entry.filename for entry in entries}
    stamp = _whole(archive, TIMESTAMP, _LARGEST_STAMP) if TIMESTAMP in names else None
    return Checked(manifest, hashlib.sha256(written).hexdigest(), tuple(faults[:_MOST_FAULTS]), stamp)


def _compare(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], manifest: Manifest) -> list[str]:
    names = [entry.filename for entry in entries]
    listed = [item.path for item in manifest.files]
    there, wanted = Counter(names), Counter(listed)
    faults = [f"{name}: stands there more than once" for name, number in there.items() if number > 1]
    faults += [f"{name}: listed more than once" for name, number in wanted.items() if number > 1]
    faults += [f"{name}: not in the manifest" for name in there if name not in wanted and name not in _OWN]
    for item in manifest.files:
        if item.path not in there:
            faults.append(f"{item.path}: missing")
        elif wanted[item.path] > 1:
            continue  # a short manifest could have one large file read any number of times
        elif _digest(archive, item.path, item.size) != item.sha256:
            faults.append(f"{item.path}: changed")
    if EVENTS in there:
        faults += _history(archive, manifest)
    else:
        faults.append(f"{EVENTS}: missing")
    return faults


def _history(archive: zipfile.ZipFile, manifest: Manifest) -> list[str]:
    try:
        lines = json.loads(_whole(archive, EVENTS, _LARGEST_MANIFEST))
        end = chain_end(lines)
    except (ValueError, TypeError, AttributeError) as error:
        return [f"{EVENTS}: {error}"]
    return [] if end == manifest.events_sha256 else [f"{EVENTS}: lines at the end are missing"]


def _digest(archive: zipfile.ZipFile, name: str, size: int) -> str | None:
    """None for a file that is longer than it should be, or damaged."""
    digest, read = hashlib.sha256(), 0
    try:
        with archive.open(name) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                read += len(chunk)
                if read > min(size, _LARGEST_FILE):
                    return None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        return None
    return digest.hexdigest()


def _whole(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    file: IO[bytes]
    with archive.open(name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ProofUnreadable(f"{name} is larger than {limit} bytes")
    return content
