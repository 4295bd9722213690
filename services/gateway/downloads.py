"""Passes bytes of another service or of the blob store through as they come, never whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway.conditional import Span, attachment, digest_headers, matches, wanted_span


class ByteSource(Protocol):
    """Bytes in pieces; an answer of another service is one."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The pieces in order, once."""
        ...


OpenSource = Callable[[int, int | None], AbstractAsyncContextManager[ByteSource]]
"""Opens the bytes from ``start`` up to ``end`` (None: to the end)."""


@dataclass(frozen=True)
class Content:
    """What is known of the bytes before the first one comes."""

    filename: str
    sha256: str | None = None
    size: int | None = None
    media_type: str = "application/octet-stream"
    ranges: bool = False
    """Whether the source can begin and end anywhere; needs digest and size."""


def download(request: Request, content: Content, source: OpenSource) -> Response:
    """The answer to GET or HEAD for ``content``: whole, a range, or 304. Raises ``RangeRefusedError``."""
    headers = {"Cache-Control": "private, no-cache"}
    etag = f'"{content.sha256}"'
    if content.sha256 is not None:
        headers["ETag"] = etag
        if matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        headers |= digest_headers(content.sha256)
    headers["Content-Disposition"] = attachment(content.filename)
    headers["Content-Type"] = content.media_type
    headers["Accept-Ranges"] = "bytes" if content.ranges else "none"
    span: Span | None = None
    if content.size is not None:
        span = wanted_span(request, content.size, etag) if content.ranges else None
        headers["Content-Length"] = str(content.size if span is None else span.end - span.start)
    if span is not None:
        headers["Content-Range"] = span.content_range
    status = 200 if span is None else 206
    if request.method == "HEAD":
        answer = Response(status_code=status, headers=headers)
    else:
        answer = _Passthrough(source, span, status_code=status, headers=headers)
    if content.size is None:
        del answer.headers["content-length"]  # the empty body's own
    return answer


class _Passthrough(Response):
    """Opens the source before it answers, so that a failure there is still a problem and not a broken 200."""

    def __init__(self, source: OpenSource, span: Span | None, *, status_code: int, headers: dict[str, str]) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._source = source
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """ASGI entry point."""
        start, end = (self._span.start, self._span.end) if self._span else (0, None)
        async with self._source(start, end) as upstream:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in upstream.aiter_bytes():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
