"""Signatures made elsewhere, raised: nothing that was signed changes, and what does not verify is not made to look better."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import ValidationError

from services.signer.certificates import load_certificate
from services.signer.evidence import Evidence
from services.signer.pipeline import verify
from services.signer.trust import make_store
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureLevel,
    SignatureUpgradeRequest,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.pki import NES_USAGE, NOW, SEAL_USAGE, Pki, build_pki, rsa_key
from tests.support.signer import RunningSigner
from tests.unit.signer import levels
from tests.unit.signer.answering import Responder, access
from tests.unit.signer.httpd import Web, serving
from tests.unit.signer.levels import File
from tests.unit.signer.signing import sign, signed_data, signer_info, timestamp
from tests.unit.signer.test_seal_levels import Bench, accepted_by_openssl, serve
from tests.unit.signer.test_timestamping import granted
from tests.unit.signer.test_usage_profiles import P3, P4, with_policy

CONTENT = b"<PaketOzeti/>" * 30
STAMPING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
XL, A = SignatureLevel.XL, SignatureLevel.A


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def world(web: Web) -> Pki:
    return build_pki(crl_base=web.url(""))


@pytest.fixture
def bench(web: Web, world: Pki, tmp_path: Path) -> Bench:
    return Bench(web, world, tmp_path)


@pytest.fixture(params=["v3"])
async def signer(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[RunningSigner]:
    async with bench.running("b", archive_timestamp=request.param, seal_limit_bytes=200_000) as up:
        yield up


async def raised(
    signer: RunningSigner,
    file: bytes,
    to: SignatureLevel,
    content: bytes | None = None,
    profile: Profile = Profile.QUALIFIED_SIGNATURE,
) -> bytes:
    return await signer.client.raise_signature(SignatureUpgradeRequest(level=to, profile=profile), file, content)


async def refusal(
    signer: RunningSigner,
    file: bytes,
    to: SignatureLevel = XL,
    content: bytes | None = None,
    profile: Profile = Profile.QUALIFIED_SIGNATURE,
) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await raised(signer, file, to, content, profile)
    return caught.value


def alone(
    world: Pki, file: bytes, content: bytes | None = None, profile: Profile = Profile.QUALIFIED_SIGNATURE
) -> VerificationReport:
    anchors = {name: (load_certificate(tree.root.der),) for name, tree in world.hierarchies().items()}
    request = VerificationRequest(profile=profile)
    return verify(file, content, request, Evidence(make_store(anchors)), NOW + 30 * DAY)


@pytest.mark.parametrize("signer", ["v2", "v3"], indirect=True)
@pytest.mark.parametrize("to", [XL, A])
@pytest.mark.parametrize("attached", [True, False], ids=["attached", "detached"])
@pytest.mark.parametrize("stamped", [True, False], ids=["T", "BES"])
async def test_raised_from_bes_and_t(
    signer: RunningSigner, world: Pki, to: SignatureLevel, attached: bool, stamped: bool
) -> None:
    file = File.of(sign(world.signer, CONTENT, attached=attached), None if attached else CONTENT)
    if stamped:
        file = levels.with_signature_stamp(file, world.tsa, NOW - HOUR)
    given = None if attached else CONTENT
    better = await raised(signer, file.encode(), to, given)
    report = alone(world, better, given)
    assert report.conclusion is Conclusion.PASSED
    assert report.signatures[0].level_intact == f"CAdES-{to.upper()}"
    assert report.signatures[0].judged_at == (NOW - HOUR if stamped else NOW)
    after = File.of(better)
    assert (after.before, after.signer) == (file.before, file.signer), "only unsigned attributes are added"
    again = await raised(signer, better, to, given)
    assert again == better
    assert signer.sample("kepgw_signatures_raised_total", level=to.value, result="raised") == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
async def test_what_openssl_signed_is_raised_and_still_its_own(
    signer: RunningSigner, world: Pki, tmp_path: Path
) -> None:
    (tmp_path / "signer.pem").write_bytes(world.signer.pem)
    (tmp_path / "chain.pem").write_bytes(world.qualified.issuing.pem)
    key = world.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signer.key").write_bytes(key)
    arguments = ["cms", "-sign", "-cades", "-binary", "-nodetach", "-stream", "-outform", "DER", "-md", "sha256"]
    names = ["-signer", "signer.pem", "-inkey", "signer.key", "-certfile", "chain.pem"]
    done = subprocess.run(
        ["openssl", *arguments, *names], input=CONTENT, capture_output=True, check=True, timeout=20, cwd=tmp_path
    )
    assert b"\x30\x80" in done.stdout, "of indefinite length"
    better = await raised(signer, done.stdout, A)
    assert alone(world, better).signatures[0].level_intact == "CAdES-A"
    assert accepted_by_openssl(better, world.qualified.root.pem, tmp_path) == CONTENT


@pytest.mark.parametrize("to", [XL, A])
async def test_long_term_signatures_of_others_get_what_proves_their_time_stamp(
    signer: RunningSigner, world: Pki, to: SignatureLevel
) -> None:
    """National software leaves it out: then the file passes only while the authority's list is at hand."""
    made = levels.long_term(world, CONTENT).encode()
    better = await raised(signer, made, to)
    report = alone(world, better)
    assert (report.conclusion, report.signatures[0].level_intact) == (Conclusion.PASSED, f"CAdES-{to.upper()}")
    for kind in (levels.CERTIFICATE_VALUES, levels.REVOCATION_VALUES, levels.REVOCATION_REFERENCES):
        assert File.of(better).of_kind(kind) == File.of(made).of_kind(kind)


