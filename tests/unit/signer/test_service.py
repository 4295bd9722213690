"""The service as its callers meet it: over HTTP, through the typed client."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.signer.app import build
from services.signer.keys import KeysUnreadable
from services.signer.lists import RevocationLists
from services.signer.metrics import SignerMetrics
from services.signer.settings import Settings
from services.signer.sources import EvidenceSources
from services.signer.trust import TrustDirectory, TrustUnreadable
from services.signer.verifier import Verifier
from services.signer.workers.pool import WorkerLimits, WorkerPool
from services.signer.workers.vocabulary import WorkersUnavailable
from shared.clock import FixedClock
from shared.contracts.signatures import CertificatePurpose, Profile, SigningPurpose, VerificationRequest
from shared.domain.verdict import Conclusion, SubIndication
from shared.errors import DomainError, ErrorCode
from shared.telemetry.metrics import new_registry
from tests.support.pki import NOW, PASSWORD, Pki, build_pki, rsa_key, usage
from tests.support.signer import COMMON, TOKEN, RunningSigner, running_signer
from tests.unit.signer.httpd import Web, serving
from tests.unit.signer.signing import sign

CONTENT = b"a letter"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def world(web: Web) -> Pki:
    """A PKI whose certificates point at the web server, which does not serve their lists yet."""
    return build_pki(crl_base=web.url(""))


def serve_lists(web: Web, world: Pki, at: datetime = NOW) -> None:
    for name, tree in world.hierarchies().items():
        web.put(f"/{name}-root.crl", tree.root.crl(at))
        web.put(f"/{name}-issuing.crl", tree.issuing.crl(at))


@pytest.fixture
def configuration(world: Pki, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "password").write_bytes(PASSWORD)
    world.signer.write_pkcs12(tmp_path / "agent.p12")
    world.sealer.write_pkcs12(tmp_path / "seal.p12")
    entries = [
        {"key_id": "kep-1", "purposes": ["kep-message"], "pkcs12": "agent.p12"},
        {"key_id": "seal-1", "purposes": ["package-seal"], "pkcs12": "seal.p12"},
    ]
    common = {"institution_no": 10000001, "password_file": "password"}
    (tmp_path / "keys.json").write_text(json.dumps([entry | common for entry in entries]))
    return {
        "trust_directory": world.write_trust(tmp_path / "trust"),
        "keys_file": tmp_path / "keys.json",
        "fetch_allowed_hosts": ["127.0.0.1"],
        "fetch_allow_private": True,
        "fetch_timeout_seconds": 2,
        "file_limit_bytes": 100_000,
        "seal_limit_bytes": 1000,
    }


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def signer(configuration: dict[str, Any], clock: FixedClock) -> AsyncIterator[RunningSigner]:
    async with running_signer(configuration, clock) as up:
        yield up


REQUEST = VerificationRequest()


async def test_verdict_settles_when_the_revocation_list_comes_back(
    signer: RunningSigner, web: Web, world: Pki, clock: FixedClock
) -> None:
    web.answers.clear()
    encoded = sign(world.signer, CONTENT, attached=False)
    report = await signer.client.verify(REQUEST, encoded, CONTENT)
    assert (report.conclusion, report.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
    assert report.retry_after_seconds == 300
    assert signer.sample("kepgw_revocation_source_up", host="127.0.0.1") == 0
    serve_lists(web, world)
    clock.moment += timedelta(minutes=10)
    asked = len(web.asked)
    for _ in range(3):
        assert (await signer.client.verify(REQUEST, encoded, CONTENT)).conclusion is Conclusion.PASSED
    assert len(web.asked) == asked + 2, "lists are kept until they run out"
    assert signer.sample("kepgw_revocation_source_up", host="127.0.0.1") == 1
    labels = {"format": "cades", "profile": "qualified-signature"}
    assert signer.sample("kepgw_signature_verifications_total", **labels, conclusion="passed") == 3
    assert signer.sample("kepgw_signature_verifications_total", **labels, conclusion="indeterminate") == 1


async def test_a_list_that_ran_out_is_fetched_again(
    signer: RunningSigner, web: Web, world: Pki, clock: FixedClock
) -> None:
    serve_lists(web, world)
    encoded = sign(world.signer, CONTENT)
    assert (await signer.client.verify(REQUEST, encoded)).conclusion is Conclusion.PASSED
    clock.moment = NOW + timedelta(days=2)
    serve_lists(web, world, clock.moment)
    assert (await signer.client.verify(REQUEST, encoded)).conclusion is Conclusion.PASSED


async def test_nothing_is_fetched_for_a_signature_that_does_not_hold(
    signer: RunningSigner, web: Web, world: Pki
) -> None:
    asked = len(web.asked)
    report = await signer.client.verify(REQUEST, sign(world.signer, CONTENT, attached=False), b"other")
    assert report.conclusion is Conclusion.FAILED
    assert len(web.asked) == asked


def _text(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode()


async def test_certificates_are_judged_in_order_and_settle_when_the_list_comes_back(
    configuration: dict[str, Any], web: Web, world: Pki, clock: FixedClock
) -> None:
    """Lone certificates find their authority in intermediates/; one that cannot be judged spoils no other."""
    (configuration["trust_directory"] / "intermediates").mkdir()
    (configuration["trust_directory"] / "intermediates" / "seal.pem").write_bytes(world.seal.issuing.pem)
    web.answers.clear()
    own = world.seal.issuing.issue("Kurum", key=rsa_key(), key_usage=usage(key_encipherment=True))
    old = world.seal.issuing.issue("Kurum", key=rsa_key(), key_usage=usage(key_encipherment=True), days=(-9, -1))
    texts = [_text(own.der), _text(b"none"), _text(old.der)]
    async with running_signer(configuration, clock) as signer:
        ask = partial(signer.client.verify_certificates, CertificatePurpose.ENCRYPTION, texts)
        first = await ask()
        assert [item.conclusion for item in first.verdicts] == [
            Conclusion.INDETERMINATE, Conclusion.FAILED, Conclusion.FAILED
        ]  # fmt: skip
        assert [item.sub_indication for item in first.verdicts] == [
            SubIndication.TRY_LATER, SubIndication.FORMAT_FAILURE, SubIndication.EXPIRED
        ]  # fmt: skip
        assert [item.retry_after_seconds for item in first.verdicts] == [300, None, None]
        serve_lists(web, world)
        clock.moment += timedelta(minutes=10)
        later = await ask()
        assert [item.conclusion for item in later.verdicts] == [
            Conclusion.PASSED, Conclusion.FAILED, Conclusion.FAILED
        ]  # fmt: skip
        labels = {"purpose": "encryption"}
        assert signer.sample("kepgw_certificate_verifications_total", **labels, conclusion="passed") == 1
        assert signer.sample("kepgw_certificate_verifications_total", **labels, conclusion="failed") == 4


@pytest.mark.parametrize(
    "certificates",
    [[], ["A" * 8] * 17, ["not base64!"], ["A" * 90_004], ["AAAA", "ş"], "AAAA", None, [1]],
    ids=["none", "too many", "no base64", "too long", "no ASCII", "text", "null", "number"],
)
async def test_certificates_that_cannot_be_read_from_the_request_are_refused(
    signer: RunningSigner, certificates: object
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{signer.base_url}/internal/v1", headers=headers) as http:
        answer = await http.post("/certificate-verifications", json={"certificates": certificates})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert answer.json()["errors"][0]["pointer"].endswith(("/certificates", "/certificates/0", "/certificates/1"))


async def test_every_form_of_material(signer: RunningSigner, web: Web, world: Pki, tmp_path: Path) -> None:
    serve_lists(web, world)
    encoded = sign(world.signer, CONTENT, attached=False)
    path = tmp_path / "signature"
    path.write_bytes(encoded)

    async def stream() -> AsyncIterator[bytes]:
        yield CONTENT[:3]
        yield CONTENT[3:]

    assert (await signer.client.verify(REQUEST, path, stream())).conclusion is Conclusion.PASSED
    with path.open("rb") as handle:
        assert (await signer.client.verify(REQUEST, handle, CONTENT)).conclusion is Conclusion.PASSED


async def test_signing_and_sealing(signer: RunningSigner, web: Web, world: Pki) -> None:
    serve_lists(web, world)
    signed = await signer.client.sign_message("kep-1", CONTENT, institution_no=10000001)
    report = await signer.client.verify(REQUEST, signed, CONTENT)
    assert report.conclusion is Conclusion.PASSED
    sealed = await signer.client.seal("seal-1", CONTENT)
    request = VerificationRequest(profile=Profile.INSTITUTION_SEAL)
    assert (await signer.client.verify(request, sealed, CONTENT)).conclusion is Conclusion.PASSED
    assert signer.sample("kepgw_signatures_made_total", purpose="package-seal", result="made") == 1


async def refusal(call: Any) -> ErrorCode:
    with pytest.raises(DomainError) as caught:
        await call
    return caught.value.code


async def test_refusals(signer: RunningSigner) -> None:
    client = signer.client
    assert await refusal(client.sign_message("seal-1", CONTENT)) is ErrorCode.INSTITUTION_FORBIDDEN
    assert await refusal(client.seal("kep-1", CONTENT)) is ErrorCode.INSTITUTION_FORBIDDEN
    assert await refusal(client.seal("seal-1", CONTENT, institution_no=10000002)) is ErrorCode.INSTITUTION_FORBIDDEN
    assert await refusal(client.seal("none", CONTENT)) is ErrorCode.NOT_FOUND
    assert await refusal(client.seal("seal-1", b"")) is ErrorCode.VALIDATION_FAILED
    assert await refusal(client.seal("seal-1", b"x" * 1001)) is ErrorCode.TOO_LARGE
    assert await refusal(client.sign_message("kep-1", b"x" * 100_001)) is ErrorCode.TOO_LARGE
    assert await refusal(client.verify(REQUEST, b"x" * 100_001)) is ErrorCode.TOO_LARGE
    assert await refusal(client.verify(REQUEST, b"x" * 400_000)) is ErrorCode.TOO_LARGE
    future = VerificationRequest(moment=NOW + timedelta(days=1))
    assert await refusal(client.verify(future, b"x")) is ErrorCode.VALIDATION_FAILED
    naive = VerificationRequest(moment=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    assert await refusal(client.verify(naive, b"x")) is ErrorCode.VALIDATION_FAILED


async def test_raw_http(signer: RunningSigner) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{signer.base_url}/internal/v1", headers=headers) as http:
        assert (await http.get("/keys", headers={"Authorization": "Bearer wrong"})).status_code == 401
        bad = await http.post("/verifications", data={"request": "{"}, files={"file": b"x"})
        assert (bad.status_code, bad.json()["code"]) == (422, "validation-failed")
        missing = await http.post("/verifications", data={"request": "{}"})
        assert missing.status_code == 422
        wrong = await http.post("/signatures?key_id=kep-1&purpose=package-seal", content=b"x")
        assert wrong.status_code == 422
        trust = (await http.get("/trust")).json()
        assert [item["purpose"] for item in trust["anchors"]] == [
            "qualified", "seal", "kephs", "timestamp", "encryption",
        ]  # fmt: skip
        signed = await http.post("/signatures?key_id=kep-1&purpose=kep-message", content=b"x")
        assert signed.headers["content-type"] == "application/pkcs7-signature"


async def test_keys_are_described_without_secrets(signer: RunningSigner, world: Pki) -> None:
    keys = await signer.client.keys()
    assert [(key.key_id, key.purposes) for key in keys] == [
        ("kep-1", [SigningPurpose.KEP_MESSAGE]),
        ("seal-1", [SigningPurpose.PACKAGE_SEAL]),
    ]
    ends = world.signer.certificate.not_valid_after_utc.timestamp()
    assert signer.sample("kepgw_certificate_expiry_timestamp_seconds", key_id="kep-1") == ends


async def test_readiness_tells_the_truth(configuration: dict[str, Any], clock: FixedClock, tmp_path: Path) -> None:
    async def faults(settings: dict[str, Any]) -> dict[str, str]:
        service = await build(Settings(**COMMON | settings), clock)
        found = {}
        for item in service.checks:
            try:
                await item.check()
            except (TrustUnreadable, KeysUnreadable, WorkersUnavailable) as error:
                found[item.name] = str(error)
        await service.resources.aclose()
        return found

    assert set(await faults(configuration)) == {"verification_workers"}, "the part that starts them does not run here"
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.json").write_text("[]")
    bad = configuration | {"trust_directory": tmp_path / "empty", "keys_file": tmp_path / "none.json"}
    assert set(await faults(bad)) == {"trust_anchors", "signing_keys", "verification_workers"}


async def test_workers_are_started_and_replaced_beside_the_interface(
    configuration: dict[str, Any], clock: FixedClock
) -> None:
    async with running_signer(configuration, clock) as up:
        ready = next(item for item in up.service.checks if item.name == "verification_workers")
        staffing = next(item for item in up.service.background if item.name == "workers")
        assert up.sample("kepgw_verification_workers") == 0
        stop = asyncio.Event()
        part = asyncio.create_task(staffing.run(stop))
        async with asyncio.timeout(60):
            while up.sample("kepgw_verification_workers") != 2:
                await asyncio.sleep(0.05)
        await ready.check()
        stop.set()
        await part


async def test_anchors_are_reloaded_and_a_bad_file_changes_nothing(
    configuration: dict[str, Any], clock: FixedClock, world: Pki, web: Web
) -> None:
    serve_lists(web, world)
    configuration["reload_seconds"] = 1
    async with running_signer(configuration, clock) as up:
        encoded = sign(world.signer, CONTENT)
        first = await up.client.verify(REQUEST, encoded)
        assert first.conclusion is Conclusion.PASSED
        stop = asyncio.Event()
        part = asyncio.create_task(up.service.background[0].run(stop))
        directory = Path(configuration["trust_directory"]) / "qualified"
        (directory / "bad.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        await asyncio.sleep(1.2)
        assert (await up.client.verify(REQUEST, encoded)).trust_store_sha256 == first.trust_store_sha256
        (directory / "bad.pem").unlink()
        (directory / "root.pem").unlink()
        async with asyncio.timeout(5):
            while (await up.client.verify(REQUEST, encoded)).conclusion is Conclusion.PASSED:
                await asyncio.sleep(0.1)
        stop.set()
        await part


async def test_too_slow_is_reported_as_not_completed(configuration: dict[str, Any], clock: FixedClock) -> None:
    configuration["verification_timeout_seconds"] = 1e-6
    async with running_signer(configuration, clock) as up:
        report = await up.client.verify(REQUEST, b"\x30\x00")
        assert report.conclusion is Conclusion.INDETERMINATE
        assert report.sub_indication is SubIndication.POLICY_PROCESSING_ERROR


@pytest.mark.parametrize("size", [1, 300_000, 1_200_000, 20_000_000])
async def test_content_of_any_size_reaches_the_worker(
    configuration: dict[str, Any], clock: FixedClock, world: Pki, web: Web, size: int
) -> None:
    """In the call, and in a file that the form parser keeps in memory or on the disk."""
    serve_lists(web, world)
    content = (b"0123456789" * (size // 10 + 1))[:size]
    encoded = sign(world.signer, content, attached=False)
    async with running_signer(configuration | {"file_limit_bytes": 20_000_000}, clock) as up:
        assert (await up.client.verify(REQUEST, encoded, content)).conclusion is Conclusion.PASSED
        altered = content[:-1] + b"x"
        report = await up.client.verify(REQUEST, encoded, altered)
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)
        with pytest.raises(DomainError) as caught:
            await up.client.verify(REQUEST, encoded, b"x" * 20_000_001)
        assert caught.value.code is ErrorCode.TOO_LARGE


async def test_who_stops_waiting_leaves_nothing_open(
    configuration: dict[str, Any], clock: FixedClock, world: Pki
) -> None:
    """The files of a verification are closed with it, also when its caller has gone before."""
    pool = WorkerPool(WorkerLimits(workers=1, cpu_seconds=0.5))
    sources = EvidenceSources(TrustDirectory(configuration["trust_directory"]), RevocationLists(None, clock))
    metrics = SignerMetrics(new_registry())
    verifier = Verifier(sources, clock, metrics, pool, timeout_seconds=30, retry_after_seconds=300)
    try:
        await verifier.verify(REQUEST, b"\x30\x00", None)
        before = _open_files()
        with tempfile.TemporaryFile() as endless:
            os.truncate(endless.fileno(), 1 << 40)
            waiting = asyncio.create_task(
                verifier.verify(REQUEST, sign(world.signer, CONTENT, attached=False), endless)
            )
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        report = await verifier.verify(REQUEST, sign(world.signer, CONTENT), None)
        assert report.sub_indication is not SubIndication.POLICY_PROCESSING_ERROR, "the thread is free again"
        async with asyncio.timeout(30):
            while _open_files() > before:
                await asyncio.sleep(0.05)
    finally:
        verifier.close()
        pool.close()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_load_is_no_verdict(world: Pki, tmp_path: Path, clock: FixedClock) -> None:
    """When all places are taken the caller is told to come again; a letter is never judged by how busy we are."""
    verifier = Verifier(
        EvidenceSources(TrustDirectory(world.write_trust(tmp_path / "trust")), RevocationLists(None, clock)),
        clock,
        SignerMetrics(new_registry()),
        WorkerPool(WorkerLimits(workers=1)),
        timeout_seconds=5,
        retry_after_seconds=300,
        patience_seconds=0.01,
    )

    async def enter() -> None:
        async with verifier.place():
            pass

    async with AsyncExitStack() as taken:
        for _ in range(4):
            await taken.enter_async_context(verifier.place())
        with pytest.raises(DomainError) as caught:
            await enter()
        assert (caught.value.code, caught.value.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
    await enter()
    verifier.close()
