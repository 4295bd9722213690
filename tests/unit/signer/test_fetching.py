"""Where the signer goes on the network, and above all where it does not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from services.signer.certificates import load_certificate
from services.signer.checks.revocation import WantedList
from services.signer.fetchers import FetchFailed, FetchPolicy, FetchRefused, GuardedFetcher
from services.signer.lists import RevocationLists
from shared.clock import FixedClock
from tests.support.pki import NOW, Authority, Hierarchy, make_hierarchy
from tests.unit.signer.httpd import Web, serving

LOCAL = FetchPolicy(frozenset({"127.0.0.1", "localhost"}), allow_private=True, timeout_seconds=2, limit_bytes=1000)


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def fetcher(clock: FixedClock) -> AsyncIterator[GuardedFetcher]:
    fetcher = GuardedFetcher(LOCAL, clock)
    yield fetcher
    await fetcher.aclose()


async def test_fetch_names_the_host_and_connects_to_the_address(web: Web, fetcher: GuardedFetcher) -> None:
    web.put("/a.crl", b"list")
    assert await fetcher.fetch(web.url("/a.crl", "localhost")) == b"list"
    assert web.asked == [("/a.crl", f"localhost:{web.port}")]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1/a",
        "http://elsewhere.example/a",
        "http://127.0.0.1.elsewhere.example/a",
        "http:///a",
        "nonsense",
        "http://[::1]/a",
        "http://2130706433/a",
    ],
)
async def test_refused_addresses(fetcher: GuardedFetcher, url: str) -> None:
    with pytest.raises(FetchRefused):
        await fetcher.fetch(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"])
async def test_private_addresses_are_refused_even_when_every_host_is_allowed(clock: FixedClock, host: str) -> None:
    fetcher = GuardedFetcher(FetchPolicy(frozenset({"*"})), clock)
    with pytest.raises(FetchRefused):
        await fetcher.fetch(f"http://{host}/a.crl")
    await fetcher.aclose()


@pytest.mark.parametrize(
    "host", ["[::ffff:127.0.0.1]", "[::1]", "[fe80::1]", "[fd00::1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"]
)
async def test_private_ipv6_addresses(clock: FixedClock, host: str) -> None:
    fetcher = GuardedFetcher(FetchPolicy(frozenset({"*"}), timeout_seconds=1), clock)
    with pytest.raises(FetchFailed):
        await fetcher.fetch(f"http://{host}/a.crl")
    await fetcher.aclose()


async def test_link_local_is_refused_even_in_the_sandbox(clock: FixedClock) -> None:
    fetcher = GuardedFetcher(FetchPolicy(frozenset({"*"}), allow_private=True), clock)
    with pytest.raises(FetchRefused):
        await fetcher.fetch("http://169.254.169.254/latest/meta-data")
    await fetcher.aclose()


async def test_other_ports_are_refused(clock: FixedClock) -> None:
    fetcher = GuardedFetcher(FetchPolicy(frozenset({"crl.example"})), clock)
    with pytest.raises(FetchRefused):
        await fetcher.fetch("http://crl.example:6379/a.crl")
    await fetcher.aclose()


async def test_no_redirect(web: Web, fetcher: GuardedFetcher) -> None:
    web.put("/secret", b"secret")
    web.answers["/a.crl"] = (302, {"Location": web.url("/secret")}, b"")
    with pytest.raises(FetchFailed):
        await fetcher.fetch(web.url("/a.crl"))
    assert [path for path, _host in web.asked] == ["/a.crl"]


async def test_too_large_and_compressed(web: Web, fetcher: GuardedFetcher) -> None:
    web.put("/large", b"x" * 1001)
    web.answers["/bomb"] = (200, {"Content-Encoding": "gzip"}, b"x")
    for path in ("/large", "/bomb", "/missing"):
        with pytest.raises(FetchFailed):
            await fetcher.fetch(web.url(path))


async def test_slow_answer(web: Web, clock: FixedClock) -> None:
    def slow() -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.5)
        return 200, {}, b"late"

    web.answers["/slow"] = slow
    fetcher = GuardedFetcher(FetchPolicy(LOCAL.allowed_hosts, allow_private=True, timeout_seconds=0.1), clock)
    with pytest.raises(FetchFailed):
        await fetcher.fetch(web.url("/slow"))
    await fetcher.aclose()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_address_that_fails_is_left_alone_for_a_while(web: Web, clock: FixedClock, status: int) -> None:
    outcomes: list[tuple[str, bool]] = []
    fetcher = GuardedFetcher(LOCAL, clock, on_outcome=lambda host, up: outcomes.append((host, up)))
    web.answers["/down"] = (status, {}, b"")
    for _ in range(5):
        with pytest.raises(FetchFailed):
            await fetcher.fetch(web.url("/down"))
    assert len(web.asked) == 3
    web.put("/down", b"back")
    clock.moment += timedelta(seconds=16)
    assert await fetcher.fetch(web.url("/down")) == b"back"
    assert outcomes == [("127.0.0.1", False)] * 3 + [("127.0.0.1", True)]
    await fetcher.aclose()


async def test_one_list_that_is_out_of_order_keeps_nobody_from_the_others_of_its_host(
    web: Web, fetcher: GuardedFetcher
) -> None:
    """Authorities serve all their lists from one host; a letter of one must not wait for the list of another."""
    for address in ("/a.crl", "/b.crl", "/c.crl", "/e.crl?strange=1"):
        web.answers[address] = (503, {}, b"")
        with pytest.raises(FetchFailed, match="answered 503"):
            await fetcher.fetch(web.url(address))
    assert await fetcher.fetch(web.put("/e.crl", b"list")) == b"list"
    for _ in range(2):
        with pytest.raises(FetchFailed, match="answered 503"):
            await fetcher.fetch(web.url("/a.crl"))
    with pytest.raises(FetchFailed, match="at this address failed 3 times"):
        await fetcher.fetch(web.url("/a.crl"))
    assert await fetcher.fetch(web.put("/b.crl", b"back")) == b"back"


async def test_a_host_that_cannot_be_reached_is_left_alone_whatever_is_asked_for(
    web: Web, fetcher: GuardedFetcher, clock: FixedClock
) -> None:
    def hanging_up() -> tuple[int, dict[str, str], bytes]:
        raise OSError

    web.answers |= {f"/{number}": hanging_up for number in range(3)}
    for number in range(3):
        with pytest.raises(FetchFailed):
            await fetcher.fetch(web.url(f"/{number}"))
    with pytest.raises(FetchFailed, match=r"^127\.0\.0\.1 failed 3 times"):
        await fetcher.fetch(web.put("/a.crl", b"list"))
    clock.moment += timedelta(seconds=16)
    assert await fetcher.fetch(web.url("/a.crl")) == b"list"


async def test_addresses_of_a_strangers_making_do_not_close_a_host_to_others(web: Web, fetcher: GuardedFetcher) -> None:
    """Whoever sends a letter may name paths that are not there, or ports that are closed, on the host of an authority."""
    web.put("/large", b"x" * 1001)
    web.answers["/moved"] = (302, {"Location": "/"}, b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/a.crl"
        strange = [*(web.url(f"/no/{number}") for number in range(4)), web.url("/large"), web.url("/moved")]
        for url in (*strange, *[nobody] * 4, *[web.url("/a.crl").replace("http:", "https:")] * 4):
            with pytest.raises(FetchFailed):
                await fetcher.fetch(url)
    web.put("/a.crl", b"list")
    assert await fetcher.fetch(web.url("/a.crl")) == b"list"


async def test_a_host_that_does_not_answer_keeps_nobody_from_another(web: Web, clock: FixedClock) -> None:
    let_go = threading.Event()

    def silent() -> tuple[int, dict[str, str], bytes]:
        let_go.wait(30)
        return 200, {}, b"late"

    web.answers |= {f"/{number}": silent for number in range(30)}
    fetcher = GuardedFetcher(LOCAL, clock)
    waiting = [asyncio.create_task(fetcher.fetch(web.url(f"/{number}"))) for number in range(30)]
    try:
        while len(web.asked) < 4:
            await asyncio.sleep(0.01)
        web.put("/a.crl", b"list")
        assert await fetcher.fetch(web.url("/a.crl", "localhost")) == b"list"
        assert await asyncio.gather(*waiting, return_exceptions=True)
        # Those that waited for their turn meanwhile did not ask it any more.
        assert len(web.asked) < 30
    finally:
        let_go.set()
        await fetcher.aclose()


def wanted(authority: Authority, *urls: str) -> WantedList:
    """A list about a certificate of ``authority`` that names these addresses."""
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]
    holder = authority.issue("Biri", extensions=((x509.CRLDistributionPoints(points), False),))
    return WantedList(load_certificate(holder.der), load_certificate(authority.der))


class TestLists:
    @pytest.fixture
    def tree(self) -> Hierarchy:
        return make_hierarchy("x")

    async def test_one_request_for_many_askers(
        self, web: Web, clock: FixedClock, fetcher: GuardedFetcher, tree: Hierarchy
    ) -> None:
        item = wanted(tree.issuing, web.put("/x.crl", tree.issuing.crl()))
        lists = RevocationLists(fetcher, clock)
        assert await asyncio.gather(*(lists.fetch([item]) for _ in range(5))) == [True] * 5
        assert len(web.asked) == 1
        assert len(lists.current()) == 1

    async def test_second_address_is_tried_and_rubbish_ignored(
        self, web: Web, clock: FixedClock, fetcher: GuardedFetcher, tree: Hierarchy
    ) -> None:
        rubbish, good = web.put("/rubbish", b"rubbish"), web.put("/good", tree.issuing.crl())
        lists = RevocationLists(fetcher, clock)
        assert not await lists.fetch([wanted(tree.issuing, rubbish)])
        assert await lists.fetch([wanted(tree.issuing, rubbish, good)])

    async def test_an_address_that_gives_rubbish_is_not_asked_for_every_letter(
        self, web: Web, clock: FixedClock, fetcher: GuardedFetcher, tree: Hierarchy
    ) -> None:
        item = wanted(tree.issuing, web.put("/rubbish", b"rubbish"))
        lists = RevocationLists(fetcher, clock)
        for _ in range(5):
            assert not await lists.fetch([item])
        assert len(web.asked) == 1
        clock.moment += timedelta(minutes=1)
        web.put("/rubbish", tree.issuing.crl())
        assert await lists.fetch([item])

    @pytest.mark.parametrize("forgery", ["another-issuer", "same-name", "future"])
    async def test_a_forged_list_neither_counts_nor_keeps_the_good_one_out(
        self, web: Web, clock: FixedClock, fetcher: GuardedFetcher, tree: Hierarchy, forgery: str
    ) -> None:
        """Lists come over plain http: whoever sits between could answer with a list dated next year."""
        forged = {
            "another-issuer": make_hierarchy("other").issuing.crl(NOW),
            "same-name": make_hierarchy("x").issuing.crl(NOW),
            "future": tree.issuing.crl(NOW + timedelta(days=300)),
        }[forgery]
        item = wanted(tree.issuing, web.put("/x.crl", forged))
        lists = RevocationLists(fetcher, clock)
        assert not await lists.fetch([item])
        assert lists.current() == ()
        web.put("/x.crl", tree.issuing.crl())
        clock.moment += timedelta(minutes=1)
        assert await lists.fetch([item])

    async def test_an_older_list_never_replaces_a_newer_one(
        self, web: Web, clock: FixedClock, fetcher: GuardedFetcher, tree: Hierarchy
    ) -> None:
        item = wanted(tree.issuing, web.put("/x.crl", tree.issuing.crl(NOW)))
        lists = RevocationLists(fetcher, clock)
        await lists.fetch([item])
        web.put("/x.crl", tree.issuing.crl(NOW - timedelta(days=9)))
        clock.moment += timedelta(minutes=5)
        await lists.fetch([item])
        assert lists.current()[0].this_update == NOW - timedelta(hours=1)

    async def test_capacity(self, web: Web, clock: FixedClock, fetcher: GuardedFetcher) -> None:
        lists = RevocationLists(fetcher, clock, capacity=2)
        for number in range(4):
            authority = make_hierarchy(str(number)).issuing
            await lists.fetch([wanted(authority, web.put(f"/{number}", authority.crl()))])
        assert len(lists.current()) == 2

    async def test_supplied_files_are_read_again_only_when_they_change(
        self, clock: FixedClock, tmp_path: Path, tree: Hierarchy
    ) -> None:
        lists = RevocationLists(None, clock)
        (tmp_path / "a.crl").write_bytes(tree.issuing.crl())
        assert lists.supply(tmp_path) == 1
        [first] = lists.current()
        lists.supply(tmp_path)
        assert lists.current()[0] is first
        (tmp_path / "a.crl").write_bytes(tree.issuing.crl(extra_entries=1))
        lists.supply(tmp_path)
        assert len(lists.current()[0].entries) == 1
        (tmp_path / "a.crl").unlink()
        assert lists.supply(tmp_path) == 0
