"""The ASGI application: one .asmx address that answers as DETSİS would."""

from __future__ import annotations

import asyncio
import hmac
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import date, timedelta, timezone
from itertools import chain

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.sandbox.detsis import quirks
from services.sandbox.detsis.register import Register
from services.sandbox.detsis.wire_answers import envelope, fault
from services.sandbox.detsis.wire_operations import Call, InBandFailure, answer_pieces
from services.sandbox.detsis.wire_requests import SOAP_12, RejectedRequest, SoapRequest, read_request
from services.sandbox.detsis.wire_wsdl import render_wsdl
from services.sandbox.faults import FaultBoard
from services.sandbox.world import DetsisAccount
from shared.clock import Clock

PATH = "/DETSISServis.asmx"
_LARGEST_REQUEST = 1024 * 1024
_BLOCK = 64 * 1024
_TURKISH_TIME = timezone(timedelta(hours=3))
"""Since 2016 without daylight saving."""


class _ConnectionDropped(Exception):  # noqa: N818 - ends the connection on purpose
    """Raised inside a body: the server then closes the connection without finishing the answer."""


class DetsisEndpoint:
    """One look-alike service over one register. Its ``clock`` stands in the Date header, as IIS sends it."""

    def __init__(self, register: Register, accounts: Sequence[DetsisAccount], faults: FaultBoard, clock: Clock) -> None:
        self._register = register
        self._accounts = {account.account_id: account for account in accounts}
        self._faults = faults
        self._clock = clock
        quirks.declare(faults)

    async def describe(self, request: Request) -> Response:
        """``?WSDL``. The address inside is http://, as the real one's is: nobody may trust it."""
        if "wsdl" not in {key.lower() for key in request.query_params}:
            return Response("DETSISServis", media_type="text/html")
        return Response(render_wsdl(f"http://{request.url.netloc}{PATH}"), media_type="text/xml")

    async def call(self, request: Request) -> Response:
        """One SOAP call."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_REQUEST:
                return Response(status_code=413)
        try:
            soap_request = read_request(
                bytes(body), request.headers.get("content-type", ""), request.headers.get("soapaction")
            )
        except RejectedRequest as rejected:
            return _xml(rejected.soap, (fault(rejected.soap, rejected.reason, sender=True),), status=500)
        operation = soap_request.operation
        if slow := self._faults.draw("detsis.slow", operation=operation):
            await asyncio.sleep(5.0 if slow.value is None else slow.value)
        if (broken := self._broken_answer(soap_request)) is not None:
            return broken
        pieces = (piece.encode() for piece in await asyncio.to_thread(self._pieces, soap_request))
        return self._respond(request, soap_request, self._disturbed(operation, pieces))

    def _broken_answer(self, call: SoapRequest) -> Response | None:
        """Faults that replace the whole answer."""
        where = call.operation
        if down := self._faults.draw("detsis.down", operation=where):
            if down.value != 1:
                return Response(status_code=503)
            return StreamingResponse(_dropping(), media_type="text/xml; charset=utf-8")
        if page := self._faults.draw("detsis.html_page", operation=where):
            status = int(page.value or 200)
            return Response(
                quirks.MAINTENANCE_PAGE, status_code=status if 200 <= status < 600 else 200, media_type="text/html"
            )
        if self._faults.take("detsis.empty_body", operation=where):
            return Response(b"", media_type="text/xml; charset=utf-8")
        if self._faults.take("detsis.fault", operation=where):
            text = fault(call.soap, "Server was unable to process request. ---> Timeout expired.", sender=False)
            return _xml(call.soap, (text,), status=500)
        return None

    def _pieces(self, call: SoapRequest) -> Iterator[str]:
        account = self._accounts.get(call.account_id)
        expected = account.password if account else ""
        if account is None or not hmac.compare_digest(call.password.encode(), expected.encode()):
            return envelope(call.operation, call.soap, (), failure="Kullanıcı adı veya şifre hatalı.")
        if self._faults.take("detsis.in_band_error", operation=call.operation):
            return envelope(call.operation, call.soap, (), failure="İşlem sırasında bir hata oluştu.")
        variants = frozenset(name for name in quirks.VARIANTS if self._faults.take(name, operation=call.operation))
        try:
            content = answer_pieces(Call(call, self._register, account.institution_no, self._today(), variants))
        except InBandFailure as failure:
            return envelope(call.operation, call.soap, (), failure=str(failure))
        return envelope(call.operation, call.soap, content)

    def _today(self) -> date:
        return self._clock.now().astimezone(_TURKISH_TIME).date()

    def _disturbed(self, operation: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Faults that change the answer on its way."""
        if self._faults.take("detsis.repeated_rows", operation=operation):
            pieces = quirks.repeated(pieces)
        if self._faults.take("detsis.unclear_flags", operation=operation):
            pieces = quirks.unclear(pieces)
        if self._faults.take("detsis.unknown_element", operation=operation):
            pieces = quirks.extended(pieces)
        if self._faults.take("detsis.bad_character", operation=operation):
            pieces = quirks.dirty(pieces)
        if cut := self._faults.draw("detsis.truncate", operation=operation):
            pieces = quirks.truncated(pieces, 0.5 if cut.value is None else cut.value)
        return pieces

    def _respond(self, request: Request, call: SoapRequest, pieces: Iterator[bytes]) -> Response:
        blocks = _blocks(pieces)
        headers = {
            "Date": self._clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Cache-Control": "private, max-age=0",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            blocks = _gzipped(blocks)
            headers["Content-Encoding"] = "gzip"
        return StreamingResponse(iterate_in_threadpool(blocks), headers=headers, media_type=_media_type(call.soap))


def build_detsis_app(
    register: Register, accounts: Sequence[DetsisAccount], faults: FaultBoard, clock: Clock
) -> Starlette:
    """The service at ``/DETSISServis.asmx``; serve it over TLS. Its faults are declared on ``faults``."""
    endpoint = DetsisEndpoint(register, accounts, faults, clock)
    return Starlette(
        routes=[
            Route(PATH, endpoint.describe, methods=["GET"]),
            Route(PATH, endpoint.call, methods=["POST"]),
        ]
    )


def _media_type(soap: str) -> str:
    return "application/soap+xml; charset=utf-8" if soap == SOAP_12 else "text/xml; charset=utf-8"


def _xml(soap: str, pieces: Iterable[str], *, status: int) -> Response:
    return Response("".join(pieces), status_code=status, media_type=_media_type(soap))


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _gzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1, wbits=31)
    packed = map(packer.compress, blocks)
    return (block for block in chain(packed, _flush(packer)) if block)


def _flush(packer: zlib._Compress) -> Iterator[bytes]:
    yield packer.flush()


async def _dropping() -> AsyncIterator[bytes]:
    yield b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope'
    raise _ConnectionDropped
