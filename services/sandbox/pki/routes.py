"""What the PKI publishes over http: certificates, revocation lists, OCSP and time stamps."""

from __future__ import annotations

import asyncio
import base64
import binascii
import urllib.parse

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Request, Response

from services.sandbox.faults import FaultBoard
from services.sandbox.pki.profiles import Level, Purpose
from services.sandbox.pki.revocation import try_later
from services.sandbox.pki.store import Pki
from services.sandbox.pki.timestamp import rejection

FAULTS = {
    "pki.down": "Every PKI address answers 503.",
    "pki.slow": "Every PKI answer waits so many seconds (value, default 1).",
    "pki.crl_stale": "Revocation lists ran out yesterday.",
    "pki.ocsp_try_later": "The OCSP responder answers tryLater.",
    "pki.timestamp_refuse": "The time-stamp authority answers rejection, system failure.",
}
_SCOPES = dict.fromkeys(FAULTS, frozenset({"purpose"})) | {"pki.timestamp_refuse": frozenset[str]()}
_REQUEST_LIMIT = 16 * 1024
"""Bytes. An OCSP or time-stamp request has a few hundred."""


def pki_routes(pki: Pki, faults: FaultBoard) -> APIRouter:
    """The routes below ``/pki``."""
    faults.declare(FAULTS, _SCOPES)
    router = APIRouter(prefix="/pki", tags=["pki"])

    async def hindrance(purpose: Purpose) -> Response | None:
        if (slow := faults.draw("pki.slow", purpose=purpose)) is not None:
            await asyncio.sleep(slow.value or 1.0)
        return Response(status_code=503) if faults.take("pki.down", purpose=purpose) else None

    @router.get("/{purpose}/{level}.crt")
    async def certificate(purpose: Purpose, level: Level) -> Response:
        """An authority's certificate, DER."""
        content = pki.authority(purpose, level).certificate.public_bytes(Encoding.DER)
        return await hindrance(purpose) or Response(content, media_type="application/pkix-cert")

    @router.get("/{purpose}/{level}.crl")
    async def revocation_list(purpose: Purpose, level: Level) -> Response:
        """The current revocation list of what an authority issued, DER."""
        if (hindered := await hindrance(purpose)) is not None:
            return hindered
        stale = faults.take("pki.crl_stale", purpose=purpose)
        return Response(pki.crl(purpose, level, stale=stale), media_type="application/pkix-crl")

    async def ocsp_response(purpose: Purpose, request_der: bytes) -> Response:
        if (hindered := await hindrance(purpose)) is not None:
            return hindered
        later = faults.take("pki.ocsp_try_later", purpose=purpose)
        content = try_later() if later else pki.ocsp_answer(purpose, request_der)
        return Response(content, media_type="application/ocsp-response")

    @router.post("/{purpose}/ocsp")
    async def ocsp_by_post(purpose: Purpose, request: Request) -> Response:
        """RFC 6960 appendix A.1, POST."""
        body = await _bounded_body(request)
        return Response(status_code=413) if body is None else await ocsp_response(purpose, body)

    @router.get("/{purpose}/ocsp/{encoded:path}")
    async def ocsp_by_get(purpose: Purpose, encoded: str) -> Response:
        """RFC 6960 appendix A.1, GET: the request in base64 as the rest of the path."""
        try:
            request_der = base64.b64decode(urllib.parse.unquote(encoded), validate=True)
        except (binascii.Error, ValueError):
            request_der = b""
        return await ocsp_response(purpose, request_der)

    @router.post("/timestamp")
    async def timestamp(request: Request) -> Response:
        """RFC 3161 section 3.4."""
        body = await _bounded_body(request)
        if body is None:
            return Response(status_code=413)
        if (hindered := await hindrance(Purpose.TIMESTAMP)) is not None:
            return hindered
        refused = faults.take("pki.timestamp_refuse")
        content = rejection("system_failure") if refused else pki.timestamp_answer(body)
        return Response(content, media_type="application/timestamp-reply")

    return router


async def _bounded_body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _REQUEST_LIMIT:
            return None
    return bytes(body)
