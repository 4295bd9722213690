"""Getting evidence from addresses that attackers may have written (signatures.md 8.6), and time-stamps.

http(s) only, hosts of a list only, public addresses only, connected to the very address that was
checked, no redirects, bounded in time and size, and a host that fails is left alone for a while. Through a
proxy it is the proxy that finds the address, so only hosts of a list may be asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import httpx
import structlog

from shared.clock import Clock
from shared.tls import default_context

log = structlog.get_logger(__name__)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_REQUESTS = 20
"""For one verification, over all kinds (signatures.md 8.6)."""
MOST_AT_ONCE = 32
"""Requests in all."""
_FAILURES_TO_OPEN = 3
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=15)
_HOSTS_REMEMBERED = 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


class FetchFailed(Exception):  # noqa: N818 - an outcome; the message is for the operator's log
    """Nothing came back; why is in the message, which holds no content of the answer."""


class FetchRefused(FetchFailed):
    """The address may not be asked at all."""


class _NothingThere(FetchFailed):
    """The host is up, and this address gives nothing of use: anybody may have made it up."""


@dataclass
class Budget:
    """The requests that one verification may still make."""

    left: int = MOST_REQUESTS

    def spend(self) -> bool:
        """Take one; False when there is none left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


class Fetcher(Protocol):
    """Where evidence comes from; ``limit`` is a number of bytes."""

    async def fetch(self, url: str, *, limit: int | None = None) -> bytes:
        """The bytes at ``url``; raises ``FetchFailed``."""
        ...

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, limit: int | None = None) -> bytes:
        """The bytes that ``url`` answers to ``body`` with; raises ``FetchFailed``."""
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
    at_once_per_host: int = 8
    """One that does not answer leaves room for the others."""
    proxy: str | None = None
    """Address of an http proxy that all requests go through; only together with a list of hosts."""

    def __post_init__(self) -> None:
        if self.proxy is not None and "*" in self.allowed_hosts:
            raise ValueError("through a proxy addresses cannot be checked, so hosts must be listed")


@dataclass
class _Breaker:
    """Of one host, scheme and port: one that is closed says nothing about another."""

    turns: asyncio.Semaphore
    failures: int = 0
    closed_again_at: datetime | None = None

    def check(self, host: str, now: datetime) -> None:
        if self.closed_again_at is not None and now < self.closed_again_at:
            raise FetchFailed(f"{host} failed {self.failures} times and is left alone for now")


class GuardedFetcher:
    """Makes one request at a time per call, under a ``FetchPolicy``."""

    def __init__(
        self, policy: FetchPolicy, clock: Clock, *, on_outcome: Callable[[str, bool], None] = lambda _host, _up: None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._on_outcome = on_outcome
        self._breakers: dict[str, _Breaker] = {}
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._http = httpx.AsyncClient(
            verify=default_context(),
            trust_env=False,
            proxy=policy.proxy,
            follow_redirects=False,
            timeout=policy.timeout_seconds,
            headers={"Accept-Encoding": "identity", "User-Agent": "kepgw-signer"},
            limits=httpx.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def fetch(self, url: str, *, limit: int | None = None) -> bytes:
        """The bytes at ``url``, at most ``limit`` or the policy's; raises ``FetchRefused`` and ``FetchFailed``."""
        return await self._exchange("GET", url, None, {}, limit)

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, limit: int | None = None) -> bytes:
        """The bytes that ``url`` answers to ``body`` with; bounded and raises as ``fetch`` does."""
        return await self._exchange("POST", url, body, headers, limit)

    async def _exchange(
        self, method: str, url: str, sent: bytes | None, headers: dict[str, str], limit: int | None
    ) -> bytes:
        target, port = self._checked(url)
        host = target.host
        origin = f"{target.scheme}://{host}:{port}"
        breaker = self._breakers.pop(origin, None) or _Breaker(asyncio.Semaphore(self._policy.at_once_per_host))
        self._breakers[origin] = breaker
        if len(self._breakers) > _HOSTS_REMEMBERED:
            del self._breakers[next(iter(self._breakers))]
        breaker.check(host, self._clock.now())
        async with self._turn(host, breaker):
            # It may have failed for those before.
            breaker.check(host, self._clock.now())
            body = await self._asked(method, target, port, sent, headers, limit, breaker)
        breaker.failures, breaker.closed_again_at = 0, None
        self._on_outcome(host, True)
        return body

    @asynccontextmanager
    async def _turn(self, host: str, breaker: _Breaker) -> AsyncIterator[None]:
        """One of the requests at the same time; raises ``FetchFailed`` when none gets free, which is no fault of the host."""
        async with AsyncExitStack() as taken:
            try:
                async with asyncio.timeout(self._policy.timeout_seconds):
                    for turns in (breaker.turns, self._turns):
                        await taken.enter_async_context(turns)
            except TimeoutError:
                raise FetchFailed(f"{host}: too many requests at the same time") from None
            yield

    async def _asked(
        self,
        method: str,
        target: httpx.URL,
        port: int,
        sent: bytes | None,
        headers: dict[str, str],
        limit: int | None,
        breaker: _Breaker,
    ) -> bytes:
        host = target.host
        try:
            async with asyncio.timeout(self._policy.timeout_seconds):
                address = host if self._policy.proxy is not None else await self._resolve(host, port)
                return await self._answer(method, target, address, sent, headers, limit or self._policy.limit_bytes)
        except _NothingThere:
            self._on_outcome(host, False)
            raise
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL, FetchFailed) as error:
            self._failed(host, breaker)
            if isinstance(error, FetchFailed):
                raise
            raise FetchFailed(f"{host}: {type(error).__name__}") from error

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
        self, method: str, target: httpx.URL, address: str, sent: bytes | None, headers: dict[str, str], limit: int
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
                busy = response.status_code >= 500 or response.status_code == httpx.codes.TOO_MANY_REQUESTS
                failure = FetchFailed if busy else _NothingThere
                raise failure(f"{target.host} answered {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _NothingThere(f"{target.host} answered in a compressed form")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit:
                    raise _NothingThere(f"{target.host} answered more than {limit} bytes")
            return bytes(body)
        finally:
            await response.aclose()

    def _failed(self, host: str, breaker: _Breaker) -> None:
        breaker.failures += 1
        if breaker.failures >= _FAILURES_TO_OPEN:
            pause = min(_FIRST_PAUSE * 2 ** min(breaker.failures - _FAILURES_TO_OPEN, 10), _LONGEST_PAUSE)
            breaker.closed_again_at = self._clock.now() + pause
        self._on_outcome(host, False)
