"""One exchange with the SOAP service: bounded in bytes and time, one at a time for each account."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import urlsplit

import httpx
import structlog

from services.kep_relay.drivers.eyws import wire
from services.kep_relay.drivers.eyws.codec import EncodedRequest, encode
from services.kep_relay.drivers.eyws.codes import Codes, Meaning
from services.kep_relay.drivers.eyws.failures import BusyError, CallError, FaultError, RefusalError, masked
from services.kep_relay.drivers.eyws.receiving import Received, receive
from services.kep_relay.drivers.eyws.wire_answers import Answer
from services.kep_relay.drivers.protocol import LoginRefusedError, MailboxAccount
from services.kep_relay.drivers.smtp_imap.tls import client_context
from shared.contracts.mailboxes import ServerAddress
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_FAILURES = 3
_ENCODED_LINE = 57 * 1024
_SMALL_ANSWER = 32 * 1024 * 1024


@dataclass(frozen=True)
class EywsTimes:
    """Limits in seconds."""

    connect: float = 20
    call: float = 120
    """For a whole small call."""
    transfer: float = 600
    """For a whole message, one way."""
    turn: float = 120
    """For the account's call before this one to end."""
    closed: float = 30
    """How long an endpoint is left alone after it could not be reached three times in a row."""


@dataclass
class Upload:
    """A message that goes into a request; ``handed_over`` once the request's last byte was given away."""

    content: AsyncIterable[bytes]
    size: int
    handed_over: bool = False


@dataclass
class _Endpoint:
    failures: int = 0
    closed_until: float = 0.0


