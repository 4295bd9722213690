"""JSON documents and files of the store: bounded when read, and written so that they are there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Document = TypeVar("Document", bound=BaseModel)

DOCUMENT_LIMIT = 32 * 1024 * 1024
"""Bytes; a proposal carries its certificates."""


class StoreUnreadable(Exception):  # noqa: N818 - names the state of the store
    """Something of the store is missing, altered or too large; the message names the file."""


class ChangeRefused(Exception):  # noqa: N818 - an outcome
    """The store is as it should be, and what was asked of it is not done; the message says why."""


def canonical(value: Any) -> bytes:
    """The one form of a JSON value that digests and signatures are about: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def read_bytes(path: Path, limit: int = DOCUMENT_LIMIT) -> bytes:
    """The file; raises ``StoreUnreadable`` when it is absent, no plain file or larger than ``limit`` bytes."""
    try:
        # A pipe in place of a file would keep its reader waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StoreUnreadable(f"{path}: {error.strerror or error}") from error
    if data is None or len(data) > limit:
        raise StoreUnreadable(f"{path}: larger than {limit} bytes")
    return data


def read_json(path: Path, limit: int = DOCUMENT_LIMIT) -> Any:
    """The JSON value in a file; raises ``StoreUnreadable``."""
    try:
        return json.loads(read_bytes(path, limit))
    except (ValueError, RecursionError) as error:
        raise StoreUnreadable(f"{path}: not JSON") from error


def read_document(path: Path, kind: type[Document], limit: int = DOCUMENT_LIMIT) -> Document:
    """The JSON document in a file; raises ``StoreUnreadable``, also for a field that is not known."""
    return parse(read_json(path, limit), kind, str(path))


def parse(value: Any, kind: type[Document], place: str) -> Document:
    """``value`` as a document; raises ``StoreUnreadable`` that names ``place``."""
    try:
        return kind.model_validate(value)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "too deep"}
        where = ".".join(str(part) for part in first["loc"])
        raise StoreUnreadable(f"{place}: {where}: {first['msg']}") from error


def as_json(document: BaseModel) -> Any:
    """The document as a JSON value, times in ISO 8601."""
    return document.model_dump(mode="json")


def write_new(path: Path, data: bytes) -> bool:
    """Make ``path`` with ``data``, whole or not at all; False when it is there already, whatever it holds."""
    with _written_beside(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        _sync(path.parent)
    return True


def write_over(path: Path, data: bytes) -> None:
    """The same in place of what may be there."""
    with _written_beside(path, data) as temporary:
        temporary.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Certificates and who approved them are no secret: signer may run under another account than the officers.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
