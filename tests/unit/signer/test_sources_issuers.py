"""Issuers' certificates over the network: which are taken, and how far up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509

from services.signer.certificates import load_certificate
from services.signer.checks.wanted import WantedIssuer
from services.signer.fetchers import Budget, FetchPolicy, GuardedFetcher
from services.signer.sources_issuers import IssuerCertificates
from services.signer.trust import TrustStore, make_store
from shared.clock import FixedClock
from tests.support.pki import NOW, Authority, Holder, make_root
from tests.unit.signer.answering import access
from tests.unit.signer.httpd import Web, serving

LEVELS = 7


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def fetcher(clock: FixedClock) -> AsyncIterator[GuardedFetcher]:
    policy = FetchPolicy(frozenset({"127.0.0.1"}), allow_private=True, timeout_seconds=2)
    fetcher = GuardedFetcher(policy, clock)
    yield fetcher
    await fetcher.aclose()


@pytest.fixture
def outcomes() -> list[str]:
    return []


@pytest.fixture
def issuers(fetcher: GuardedFetcher, clock: FixedClock, outcomes: list[str]) -> IssuerCertificates:
    return IssuerCertificates(fetcher, clock, on_outcome=outcomes.append)


@pytest.fixture
def root() -> Authority:
    return make_root("AIA root")


def below(authority: Authority, web: Web, name: str, *, path: str | None = None) -> Authority:
    """An authority whose certificate names where its issuer's is."""
    url = web.url(path or f"/{authority.certificate.serial_number}")
    made = authority.issue(name, ca=True, days=(-100, 1000), extensions=(access(issuer_url=url),))
    assert isinstance(made, Authority)
    return made


def shelf(web: Web, *authorities: Authority) -> None:
    for item in authorities:
        web.put(f"/{item.certificate.serial_number}", item.der)


def signer_of(authority: Authority, web: Web) -> Holder:
    url = web.url(f"/{authority.certificate.serial_number}")
    return authority.issue("Biri", extensions=(access(issuer_url=url),))


def wanted(holder: Holder) -> WantedIssuer:
    return WantedIssuer(load_certificate(holder.der))


def store(*anchors: Authority) -> TrustStore:
    return make_store({"qualified": tuple(load_certificate(item.der) for item in anchors)})


def pkcs7(*members: bytes) -> bytes:
    certificates = [asn1_x509.Certificate.load(item) for item in members]
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [],
            "encap_content_info": {"content_type": "data"},
            "certificates": certificates,
            "signer_infos": [],
        }
    )
    encoded: bytes = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
    return encoded


@pytest.mark.parametrize("form", ["der", "pem", "pkcs7"])
async def test_the_issuer_is_found_in_each_form_among_others(
    issuers: IssuerCertificates, web: Web, root: Authority, form: str, outcomes: list[str]
) -> None:
    between, other = below(root, web, "between"), make_root("other")
    body = {"der": between.der, "pem": other.pem + between.pem, "pkcs7": pkcs7(other.der, between.der)}[form]
    web.put(f"/{between.certificate.serial_number}", body)
    assert await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget())
    assert [item.der for item in issuers.current()] == [between.der]
    assert outcomes == ["fetched"]


async def test_one_request_serves_all_who_have_the_same_issuer(
    issuers: IssuerCertificates, web: Web, root: Authority
) -> None:
    between = below(root, web, "between")
    shelf(web, between)
    for _ in range(3):
        assert await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget())
    assert len(web.asked) == 1


async def test_it_goes_up_until_the_store_knows_the_issuer(
    issuers: IssuerCertificates, web: Web, root: Authority
) -> None:
    first = below(root, web, "1")
    second = below(first, web, "2")
    third = below(second, web, "3")
    shelf(web, root, first, second, third)
    assert await issuers.obtain(wanted(signer_of(third, web)), store(root), Budget())
    assert {item.der for item in issuers.current()} == {first.der, second.der, third.der}
    assert f"/{root.certificate.serial_number}" not in [path for path, _host in web.asked]


async def test_it_goes_up_four_levels_and_no_further(issuers: IssuerCertificates, web: Web, root: Authority) -> None:
    tower = [root]
    for level in range(LEVELS):
        tower.append(below(tower[-1], web, f"level {level}"))
    shelf(web, *tower)
    assert await issuers.obtain(wanted(signer_of(tower[-1], web)), store(root), Budget())
    assert len(web.asked) == 4


