"""The whole mirror as a stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.detsis_sync.mirror.export import export_header, export_lines, gzipped
from services.detsis_sync.mirror.freshness import MirrorAge
from shared.contracts.directory.export import MEDIA_TYPE, ExportHeader
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_COME_AGAIN_SECONDS = 30


class _Exports:
    """Exports under way: each holds a view of the whole mirror, so there are few and none lasts for ever."""

    def __init__(self, database: Database, age: MirrorAge, *, at_once: int) -> None:
        self._database = database
        self._age = age
        self._free = at_once

    async def etag(self, *, open_only: bool) -> str:
        """What names the present picture."""
        async with self._database.reading() as session:
            header = await export_header(session, await self._age.of(session), open_only=open_only)
        return _etag(header)

    async def blocks(self, *, open_only: bool, compressed: bool) -> AsyncGenerator[bytes, None]:
        """The lines of one view. Raises ``DomainError`` (rate-limited) while others take theirs."""
        if self._free < 1:
            raise DomainError(
                ErrorCode.RATE_LIMITED, "other exports are under way", retry_after_seconds=_COME_AGAIN_SECONDS
            )
        self._free -= 1
        try:
            async with self._database.reading() as session:
                header = await export_header(session, await self._age.of(session), open_only=open_only)
                lines = export_lines(session, header)
                async for block in gzipped(lines) if compressed else lines:
                    yield block
        finally:
            self._free += 1


class _BoundedStream(StreamingResponse):
    """A stream whose reader has so many seconds; after them it breaks off, without the last line."""

    def __init__(self, blocks: AsyncIterator[bytes], *, seconds: float, headers: dict[str, str]) -> None:
        super().__init__(blocks, media_type=MEDIA_TYPE, headers=headers)
        self._blocks = blocks
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            # Without its end the answer breaks off, which the reader notices.
            log.warning("export_cut_off", seconds=self._seconds)
        finally:
            if isinstance(self._blocks, AsyncGenerator):
                await self._blocks.aclose()


def export_routes(database: Database, age: MirrorAge, *, at_once: int, seconds: float) -> APIRouter:
    """``/export``."""
    routes = APIRouter()
    exports = _Exports(database, age, at_once=at_once)

    @routes.get("/export")
    async def export(request: Request, open_only: bool = False) -> Response:
        etag = await exports.etag(open_only=open_only)
        if etag in {item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers={"ETag": etag})
        compressed = "gzip" in request.headers.get("accept-encoding", "")
        blocks = exports.blocks(open_only=open_only, compressed=compressed)
        # Asked for before the answer begins: a refusal is then still a problem and not a broken stream.
        first = await anext(blocks)
        headers = {"ETag": etag, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if compressed else {})
        return _BoundedStream(_from(first, blocks), seconds=seconds, headers=headers)

    return routes


async def _from(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for block in rest:
            yield block
    finally:
        await rest.aclose()


def _etag(header: ExportHeader) -> str:
    # The snapshot alone does not name it: a list released later changes the mirror, and time makes it stale.
    return f'"{hashlib.sha256(header.model_dump_json().encode()).hexdigest()[:32]}"'
