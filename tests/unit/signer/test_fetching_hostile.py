"""What hosts that are not ours may try on the fetcher, and how it goes through a proxy."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.signer.fetchers import FetchFailed, FetchPolicy, FetchRefused, GuardedFetcher
from services.signer.settings import Settings
from shared.clock import FixedClock
from tests.support.pki import NOW
from tests.support.signer import COMMON

MEGABYTE = 1024 * 1024
Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server that answers a request's head with whatever ``talk`` writes; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await talk(await reader.readuntil(b"\r\n\r\n"), writer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def fetching(policy: FetchPolicy) -> AsyncIterator[GuardedFetcher]:
    fetcher = GuardedFetcher(policy, FixedClock(NOW))
    try:
        yield fetcher
    finally:
        await fetcher.aclose()


def local(**options: Any) -> FetchPolicy:
    hosts = frozenset({"127.0.0.1", "crl.example"})
    return FetchPolicy(hosts, allow_private=True, **{"timeout_seconds": 10} | options)


async def _whole(body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


async def test_a_list_without_end_is_cut_off_and_takes_no_memory() -> None:
    """300 MB in chunks, of which 20 MB are allowed."""
    sent = 0

    async def flood(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (MEGABYTE, b"\0" * MEGABYTE)
        while sent < 300:
            writer.write(chunk)
            await writer.drain()
            sent += 1

    async with talking(flood) as port, fetching(local()) as fetcher:
        tracemalloc.start()
        try:
            with pytest.raises(FetchFailed, match="more than"):
                await fetcher.fetch(f"http://127.0.0.1:{port}/a.crl")
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert sent < 60
    assert peak < 64 * MEGABYTE


async def test_each_kind_has_its_own_limit() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await _whole(b"\0" * 70_000, writer)

    async with talking(answer) as port, fetching(local()) as fetcher:
        url = f"http://127.0.0.1:{port}/"
        assert len(await fetcher.fetch(url)) == 70_000
        for asked in (fetcher.fetch(url, limit=65_536), fetcher.post(url, b"?", {}, limit=65_536)):
            with pytest.raises(FetchFailed, match="more than 65536"):
                await asked


async def test_an_answer_by_drops_is_given_up() -> None:
    """A byte now and then keeps every time limit but the one on the whole."""
    sent = 0

    async def drip(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while sent < 1000:
            writer.write(b"\0")
            await writer.drain()
            sent += 1
            await asyncio.sleep(0.02)

    async with talking(drip) as port, fetching(local(timeout_seconds=0.3)) as fetcher:
        with pytest.raises(FetchFailed):
            await fetcher.fetch(f"http://127.0.0.1:{port}/a.crl")
    assert sent < 1000


async def test_a_name_that_changes_its_address_meanwhile_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the address that was checked is the one that is asked."""
    asked: list[bytes] = []

    async def good(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        await _whole(b"good", writer)

    async def other(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await _whole(b"metadata", writer)

    resolved = 0
    loop = asyncio.get_running_loop()
    plain = loop.getaddrinfo

    async def resolve(host: Any, port: Any, **options: Any) -> Any:
        nonlocal resolved
        if host != "crl.example":
            return await plain(host, port, **options)
        resolved += 1
        address = "127.0.0.1" if resolved == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with talking(good) as port, fetching(local()) as fetcher:
        assert await fetcher.fetch(f"http://crl.example:{port}/a.crl") == b"good"
    assert resolved == 1
    assert f"host: crl.example:{port}".encode() in asked[0].lower()
    async with talking(other, "127.0.0.2") as port, fetching(local()) as fetcher:
        assert await fetcher.fetch(f"http://crl.example:{port}/a.crl") == b"metadata", "the trap was set"


async def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(_host: Any, port: Any, **_options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, port)) for item in ("193.140.71.70", "10.0.0.5")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with fetching(FetchPolicy(frozenset({"*"}))) as fetcher:
        with pytest.raises(FetchRefused, match="not public"):
            await fetcher.fetch("http://crl.example/a.crl")


async def test_through_a_proxy_names_go_to_it_unresolved_and_the_list_of_hosts_holds() -> None:
    heads: list[bytes] = []

    async def proxy(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        else:
            await _whole(b"list", writer)

    async with talking(proxy) as port:
        policy = FetchPolicy(frozenset({"crl.example"}), proxy=f"http://user:secret@127.0.0.1:{port}")
        async with fetching(policy) as fetcher:
            assert await fetcher.fetch("http://crl.example/a.crl") == b"list"
            with pytest.raises(FetchFailed):
                await fetcher.fetch("https://crl.example/a.crl")
            with pytest.raises(FetchRefused):
                await fetcher.fetch("http://elsewhere.example/a.crl")
            with pytest.raises(FetchRefused):
                await fetcher.fetch("http://crl.example:6379/a.crl")
    assert [head.split(b"\r\n")[0] for head in heads] == [
        b"GET http://crl.example/a.crl HTTP/1.1",
        b"CONNECT crl.example:443 HTTP/1.1",
    ]
    assert all(b"proxy-authorization: basic" in head.lower() for head in heads)


async def test_a_proxy_does_not_follow_redirects_either() -> None:
    heads: list[bytes] = []

    async def proxy(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/secret\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with talking(proxy) as port:
        policy = FetchPolicy(frozenset({"crl.example"}), proxy=f"http://127.0.0.1:{port}")
        async with fetching(policy) as fetcher:
            with pytest.raises(FetchFailed, match="302"):
                await fetcher.fetch("http://crl.example/a.crl")
    assert len(heads) == 1


def test_a_proxy_needs_a_list_of_hosts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be listed"):
        FetchPolicy(frozenset({"*"}), proxy="http://proxy.example:3128")
    given: dict[str, Any] = {**COMMON, "trust_directory": tmp_path, "fetch_proxy": "http://proxy.example:3128"}
    assert Settings(**given).fetch_proxy is not None
    with pytest.raises(ValidationError, match="must name hosts"):
        Settings(**given, fetch_allowed_hosts=["*"])


@pytest.mark.parametrize("proxy", ["socks5://proxy.example:1080", "proxy.example:3128", "http://", "https://proxy"])
def test_only_http_proxies(tmp_path: Path, proxy: str) -> None:
    given: dict[str, Any] = {**COMMON, "trust_directory": tmp_path, "fetch_proxy": proxy}
    with pytest.raises(ValidationError, match="http proxy"):
        Settings(**given)