@dataclass
class EywsTransport:
    """Sends requests to an account's endpoints: the first, and the second while that cannot be reached (kep.md 7.23)."""

    times: EywsTimes
    max_file_bytes: int
    codes: Codes
    legacy_tls: frozenset[str] = frozenset()
    """Endpoints (``host:port``) with the TLS profile for old servers."""
    _refused: dict[str, tuple[int, LoginRefusedError]] = field(default_factory=dict, init=False)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict, init=False)
    _endpoints: dict[tuple[str, str | None], _Endpoint] = field(default_factory=dict, init=False)

    @asynccontextmanager
    async def call(
        self, mailbox: MailboxAccount, call: wire.Call, *, upload: Upload | None = None, files: bool = False
    ) -> AsyncIterator[Answer]:
        """Send and hand out the complete answer; its files are gone behind the block.

        ``files``: the answer may hold some. Raises ``CallError`` and its kinds, VALIDATION_FAILED, and
        TOO_LARGE for a larger answer than is allowed. The account's turn lasts as long as the block, so that a
        ``RefusalError`` of its login raised in there keeps out whoever waits: ``LoginRefusedError`` until the
        configuration changes, because a row of wrong passwords locks the account (kep.md 7.4).
        """
        request = await asyncio.to_thread(encode, call)
        async with self._turn(mailbox):
            revision, refused = self._refused.get(mailbox.mailbox_id, (mailbox.revision - 1, None))
            if refused is not None and revision >= mailbox.revision:
                raise LoginRefusedError(refused.detail)
            try:
                received = await self._anywhere(mailbox, request, upload, call.secrets, files=files)
            except FaultError as fault:
                # No status, but the same words: another try may lock the account all the same.
                if self.codes.meaning(call.operation, None, fault.detail) is not Meaning.LOGIN:
                    raise
                found = LoginRefusedError(f"the login was refused: {fault.detail}")
                self._refused[mailbox.mailbox_id] = (mailbox.revision, found)
                raise found from fault
            try:
                yield Answer(call.operation, received.wrapper, received.parts)
            except RefusalError as error:
                error.hide(call.secrets)
                refusal = self.codes.error(error, wire.secrets(mailbox))
                if isinstance(refusal, LoginRefusedError):
                    self._refused[mailbox.mailbox_id] = (mailbox.revision, refusal)
                raise
            finally:
                received.close()

    async def contract(self, mailbox: MailboxAccount, *, limit: int) -> bytes:
        """The WSDL the service offers. Raises ``CallError``."""
        service = mailbox.eyws_service
        async with self._client(service.url, service.ca_file) as client:
            try:
                async with asyncio.timeout(self.times.call), client.stream("GET", f"{service.url}?wsdl") as response:
                    content = bytearray()
                    async for piece in response.aiter_bytes():
                        content += piece
                        if len(content) > limit:
                            raise CallError(ErrorCode.TOO_LARGE, "the offered contract is too large", certain=True)
                    if response.status_code >= 500:
                        raise _unreachable(service.url, f"HTTP {response.status_code}")
                    return bytes(content) if response.status_code == 200 else b""
            except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
                raise _unreachable(service.url, _plain(error)) from error

    @asynccontextmanager
    async def _turn(self, mailbox: MailboxAccount) -> AsyncIterator[None]:
        turn = self._turns.setdefault(mailbox.mailbox_id, asyncio.Lock())
        try:
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes when the lock has just been got.
            async with asyncio.timeout(self.times.turn):
                await turn.acquire()
        except TimeoutError as error:
            raise BusyError from error
        try:
            yield
        finally:
            turn.release()

    async def _anywhere(
        self, mailbox: MailboxAccount, request: EncodedRequest, upload: Upload | None, secrets: Sequence[str],
        *, files: bool,
    ) -> Received:  # fmt: skip
        service = mailbox.eyws_service
        urls = [service.url] if service.fallback_url is None else [service.url, service.fallback_url]
        now = asyncio.get_running_loop().time()
        open_urls = [url for url in urls if self._endpoint(url, mailbox).closed_until <= now]
        if not open_urls:
            detail = f"{_host(service.url)}: left alone for a moment after it could not be reached"
            raise CallError(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=True)
        for url in open_urls[:-1]:
            with contextlib.suppress(_NotConnectedError):
                return await self._at(url, mailbox, request, upload, secrets, files=files)
        return await self._at(open_urls[-1], mailbox, request, upload, secrets, files=files)

    async def _at(
        self, url: str, mailbox: MailboxAccount, request: EncodedRequest, upload: Upload | None,
        secrets: Sequence[str], *, files: bool,
    ) -> Received:  # fmt: skip
        endpoint = self._endpoint(url, mailbox)
        seconds = self.times.transfer if files or upload is not None else self.times.call
        limit = self.max_file_bytes if files else _SMALL_ANSWER
        secrets = (*wire.secrets(mailbox), *secrets)
        try:
            async with self._client(url, mailbox.eyws_service.ca_file) as client, asyncio.timeout(seconds):
                received = await self._exchange(client, url, request, upload, secrets, limit, seconds)
        except httpx.InvalidURL as error:
            raise _NotConnectedError(url, "no address that can be called") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            endpoint.failures += 1
            if endpoint.failures >= _FAILURES:
                endpoint.closed_until = asyncio.get_running_loop().time() + self.times.closed
            raise _NotConnectedError(url, _plain(error)) from error
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            certain = upload is not None and not upload.handed_over
            detail = f"{_host(url)}: {_plain(error)}"
            raise CallError(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=certain) from error
        endpoint.failures = 0
        return received

    async def _exchange(
        self, client: httpx.AsyncClient, url: str, request: EncodedRequest, upload: Upload | None,
        secrets: Sequence[str], limit: int, seconds: float,
    ) -> Received:  # fmt: skip
        headers, content = dict(request.headers), _content(request, upload)
        if upload is not None and request.after is not None:
            size = len(request.body) + 4 * -(-upload.size // 3) + len(request.after)
            headers["Content-Length"] = str(size)
        timeout = httpx.Timeout(seconds, connect=self.times.connect)
        async with client.stream("POST", url, content=content, headers=headers, timeout=timeout) as response:
            return await receive(response, request.operation, secrets, limit)

    @asynccontextmanager
    async def _client(self, url: str, ca_file: str | None) -> AsyncIterator[httpx.AsyncClient]:
        """A connection of its own for each call: a kept one that died unseen would make a submission's outcome unknown."""
        parts = urlsplit(url)
        context = await client_context(
            ServerAddress(host=parts.hostname or "", port=parts.port or 443, ca_file=ca_file), self.legacy_tls
        )
        async with httpx.AsyncClient(
            verify=context, trust_env=False, follow_redirects=False, headers={"User-Agent": "KEP-Gateway"}
        ) as client:
            yield client

    def _endpoint(self, url: str, mailbox: MailboxAccount) -> _Endpoint:
        # By the authorities as well: an account with the wrong ones must not keep the others from the service.
        return self._endpoints.setdefault((url, mailbox.eyws_service.ca_file), _Endpoint())


class _NotConnectedError(CallError):
    """Nothing was sent to this endpoint, so another may be tried."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(ErrorCode.PROVIDER_UNAVAILABLE, f"{_host(url)}: {detail}", certain=True)


def _content(request: EncodedRequest, upload: Upload | None) -> bytes | AsyncIterator[bytes]:
    if upload is None or request.after is None:
        return request.body
    return _spliced(request.body, upload, request.after)


async def _spliced(before: bytes, upload: Upload, after: bytes) -> AsyncIterator[bytes]:
    """The request with the message as base64 in its place.

    Raises DURABILITY_UNAVAILABLE when the message has not the announced size: the request then stays incomplete.
    """
    yield before
    held, seen = bytearray(), 0
    async for piece in upload.content:
        seen += len(piece)
        held += piece
        while len(held) >= _ENCODED_LINE:
            yield base64.b64encode(held[:_ENCODED_LINE])
            del held[:_ENCODED_LINE]
    if seen != upload.size:
        detail = f"the composed message has {seen} bytes in the store instead of {upload.size}"
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, detail)
    if held:
        yield base64.b64encode(held)
    upload.handed_over = True
    yield after


def _unreachable(url: str, detail: str) -> CallError:
    return CallError(ErrorCode.PROVIDER_UNAVAILABLE, f"{_host(url)}: {detail}", certain=True)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _plain(error: BaseException) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted ({seen.verify_message})"
        seen = seen.__cause__ or seen.__context__
    return masked(str(error), ()) or type(error).__name__


def spooled(files: Sequence[IO[bytes]], limit: int) -> bytes:
    """The first file whole. Raises TOO_LARGE beyond ``limit`` bytes."""
    content = files[0].read(limit + 1)
    if len(content) > limit:
        raise DomainError(ErrorCode.TOO_LARGE, f"the file has more than {limit} bytes")
    return content