async def test_each_of_two_time_stamps_gets_its_own_proof(signer: RunningSigner, bench: Bench, world: Pki) -> None:
    """Of two authorities, and not in the order of DER."""
    responder = Responder(world.timestamp.issuing, bench.clock)
    bench.web.replies["/tsa-ocsp"] = responder
    other = world.timestamp.issuing.issue(
        "Başka zaman damgası", key_usage=SEAL_USAGE,
        extensions=(STAMPING, access(ocsp_url=bench.web.url("/tsa-ocsp"))),
    )  # fmt: skip
    file = File.of(sign(world.signer, CONTENT))
    for one, two in ((world.tsa, other), (other, world.tsa)):
        stamped = levels.with_signature_stamp(levels.with_signature_stamp(file, one, NOW), two, NOW)
        report = alone(world, await raised(signer, stamped.encode(), XL))
        assert (report.conclusion, report.signatures[0].level_intact) == (Conclusion.PASSED, "CAdES-XL")
        assert [item.conclusion for item in report.signatures[0].timestamps] == [Conclusion.PASSED] * 2


async def test_what_an_x_time_stamp_covers_stays(signer: RunningSigner, world: Pki) -> None:
    file = levels.long_term(world, CONTENT)
    file = file.plus(levels.C_STAMP, timestamp(world.tsa, file.under_c_stamp(), NOW - HOUR))
    failure = await refusal(signer, file.encode(), A)
    assert failure.code is ErrorCode.SIGNATURE_INVALID
    assert "by what it carries" in failure.detail


def signed_by_two(world: Pki) -> bytes:
    other = world.qualified.issuing.issue(
        "Mehmet Örnek", key=rsa_key(2048, 1), key_usage=NES_USAGE, qualified=True, identity_no="10000000078"
    )
    infos = [signer_info(world.signer, CONTENT), signer_info(other, CONTENT)]
    return signed_data(infos, [*world.signer.chain_der, other.der], CONTENT)


@pytest.mark.parametrize("signer", ["v2", "v3"], indirect=True)
async def test_all_of_several_signatures_are_raised(signer: RunningSigner, world: Pki) -> None:
    report = alone(world, await raised(signer, signed_by_two(world), A))
    assert report.conclusion is Conclusion.PASSED
    assert [item.level_intact for item in report.signatures] == ["CAdES-A", "CAdES-A"]


async def test_counter_signatures_stay(signer: RunningSigner, world: Pki) -> None:
    file = File.of(sign(world.signer, CONTENT))
    counter = signer_info(
        world.signer, file.signature, change=lambda items: [i for i in items if i["type"].native != "content_type"]
    )
    file = file.plus(levels.COUNTER_SIGNATURE, counter.dump())
    report = alone(world, await raised(signer, file.encode(), A))
    assert [item.integrity for item in report.signatures[0].counter_signatures] == [True]
    assert report.signatures[0].level_intact == "CAdES-A"


@pytest.mark.parametrize("to", [SignatureLevel.T, XL, A])
async def test_nothing_is_added_under_an_archive_time_stamp(
    signer: RunningSigner, world: Pki, to: SignatureLevel
) -> None:
    crls = [item for tree in (world.qualified, world.timestamp) for item in tree.crls()]
    file = levels.with_signature_stamp(File.of(sign(world.signer, CONTENT)), world.tsa, NOW)
    file = levels.with_values(levels.with_references(file, world.qualified, crls), world.qualified, crls)
    archived = levels.with_archive_v2(file, world.tsa, NOW).encode()
    assert await raised(signer, archived, to) == archived


