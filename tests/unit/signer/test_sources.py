"""What a judgement asks for, in which order it is got, and where the asking ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.signer.certificates import load_certificate
from services.signer.checks.ocsp import load_responses
from services.signer.checks.wanted import Wanted, WantedIssuer, WantedList, WantedResponse
from services.signer.evidence import Evidence
from services.signer.ocsp_requests import request_about
from services.signer.pipeline import Judgement, judge, load_lists, read_facts
from services.signer.sources_ocsp import OcspTerms
from services.signer.standing import judge_certificate
from services.signer.trust import TrustStore, make_store
from shared.clock import FixedClock
from shared.contracts.signatures import (
    CertificatePurpose,
    EvidenceKind,
    Profile,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NES_USAGE, NOW, Authority, Holder, Pki, build_pki, make_hierarchy, rsa_key, usage
from tests.support.signer import RunningSigner, running_signer
from tests.unit.signer import levels
from tests.unit.signer.answering import Responder, access
from tests.unit.signer.httpd import Web, serving
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import sign, signed_data, signer_info

CONTENT = b"<PaketOzeti/>" * 10
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OCSP_URL, ISSUER_URL = "http://ocsp.example/", "http://ca.example/issuing"


@pytest.fixture(scope="module")
def named() -> Pki:
    """A PKI whose certificates name addresses of lists."""
    return build_pki(crl_base="http://crl.example")


@pytest.fixture(scope="module")
def anchors(named: Pki) -> TrustStore:
    return make_store({name: (load_certificate(tree.root.der),) for name, tree in named.hierarchies().items()})


@pytest.fixture(scope="module")
def holder(named: Pki) -> Holder:
    """Whose certificate names a responder and its issuer's certificate as well."""
    extensions = (access(ocsp_url=OCSP_URL, issuer_url=ISSUER_URL),)
    return named.qualified.issuing.issue("Ayşe Örnek", key_usage=NES_USAGE, qualified=True, extensions=extensions)


def answer(authority: Authority, about: Holder, at: FixedClock, **options: Any) -> bytes:
    """What a responder of ``authority`` says about one of its certificates."""
    wanted = WantedResponse(load_certificate(about.der), load_certificate(authority.der))
    return Responder(authority, at, **options)(request_about(wanted, b"n" * 16))[2]


def judged(
    encoded: bytes,
    anchors: TrustStore,
    *,
    profile: Profile = Profile.QUALIFIED_SIGNATURE,
    crls: list[bytes],
    responses: tuple[bytes, ...] = (),
    now: Any = NOW,
    content: Any = None,
) -> Judgement:
    facts = read_facts(encoded, content)
    evidence = Evidence(anchors, load_lists(crls), load_responses(responses))
    return judge(facts, VerificationRequest(profile=profile), evidence, now)


def told(wanted: tuple[Wanted, ...]) -> list[tuple[type, str]]:
    return [(type(item), item.certificate.subject_name) for item in wanted]


def stamped(named: Pki, holder: Holder) -> bytes:
    return levels.with_signature_stamp(File.of(sign(holder, CONTENT, at=SIGNED_AT)), named.tsa).encode()


SIGNER, CA = "Ayşe Örnek", "Test qualified CA"


@pytest.mark.parametrize(
    ("profile", "first", "second"),
    [
        (Profile.QUALIFIED_SIGNATURE, WantedResponse, WantedList),
        (Profile.P1, WantedResponse, WantedList),
        (Profile.P2, WantedList, WantedResponse),
        (Profile.P3, WantedList, WantedResponse),
        (Profile.P4, WantedResponse, WantedList),
    ],
)
def test_the_profile_says_which_source_is_asked_first(
    named: Pki, holder: Holder, anchors: TrustStore, profile: Profile, first: type, second: type
) -> None:
    """Authorities are looked up on lists: Kamu SM answers for none of its own by OCSP (signatures.md 6.4)."""
    wanted = judged(sign(holder, CONTENT), anchors, profile=profile, crls=[]).wanted
    assert told(wanted) == [(first, SIGNER), (second, SIGNER), (WantedList, CA)]


