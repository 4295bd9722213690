"""Reads one HTTP answer to its end: nothing but a complete SOAP answer of the operation gets past here (kep.md 2.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

import httpx

from services.kep_relay.drivers.eyws import wire
from services.kep_relay.drivers.eyws.answer import SOAP, Node, chunks, read_xml, spool
from services.kep_relay.drivers.eyws.failures import CallError, FaultError, MalformedError, masked
from services.kep_relay.drivers.eyws.related import RelatedReader
from shared.errors import DomainError, ErrorCode

_SLACK = 1024 * 1024
_LARGEST_ERROR = 256 * 1024
_HTML_STARTS = (b"<!doctype html", b"<html")
_NOT_TAKEN = {429, 503}
"""The front end says that it did not pass the request on."""


@dataclass
class Received:
    """The answer's wrapper element and its files."""

    wrapper: Node
    parts: Mapping[str, IO[bytes]]
    spools: Sequence[IO[bytes]] = field(repr=False)

    def close(self) -> None:
        """Give back what lies on disk."""
        for each in self.spools:
            each.close()


async def receive(response: httpx.Response, operation: wire.Operation, secrets: Sequence[str], limit: int) -> Received:
    """The answer, with files of at most ``limit`` bytes each.

    Raises ``CallError`` and its kinds, TOO_LARGE; what httpx raises goes through.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise MalformedError(f"{operation}: the answer is compressed, which nobody asked for")
    status = response.status_code
    kind = response.headers.get("Content-Type", "")
    allowed = limit * 4 // 3 + _SLACK if status == 200 else _LARGEST_ERROR
    related = RelatedReader(kind) if status == 200 and kind.lower().startswith("multipart/") else None
    body = spool()
    spools: list[IO[bytes]] = [body]
    with _given_back(spools, related):
        size, start = 0, b""
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > allowed:
                raise DomainError(ErrorCode.TOO_LARGE, f"{operation}: the answer is larger than {allowed} bytes")
            start = start or piece[:256]
            if related is None:
                body.write(piece)
            else:
                related.feed(piece)
        if status != 200:
            raise await _refused(status, operation, body, secrets)
        if not size:
            raise MalformedError(f"{operation}: the answer is empty")
        if related is None and _is_page(kind, start):
            raise MalformedError(f"{operation}: the answer is a web page")
        root, parts = (body, {}) if related is None else related.close()
        spools += [root, *parts.values()]
        if any(_longer(part, limit) for part in parts.values()):
            raise DomainError(ErrorCode.TOO_LARGE, f"{operation}: a file has more than {limit} bytes")
        envelope, inline = await asyncio.to_thread(read_xml, chunks(root), binary=wire.BINARY, limit=limit)
        spools += inline
        return Received(_wrapper(envelope, operation, secrets), parts, spools)


@contextmanager
def _given_back(spools: list[IO[bytes]], related: RelatedReader | None) -> Iterator[None]:
    """After a failure nothing of the answer stays on disk."""
    try:
        yield
    except BaseException:
        for each in spools:
            each.close()
        if related is not None:
            related.discard()
        raise


def _wrapper(envelope: Node, operation: wire.Operation, secrets: Sequence[str]) -> Node:
    if (envelope.name, envelope.namespace) != ("Envelope", SOAP):
        raise MalformedError(f"{operation}: the answer is no SOAP envelope")
    body = envelope.one("Body")
    if body is None or not body.children:
        raise MalformedError(f"{operation}: the envelope is empty")
    fault = body.one("Fault")
    if fault is not None:
        raise _fault(fault, operation, secrets)
    found = body.one(wire.response_tag(operation))
    if found is None or found.namespace != wire.WRAPPERS:
        raise MalformedError(f"{operation}: the answer belongs to another operation")
    return found


def _fault(fault: Node, operation: wire.Operation, secrets: Sequence[str]) -> FaultError:
    code = (fault.value("faultcode") or "").rpartition(":")[2]
    words = masked(f"{operation}: SOAP fault {code}: {fault.value('faultstring') or ''}", secrets)
    return FaultError(words, of_client=code.partition(".")[0].lower() in {"client", "sender"})


async def _refused(
    status: int, operation: wire.Operation, body: IO[bytes], secrets: Sequence[str]
) -> CallError:  # fmt: skip
    detail = f"{operation}: HTTP {status}"
    if status == 413:
        return CallError(ErrorCode.TOO_LARGE, detail, certain=True)
    try:
        envelope, _ = await asyncio.to_thread(read_xml, chunks(body), binary=frozenset(), limit=_LARGEST_ERROR)
        _wrapper(envelope, operation, secrets)
    except FaultError as fault:
        return fault
    except DomainError:
        pass
    if status in _NOT_TAKEN:
        return CallError(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=True)
    if 400 <= status < 500:
        return CallError(ErrorCode.PROVIDER_REFUSED, detail, certain=True)
    return CallError(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=False)


def _is_page(content_type: str, start: bytes) -> bool:
    if content_type.lower().startswith("text/html"):
        return True
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return not text.startswith(b"<") or text.startswith(_HTML_STARTS)


def _longer(source: IO[bytes], limit: int) -> bool:
    source.seek(0, 2)
    size = source.tell()
    source.seek(0)
    return size > limit
