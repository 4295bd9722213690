"""The ASGI application: two .asmx addresses that answer as DETSİS would."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.sandbox.detsis import quirks
from services.sandbox.detsis.calendar import RegisterCalendar
from services.sandbox.detsis.register import Register
from services.sandbox.detsis.rendered import BLOCK, AnswerKey, RenderedAnswers, gzipped
from services.sandbox.detsis.wire_answers import contradiction, envelope, fault
from services.sandbox.detsis.wire_contract import OPERATIONS
from services.sandbox.detsis.wire_operations import (
    OWN_TREE,
    Call,
    InBandFailure,
    answer_pieces,
    kept_parameters,
    row_start,
)
from services.sandbox.detsis.wire_requests import SOAP_12, RejectedRequest, SoapRequest, read_request
from services.sandbox.detsis.wire_wsdl import render_wsdl
from services.sandbox.faults import FaultBoard
from services.sandbox.world import DetsisAccount
from shared.clock import Clock

PATH = "/DETSISServis.asmx"
PRIVATE_SECTOR_PATH = "/DETSISOzelSektor.asmx"
"""For companies: the same service without the list of a public body's own units."""
_LARGEST_REQUEST = 1024 * 1024
_DROPPED_AFTER = 64 * 1024


class _ConnectionDropped(Exception):  # noqa: N818 - ends the connection on purpose
    """Raised inside a body: the server then closes the connection without finishing the answer."""