def test_nothing_is_wanted_when_a_list_at_hand_is_enough(named: Pki, holder: Holder, anchors: TrustStore) -> None:
    judgement = judged(sign(holder, CONTENT), anchors, crls=named.crls())
    assert (judgement.report.conclusion, judgement.wanted) == (Conclusion.PASSED, ())


def test_a_profile_that_requires_a_source_wants_it_beside_the_other_one(
    named: Pki, holder: Holder, anchors: TrustStore
) -> None:
    encoded = stamped(named, holder)
    p4 = judged(encoded, anchors, profile=Profile.P4, crls=named.crls())
    assert told(p4.wanted) == [(WantedResponse, SIGNER)]
    said = answer(named.qualified.issuing, holder, FixedClock(NOW))
    others = [named.qualified.root.crl(), *named.timestamp.crls()]
    p2 = judged(encoded, anchors, profile=Profile.P2, crls=others, responses=(said,))
    assert told(p2.wanted) == [(WantedList, SIGNER)]
    both = judged(encoded, anchors, profile=Profile.P4, crls=named.crls(), responses=(said,))
    assert both.wanted == ()


def test_a_verdict_that_could_be_final_wants_a_newer_list(named: Pki, holder: Holder, anchors: TrustStore) -> None:
    """The list at hand is in force and of before the end of the grace period."""
    encoded = stamped(named, holder)
    early = judged(encoded, anchors, profile=Profile.P2, crls=named.crls(SIGNED_AT + HOUR), now=NOW - HOUR)
    assert early.wanted == ()
    lists = named.crls(SIGNED_AT + HOUR, hours=72)
    due = judged(encoded, anchors, profile=Profile.P2, crls=lists, now=NOW + 2 * HOUR)
    assert [(type(item), getattr(item, "fresher", None)) for item in due.wanted] == [(WantedList, True)]
    final = judged(encoded, anchors, profile=Profile.P2, crls=[*lists, *named.crls(NOW + 2 * HOUR)], now=NOW + 2 * HOUR)
    assert final.wanted == ()


def test_a_missing_issuer_is_wanted(named: Pki, holder: Holder, anchors: TrustStore) -> None:
    alone = signed_data([signer_info(holder, CONTENT)], [holder.der], CONTENT)
    judgement = judged(alone, anchors, crls=named.crls())
    assert judgement.report.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert told(judgement.wanted) == [(WantedIssuer, SIGNER)]
    stranger = make_hierarchy("stranger").issuing.issue("Kimse", key_usage=NES_USAGE)
    assert judged(sign(stranger, CONTENT), anchors, crls=[]).wanted == (), "it names no address"


def test_nothing_is_wanted_for_mathematics_that_fail(named: Pki, holder: Holder, anchors: TrustStore) -> None:
    broken = sign(holder, CONTENT).replace(b"Paket", b"Bozuk")
    assert judged(broken, anchors, crls=[]).wanted == ()


def test_an_authority_that_only_a_response_calls_revoked_since_stamps_nothing(
    named: Pki, holder: Holder, anchors: TrustStore
) -> None:
    """Whoever has its key can stamp any time in the past."""
    encoded = stamped(named, holder)
    lists = [*named.qualified.crls(), *named.timestamp.crls(SIGNED_AT + HOUR, hours=2)]
    number = named.tsa.certificate.serial_number
    for revoked, accepted in (({}, True), ({number: SIGNED_AT + 3 * HOUR}, False)):
        said = answer(named.timestamp.issuing, named.tsa, FixedClock(NOW), revoked=revoked)
        [signature] = judged(encoded, anchors, crls=lists, responses=(said,)).report.signatures
        [stamp] = signature.timestamps
        assert (stamp.conclusion is Conclusion.PASSED) is accepted


