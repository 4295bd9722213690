"""Getting revocation lists from addresses that attackers may have written (signatures.md 8.6), and time-stamps.

http(s) only, hosts of a list only, public addresses only, connected to the very address that was
checked, no redirects, bounded in time and size, and a host that fails is left alone for a while.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import httpx
import structlog

from shared.clock import Clock
from shared.tls import default_context

log = structlog.get_logger(__name__)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_FAILURES_TO_OPEN = 3
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=15)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class FetchFailed(Exception):  # noqa: N818 - an outcome; the message is for the operator's log
    """Nothing came back; why is in the message, which holds no content of the answer."""


class FetchRefused(FetchFailed):
    """The address may not be asked at all."""


class ListFetcher(Protocol):
    """Where revocation lists come from."""

    async def fetch(self, url: str) -> bytes:
        """The bytes at ``url``; raises ``FetchFailed``."""
        ...


@dataclass(frozen=True)
class FetchPolicy:
    """Where the signer may go."""

    allowed_hosts: frozenset[str]
    """Exact host names; ``*`` allows every public host."""
    allow_private: bool = False
    """Also private and loopback addresses and any port: for a sandbox on the same machine."""
    timeout_seconds: float = 10
    limit_bytes: int = 20 * 1024 * 1024


@dataclass
class _Breaker:
    failures: int = 0
    closed_again_at: datetime | None = None


class GuardedFetcher:
    """Makes one request at a time per call, under a ``FetchPolicy``."""

    def __init__(
        self, policy: FetchPolicy, clock: Clock, *, on_outcome: Callable[[str, bool], None] = lambda _host, _up: None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._on_outcome = on_outcome
        self._breakers: dict[str, _Breaker] = {}
        self._http = httpx.AsyncClient(
            verify=default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=policy.timeout_seconds,
            headers={"Accept-Encoding": "identity", "User-Agent": "kepgw-signer"},
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def fetch(self, url: str) -> bytes:
        """The bytes at ``url``; raises ``FetchRefused`` and ``FetchFailed``."""
        return await self._exchange("GET", url, None, {})

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The bytes that ``url`` answers to ``body`` with; raises as ``fetch`` does."""
        return await self._exchange("POST", url, body, headers)

    async def _exchange(self, method: str, url: str, sent: bytes | None, headers: dict[str, str]) -> bytes:
        target, port = self._checked(url)
        host = target.host
        breaker = self._breakers.setdefault(host, _Breaker())
        if breaker.closed_again_at is not None and self._clock.now() < breaker.closed_again_at:
            raise FetchFailed(f"{host} failed {breaker.failures} times and is left alone for now")
        try:
            async with asyncio.timeout(self._policy.timeout_seconds):
                address = await self._resolve(host, port)
                body = await self._answer(method, target, address, sent, headers)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL, FetchFailed) as error:
            self._failed(host, breaker)
            if isinstance(error, FetchFailed):
                raise
            raise FetchFailed(f"{host}: {type(error).__name__}") from error
        self._breakers.pop(host, None)
        self._on_outcome(host, True)
        return body

    def _checked(self, url: str) -> tuple[httpx.URL, int]:
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise FetchRefused("not an address") from error
        if target.scheme not in _DEFAULT_PORTS or not target.host or target.userinfo:
            raise FetchRefused("only plain http and https addresses are asked")
        port = target.port or _DEFAULT_PORTS[target.scheme]
        if port not in _DEFAULT_PORTS.values() and not self._policy.allow_private:
            raise FetchRefused(f"port {port} is not asked")
        if "*" not in self._policy.allowed_hosts and target.host.lower() not in self._policy.allowed_hosts:
            raise FetchRefused(f"{target.host} is not an allowed host")
        return target, port

    async def _resolve(self, host: str, port: int) -> str:
        """One address of ``host``; refused as a whole when any of them is not a public one."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if not addresses or not all(self._reachable(address) for address in addresses):
            raise FetchRefused(f"{host} has an address that is not public")
        return str(addresses[0])

    def _reachable(self, address: IpAddress) -> bool:
        if isinstance(address, ipaddress.IPv6Address):
            embedded = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
            if embedded is not None:
                return self._reachable(embedded)
        if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
            return False
        return address.is_global or self._policy.allow_private

    async def _answer(
        self, method: str, target: httpx.URL, address: str, sent: bytes | None, headers: dict[str, str]
    ) -> bytes:
        """Ask the checked address, under the name that was asked for (Host, and TLS server name)."""
        request = self._http.build_request(
            method,
            target.copy_with(host=address),
            content=sent,
            headers=headers | {"Host": target.netloc.decode("ascii")},
            extensions={"sni_hostname": target.host},
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise FetchFailed(f"{target.host} answered {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchFailed(f"{target.host} answered in a compressed form")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._policy.limit_bytes:
                    raise FetchFailed(f"{target.host} answered more than {self._policy.limit_bytes} bytes")
            return bytes(body)
        finally:
            await response.aclose()

    def _failed(self, host: str, breaker: _Breaker) -> None:
        breaker.failures += 1
        if breaker.failures >= _FAILURES_TO_OPEN:
            pause = min(_FIRST_PAUSE * 2 ** min(breaker.failures - _FAILURES_TO_OPEN, 10), _LONGEST_PAUSE)
            breaker.closed_again_at = self._clock.now() + pause
        self._on_outcome(host, False)
