"""POST /internal/v1/envelopes, /envelope-openings and /envelope-facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.signer.enveloping import Enveloping, blocks_of, unnamed_file
from services.signer.metrics import SignerMetrics
from services.signer.routes.bodies import decoded_certificates, parsed_part, requester, write_body
from shared.contracts.envelopes import EnvelopeFacts, EnvelopeRequest
from shared.errors import DomainError, ErrorCode

_ENVELOPE_TYPE = "application/pkcs7-mime"
_OCTETS = "application/octet-stream"


def envelope_routes(enveloping: Enveloping, metrics: SignerMetrics, *, file_limit: int) -> APIRouter:
    """Encrypting for certificates, opening with an institution's key, and looking without one."""
    router = APIRouter()

    @router.post("/envelopes")
    async def encrypt(request: Annotated[str, Form()], file: UploadFile) -> Response:
        with _counted(metrics, "encryption"):
            size = file.size or 0
            if size > file_limit:
                raise DomainError(ErrorCode.TOO_LARGE, f"the file is larger than {file_limit} bytes")
            certificates = decoded_certificates(parsed_part(EnvelopeRequest, request).certificates)
            await enveloping.take_place()
            try:
                writer = await enveloping.writer(certificates, size)
            except BaseException:
                enveloping.leave_place()
                raise
        return _Held(
            writer.blocks(blocks_of(file.file)),
            headers={"Content-Length": str(writer.total_bytes)},
            media_type=_ENVELOPE_TYPE,
            released=enveloping.leave_place,
        )

    @router.post("/envelope-openings")
    async def decrypt(
        request: Request,
        institution_no: Annotated[int, Query(ge=10_000_000, le=99_999_999)],
        key_id: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        with _counted(metrics, "decryption"):
            keys = enveloping.decryption_keys(institution_no, key_id)
            with unnamed_file() as envelope:
                await write_body(request, file_limit, envelope)
                await enveloping.take_place()
                try:
                    blocks = await enveloping.open(envelope, keys, requester(request))
                except BaseException:
                    enveloping.leave_place()
                    raise
        return _Held(
            blocks,
            headers={"Content-Length": str(sum(map(len, blocks))), "Cache-Control": "no-store"},
            media_type=_OCTETS,
            released=enveloping.leave_place,
        )

    @router.post("/envelope-facts")
    async def describe(request: Request) -> EnvelopeFacts:
        with _counted(metrics, "facts"), unnamed_file() as envelope:
            await write_body(request, file_limit, envelope)
            async with enveloping.place():
                return await enveloping.facts(envelope)

    return router


class _Held(StreamingResponse):
    """A streamed answer that keeps its place until it is sent, or until the caller went away."""

    def __init__(
        self,
        content: Iterable[bytes],
        *,
        headers: dict[str, str],
        media_type: str,
        released: Callable[[], None],
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._released = released

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._released()


class _counted:  # noqa: N801 - reads as a statement
    def __init__(self, metrics: SignerMetrics, operation: str) -> None:
        self._counter = metrics.envelopes
        self._operation = operation

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        result = "done" if kind is None else "refused" if issubclass(kind, DomainError) else "failed"
        self._counter.labels(self._operation, result).inc()
