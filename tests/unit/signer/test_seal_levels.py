"""Seals at X-L and A: they prove themselves offline, other software still accepts them, and none leaves that does not."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.signer import der
from services.signer.certificates import load_certificate
from services.signer.evidence import Evidence
from services.signer.pipeline import verify
from services.signer.trust import make_store
from shared.clock import FixedClock, SystemClock
from shared.contracts.signatures import (
    Profile,
    SignatureReport,
    TimestampType,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion, StepResult
from shared.errors import DomainError, ErrorCode
from tests.support.pki import NOW, PASSWORD, SEAL_USAGE, Holder, Pki, build_pki, ec_key, rsa_key
from tests.support.signer import RunningSigner, running_signer
from tests.support.softhsm import SoftToken, needs_softhsm
from tests.unit.signer import levels
from tests.unit.signer.answering import Responder, access
from tests.unit.signer.httpd import Answer, Web, serving
from tests.unit.signer.levels import File
from tests.unit.signer.test_timestamping import Reply, about_something_else, changed, granted

OWN = 10000001
CONTENT = b"<NihaiOzet/>" * 20
DAY = timedelta(days=1)
KEYS = {
    "rsa-2048": lambda: rsa_key(2048),
    "rsa-4096": lambda: rsa_key(4096),
    "p-256": lambda: ec_key(ec.SECP256R1()),
    "p-384": lambda: ec_key(ec.SECP384R1()),
}
ATTRIBUTES = {
    "token": levels.SIGNATURE_STAMP,
    "certificate references": levels.CERTIFICATE_REFERENCES,
    "revocation references": levels.REVOCATION_REFERENCES,
    "certificate values": levels.CERTIFICATE_VALUES,
    "revocation values": levels.REVOCATION_VALUES,
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def world(web: Web) -> Pki:
    return build_pki(crl_base=web.url(""))


def serve(web: Web, world: Pki, at: datetime = NOW, *, hours: float = 24) -> None:
    for name, tree in world.hierarchies().items():
        web.put(f"/{name}-root.crl", tree.root.crl(at, hours=hours))
        web.put(f"/{name}-issuing.crl", tree.issuing.crl(at, hours=hours))
    web.replies["/tsa"] = granted(world.tsa, at)


class Bench:
    """A signer with one key, an authority and lists on the web server."""

    def __init__(self, web: Web, world: Pki, directory: Path) -> None:
        self.web, self.world, self.directory = web, world, directory
        self.clock = FixedClock(NOW)
        serve(web, world)

    def running(
        self, level: str, holder: Holder | None = None, entry: dict[str, Any] | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[RunningSigner]:
        (self.directory / "password").write_bytes(PASSWORD)
        (holder or self.world.sealer).write_pkcs12(self.directory / "seal.p12")
        common = {"key_id": "seal-1", "institution_no": OWN, "purposes": ["package-seal"], "seal_level": level}
        place = entry or {"pkcs12": "seal.p12", "password_file": "password"}
        (self.directory / "keys.json").write_text(json.dumps([place | common]))
        configuration = {
            "trust_directory": self.world.write_trust(self.directory / "trust"),
            "keys_file": self.directory / "keys.json",
            "fetch_allowed_hosts": ["127.0.0.1"],
            "fetch_allow_private": True,
            "fetch_timeout_seconds": 5,
            "timestamp_url": self.web.url("/tsa"),
        }
        return running_signer(configuration | settings, self.clock)


@pytest.fixture
def bench(web: Web, world: Pki, tmp_path: Path) -> Bench:
    return Bench(web, world, tmp_path)


def alone(
    world: Pki, sealed: bytes, now: datetime = NOW, profile: Profile = Profile.INSTITUTION_SEAL
) -> VerificationReport:
    """The verdict by what the file carries and the anchors."""
    anchors = {name: (load_certificate(tree.root.der),) for name, tree in world.hierarchies().items()}
    return verify(sealed, None, VerificationRequest(profile=profile), Evidence(make_store(anchors)), now)


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


def accepted_by_openssl(sealed: bytes, root: bytes, directory: Path, at: datetime = NOW) -> bytes:
    (directory / "root.pem").write_bytes(root)
    arguments = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", str(directory / "root.pem")]
    done = subprocess.run(
        ["openssl", *arguments, "-purpose", "any", "-attime", str(int(at.timestamp()))],
        input=sealed, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout


def kinds(file: File) -> list[str]:
    return [der.oid(der.children(der.read_whole(item))[0]) for item in file.attributes]


def imprint(token: bytes) -> bytes:
    info = tsp.TSTInfo.load(der.octets(der.children(der.children(fields_of(token)[2])[1])[0]))
    hashed: bytes = info["message_imprint"]["hashed_message"].native
    return hashed


def fields_of(token: bytes) -> list[der.Element]:
    return der.children(der.children(der.children(der.read_whole(token))[1])[0])


def value_of(file: File, kind: str) -> bytes:
    [found] = file.of_kind(kind)
    [value] = der.children(der.children(der.read_whole(found))[1])
    return value.encoded


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(("level", "archive"), [("t", "v3"), ("xl", "v3"), ("a", "v2"), ("a", "v3")])
async def test_every_key_seals_at_every_level(bench: Bench, world: Pki, kind: str, level: str, archive: str) -> None:
    holder = world.seal.issuing.issue(
        "Örnek Belediyesi", key=KEYS[kind](), key_usage=SEAL_USAGE, identity_no="1234567890"
    )
    async with bench.running(level, holder, archive_timestamp=archive) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    name = f"CAdES-{level.upper()}"
    found = alone(world, sealed, NOW + 3 * DAY)
    assert (only(found).level, only(found).level_intact) == (name, name)
    if level != "t":
        assert found.conclusion is Conclusion.PASSED
        assert only(found).judged_at == NOW
    stamps = {item.type for item in only(found).timestamps}
    wanted = {TimestampType.ARCHIVE_V2 if archive == "v2" else TimestampType.ARCHIVE_V3} if level == "a" else set()
    assert stamps == {TimestampType.SIGNATURE} | wanted
    file = File.of(sealed)
    assert list(file.attributes) == sorted(file.attributes)
    if shutil.which("openssl"):
        assert accepted_by_openssl(sealed, world.seal.root.pem, bench.directory) == CONTENT


@pytest.mark.parametrize("archive", ["v2", "v3"])
async def test_an_archive_time_stamp_is_about_what_another_pen_says(bench: Bench, world: Pki, archive: str) -> None:
    async with bench.running("a", archive_timestamp=archive) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    kind = levels.ARCHIVE_V2 if archive == "v2" else levels.ARCHIVE_V3
    file = File.of(sealed)
    token, before = value_of(file, kind), file.without(kind)
    if archive == "v2":
        under = before.under_archive_v2()
    else:
        index = levels.hash_index(before)
        assert value_of(File.of(token), levels.INDEX_V3) == index
        under = before.under_archive_v3(CONTENT, index)
    assert imprint(token) == hashlib.sha256(under).digest()


async def test_what_a_long_term_seal_carries(bench: Bench, world: Pki) -> None:
    async with bench.running("xl") as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    file = File.of(sealed)
    assert sorted(kinds(file)) == sorted(ATTRIBUTES.values())
    issuing, root = world.seal.issuing, world.seal.root
    assert value_of(file, levels.CERTIFICATE_VALUES) == levels.sequence(issuing.der, root.der)
    named = value_of(file, levels.CERTIFICATE_REFERENCES)
    hashes = [der.children(der.children(item)[0])[1].contents for item in der.children(der.read_whole(named))]
    assert hashes == [hashlib.sha256(item.der).digest() for item in (issuing, root)], "without the signer's own"
    lists = [bench.web.answers[f"/seal-{name}.crl"][2] for name in ("issuing", "root")]  # type: ignore[index]
    assert value_of(file, levels.REVOCATION_VALUES) == levels.revocation_values(lists)
    references = der.children(der.read_whole(value_of(file, levels.REVOCATION_REFERENCES)))
    assert [len(der.children(item)) for item in references] == [1, 1, 0], (
        "one for each certificate, none for the anchor"
    )
    for item, listed in zip(references, lists, strict=False):
        assert hashlib.sha256(listed).digest() in item.encoded
    token = File.of(value_of(file, levels.SIGNATURE_STAMP))
    authority = world.timestamp
    assert value_of(token, levels.CERTIFICATE_VALUES) == levels.sequence(authority.issuing.der, authority.root.der)
    assert world.tsa.der not in file.before[3]


@pytest.mark.parametrize("archive", ["v2", "v3"])
@pytest.mark.parametrize("part", ATTRIBUTES)
async def test_an_altered_attribute_costs_the_level(bench: Bench, world: Pki, part: str, archive: str) -> None:
    async with bench.running("a", archive_timestamp=archive) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    [attribute] = File.of(sealed).of_kind(ATTRIBUTES[part])
    start = sealed.index(attribute)
    broken = 0
    for place in range(start + 30, start + len(attribute), max(1, len(attribute) // 12)):
        altered = sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :]
        report = alone(world, altered)
        assert all(item.level_intact != "CAdES-A" for item in report.signatures), place
        broken += 1
    assert broken >= 10


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
@pytest.mark.parametrize("archive", ["v2", "v3"])
async def test_openssl_stamps_and_accepts(bench: Bench, web: Web, archive: str, tmp_path: Path) -> None:
    """``openssl ts`` as the authority: its tokens are laid out in its own way."""
    now = SystemClock().now().replace(microsecond=0)
    world = build_pki(now, crl_base=web.url(""))
    pem = {"tsa.pem": world.tsa.pem, "chain.pem": world.timestamp.issuing.pem}
    pem |= {"tsa.key": world.tsa.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())}
    for name, content in pem.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "ts.cnf").write_text(
        "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n"
        "digests = sha256\nordering = yes\ness_cert_id_alg = sha256\naccuracy = secs:1\n"
    )
    (tmp_path / "serial").write_text("01\n")

    def reply(asked: bytes) -> Answer:
        (tmp_path / "query").write_bytes(asked)
        arguments = ["ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", "-signer", "tsa.pem"]
        done = subprocess.run(
            ["openssl", *arguments, "-inkey", "tsa.key", "-chain", "chain.pem"],
            capture_output=True, check=True, timeout=20, cwd=tmp_path,
        )  # fmt: skip
        return 200, {}, done.stdout

    other = Bench(web, world, tmp_path)
    other.clock.moment = now
    serve(web, world, now)
    web.replies["/tsa"] = reply
    async with other.running("a", archive_timestamp=archive, timestamp_skew_seconds=3600) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    assert only(alone(world, sealed, now + DAY)).level_intact == "CAdES-A"
    assert accepted_by_openssl(sealed, world.seal.root.pem, tmp_path, now) == CONTENT


async def refused(bench: Bench, level: str = "a", holder: Holder | None = None, **settings: Any) -> DomainError:
    async with bench.running(level, holder, **settings) as signer:
        with pytest.raises(DomainError) as caught:
            await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
        assert signer.sample("kepgw_signatures_made_total", purpose="package-seal", result="made") == 0
    return caught.value


@pytest.mark.parametrize("fault", ["absent", "stale", "forged", "of the authority absent"])
async def test_without_a_list_there_is_no_seal(bench: Bench, web: Web, world: Pki, fault: str) -> None:
    if fault == "absent":
        web.answers.pop("/seal-issuing.crl")
    elif fault == "stale":
        web.put("/seal-issuing.crl", world.seal.issuing.crl(NOW - 3 * DAY))
    elif fault == "forged":
        web.put("/seal-issuing.crl", build_pki().seal.issuing.crl())
    else:
        web.answers.pop("/timestamp-issuing.crl")
    failure = await refused(bench, "xl")
    assert (failure.code, failure.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
    assert failure.retry_after_seconds


async def test_a_revoked_key_makes_no_seal(bench: Bench, web: Web, world: Pki) -> None:
    holder = world.seal.issuing.issue("Örnek Belediyesi", key_usage=SEAL_USAGE, identity_no="1234567890")
    world.seal.issuing.revoke(holder, NOW - DAY)
    try:
        web.put("/seal-issuing.crl", world.seal.issuing.crl())
        assert (await refused(bench, "xl", holder)).code is ErrorCode.SIGNING_KEY_UNAVAILABLE
    finally:
        world.seal.issuing.revoked.clear()


@pytest.mark.parametrize("fault", ["away", "other", "changed", "stranger", "only once", "true once"])
async def test_without_time_stamps_that_hold_there_is_no_seal(bench: Bench, web: Web, world: Pki, fault: str) -> None:
    answered: list[bytes] = []

    def only_once(asked: bytes) -> Answer:
        answered.append(asked)
        return granted(world.tsa)(asked) if len(answered) == 1 else (503, {}, b"")

    def true_once(asked: bytes) -> Answer:
        answered.append(asked)
        return (granted if len(answered) == 1 else about_something_else)(world.tsa)(asked)

    replies: dict[str, Reply] = {
        "away": lambda _asked: (503, {}, b""),
        "other": about_something_else(world.tsa),
        "changed": changed(world.tsa),
        "stranger": granted(build_pki().tsa),
        "only once": only_once,
        "true once": true_once,
    }
    web.replies["/tsa"] = replies[fault]
    failure = await refused(bench)
    assert failure.code is ErrorCode.SERVICE_UNAVAILABLE
    assert len(answered) == (2 if "once" in fault else 0)


async def test_large_revocation_data_are_bounded(bench: Bench, web: Web, world: Pki) -> None:
    large = world.seal.issuing.crl(extra_entries=3000)
    web.put("/seal-issuing.crl", large)
    assert (await refused(bench, seal_evidence_limit_bytes=len(large))).code is ErrorCode.TOO_LARGE
    async with bench.running("a") as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    assert only(alone(world, sealed)).level_intact == "CAdES-A"
    assert len(sealed) < len(large) + 20_000, "each list is there once"


async def test_responses_are_taken_where_there_is_a_responder(bench: Bench, web: Web, world: Pki) -> None:
    """A list of megabytes stays out of the letter; for the authorities above lists are all there is."""
    responder = Responder(world.seal.issuing, bench.clock)
    web.replies["/ocsp"] = responder
    large = world.seal.issuing.crl(extra_entries=3000)
    web.put("/seal-issuing.crl", large)
    holder = world.seal.issuing.issue(
        "Örnek Belediyesi", key_usage=SEAL_USAGE, identity_no="1234567890",
        extensions=(access(ocsp_url=web.url("/ocsp")),),
    )  # fmt: skip
    async with bench.running("a", holder) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    assert responder.asked == [holder.certificate.serial_number]
    assert len(sealed) < 30_000
    values = value_of(File.of(sealed), levels.REVOCATION_VALUES)
    assert [item.tag for item in der.children(der.read_whole(values))] == [der.CONTEXT_0, der.CONTEXT_1]
    report = alone(world, sealed, NOW + 30 * DAY)
    assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-A")
    assert StepResult.WARNING not in {step.result for step in only(report).steps}


@needs_softhsm
async def test_a_key_on_a_token_seals_at_a(
    bench: Bench, world: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = SoftToken(tmp_path / "hsm").make()
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.configuration))
    token.put(world.sealer, "mühür", "a1", SIGN=True)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(world.seal.issuing.pem)
    entry = token.entry("seal-1", OWN, "package-seal", key_label="mühür", chain=str(chain))
    async with bench.running("a", entry=entry) as signer:
        sealed = await signer.client.seal("seal-1", CONTENT, institution_no=OWN)
    report = alone(world, sealed, NOW + DAY)
    assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-A")
