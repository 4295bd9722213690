"""The service's address on the web, and everything that goes wrong between a caller and the operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.sandbox.kephs.eyws.service import SoapService
from services.sandbox.kephs.eyws.wire_answers import XML, Answer, write_answer, write_fault
from services.sandbox.kephs.eyws.wire_contract import PATH, WsdlVariant
from services.sandbox.kephs.eyws.wire_operations import address_of, carry_out
from services.sandbox.kephs.eyws.wire_requests import RejectedCall, read_request
from services.sandbox.kephs.eyws.wire_wsdl import render_wsdl

LARGEST_REQUEST = 64 * 1024 * 1024
HANG_UP = "kepgw.hang_up"
"""Key of the request's scope: a call that resets the connection."""
_VARIANTS: tuple[WsdlVariant, ...] = ("new_operation", "renamed_element")
_MAINTENANCE = (
    "<!DOCTYPE html><html><head><title>Bakım</title></head><body><h1>Sistem bakımda</h1>"
    "<p>Lütfen daha sonra tekrar deneyiniz.</p></body></html>"
).encode()  # fmt: skip
_FILLING = b" " * 65_536
_log = structlog.get_logger()


class SoapEndpoint:
    """One provider's service."""

    def __init__(self, service: SoapService) -> None:
        self._service = service
        self._faults = service.faults
        self._provider = service.name

    async def describe(self, request: Request) -> Response:
        """The WSDL, with or without ``?wsdl``. The address inside is http://, as nobody may trust it."""
        variant: WsdlVariant = "same"
        if changed := self._faults.draw("eyws.wsdl_changed", provider=self._provider):
            variant = _VARIANTS[int(changed.value or 0) % len(_VARIANTS)]
        return Response(render_wsdl(f"http://{request.url.netloc}{PATH}", variant), media_type="text/xml")

    async def call(self, request: Request) -> Response:
        """One SOAP call."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_REQUEST:
                return Response(status_code=413)
        try:
            call = await asyncio.to_thread(read_request, bytes(body), request.headers.get("content-type", ""))
        except RejectedCall as rejected:
            return _response(write_fault(str(rejected), caller=True))
        self._service.calls[call.operation] += 1
        scope = self._service.scope(call.operation, address_of(call))
        if (broken := self._broken(request, scope)) is not None:
            return broken
        try:
            values = await carry_out(self._service, call)
        except Exception:  # noqa: BLE001 - a caller must see what a server does that breaks: a Fault
            _log.exception("kep_soap_call_failed", operation=call.operation, provider=self._provider)
            return _response(write_fault("internal error", caller=False))
        if late := self._faults.draw("eyws.delay", **scope):
            await asyncio.sleep(5.0 if late.value is None else late.value)
        if self._faults.take("eyws.lost_answer", **scope):
            return _hung_up(request)
        if self._faults.take("eyws.endless_answer", **scope):
            return StreamingResponse(_endless(request), media_type=XML)
        inline = self._faults.take("eyws.inline", **scope)
        return self._sent(request, write_answer(call.operation, values, inline=inline), scope)

    def _broken(self, request: Request, scope: dict[str, str]) -> Response | None:
        """What happens instead of the call."""
        if self._faults.take("eyws.drop", **scope):
            return _hung_up(request)
        if page := self._faults.draw("eyws.html_page", **scope):
            status = int(page.value or 200)
            return Response(_MAINTENANCE, status if 200 <= status < 600 else 200, media_type="text/html")
        if self._faults.take("eyws.empty_body", **scope):
            return Response(b"", media_type=XML)
        if self._faults.take("eyws.soap_fault", **scope):
            return _response(write_fault("PHP Fatal error: Allowed memory size exhausted", caller=False))
        return None

    def _sent(self, request: Request, answer: Answer, scope: dict[str, str]) -> Response:
        is_multipart = answer.content_type.startswith("multipart/")
        if is_multipart and (cut := self._faults.draw("eyws.truncated_xop", **scope)):
            kept = answer.body[: len(answer.body) * 2 // 3]
            if not cut.value:
                return Response(kept, headers={"Content-Type": answer.content_type})
            headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
            return StreamingResponse(_cut_off(request, kept), headers=headers)
        return _response(answer)


def build_app(service: SoapService) -> Starlette:
    """The service at its ``PATH``."""
    endpoint = SoapEndpoint(service)
    return Starlette(
        routes=[Route(PATH, endpoint.describe, methods=["GET"]), Route(PATH, endpoint.call, methods=["POST"])]
    )


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, headers={"Content-Type": answer.content_type})


def _hung_up(request: Request) -> Response:
    request.scope[HANG_UP]()
    return Response(status_code=204)  # is never sent


async def _endless(request: Request) -> AsyncIterator[bytes]:
    yield b'<?xml version="1.0" encoding="utf-8"?><!--'
    while not await request.is_disconnected():
        yield _FILLING


async def _cut_off(request: Request, kept: bytes) -> AsyncIterator[bytes]:
    yield kept
    await asyncio.sleep(0.05)  # so that it has left before the reset
    request.scope[HANG_UP]()
    await asyncio.get_running_loop().create_future()  # until the server notices
