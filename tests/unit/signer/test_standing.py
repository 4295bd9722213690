"""Certificates that stand alone: whether one may be encrypted with now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence, load_lists
from services.signer.standing import judge_certificate
from services.signer.trust import TrustStore, load_store, make_store
from shared.contracts.signatures import CertificatePurpose, CertificateVerdict
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NOW, Authority, Hierarchy, Holder, Pki, make_hierarchy, rsa_key, usage

ENCRYPTION = usage(key_encipherment=True)
Judged = Callable[..., CertificateVerdict]


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return make_hierarchy("sifreleme", crl_base="http://crl.example")


@pytest.fixture(scope="module")
def store(tree: Hierarchy) -> TrustStore:
    return make_store({"encryption": (load_certificate(tree.root.der),)}, (load_certificate(tree.issuing.der),))


@pytest.fixture(scope="module")
def judged(tree: Hierarchy, store: TrustStore) -> Judged:
    def judge(encoded: bytes, *, crls: list[bytes] | None = None, trust: TrustStore = store) -> CertificateVerdict:
        evidence = Evidence(trust, load_lists(tree.crls() if crls is None else crls))
        return judge_certificate(encoded, CertificatePurpose.ENCRYPTION, evidence, NOW).verdict

    return judge


def issue(authority: Authority, **options: object) -> Holder:
    defaults: dict[str, object] = {"key": rsa_key(), "key_usage": ENCRYPTION}
    return authority.issue("Örnek Belediyesi", **(defaults | options))  # type: ignore[arg-type]


def test_a_good_one_passes_every_step(tree: Hierarchy, judged: Judged) -> None:
    holder = issue(tree.issuing)
    verdict = judged(holder.der)
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.PASSED, None)
    assert verdict.certificate_sha256 == load_certificate(holder.der).sha256
    assert [step.id for step in verdict.steps] == [
        "format", "time", "algorithms", "certificate-path", "revocation", "profile-rules.end-entity",
        "profile-rules.encryption-usage",
    ]  # fmt: skip
    assert {step.result for step in verdict.steps} == {StepResult.PASSED}


@pytest.mark.parametrize(
    ("days", "sub_indication"),
    [((-100, -1), SubIndication.EXPIRED), ((1, 100), SubIndication.NOT_YET_VALID)],
    ids=["expired", "not yet valid"],
)
def test_out_of_date_is_final(
    tree: Hierarchy, judged: Judged, days: tuple[int, int], sub_indication: SubIndication
) -> None:
    verdict = judged(issue(tree.issuing, days=days).der)
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.FAILED, sub_indication)
    assert {step.result for step in verdict.steps[2:]} == {StepResult.SKIPPED}


def test_a_stranger_has_no_path(judged: Judged) -> None:
    stranger = issue(make_hierarchy("yabancı").issuing)
    verdict = judged(stranger.der)
    assert (verdict.conclusion, verdict.sub_indication) == (
        Conclusion.INDETERMINATE, SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    )  # fmt: skip


def test_an_authority_that_only_has_the_name_of_ours_fails(judged: Judged) -> None:
    imitation = issue(make_hierarchy("sifreleme").issuing)
    assert judged(imitation.der).conclusion is Conclusion.INDETERMINATE


def test_revoked_is_final(tree: Hierarchy, judged: Judged) -> None:
    holder = issue(tree.issuing)
    tree.issuing.revoke(holder, NOW - timedelta(days=2))
    try:
        verdict = judged(holder.der)
    finally:
        tree.issuing.revoked.clear()
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)


def test_a_revoked_authority_leaves_it_open(tree: Hierarchy, judged: Judged) -> None:
    tree.root.revoke(tree.issuing, NOW - timedelta(days=2))
    try:
        verdict = judged(issue(tree.issuing).der)
    finally:
        tree.root.revoked.clear()
    assert verdict.conclusion is Conclusion.INDETERMINATE
    assert verdict.sub_indication is SubIndication.REVOKED_CA_NO_POE


def test_without_a_revocation_list_nothing_is_said_and_when_to_ask_again_is(tree: Hierarchy, judged: Judged) -> None:
    verdict = judged(issue(tree.issuing).der, crls=[])
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
    assert verdict.retry_after_seconds == 300


@pytest.mark.parametrize(
    ("key", "key_usage", "conclusion"),
    [
        (rsa_key(), usage(data_encipherment=True), Conclusion.PASSED),
        (rsa_key(), usage(digital_signature=True), Conclusion.INDETERMINATE),
        (rsa_key(), usage(key_agreement=True), Conclusion.INDETERMINATE),
        (rsa_key(), None, Conclusion.INDETERMINATE),
        (ec.generate_private_key(ec.SECP256R1()), usage(key_agreement=True), Conclusion.PASSED),
        (ec.generate_private_key(ec.SECP256R1()), usage(data_encipherment=True), Conclusion.INDETERMINATE),
        (ec.generate_private_key(ec.SECP256R1()), usage(key_encipherment=True), Conclusion.INDETERMINATE),
        (ec.generate_private_key(ec.SECP192R1()), usage(key_agreement=True), Conclusion.INDETERMINATE),
        (rsa_key(1024), ENCRYPTION, Conclusion.INDETERMINATE),
    ],
    ids=["RSA data", "RSA signing", "RSA agreement", "RSA without usage", "EC agreement", "EC data", "EC key", "weak curve",
         "weak RSA"],
)  # fmt: skip
def test_key_and_its_usage(
    tree: Hierarchy, judged: Judged, key: object, key_usage: object, conclusion: Conclusion
) -> None:
    assert judged(issue(tree.issuing, key=key, key_usage=key_usage).der).conclusion is conclusion


def test_an_authority_is_not_encrypted_with(tree: Hierarchy, judged: Judged) -> None:
    verdict = judged(tree.issuing.der)
    assert verdict.conclusion is Conclusion.INDETERMINATE
    assert verdict.sub_indication is SubIndication.CHAIN_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    "encoded",
    [b"", b"\x30", b"\x30\x80\x00\x00", b"\x00" * 5000, b"-----BEGIN CERTIFICATE-----", b"\x30\x84\xff\xff\xff\xff", b"0" * 70_000],
    ids=["empty", "one byte", "indefinite", "zeros", "PEM", "huge length", "too large"],
)  # fmt: skip
def test_bytes_that_are_no_certificate_are_a_verdict(judged: Judged, encoded: bytes) -> None:
    verdict = judged(encoded)
    assert (verdict.conclusion, verdict.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_every_damaged_byte_is_a_verdict_and_never_a_pass(tree: Hierarchy, judged: Judged) -> None:
    good = issue(tree.issuing).der
    for position in range(0, len(good), 7):
        damaged = good[:position] + bytes((good[position] ^ 0x41,)) + good[position + 1 :]
        assert judged(damaged).conclusion is not Conclusion.PASSED, position


def test_encryption_has_the_anchors_of_seals_until_it_has_its_own(
    pki: Pki, tree: Hierarchy, trust_directory: Path
) -> None:
    shared = load_store(trust_directory)
    assert shared.anchors["encryption"] == shared.anchors["seal"] != ()
    (trust_directory / "encryption").mkdir()
    (trust_directory / "encryption" / "root.pem").write_bytes(tree.root.pem)
    own = load_store(trust_directory)
    assert [item.der for item in own.anchors["encryption"]] == [tree.root.der]
    assert own.sha256 != shared.sha256