async def test_a_certificate_that_leads_to_itself_ends(issuers: IssuerCertificates, web: Web, root: Authority) -> None:
    """A loop of two authorities that certify one another."""
    one = below(root, web, "one", path="/two")
    two = below(one, web, "two", path="/one")
    web.put("/one", one.der)
    web.put("/two", two.der)
    holder = two.issue("Biri", extensions=(access(issuer_url=web.url("/two")),))
    assert await issuers.obtain(wanted(holder), store(make_root("elsewhere")), Budget())
    assert len(web.asked) <= 4


@pytest.mark.parametrize("rubbish", ["bytes", "empty", "another", "same name", "not a CA", "json", "pem without end"])
async def test_what_is_not_the_issuer_is_not_kept(
    issuers: IssuerCertificates, web: Web, root: Authority, rubbish: str, outcomes: list[str]
) -> None:
    between = below(root, web, "between")
    holder = signer_of(between, web)
    impostor = below(make_root("AIA root"), web, "between")
    leaf = root.issue("between", key=between.key)
    body = {
        "bytes": b"\x30\x82\xff\xff rubbish",
        "empty": b"",
        "another": root.der,
        "same name": impostor.der,
        "not a CA": leaf.der,
        "json": json.dumps({"certificate": "?"}).encode(),
        "pem without end": b"-----BEGIN CERTIFICATE-----\nAAAA",
    }[rubbish]
    web.put(f"/{between.certificate.serial_number}", body)
    assert not await issuers.obtain(wanted(holder), store(root), Budget())
    assert issuers.current() == ()
    assert outcomes == ["refused"]


async def test_more_than_64_kilobytes_are_not_read(
    issuers: IssuerCertificates, web: Web, root: Authority, outcomes: list[str]
) -> None:
    between = below(root, web, "between")
    web.put(f"/{between.certificate.serial_number}", between.pem + b"\n" * 64 * 1024)
    assert not await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget())
    assert outcomes == ["failed"]


async def test_an_address_that_failed_is_left_alone_for_five_minutes(
    issuers: IssuerCertificates, web: Web, root: Authority, clock: FixedClock
) -> None:
    between = below(root, web, "between")
    item = wanted(signer_of(between, web))
    for _ in range(3):
        assert not await issuers.obtain(item, store(root), Budget())
    assert len(web.asked) == 1
    shelf(web, between)
    clock.moment += timedelta(minutes=6)
    assert await issuers.obtain(item, store(root), Budget())


async def test_two_verifications_share_one_request(issuers: IssuerCertificates, web: Web, root: Authority) -> None:
    between = below(root, web, "between")
    path, let_go = f"/{between.certificate.serial_number}", threading.Event()

    def late() -> tuple[int, dict[str, str], bytes]:
        let_go.wait(30)
        return 200, {}, between.der

    web.answers[path] = late
    asking = [
        asyncio.create_task(issuers.obtain(wanted(signer_of(between, web)), store(root), Budget())) for _ in range(3)
    ]
    while not web.asked:
        await asyncio.sleep(0.01)
    let_go.set()
    assert await asyncio.gather(*asking) == [True, True, True]
    assert len(web.asked) == 1


async def test_a_certificate_of_a_strangers_making_keeps_nobody_from_his_issuer(
    issuers: IssuerCertificates, web: Web, root: Authority
) -> None:
    """It names the address of an authority that did not issue it; what came from there is good for others."""
    between = below(root, web, "between")
    shelf(web, between)
    url = web.url(f"/{between.certificate.serial_number}")
    stranger = make_root("nobody").issue("Biri", extensions=(access(issuer_url=url),))
    assert not await issuers.obtain(wanted(stranger), store(root), Budget())
    assert issuers.current() == ()
    assert await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget())
    assert [item.der for item in issuers.current()] == [between.der]
    assert len(web.asked) == 1


async def test_what_had_to_make_room_comes_back_at_once(
    fetcher: GuardedFetcher, clock: FixedClock, web: Web, root: Authority
) -> None:
    issuers = IssuerCertificates(fetcher, clock, capacity=1)
    one, other = below(root, web, "one"), below(root, web, "other")
    shelf(web, one, other)
    for authority in (one, other, one):
        assert await issuers.obtain(wanted(signer_of(authority, web)), store(root), Budget())
        assert [item.der for item in issuers.current()] == [authority.der]


async def test_capacity_and_budget(fetcher: GuardedFetcher, clock: FixedClock, web: Web, root: Authority) -> None:
    issuers = IssuerCertificates(fetcher, clock, capacity=2)
    for number in range(3):
        between = below(root, web, f"between {number}")
        shelf(web, between)
        assert not await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget(0))
        assert await issuers.obtain(wanted(signer_of(between, web)), store(root), Budget(1))
    assert len(issuers.current()) == 2