def test_a_certificate_by_itself_is_looked_up_the_same_way() -> None:
    tree = make_hierarchy("sifreleme", crl_base="http://crl.example")
    extensions = (access(ocsp_url=OCSP_URL, issuer_url=ISSUER_URL),)
    holder = tree.issuing.issue("Kurum", key=rsa_key(), key_usage=usage(key_encipherment=True), extensions=extensions)
    store = make_store({"encryption": (load_certificate(tree.root.der),)})
    between = (load_certificate(tree.issuing.der),)
    said = load_responses([answer(tree.issuing, holder, FixedClock(NOW))])
    for evidence, wanted in (
        (Evidence(store), [(WantedIssuer, "Kurum")]),
        (
            Evidence(store, certificates=between),
            [(WantedResponse, "Kurum"), (WantedList, "Kurum"), (WantedList, "Test sifreleme CA")],
        ),
        (Evidence(store, load_lists([tree.root.crl()]), said, between), []),
    ):
        judgement = judge_certificate(holder.der, CertificatePurpose.ENCRYPTION, evidence, NOW)
        assert told(judgement.wanted) == wanted
        assert (judgement.verdict.conclusion is Conclusion.PASSED) is not bool(wanted)


def test_a_certificate_by_itself_that_a_response_calls_revoked_has_failed() -> None:
    tree = make_hierarchy("sifreleme")
    holder = tree.issuing.issue("Kurum", key=rsa_key(), key_usage=usage(key_encipherment=True))
    store = make_store({"encryption": (load_certificate(tree.root.der),)}, (load_certificate(tree.issuing.der),))
    revoked = {holder.certificate.serial_number: NOW - DAY}
    said = load_responses([answer(tree.issuing, holder, FixedClock(NOW), revoked=revoked)])
    evidence = Evidence(store, load_lists(tree.crls()), said)
    verdict = judge_certificate(holder.der, CertificatePurpose.ENCRYPTION, evidence, NOW).verdict
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)


# Through the service


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def world(web: Web) -> Pki:
    found = build_pki(crl_base=web.url(""))
    for name, tree in found.hierarchies().items():
        web.put(f"/{name}-root.crl", tree.root.crl())
        web.put(f"/{name}-issuing.crl", tree.issuing.crl())
    return found


@pytest.fixture
def person(world: Pki, web: Web) -> Holder:
    extensions = (access(ocsp_url=web.url("/ocsp")),)
    return world.qualified.issuing.issue("Ayşe Örnek", key_usage=NES_USAGE, qualified=True, extensions=extensions)


@pytest.fixture
def responder(world: Pki, web: Web, clock: FixedClock) -> Responder:
    found = Responder(world.qualified.issuing, clock)
    web.replies["/ocsp"] = found
    return found


@pytest.fixture
def settings(world: Pki, tmp_path: Path) -> dict[str, Any]:
    return {
        "trust_directory": world.write_trust(tmp_path / "trust"),
        "fetch_allowed_hosts": ["127.0.0.1"],
        "fetch_allow_private": True,
        "fetch_timeout_seconds": 2,
    }


def sources(report: VerificationReport) -> list[list[EvidenceKind]]:
    """Of each certificate of the chain, the signer's first."""
    [signature] = report.signatures
    return [[item.kind for item in certificate.revocation] for certificate in signature.chain]


async def ask(up: RunningSigner, person: Holder, **request: Any) -> VerificationReport:
    return await up.client.verify(VerificationRequest(**request), sign(person, CONTENT))


