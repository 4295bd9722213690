"""OCSP responses over the network: what is asked, which answers are kept, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from services.signer.certificates import load_certificate
from services.signer.checks.wanted import WantedResponse
from services.signer.fetchers import Budget, FetchPolicy, GuardedFetcher
from services.signer.ocsp_requests import NONCE_BYTES, request_about
from services.signer.sources_ocsp import OcspResponses, OcspTerms
from shared.clock import FixedClock
from tests.support.pki import NES_USAGE, NOW, SEAL_USAGE, Hierarchy, Holder, make_hierarchy
from tests.unit.signer.answering import MINUTE, NO_CHECK, OCSP_SIGNING, Responder, access
from tests.unit.signer.httpd import Web, serving

HOUR = timedelta(hours=1)


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return make_hierarchy("ocsp")


@pytest.fixture
def holder(web: Web, tree: Hierarchy) -> Holder:
    return tree.issuing.issue("Biri", key_usage=NES_USAGE, extensions=(access(ocsp_url=web.url("/ocsp")),))


@pytest.fixture
def wanted(holder: Holder, tree: Hierarchy) -> WantedResponse:
    return WantedResponse(load_certificate(holder.der), load_certificate(tree.issuing.der))


@pytest.fixture
def responder(web: Web, tree: Hierarchy, clock: FixedClock) -> Responder:
    made = Responder(tree.issuing, clock)
    web.replies["/ocsp"] = made
    return made


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
def responses(fetcher: GuardedFetcher, clock: FixedClock, outcomes: list[str]) -> OcspResponses:
    return OcspResponses(fetcher, clock, OcspTerms(), on_outcome=outcomes.append)


def test_a_request_names_the_certificate_by_sha1_and_carries_the_nonce(
    wanted: WantedResponse, holder: Holder, tree: Hierarchy
) -> None:
    """As ``cryptography`` would build it from the certificates."""
    nonce = b"n" * NONCE_BYTES
    ours = ocsp.load_der_ocsp_request(request_about(wanted, nonce))
    builder = ocsp.OCSPRequestBuilder().add_certificate(holder.certificate, tree.issuing.certificate, hashes.SHA1())
    theirs = builder.build()
    assert (ours.issuer_name_hash, ours.issuer_key_hash) == (theirs.issuer_name_hash, theirs.issuer_key_hash)
    assert (ours.serial_number, ours.hash_algorithm.name) == (holder.certificate.serial_number, "sha1")
    assert ours.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


async def test_one_question_for_many_askers_and_the_answer_is_kept_until_its_time(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, clock: FixedClock, outcomes: list[str]
) -> None:
    assert await asyncio.gather(*(responses.obtain(wanted, Budget()) for _ in range(5))) == [True] * 5
    assert len(responder.asked) == 1
    assert outcomes == ["fetched"]
    [kept] = responses.current()
    assert kept.statements[0].revoked_at is None
    clock.moment += timedelta(minutes=59)
    assert responses.current() == (kept,)
    clock.moment += timedelta(minutes=2)
    assert responses.current() == (), "an hour at most, whatever nextUpdate says"


async def test_next_update_ends_it_earlier(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, clock: FixedClock
) -> None:
    responder.lasting = timedelta(minutes=20)
    assert await responses.obtain(wanted, Budget())
    clock.moment += timedelta(minutes=21)
    assert responses.current() == ()


async def test_revoked_is_an_answer(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, holder: Holder
) -> None:
    responder.revoked[holder.certificate.serial_number] = NOW - HOUR
    assert await responses.obtain(wanted, Budget())
    assert responses.current()[0].statements[0].revoked_at == NOW - HOUR


def _stranger(responder: Responder) -> None:
    responder.by = make_hierarchy("other").issuing.issue(
        "OCSP", key_usage=SEAL_USAGE, extensions=(OCSP_SIGNING, NO_CHECK)
    )


def _without_usage(responder: Responder) -> None:
    responder.by = responder.authority.issue("OCSP", key_usage=SEAL_USAGE, extensions=(NO_CHECK,))


def _old(responder: Responder) -> None:
    responder.age = timedelta(hours=13)


def _future(responder: Responder) -> None:
    responder.age = timedelta(minutes=-6)


def _other_nonce(responder: Responder) -> None:
    responder.nonce = lambda _sent: b"another question"


def _pre_made(responder: Responder) -> None:
    responder.nonce = lambda _sent: None
    responder.age, responder.lasting = timedelta(hours=25), timedelta(days=7)


def _about_another(responder: Responder) -> None:
    responder.about = 4711


def _unknown(responder: Responder) -> None:
    responder.unknown = True


def _altered(responder: Responder) -> None:
    responder.change = lambda encoded: encoded[:-40] + bytes([encoded[-40] ^ 1]) + encoded[-39:]


def _rubbish(responder: Responder) -> None:
    responder.change = lambda _encoded: b"rubbish"


def _try_later(responder: Responder) -> None:
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    responder.change = lambda _encoded: unsuccessful.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "fault",
    [
        *(_stranger, _without_usage, _old, _future, _other_nonce, _pre_made),
        *(_about_another, _unknown, _altered, _rubbish, _try_later),
    ],
)
async def test_answers_that_are_not_kept(
    responses: OcspResponses,
    responder: Responder,
    wanted: WantedResponse,
    outcomes: list[str],
    fault: Callable[[Responder], None],
) -> None:
    fault(responder)
    assert not await responses.obtain(wanted, Budget())
    assert responses.current() == ()
    assert outcomes == ["refused"]


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_answer_without_nonce_counts_while_it_is_recent_unless_that_is_switched_off(
    fetcher: GuardedFetcher, clock: FixedClock, responder: Responder, wanted: WantedResponse, allowed: bool
) -> None:
    responder.nonce = lambda _sent: None
    terms = OcspTerms(without_nonce=HOUR if allowed else timedelta(0))
    assert await OcspResponses(fetcher, clock, terms).obtain(wanted, Budget()) is allowed


async def test_a_clock_a_little_behind_the_responders_is_borne(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse
) -> None:
    responder.age = timedelta(minutes=-4)
    assert await responses.obtain(wanted, Budget())


async def test_the_issuer_may_answer_itself(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, tree: Hierarchy
) -> None:
    responder.by = tree.issuing
    assert await responses.obtain(wanted, Budget())


async def test_an_answer_of_more_than_64_kilobytes_is_not_read_to_its_end(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, outcomes: list[str]
) -> None:
    responder.change = lambda encoded: encoded + b"\0" * (64 * 1024)
    assert not await responses.obtain(wanted, Budget())
    assert outcomes == ["failed"]


async def test_a_responder_that_failed_is_asked_again_half_a_minute_later(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse, web: Web, clock: FixedClock
) -> None:
    del web.replies["/ocsp"]
    for _ in range(3):
        assert not await responses.obtain(wanted, Budget())
    assert len(web.posted) == 1
    web.replies["/ocsp"] = responder
    clock.moment += MINUTE
    assert await responses.obtain(wanted, Budget())


async def test_no_request_beyond_the_budget(
    responses: OcspResponses, responder: Responder, wanted: WantedResponse
) -> None:
    assert not await responses.obtain(wanted, Budget(0))
    assert responder.asked == []
    assert await responses.obtain(wanted, Budget(1))


async def test_capacity(
    fetcher: GuardedFetcher, clock: FixedClock, responder: Responder, tree: Hierarchy, web: Web
) -> None:
    responses = OcspResponses(fetcher, clock, OcspTerms(), capacity=2)
    issuer = load_certificate(tree.issuing.der)
    for number in range(4):
        other = tree.issuing.issue(f"Biri {number}", extensions=(access(ocsp_url=web.url("/ocsp")),))
        assert await responses.obtain(WantedResponse(load_certificate(other.der), issuer), Budget())
    assert len(responses.current()) == 2


def test_the_key_in_a_request_is_hashed_without_its_wrapping(wanted: WantedResponse, tree: Hierarchy) -> None:
    key = tree.issuing.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    digest = hashes.Hash(hashes.SHA1())
    digest.update(key)
    assert ocsp.load_der_ocsp_request(request_about(wanted, b"n" * 16)).issuer_key_hash == digest.finalize()