class DetsisEndpoint:
    """One look-alike service over one register. Its ``clock`` stands in the Date header, as IIS sends it."""

    def __init__(
        self,
        calendar: RegisterCalendar,
        accounts: Sequence[DetsisAccount],
        faults: FaultBoard,
        clock: Clock,
        *,
        path: str,
        operations: frozenset[str],
        rendered: RenderedAnswers | None,
    ) -> None:
        self._calendar = calendar
        self._register = calendar.register
        self._accounts = {account.account_id: account for account in accounts}
        self._faults = faults
        self._clock = clock
        self._path = path
        self._operations = operations
        self._rendered = rendered
        quirks.declare(faults)

    async def describe(self, request: Request) -> Response:
        """``?WSDL``. The address inside is http://, as the real one's is: nobody may trust it."""
        if "wsdl" not in {key.lower() for key in request.query_params}:
            return Response(self._path.strip("/").removesuffix(".asmx"), media_type="text/html")
        chosen = (name for name in OPERATIONS if name in self._operations)
        return Response(render_wsdl(f"http://{request.url.netloc}{self._path}", chosen), media_type="text/xml")

    async def call(self, request: Request) -> Response:
        """One SOAP call."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_REQUEST:
                return Response(status_code=413)
        try:
            soap_request = read_request(
                bytes(body),
                request.headers.get("content-type", ""),
                request.headers.get("soapaction"),
                self._operations,
            )
        except RejectedRequest as rejected:
            return _xml(rejected.soap, (fault(rejected.soap, rejected.reason, sender=True),), status=500)
        if self._calendar.is_behind():
            await asyncio.to_thread(self._calendar.catch_up)
        operation = soap_request.operation
        if slow := self._faults.draw("detsis.slow", operation=operation):
            await asyncio.sleep(5.0 if slow.value is None else slow.value)
        if (broken := self._broken_answer(soap_request)) is not None:
            return broken
        packed = self._packs(request, operation)
        blocks = await asyncio.to_thread(self._blocks, soap_request, packed)
        return self._respond(soap_request, blocks, packed)

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

    def _packs(self, request: Request, operation: str) -> bool:
        asked = "gzip" in request.headers.get("accept-encoding", "")
        if asked and self._faults.take("detsis.no_gzip", operation=operation):
            return False
        return asked or self._faults.take("detsis.forced_gzip", operation=operation)

    def _blocks(self, call: SoapRequest, packed: bool) -> Iterator[bytes]:
        """The answer's bytes, read from a file if they have been sent before and nothing disturbs them."""
        where = call.operation
        account = self._accounts.get(call.account_id)
        expected = account.password if account else ""
        if account is None or not hmac.compare_digest(call.password.encode(), expected.encode()):
            return _sent(envelope(where, call.soap, (), failure="Kullanıcı adı veya şifre hatalı."), packed)
        if self._faults.take("detsis.in_band_error", operation=where):
            return _sent(envelope(where, call.soap, (), failure="İşlem sırasında bir hata oluştu."), packed)
        ordered = frozenset(name for name in quirks.VARIANTS if self._faults.take(name, operation=where))
        known = Call(call, self._register, account.institution_no, self._register.today, ordered)
        contradictory = self._faults.draw("detsis.contradictory_success", operation=where)
        disturbing = quirks.drawn(self._faults, where)
        try:
            content: Callable[[], Iterator[str]] = lambda: answer_pieces(known)  # noqa: E731
            key = self._key(known)
            if contradictory is None and not disturbing and key is not None and self._rendered is not None:
                return self._kept(self._rendered, key, content, packed)
            pieces = content()
        except InBandFailure as failure:
            return _sent(envelope(where, call.soap, (), failure=str(failure)), packed)
        if contradictory is not None:
            return _sent(contradiction(where, call.soap, pieces if contradictory.value == 1 else None), packed)
        whole = (piece.encode() for piece in envelope(where, call.soap, pieces))
        return _in_blocks(quirks.apply(disturbing, whole, row_start(where)), packed)

    def _key(self, call: Call) -> AnswerKey | None:
        parameters = kept_parameters(call)
        if parameters is None:
            return None
        return AnswerKey(call.request.operation, call.request.soap, parameters, self._register.version)

    def _kept(
        self, rendered: RenderedAnswers, key: AnswerKey, content: Callable[[], Iterator[str]], packed: bool
    ) -> Iterator[bytes]:
        if (blocks := rendered.blocks(key, packed=packed)) is not None:
            return blocks
        blocks = _sent(envelope(key.operation, key.soap, content()), packed)
        return self._unless_changed(rendered, key, rendered.keeping(key, blocks, packed=packed))

    def _unless_changed(self, rendered: RenderedAnswers, key: AnswerKey, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The register may have moved on while the answer was made: such a mixture is sent once and not again."""
        yield from blocks
        if self._register.version != key.version:
            rendered.forget(key)

    def _respond(self, call: SoapRequest, blocks: Iterator[bytes], packed: bool) -> Response:
        where = call.operation
        headers = {
            "Date": self._clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Cache-Control": "private, max-age=0",
        }
        if packed:
            headers["Content-Encoding"] = "gzip"
        body: AsyncIterator[bytes] = iterate_in_threadpool(blocks)
        if drop := self._faults.draw("detsis.drop_connection", operation=where):
            body = _dropped(body, int(_DROPPED_AFTER if drop.value is None else drop.value))
        if drip := self._faults.draw("detsis.drip", operation=where):
            body = _dripping(body, 5.0 if drip.value is None else drip.value)
        return StreamingResponse(body, headers=headers, media_type=_media_type(call.soap))


def build_detsis_app(
    register: Register,
    accounts: Sequence[DetsisAccount],
    faults: FaultBoard,
    clock: Clock,
    *,
    calendar: RegisterCalendar | None = None,
    rendered: RenderedAnswers | None = None,
) -> Starlette:
    """The service at ``PATH`` and ``PRIVATE_SECTOR_PATH``; serve it over TLS. Its faults are declared on ``faults``.

    Without a ``calendar`` nothing happens in the register but the passing of days. With ``rendered`` long lists are
    kept on disk.
    """
    calendar = calendar or RegisterCalendar(register, clock)
    routes = []
    every = frozenset(OPERATIONS)
    for path, operations in ((PATH, every), (PRIVATE_SECTOR_PATH, every - {OWN_TREE})):
        endpoint = DetsisEndpoint(
            calendar, accounts, faults, clock, path=path, operations=operations, rendered=rendered
        )
        routes += [
            Route(path, endpoint.describe, methods=["GET"]),
            Route(path, endpoint.call, methods=["POST"]),
        ]
    return Starlette(routes=routes)


def _media_type(soap: str) -> str:
    return "application/soap+xml; charset=utf-8" if soap == SOAP_12 else "text/xml; charset=utf-8"


def _xml(soap: str, pieces: Iterable[str], *, status: int) -> Response:
    return Response("".join(pieces), status_code=status, media_type=_media_type(soap))


def _sent(pieces: Iterable[str], packed: bool) -> Iterator[bytes]:
    return _in_blocks((piece.encode() for piece in pieces), packed)


def _in_blocks(pieces: Iterable[bytes], packed: bool) -> Iterator[bytes]:
    blocks = _blocks(pieces)
    return gzipped(blocks) if packed else blocks


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    # The first bytes go out at once: whoever waits for an answer sees that it is coming.
    size = 4096
    for piece in pieces:
        block += piece
        if len(block) >= size:
            yield bytes(block)
            block.clear()
            size = min(2 * size, BLOCK)
    yield bytes(block)


async def _dropping() -> AsyncIterator[bytes]:
    yield b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope'
    raise _ConnectionDropped


async def _dropped(body: AsyncIterator[bytes], after: int) -> AsyncIterator[bytes]:
    left = after
    async for block in body:
        yield block[:left]
        left -= len(block)
        if left <= 0:
            break
    raise _ConnectionDropped


async def _dripping(body: AsyncIterator[bytes], pause: float) -> AsyncIterator[bytes]:
    async for block in body:
        yield block
        await asyncio.sleep(pause)