async def test_a_response_saves_the_large_list_and_the_chain_says_so(
    settings: dict[str, Any], clock: FixedClock, web: Web, person: Holder, responder: Responder, world: Pki
) -> None:
    async with running_signer(settings, clock) as up:
        report = await ask(up, person)
        assert report.conclusion is Conclusion.PASSED
        assert [path for path, _host in web.asked] == ["/qualified-root.crl"]
        assert sources(report) == [[EvidenceKind.OCSP_RESPONSE], [EvidenceKind.REVOCATION_LIST], []]
        [signature] = report.signatures
        tree = (person, world.qualified.issuing, world.qualified.root)
        assert [item.sha256 for item in signature.chain] == [load_certificate(item.der).sha256 for item in tree]
        named = {item.sha256 for item in report.evidence}
        assert {item.sha256 for certificate in signature.chain for item in certificate.revocation} <= named
        assert report.software_version
        clock.moment += 2 * HOUR
        await ask(up, person)
        assert len(responder.asked) == 2, "an hour later it is asked anew"


async def test_a_list_stands_in_for_a_responder_that_is_away(
    settings: dict[str, Any], clock: FixedClock, web: Web, person: Holder
) -> None:
    async with running_signer(settings, clock) as up:
        report = await ask(up, person)
        assert sources(report) == [[EvidenceKind.REVOCATION_LIST], [EvidenceKind.REVOCATION_LIST], []]
        responder_asked = len(web.posted)
        await ask(up, person)
        assert (responder_asked, len(web.posted)) == (1, 1), "what is at hand is enough"


async def test_with_neither_it_is_open_and_told_when_to_come_again(
    settings: dict[str, Any], clock: FixedClock, web: Web, person: Holder
) -> None:
    web.answers.clear()
    async with running_signer(settings, clock) as up:
        report = await ask(up, person)
    assert (report.conclusion, report.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
    assert report.retry_after_seconds == 300


async def test_a_response_that_says_revoked_decides(
    settings: dict[str, Any], clock: FixedClock, person: Holder, responder: Responder
) -> None:
    responder.revoked[person.certificate.serial_number] = NOW - DAY
    async with running_signer(settings, clock) as up:
        report = await ask(up, person, moment=NOW)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)


@pytest.mark.parametrize("where", ["request", "setting"])
async def test_offline_nothing_is_asked(
    settings: dict[str, Any], clock: FixedClock, web: Web, person: Holder, responder: Responder, where: str
) -> None:
    async with running_signer(settings | {"offline": where == "setting"}, clock) as up:
        report = await ask(up, person, offline=where == "request")
        assert (report.conclusion, report.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
        assert (web.asked, web.posted) == ([], [])
        if where == "request":
            assert (await ask(up, person)).conclusion is Conclusion.PASSED


async def test_a_file_costs_twenty_requests_at_most(
    settings: dict[str, Any], clock: FixedClock, web: Web, world: Pki
) -> None:
    """Many signers, each with addresses of his own that give rubbish."""
    infos, certificates = [], [world.qualified.issuing.der]
    for number in range(16):
        web.replies[f"/ocsp/{number}"] = lambda _body: (200, {}, b"rubbish")
        url = web.url(f"/{number}.crl")
        web.put(f"/{number}.crl", b"rubbish")
        issuing = Authority(world.qualified.issuing.certificate, world.qualified.issuing.key, (), url)
        extensions = (access(ocsp_url=web.url(f"/ocsp/{number}")),)
        signer = issuing.issue(f"Biri {number}", key_usage=NES_USAGE, qualified=True, extensions=extensions)
        infos.append(signer_info(signer, CONTENT))
        certificates.append(signer.der)
    encoded = signed_data(infos, certificates, CONTENT)
    async with running_signer(settings, clock) as up:
        report = await up.client.verify(VerificationRequest(), encoded)
    assert report.conclusion is Conclusion.INDETERMINATE
    assert len(web.asked) + len(web.posted) == 20


def test_the_terms_that_are_not_set_are_cautious() -> None:
    assert (OcspTerms().longest_kept, OcspTerms().without_nonce) == (HOUR, DAY)