class TestUsageProfiles:
    """P3 rests on a list made after the grace period, P4 on a response at once."""

    async def test_p3_waits_for_the_grace_period(
        self, signer: RunningSigner, bench: Bench, web: Web, world: Pki
    ) -> None:
        file = levels.with_signature_stamp(
            File.of(sign(world.signer, CONTENT, change=with_policy(P3))), world.tsa, NOW
        ).encode()
        early = await refusal(signer, file, XL, profile=Profile.P3)
        assert (early.code, early.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
        assert early.retry_after_seconds == 24 * 3600
        bench.clock.moment = NOW + 26 * HOUR
        serve(web, world, NOW + 26 * HOUR)
        better = await raised(signer, file, XL, profile=Profile.P3)
        report = alone(world, better, profile=Profile.P3)
        assert (report.conclusion, report.signatures[0].maturity) == (Conclusion.PASSED, Maturity.FINAL)

    async def test_p4_holds_a_response(self, signer: RunningSigner, bench: Bench, web: Web, world: Pki) -> None:
        responder = Responder(world.qualified.issuing, bench.clock)
        web.replies["/ocsp"] = responder
        person = world.qualified.issuing.issue(
            "Zeynep Örnek", key_usage=NES_USAGE, qualified=True, extensions=(access(ocsp_url=web.url("/ocsp")),)
        )
        better = await raised(signer, sign(person, CONTENT, change=with_policy(P4)), XL, profile=Profile.P4)
        assert person.certificate.serial_number in responder.asked
        report = alone(world, better, profile=Profile.P4)
        assert (report.conclusion, report.signatures[0].level_intact) == (Conclusion.PASSED, "CAdES-XL")

    async def test_a_signature_of_another_policy_is_not_p4(self, signer: RunningSigner, world: Pki) -> None:
        failure = await refusal(signer, sign(world.signer, CONTENT, change=with_policy(P3)), XL, profile=Profile.P4)
        assert failure.code is ErrorCode.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "fault", ["changed", "stranger", "no content", "other content", "rubbish", "references only", "mail"]
)
async def test_what_does_not_verify_is_not_raised(signer: RunningSigner, world: Pki, web: Web, fault: str) -> None:
    asked = len(web.posted)
    content: bytes | None = None
    file = sign(world.signer, CONTENT)
    if fault == "changed":
        file = file.replace(CONTENT, CONTENT[:-1] + b"?")
    elif fault == "stranger":
        file = sign(build_pki().signer, CONTENT)
    elif fault in ("no content", "other content"):
        file = sign(world.signer, CONTENT, attached=False)
        content = None if fault == "no content" else CONTENT + b"x"
    elif fault == "rubbish":
        file = b"\x30\x80" * 500
    elif fault == "mail":
        file = b"Content-Type: text/plain\r\n\r\nMerhaba"
    else:
        stamped = levels.with_signature_stamp(File.of(file), world.tsa, NOW)
        file = levels.with_references(stamped, world.qualified, world.qualified.crls()).encode()
    assert (await refusal(signer, file, A, content)).code is ErrorCode.SIGNATURE_INVALID
    assert len(web.posted) == asked, "no time-stamp is spent on it"
    assert signer.sample("kepgw_signatures_raised_total", level="a", result="refused") == 1


async def test_a_time_stamp_of_a_stranger_is_not_completed(signer: RunningSigner, world: Pki) -> None:
    file = levels.with_signature_stamp(File.of(sign(world.signer, CONTENT)), build_pki().tsa, NOW)
    assert (await refusal(signer, file.encode())).code is ErrorCode.SIGNATURE_INVALID


async def test_a_revoked_signer_is_not_raised(signer: RunningSigner, world: Pki, web: Web) -> None:
    person = world.qualified.issuing.issue("Ali Örnek", key_usage=NES_USAGE, qualified=True)
    world.qualified.issuing.revoke(person, NOW - DAY)
    try:
        serve(web, world)
        assert (await refusal(signer, sign(person, CONTENT))).code is ErrorCode.SIGNATURE_INVALID
    finally:
        world.qualified.issuing.revoked.clear()


async def test_authority_away_and_list_away(signer: RunningSigner, world: Pki, web: Web) -> None:
    web.replies["/tsa"] = lambda _asked: (503, {}, b"")
    assert (await refusal(signer, sign(world.signer, CONTENT))).code is ErrorCode.SERVICE_UNAVAILABLE
    web.replies["/tsa"] = granted(world.tsa)
    web.answers.pop("/timestamp-issuing.crl")
    assert (await refusal(signer, sign(world.signer, CONTENT))).code is ErrorCode.SERVICE_UNAVAILABLE
    assert signer.sample("kepgw_signatures_raised_total", level="xl", result="postponed") == 2


async def test_size_and_request(signer: RunningSigner, world: Pki) -> None:
    large = sign(world.signer, bytes(200_000))
    assert (await refusal(signer, large)).code is ErrorCode.TOO_LARGE
    for wrong in ({"level": "b"}, {"level": "c"}, {"level": "a", "profile": "integrity-only"}, {}):
        with pytest.raises(ValidationError):
            SignatureUpgradeRequest.model_validate(wrong)


async def test_without_an_authority_there_is_nothing_to_raise_with(bench: Bench, world: Pki) -> None:
    async with bench.running("b", timestamp_url=None) as signer:
        assert (await refusal(signer, sign(world.signer, CONTENT))).code is ErrorCode.NOT_FOUND
