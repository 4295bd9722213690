"""The proof of an outgoing letter, as a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.kep_relay.proof.bundle import Bundle, Proofs
from services.kep_relay.routes.institutions import Institutions

_CHUNK = 256 * 1024


def proof_routes(proofs: Proofs) -> APIRouter:
    """A letter of another institution is NOT_FOUND."""
    router = APIRouter()

    @router.get("/outbound-messages/{message_id}/proof", response_model=None)
    async def proof(message_id: UUID, institution: Institutions) -> StreamingResponse:
        return _Sent(await proofs.make(message_id, institution))

    return router


class _Sent(StreamingResponse):
    """Closes the file whatever becomes of the connection, also when nothing was sent yet."""

    def __init__(self, bundle: Bundle) -> None:
        headers = {
            "Content-Length": str(bundle.size),
            "X-Content-SHA256": bundle.sha256,
            "X-Proof-Timestamped": str(bundle.timestamped).lower(),
        }
        super().__init__(_pieces(bundle.file), media_type="application/zip", headers=headers)
        self._file = bundle.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        with self._file:
            await super().__call__(scope, receive, send)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
