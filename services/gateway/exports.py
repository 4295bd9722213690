"""Passes an export of the register through, compressed or not, as it comes."""

from __future__ import annotations

import re

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.clients.directory import DirectoryClient
from shared.contracts.directory.export import MEDIA_TYPE

log = structlog.get_logger(__name__)

_FILE = "detsis.ndjson"


class ExportAnswer(Response):
    """Opens the export before it answers, so that a refusal is a problem and not a broken 200."""

    def __init__(self, directory: DirectoryClient, request: Request, *, open_only: bool) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._directory = directory
        self._open_only = open_only
        self._compressed = takes_gzip(request.headers.get("accept-encoding", ""))
        self._held = request.headers.get("if-none-match")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """ASGI entry point."""
        source = self._directory.export(
            open_only=self._open_only, compressed=self._compressed, if_none_match=self._held
        )
        async with source as upstream:
            headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
            headers |= {
                name: upstream.headers[name] for name in ("ETag", "Content-Encoding") if name in upstream.headers
            }
            if upstream.status_code == 200:
                headers |= {"Content-Type": MEDIA_TYPE, "Content-Disposition": f'attachment; filename="{_FILE}"'}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": upstream.status_code, "headers": raw})
            try:
                async for block in upstream.aiter_raw():
                    await send({"type": "http.response.body", "body": block, "more_body": True})
            except httpx.HTTPError as error:
                # Too late for a problem: the answer breaks off here as well, and its last line is missing.
                log.warning("export_cut_off", reason=type(error).__name__)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the caller lists gzip and does not rule it out (RFC 9110, 12.5.3)."""
    for item in accept_encoding.lower().split(",")[:20]:
        name, _, parameter = item.partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"q=0(\.0{0,3})?", parameter.strip())
    return False
