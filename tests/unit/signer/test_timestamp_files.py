"""Time-stamps by themselves: each rule with a token that keeps it and one that breaks it, and OpenSSL's on both sides."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.signer import der
from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence, load_lists, sniff, verify
from services.signer.policy import PROFILES
from services.signer.trust import make_store
from shared.clock import SystemClock
from shared.contracts.signatures import Profile, SignatureFormat, TimestampType, VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication
from tests.support.pki import NOW, Holder, Pki, build_pki, ec_key, rsa_key
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import sign, signed_data, signer_info, timestamp

CONTENT = b"%PDF-1.7 tutanak"
MADE = NOW - timedelta(hours=3)
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
OPENSSL = shutil.which("openssl")


def answer(token: bytes | None, status: str = "granted") -> bytes:
    encoded = tsp.PKIStatusInfo({"status": status}).dump()
    return der.encode(der.SEQUENCE, encoded, token or b"")


def stamped(judge: Judge, token: bytes, content: bytes | None = CONTENT, **options: object) -> VerificationReport:
    return judge(token, content, profile=Profile.TIMESTAMP, **options)


def step(report: VerificationReport, step_id: str) -> StepResult:
    (found,) = [item.result for item in report.signatures[0].steps if item.id == step_id]
    return found


@pytest.mark.parametrize("whole", [False, True], ids=["token", "answer"])
def test_a_token_and_an_answer(pki: Pki, judge: Judge, whole: bool) -> None:
    token = timestamp(pki.tsa, CONTENT, MADE)
    data = answer(token) if whole else token
    assert sniff(data) is SignatureFormat.TIMESTAMP
    report = stamped(judge, data)
    assert (report.conclusion, report.format) == (Conclusion.PASSED, SignatureFormat.TIMESTAMP)
    assert report.signed_content_sha256 == hashlib.sha256(CONTENT).hexdigest()
    [signature] = report.signatures
    assert (signature.level, signature.level_intact, signature.judged_at) == ("RFC 3161", "RFC 3161", MADE)
    assert signature.signer is not None
    assert signature.signer.name == load_certificate(pki.tsa.der).subject_name
    [stamp] = signature.timestamps
    assert (stamp.type, stamp.intact, stamp.time, stamp.conclusion) == (
        TimestampType.ALONE, True, MADE, Conclusion.PASSED,
    )  # fmt: skip
    for rule in PROFILES[Profile.TIMESTAMP].rules:
        assert step(report, f"profile-rules.{rule.id}") is StepResult.PASSED


def test_grantedWithMods_is_granted(pki: Pki, judge: Judge) -> None:
    assert (
        stamped(judge, answer(timestamp(pki.tsa, CONTENT, MADE), "granted_with_mods")).conclusion is Conclusion.PASSED
    )


@pytest.mark.parametrize("status", ["rejection", "waiting", "revocation_warning", "revocation_notification"])
def test_an_answer_that_grants_nothing(judge: Judge, status: str) -> None:
    report = stamped(judge, answer(None, status))
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)
    assert "granted no" in report.signatures[0].steps[0].text.en


def test_about_other_content(pki: Pki, judge: Judge) -> None:
    report = stamped(judge, timestamp(pki.tsa, CONTENT, MADE), b"else")
    assert (report.indication, report.sub_indication) == (Indication.TOTAL_FAILED, SubIndication.HASH_FAILURE)
    assert step(report, "signed-content.stamped-content") is StepResult.FAILED
    assert report.signed_content_sha256 is None


def test_without_its_content_nobody_knows_what_was_stamped(pki: Pki, judge: Judge) -> None:
    report = stamped(judge, timestamp(pki.tsa, CONTENT, MADE), None)
    assert (report.conclusion, report.sub_indication) == (
        Conclusion.INDETERMINATE, SubIndication.SIGNED_DATA_NOT_FOUND,
    )  # fmt: skip
    assert step(report, "time.time-stamp") is StepResult.PASSED, "the token itself holds"


def _tsa(pki: Pki, **options: object) -> Holder:
    options = {"extensions": ((STAMPING, True),)} | options
    return pki.timestamp.issuing.issue("Başka ZDHS", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "conclusion", "sub_indication"),
    [
        (_tsa, Conclusion.PASSED, None),
        (lambda pki: _tsa(pki, key=rsa_key()), Conclusion.PASSED, None),
        (lambda pki: _tsa(pki, extensions=((STAMPING, False),)), Conclusion.INDETERMINATE, SubIndication.CHAIN_CONSTRAINTS_FAILURE),
        (lambda pki: _tsa(pki, extensions=()), Conclusion.INDETERMINATE, SubIndication.CHAIN_CONSTRAINTS_FAILURE),
        (
            lambda pki: _tsa(
                pki,
                extensions=(
                    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]), True),
                ),
            ),
            Conclusion.INDETERMINATE,
            SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        ),
        # One of another hierarchy: a person's authority is no time-stamp authority.
        (
            lambda pki: pki.qualified.issuing.issue("Ayşe", extensions=((STAMPING, True),)),
            Conclusion.INDETERMINATE,
            SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
        ),
        (lambda pki: _tsa(pki, days=(-1, 30)), Conclusion.PASSED, None),
        (lambda pki: _tsa(pki, days=(-30, -1)), Conclusion.FAILED, SubIndication.EXPIRED),
    ],
    ids=["good", "rsa", "not critical", "no usage", "two usages", "other anchors", "young", "expired before"],
)  # fmt: skip
def test_the_authority(
    pki: Pki, judge: Judge, make: object, conclusion: Conclusion, sub_indication: SubIndication | None
) -> None:
    report = stamped(judge, timestamp(make(pki), CONTENT, MADE))  # type: ignore[operator]
    assert (report.conclusion, report.sub_indication) == (conclusion, sub_indication)


def test_revoked_before_and_after(pki: Pki, judge: Judge) -> None:
    tsa, issuing = _tsa(pki), pki.timestamp.issuing
    token = timestamp(tsa, CONTENT, MADE)
    issuing.revoke(tsa, MADE - timedelta(hours=1))
    try:
        before = pki.crls()
        issuing.revoke(tsa, MADE + timedelta(hours=1))
        after = pki.crls()
    finally:
        issuing.revoked.clear()
    assert stamped(judge, token, crls=before).conclusion is Conclusion.FAILED
    late = stamped(judge, token, crls=after)
    assert (late.conclusion, late.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.REVOKED_NO_POE)
    vouched = stamped(judge, token, crls=after, moment=MADE + timedelta(minutes=30))
    assert vouched.conclusion is Conclusion.PASSED, "somebody vouches that the token was there before"


def test_without_its_list_it_is_open(pki: Pki, judge: Judge) -> None:
    report = stamped(judge, timestamp(pki.tsa, CONTENT, MADE), crls=[])
    assert (report.conclusion, report.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)


@pytest.mark.parametrize(("ahead", "passes"), [(60, True), (61, False)])
def test_the_future(pki: Pki, judge: Judge, ahead: int, passes: bool) -> None:
    report = stamped(judge, timestamp(pki.tsa, CONTENT, NOW + timedelta(seconds=ahead)))
    assert (report.conclusion is Conclusion.PASSED) is passes


def test_an_old_digest_counts_for_old_times_only(pki: Pki, judge: Judge) -> None:
    assert stamped(judge, timestamp(pki.tsa, CONTENT, MADE, digest="sha512")).conclusion is Conclusion.PASSED
    report = stamped(judge, timestamp(pki.tsa, CONTENT, MADE, digest="sha1"))
    assert (report.conclusion, report.sub_indication) == (
        Conclusion.INDETERMINATE, SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
    )  # fmt: skip


def test_two_signers_make_no_token(pki: Pki, judge: Judge) -> None:
    info = cms.ContentInfo.load(timestamp(pki.tsa, CONTENT, MADE))["content"]["encap_content_info"][
        "content"
    ].parsed.dump()
    infos = [signer_info(pki.tsa, info, content_type="tst_info", at=MADE) for _ in range(2)]
    both = signed_data(infos, list(pki.tsa.chain_der), info, content_type="tst_info")
    report = stamped(judge, both)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_the_profile_is_for_time_stamps_alone(pki: Pki, judge: Judge) -> None:
    report = judge(sign(pki.tsa, CONTENT), profile=Profile.TIMESTAMP)
    assert step(report, "profile-rules.time-stamp-file") is StepResult.INDETERMINATE
    assert report.conclusion is Conclusion.INDETERMINATE


@pytest.mark.parametrize("profile", [Profile.QUALIFIED_SIGNATURE, Profile.INSTITUTION_SEAL])
def test_a_token_is_nobodys_signature(pki: Pki, judge: Judge, profile: Profile) -> None:
    assert judge(timestamp(pki.tsa, CONTENT, MADE), CONTENT, profile=profile).conclusion is Conclusion.INDETERMINATE


def test_forms_that_are_asked_for_and_not_given(pki: Pki, judge: Judge) -> None:
    for data, wanted in ((sign(pki.signer, CONTENT), "timestamp"), (timestamp(pki.tsa, CONTENT, MADE), "cades")):
        report = judge(data, CONTENT, format=wanted)
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_bit_flips(pki: Pki, judge: Judge) -> None:
    chooser = random.Random(20261128)
    for data in (timestamp(pki.tsa, CONTENT, MADE), answer(timestamp(pki.tsa, CONTENT, MADE))):
        good = stamped(judge, data)
        for _ in range(400):
            changed = bytearray(data)
            changed[chooser.randrange(len(changed))] ^= 1 << chooser.randrange(8)
            report = stamped(judge, bytes(changed))
            if report.conclusion is Conclusion.PASSED:
                assert report.signed_content_sha256 == good.signed_content_sha256
                assert report.signatures[0].timestamps == good.signatures[0].timestamps
                assert report.signatures[0].signer == good.signatures[0].signer


@pytest.mark.parametrize(
    "data",
    [b"\x30", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff\x30", b"\x30\x03\x30\x01\x02", b"\x30\x00", b"\x30\x02\x30\x00"],
)
def test_what_is_hardly_anything(judge: Judge, data: bytes) -> None:
    for wanted in ("auto", "timestamp"):
        report = judge(data, CONTENT, profile=Profile.TIMESTAMP, format=wanted)
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


@pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
class TestOpenssl:
    @pytest.fixture
    def now(self):  # type: ignore[no-untyped-def]
        return SystemClock().now().replace(microsecond=0)

    def run(self, directory: Path, *arguments: str) -> bytes:
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, timeout=30, cwd=directory)
        assert not done.returncode, done.stderr
        return done.stdout

    def files(self, pki: Pki, tsa: Holder, directory: Path) -> None:
        key = tsa.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem = {"tsa.pem": tsa.pem, "tsa.key": key, "chain.pem": pki.timestamp.issuing.pem}
        pem |= {"root.pem": pki.timestamp.root.pem, "content": CONTENT, "serial": b"01\n"}
        pem |= {
            "ts.cnf": b"[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n"
            b"digests = sha256, sha384, sha512\nordering = yes\ness_cert_id_alg = sha256\naccuracy = secs:1\n"
        }
        for name, data in pem.items():
            (directory / name).write_bytes(data)

    @pytest.mark.parametrize("key", ["rsa", "p256", "p384"])
    @pytest.mark.parametrize("whole", [False, True], ids=["token", "answer"])
    def test_openssl_ts_stamps_and_we_verify(self, now, tmp_path: Path, key: str, whole: bool) -> None:  # type: ignore[no-untyped-def]
        pki = build_pki(now)
        made = {"rsa": rsa_key, "p256": ec_key, "p384": lambda: ec_key(ec.SECP384R1())}[key]()
        tsa = pki.timestamp.issuing.issue("openssl", now=now, key=made, extensions=((STAMPING, True),))
        self.files(pki, tsa, tmp_path)
        self.run(tmp_path, "ts", "-query", "-data", "content", "-sha384", "-cert", "-out", "query")
        more = () if whole else ("-token_out",)
        self.run(tmp_path, "ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", "-signer", "tsa.pem",
                 "-inkey", "tsa.key", "-chain", "chain.pem", "-out", "reply", *more)  # fmt: skip
        store = make_store({"timestamp": (load_certificate(pki.timestamp.root.der),)})
        evidence = Evidence(store, load_lists(pki.timestamp.crls(now + timedelta(minutes=5))))
        request = VerificationRequest(profile=Profile.TIMESTAMP)
        reply = (tmp_path / "reply").read_bytes()
        report = verify(reply, CONTENT, request, evidence, now + timedelta(minutes=1))
        assert report.conclusion is Conclusion.PASSED, report.signatures[0].steps
        assert verify(reply, CONTENT + b" ", request, evidence, now).sub_indication is SubIndication.HASH_FAILURE

    def test_openssl_ts_verifies_what_we_read(self, now, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        """The tokens of these tests, by a reader that knows nothing of us."""
        pki = build_pki(now)
        self.files(pki, pki.tsa, tmp_path)
        (tmp_path / "token").write_bytes(timestamp(pki.tsa, CONTENT, now))
        verdict = self.run(tmp_path, "ts", "-verify", "-data", "content", "-in", "token", "-token_in", "-CAfile", "root.pem",
                           "-untrusted", "chain.pem")  # fmt: skip
        assert b"Verification: OK" in verdict
