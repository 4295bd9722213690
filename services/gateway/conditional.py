"""Conditional and partial answers: ETag, If-None-Match, Range (RFC 9110, 13 and 14). Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.problems import RangeRefusedError

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Bytes ``start`` up to but not including ``end`` of ``size``."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """As the Content-Range header writes it."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def json_answer(
    request: Request,
    model: BaseModel | bytes,
    *,
    cache_control: str | None = None,
    volatile: dict[str, Any] | None = None,
) -> Response:
    """``model``, or one that is JSON already, with an ETag over its bytes, or 304 when the caller has it.

    ``volatile``: fields that differ each time and change nothing (as pydantic's ``exclude``); the ETag is
    then a weak one over the others.
    """
    body = model if isinstance(model, bytes) else model.model_dump_json().encode()
    counted = body
    if volatile is not None and isinstance(model, BaseModel):
        counted = model.model_dump_json(exclude=volatile).encode()
    etag = f'"{hashlib.sha256(counted).hexdigest()[:32]}"'
    headers = {
        "ETag": etag if volatile is None else f"W/{etag}",
        "Cache-Control": cache_control or "private, no-cache",
    }
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller already holds the representation ``etag`` (weak comparison)."""
    if if_none_match is None:
        return False
    held = [item.strip().removeprefix("W/") for item in if_none_match.split(",")]
    return "*" in held or etag in held


def wanted_span(request: Request, size: int, etag: str) -> Span | None:
    """The part of the content the Range header asks for; None means all of it.

    What we do not understand or serve (several ranges, other units) is answered whole, as the
    standard allows. Raises ``RangeRefusedError`` when the range begins beyond the end.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    condition = request.headers.get("if-range")
    if not match or not (match[1] or match[2]) or (condition is not None and condition.strip() != etag):
        return None
    if not match[1]:
        wanted = int(match[2])
        if wanted == 0 or size == 0:
            raise RangeRefusedError(size)
        return Span(max(0, size - wanted), size, size)
    start = int(match[1])
    if start >= size:
        raise RangeRefusedError(size)
    end = min(int(match[2]) + 1, size) if match[2] else size
    return Span(start, end, size) if start < end else None


def digest_headers(sha256: str) -> dict[str, str]:
    """The digest of the whole content, in the present form (RFC 9530) and the former (RFC 3230)."""
    encoded = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Repr-Digest": f"sha-256=:{encoded}:", "Digest": f"sha-256={encoded}"}


def hashed_headers(content: bytes, filename: str) -> dict[str, str]:
    """Digests (RFC 9530) and file name of bytes that are made for this answer and stay nowhere."""
    digests = [
        f"{name}=:{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}:"
        for name, algorithm in (("sha-256", "sha256"), ("sha-512", "sha512"))
    ]
    return {
        "Repr-Digest": ", ".join(digests),
        "Content-Disposition": attachment(filename),
        "Cache-Control": "private, no-cache",
    }


def attachment(filename: str) -> str:
    """A Content-Disposition that no file name can break out of (RFC 6266)."""
    clean = "".join(c for c in filename if c.isprintable() and c not in "/\\").strip(". ")[-150:] or "content"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()") else "_" for c in clean)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='', errors='replace')}"
