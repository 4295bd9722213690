"""Seals with a time-stamp: asked of an authority of others, and none leaves whose time-stamp does not hold."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from asn1crypto import cms, tsp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr, ValidationError

from services.sandbox.pki.identity import Identity
from services.sandbox.pki.profiles import TIMESTAMP_POLICY
from services.sandbox.pki.timestamp import TimestampAuthority as SandboxAuthority
from services.sandbox.pki.timestamp import rejection
from services.signer.app import build
from services.signer.fetchers import FetchPolicy, GuardedFetcher
from services.signer.keys import KeysUnreadable, load_keys
from services.signer.sealing import Sealing
from services.signer.settings import Settings
from services.signer.timestamping import LONGEST_ANSWER, TimestampAuthority
from services.signer.trust import TrustDirectory
from shared.clock import FixedClock, SystemClock
from shared.contracts.signatures import Profile
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.pki import NOW, PASSWORD, Holder, Pki, build_pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.httpd import Answer, Web, serving

OWN = 10000001
CONTENT = b"<NihaiOzet/>"
DAY = timedelta(days=1)
Reply = Callable[[bytes], Answer]


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


def authority(holder: Holder) -> SandboxAuthority:
    return SandboxAuthority(Identity(holder.certificate, holder.key, (*holder.issuers, holder.certificate)))


def granted(holder: Holder, at: datetime = NOW) -> Reply:
    return lambda asked: (200, {"Content-Type": "application/timestamp-reply"}, authority(holder).answer(asked, at))


class Bench:
    """A sealing service whose authority is the web server."""

    def __init__(self, web: Web, pki: Pki, directory: Path, now: datetime = NOW, **options: Any) -> None:
        self.web = web
        (directory / "password").write_bytes(PASSWORD)
        pki.sealer.write_pkcs12(directory / "seal.p12")
        entry = {
            "key_id": "seal-1", "institution_no": OWN, "purposes": ["package-seal"], "seal_level": "t",
            "pkcs12": "seal.p12", "password_file": "password",
        }  # fmt: skip
        self.keys_file = directory / "keys.json"
        self.keys_file.write_text(json.dumps([entry]))
        self.clock = FixedClock(now)
        policy = FetchPolicy(
            frozenset({"127.0.0.1"}), allow_private=True, timeout_seconds=5, limit_bytes=LONGEST_ANSWER
        )
        self.outcomes: list[bool] = []
        self.fetcher = GuardedFetcher(policy, self.clock)
        stamping = TimestampAuthority(
            web.url("/tsa"), self.fetcher, TrustDirectory(pki.write_trust(directory / "trust")), self.clock,
            **({"policies": frozenset(), "skew": timedelta(seconds=60), "on_outcome": self.outcomes.append} | options),
        )  # fmt: skip
        self.sealing = Sealing(load_keys(self.keys_file), self.clock, stamp=stamping.stamp)

    async def seal(self, reply: Reply) -> bytes:
        self.web.replies["/tsa"] = reply
        try:
            return await self.sealing.seal(self.sealing.seal_key("seal-1", OWN), CONTENT, "test")
        finally:
            self.sealing.close()
            await self.fetcher.aclose()


def token_in(sealed: bytes) -> bytes:
    [signer] = cms.ContentInfo.load(sealed, strict=True)["content"]["signer_infos"]
    [attribute] = signer["unsigned_attrs"]
    [token] = attribute["values"]
    return token.dump()


async def test_a_seal_has_a_time_stamp_and_passes(web: Web, pki: Pki, judge: Judge, tmp_path: Path) -> None:
    bench = Bench(web, pki, tmp_path, policies=frozenset({TIMESTAMP_POLICY}), authorization=SecretStr("Basic eDp5"))
    sealed = await bench.seal(granted(pki.tsa))
    report = judge(sealed, CONTENT, profile=Profile.INSTITUTION_SEAL, now=NOW + DAY)
    assert report.conclusion is Conclusion.PASSED
    assert report.signatures[0].level == "CAdES-T"
    assert report.signatures[0].judged_at == NOW
    assert bench.outcomes == [True]
    headers, body = web.posted[-1]
    assert (headers["Content-Type"], headers["Authorization"]) == ("application/timestamp-query", "Basic eDp5")
    asked = tsp.TimeStampReq.load(body, strict=True).native
    assert (asked["version"], asked["cert_req"], asked["message_imprint"]["hash_algorithm"]["algorithm"]) == (
        "v1", True, "sha256",
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
async def test_openssl_stamps_and_accepts(web: Web, tmp_path: Path) -> None:
    """``openssl ts`` as the authority, ``openssl cms`` and ``openssl ts`` as the verifiers."""
    now = SystemClock().now().replace(microsecond=0)
    pki = build_pki(now)
    pem = {"tsa.pem": pki.tsa.pem, "chain.pem": pki.timestamp.issuing.pem, "tsa-root.pem": pki.timestamp.root.pem}
    pem |= {"root.pem": pki.seal.root.pem}
    pem |= {"tsa.key": pki.tsa.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())}
    for name, content in pem.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "ts.cnf").write_text(
        "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n"
        "digests = sha256\nordering = yes\ness_cert_id_alg = sha256\naccuracy = secs:1\n"
    )
    (tmp_path / "serial").write_text("01\n")

    def openssl(*arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *arguments], input=given, capture_output=True, check=False, timeout=20, cwd=tmp_path
        )
        assert not done.returncode, done.stderr
        return done.stdout

    def reply(asked: bytes) -> Answer:
        (tmp_path / "query").write_bytes(asked)
        answer = openssl("ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", "-signer", "tsa.pem",
                         "-inkey", "tsa.key", "-chain", "chain.pem")  # fmt: skip
        return 200, {}, answer

    bench = Bench(web, pki, tmp_path, now, skew=timedelta(hours=1))
    sealed = await bench.seal(reply)
    assert openssl(
        "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "root.pem", "-purpose", "any", given=sealed
    ) == CONTENT  # fmt: skip
    (tmp_path / "token").write_bytes(token_in(sealed))
    value = cms.ContentInfo.load(sealed)["content"]["signer_infos"][0]["signature"].native
    (tmp_path / "value").write_bytes(value)
    verdict = openssl("ts", "-verify", "-data", "value", "-in", "token", "-token_in", "-CAfile", "tsa-root.pem",
                      "-untrusted", "chain.pem")  # fmt: skip
    assert b"Verification: OK" in verdict


def without_nonce(holder: Holder) -> Reply:
    def reply(asked: bytes) -> Answer:
        request = tsp.TimeStampReq.load(asked).copy()
        del request["nonce"]
        return granted(holder)(request.dump(force=True))

    return reply


def about_something_else(holder: Holder) -> Reply:
    def reply(asked: bytes) -> Answer:
        request = tsp.TimeStampReq.load(asked).copy()
        request["message_imprint"]["hashed_message"] = b"\x11" * 32
        return granted(holder)(request.dump(force=True))

    return reply


def changed(holder: Holder) -> Reply:
    def reply(asked: bytes) -> Answer:
        status, headers, body = granted(holder)(asked)
        return status, headers, body[:-1] + bytes((body[-1] ^ 1,))

    return reply


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("away", "answered 503"),
        ("rejection", "status 2"),
        ("nonce", "our nonce"),
        ("other", "about other bytes"),
        ("changed", "own signature is not valid"),
        ("early", "not our clock's"),
        ("late", "not our clock's"),
        ("not-authority", "not one for time-stamping only"),
        ("stranger", "No path to a root"),
        ("policy", "is not accepted"),
        ("empty", "not in the expected form"),
        ("no-token", "holds no token"),
        ("rubbish", "not in the expected form"),
        ("huge", "answered more than"),
    ],
)
async def test_no_seal_leaves_without_a_time_stamp_that_holds(
    web: Web, pki: Pki, tmp_path: Path, fault: str, said: str
) -> None:
    replies: dict[str, Reply] = {
        "away": lambda _asked: (503, {}, b""),
        "rejection": lambda _asked: (200, {}, rejection("system_failure")),
        "nonce": without_nonce(pki.tsa),
        "other": about_something_else(pki.tsa),
        "changed": changed(pki.tsa),
        "early": granted(pki.tsa, NOW - timedelta(seconds=61)),
        "late": granted(pki.tsa, NOW + timedelta(seconds=61)),
        "not-authority": granted(pki.transaction),
        "stranger": granted(build_pki().tsa),
        "policy": granted(pki.tsa),
        "empty": lambda _asked: (200, {}, b""),
        "no-token": lambda _asked: (200, {}, bytes.fromhex("30053003020100")),
        "rubbish": lambda _asked: (200, {}, b"\x30\x80" * 5000),
        "huge": lambda _asked: (200, {}, b"\x30" * (LONGEST_ANSWER + 1)),
    }
    options = {"policies": frozenset({"1.2.3"})} if fault == "policy" else {}
    bench = Bench(web, pki, tmp_path, **options)
    with pytest.raises(DomainError) as caught, structlog.testing.capture_logs() as lines:
        await bench.seal(replies[fault])
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
    assert bench.outcomes == [False]
    [reason] = [line["reason"] for line in lines if line["event"] == "timestamp_not_usable"]
    assert said in reason


def settings(bench: Bench, tmp_path: Path, **more: Any) -> Settings:
    return Settings(
        port=0, ops_port=0, service_tokens={"gateway": "0123456789"}, trust_directory=tmp_path / "trust",
        keys_file=bench.keys_file, **more,
    )  # fmt: skip


async def test_the_level_needs_an_authority_and_a_key_that_seals(web: Web, pki: Pki, tmp_path: Path) -> None:
    bench = Bench(web, pki, tmp_path)
    with pytest.raises(KeysUnreadable, match=r"seal-1.*TIMESTAMP_URL"):
        await build(settings(bench, tmp_path), FixedClock(NOW))
    service = await build(settings(bench, tmp_path, timestamp_url=web.url("/tsa")), FixedClock(NOW))
    await service.resources.aclose()
    for url in ("tsa.example", "ftp://tsa.example", "http://"):
        with pytest.raises(ValidationError):
            settings(bench, tmp_path, timestamp_url=url)
    entries = json.loads(bench.keys_file.read_text())
    entries[0]["purposes"] = ["kep-message"]
    bench.keys_file.write_text(json.dumps(entries))
    with pytest.raises(KeysUnreadable, match="seal_level"):
        load_keys(bench.keys_file)
    bench.sealing.close()
    await bench.fetcher.aclose()
