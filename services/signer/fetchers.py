"""Getting evidence from addresses that attackers may have written (signatures.md 8.6), and time-stamps.

http(s) only, hosts of a list only, public addresses only, connected to the very address that was
checked, no redirects, bounded in time and size. A host that cannot be reached is left alone for a while, and so
is a single address that the host has nothing but errors for. Through a proxy it is the proxy that finds the
address, so only hosts of a list may be asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

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
_ADDRESSES_REMEMBERED = 4096
_DEFAULT_PORTS = {"http": 80, "https": 443}
_Kept = TypeVar("_Kept")


class FetchFailed(Exception):  # noqa: N818 - an outcome; the message is for the operator's log
    """Nothing came back; why is in the message, which holds no content of the answer."""


class FetchRefused(FetchFailed):
    """The address may not be asked at all."""


class _NothingThere(FetchFailed):
    """The host is up, and this address gives nothing of use: anybody may have made it up."""


class _OutOfOrder(FetchFailed):
    """The host is up, and what stands behind this address is not: of the other addresses it says nothing."""


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
    """Counts failures that follow each other, and says when it is time to ask again."""

    failures: int = 0
    closed_again_at: datetime | None = None

    def check(self, name: str, now: datetime) -> None:
        if self.closed_again_at is not None and now < self.closed_again_at:
            raise FetchFailed(f"{name} failed {self.failures} times and is left alone for now")

    def failed(self, now: datetime) -> None:
        self.failures += 1
        if self.failures >= _FAILURES_TO_OPEN:
            pause = min(_FIRST_PAUSE * 2 ** min(self.failures - _FAILURES_TO_OPEN, 10), _LONGEST_PAUSE)
            self.closed_again_at = now + pause

    def answered(self) -> None:
        self.failures, self.closed_again_at = 0, None


@dataclass
class _Host:
    """One host, scheme and port: one that is closed says nothing about another."""

    turns: asyncio.Semaphore
    breaker: _Breaker = field(default_factory=_Breaker)


class GuardedFetcher:
    """Makes one request at a time per call, under a ``FetchPolicy``."""

    def __init__(
        self, policy: FetchPolicy, clock: Clock, *, on_outcome: Callable[[str, bool], None] = lambda _host, _up: None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._on_outcome = on_outcome
        self._hosts: dict[str, _Host] = {}
        self._addresses: dict[str, _Breaker] = {}
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
        origin = f"{target.scheme}://{target.host}:{port}"
        host = _remembered(
            self._hosts, origin, lambda: _Host(asyncio.Semaphore(self._policy.at_once_per_host)), _HOSTS_REMEMBERED
        )
        address = _remembered(
            self._addresses, origin + target.raw_path.decode("ascii"), _Breaker, _ADDRESSES_REMEMBERED
        )
        self._check(target.host, host, address)
        async with self._turn(target.host, host):
            # It may have failed for those before.
            self._check(target.host, host, address)
            body = await self._asked(method, target, port, sent, headers, limit, host, address)
        host.breaker.answered()
        address.answered()
        self._on_outcome(target.host, True)
        return body

    def _check(self, name: str, host: _Host, address: _Breaker) -> None:
        now = self._clock.now()
        host.breaker.check(name, now)
        address.check(f"{name} at this address", now)

    @asynccontextmanager
    async def _turn(self, name: str, host: _Host) -> AsyncIterator[None]:
        """One of the requests at the same time; raises ``FetchFailed`` when none gets free, which is no fault of the host."""
        async with AsyncExitStack() as taken:
            try:
                async with asyncio.timeout(self._policy.timeout_seconds):
                    for turns in (host.turns, self._turns):
                        await taken.enter_async_context(turns)
            except TimeoutError:
                raise FetchFailed(f"{name}: too many requests at the same time") from None
            yield

    async def _asked(
        self,
        method: str,
        target: httpx.URL,
        port: int,
        sent: bytes | None,
        headers: dict[str, str],
        limit: int | None,
        host: _Host,
        address: _Breaker,
    ) -> bytes:
        name = target.host
        try:
            async with asyncio.timeout(self._policy.timeout_seconds):
                connect_to = name if self._policy.proxy is not None else await self._resolve(name, port)
                return await self._answer(method, target, connect_to, sent, headers, limit or self._policy.limit_bytes)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL, FetchFailed) as error:
            if isinstance(error, _OutOfOrder):
                host.breaker.answered()
                address.failed(self._clock.now())
            elif not isinstance(error, _NothingThere):
                host.breaker.failed(self._clock.now())
            self._on_outcome(name, False)
            if isinstance(error, FetchFailed):
                raise
            raise FetchFailed(f"{name}: {type(error).__name__}") from error

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
                raise _failure(response.status_code)(f"{target.host} answered {response.status_code}")
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


def _failure(status: int) -> type[FetchFailed]:
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return FetchFailed  # that is said to us, whatever we ask for
    return _OutOfOrder if status >= 500 else _NothingThere


def _remembered(store: dict[str, _Kept], key: str, new: Callable[[], _Kept], most: int) -> _Kept:
    """That of ``key``, made when it is new; those used longest ago are forgotten beyond ``most``."""
    found = store.pop(key, None) or new()
    store[key] = found
    if len(store) > most:
        del store[next(iter(store))]
    return found
