"""One HTTP exchange with DETSİS: nothing but an answer with status 200 gets past here."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.body import BodyDecoder, is_web_page
from services.detsis_sync.soap.clean import ByteCleaner
from services.detsis_sync.soap.codec import EncodedRequest, fault_in, parse
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason, connection_failures, status_failure

_LARGEST_ERROR = 256 * 1024


def http_client(settings: DetsisHttpSettings) -> httpx.AsyncClient:
    """The client all calls share: certificate checks on, no redirects, nothing taken from the environment."""
    context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return httpx.AsyncClient(
        verify=context,
        proxy=settings.proxy_url,
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_connections=10, max_keepalive_connections=2),
        headers={"User-Agent": "KEP-Gateway", "Accept-Encoding": "gzip"},
    )


@asynccontextmanager
async def open_answer(
    http: httpx.AsyncClient,
    account: DetsisAccount,
    request: EncodedRequest,
    limits: httpx.Timeout,
    settings: DetsisHttpSettings,
) -> AsyncIterator[httpx.Response]:
    """Send the request and hand out the unread answer.

    Raises ``DirectoryCallError`` for any status but 200; a soap:Fault in such an answer is quoted.
    """
    async with http.stream(
        "POST", account.endpoint, content=request.body, headers=request.headers, timeout=limits
    ) as response:
        if response.status_code != 200:
            raise await _refusal(response, request, account, settings)
        yield response


async def fetch_answer(
    http: httpx.AsyncClient,
    account: DetsisAccount,
    request: EncodedRequest,
    limits: httpx.Timeout,
    settings: DetsisHttpSettings,
) -> bytes:
    """Send the request and return the whole cleaned answer, at most ``settings.max_answer_bytes``.

    Raises ``DirectoryCallError``, also for an empty answer and for a web page.
    """
    operation = request.operation
    with connection_failures(operation):
        async with open_answer(http, account, request, limits, settings) as response:
            body = await _cleaned(response, settings.max_answer_bytes, operation)
            if is_web_page(response.headers.get("content-type", ""), body):
                raise DirectoryCallError(FailureReason.NOT_SOAP, operation, "the answer is a web page")
    if not body.strip():
        raise DirectoryCallError(FailureReason.EMPTY, operation, "the answer is empty")
    return body


async def _cleaned(response: httpx.Response, limit: int, operation: str) -> bytes:
    decoder = BodyDecoder(response.headers.get("content-encoding", ""), limit, operation)
    cleaner = ByteCleaner()
    body = bytearray()
    async for raw in response.aiter_raw():
        for piece in decoder.feed(raw):
            body += cleaner.feed(piece)
    decoder.close()
    return bytes(body + cleaner.close())


async def _refusal(
    response: httpx.Response, request: EncodedRequest, account: DetsisAccount, settings: DetsisHttpSettings
) -> DirectoryCallError:
    operation = request.operation
    limit = min(_LARGEST_ERROR, settings.max_answer_bytes)
    try:
        body = await _cleaned(response, limit, operation)
        fault = fault_in(operation, parse(operation, body), account.secrets)
    except DirectoryCallError:
        fault = None
    return fault or status_failure(response.status_code, operation)
