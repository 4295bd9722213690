"""CMS and CAdES: what passes, what does not, and why."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import ObjectIdentifier

from services.signer import der
from services.signer.certificates import load_public_key
from services.signer.findings import CheckFailed
from services.signer.policy import POLICY_VERSION
from shared.contracts.signatures import Profile, VerificationReport
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication
from tests.support.pki import NES_USAGE, NOW, SEAL_USAGE, Pki, build_pki, ec_key, make_hierarchy, rsa_key
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import File, octets, sequence
from tests.unit.signer.signing import attribute, sign, signed_data, signer_info, signing_certificate

CONTENT = b"<PaketOzeti>\r\n</PaketOzeti>" * 10


def result(report: VerificationReport, step: str) -> StepResult:
    return next(item.result for item in report.signatures[0].steps if item.id == step)


def test_qualified_signature_passes_with_numbered_steps(pki: Pki, judge: Judge) -> None:
    report = judge(sign(pki.signer, CONTENT))
    assert (report.conclusion, report.indication) == (Conclusion.PASSED, Indication.TOTAL_PASSED)
    assert report.signed_content_sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert report.policy_version == POLICY_VERSION
    [signature] = report.signatures
    assert [step.number for step in signature.steps] == sorted(step.number for step in signature.steps)
    assert {step.number for step in signature.steps} == set(range(1, 12))
    assert all(step.text.tr and step.text.en for step in signature.steps)
    assert signature.level == "CAdES-B"
    assert signature.claimed_signing_time == NOW
    assert signature.signer is not None
    assert signature.signer.qualified
    assert signature.signer.identity_number_masked == "*********46"
    assert "10000000146" not in report.model_dump_json()


@pytest.mark.parametrize(
    ("curve", "digest"),
    [(ec.SECP256R1(), "sha256"), (ec.SECP384R1(), "sha384"), (ec.SECP521R1(), "sha512")],
    ids=["p256", "p384", "p521"],
)
def test_elliptic_curves(pki: Pki, judge: Judge, curve: ec.EllipticCurve, digest: str) -> None:
    holder = pki.qualified.issuing.issue("EC", key=ec_key(curve), key_usage=NES_USAGE, qualified=True)
    assert judge(sign(holder, CONTENT, digest=digest)).conclusion is Conclusion.PASSED


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("pss", [False, True], ids=["pkcs1", "pss"])
def test_rsa(pki: Pki, judge: Judge, digest: str, pss: bool) -> None:
    assert judge(sign(pki.signer, CONTENT, digest=digest, pss=pss)).conclusion is Conclusion.PASSED


def test_detached_needs_its_content(pki: Pki, judge: Judge) -> None:
    detached = sign(pki.signer, CONTENT, attached=False)
    assert judge(detached, CONTENT).conclusion is Conclusion.PASSED
    report = judge(detached)
    assert report.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    assert report.conclusion is Conclusion.INDETERMINATE


def test_tampered_content(pki: Pki, judge: Judge) -> None:
    report = judge(sign(pki.signer, CONTENT, attached=False), CONTENT + b" ")
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)
    assert not report.signatures[0].integrity
    assert report.signed_content_sha256 is None
    assert result(report, "certificate-path") is StepResult.SKIPPED


def test_attached_signature_over_something_else_than_expected(pki: Pki, judge: Judge) -> None:
    report = judge(sign(pki.signer, CONTENT), b"another component")
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)
    assert judge(sign(pki.signer, CONTENT), CONTENT).conclusion is Conclusion.PASSED


def test_broken_signature_value(pki: Pki, judge: Judge) -> None:
    info = signer_info(pki.signer, CONTENT)
    info["signature"] = b"\x01" * 256
    report = judge(signed_data([info], list(pki.signer.chain_der), CONTENT))
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.SIG_CRYPTO_FAILURE)


def test_swapped_certificate_with_same_key_and_issuer(pki: Pki, judge: Judge) -> None:
    serial_number = pki.signer.certificate.serial_number
    other = pki.qualified.issuing.issue(
        "Başkası", key=pki.signer.key, key_usage=NES_USAGE, qualified=True, serial_number=serial_number
    )
    info = signer_info(pki.signer, CONTENT)
    report = judge(signed_data([info], list(other.chain_der), CONTENT))
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND


def test_the_vouched_certificate_is_chosen_among_namesakes(pki: Pki, judge: Judge) -> None:
    other = pki.qualified.issuing.issue(
        "Başkası", key_usage=NES_USAGE, serial_number=pki.signer.certificate.serial_number
    )
    info = signer_info(pki.signer, CONTENT)
    report = judge(signed_data([info], [other.der, *pki.signer.chain_der], CONTENT))
    assert report.conclusion is Conclusion.PASSED


def test_no_signing_certificate_attribute(pki: Pki, judge: Judge) -> None:
    plain = sign(pki.signer, CONTENT, bound=False)
    report = judge(plain)
    assert report.sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    assert report.signatures[0].level == "CMS"
    lenient = judge(plain, profile=Profile.INTEGRITY_ONLY)
    assert lenient.conclusion is Conclusion.PASSED
    assert result(lenient, "profile-rules.signing-certificate-attribute") is StepResult.WARNING


def test_certificate_missing(pki: Pki, judge: Judge) -> None:
    report = judge(signed_data([signer_info(pki.signer, CONTENT)], [], CONTENT))
    assert report.sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND


def test_subject_key_identifier(pki: Pki, judge: Judge) -> None:
    assert judge(sign(pki.signer, CONTENT, by_key_identifier=True)).conclusion is Conclusion.PASSED


def test_attributes_not_in_der_order_pass_with_a_warning(pki: Pki, judge: Judge) -> None:
    info = signer_info(pki.signer, CONTENT)
    ordered = info["signed_attrs"].contents
    unordered = signer_info(pki.signer, CONTENT, in_der_order=False)
    # asn1crypto sorts when it encodes; put the bytes that were signed back as they were.
    encoded = signed_data([unordered], list(pki.signer.chain_der), CONTENT)
    items = [item.dump() for item in unordered["signed_attrs"]]
    backwards, forwards = b"".join(sorted(items, reverse=True)), b"".join(sorted(items))
    assert len(ordered) == len(backwards)
    encoded = encoded.replace(forwards, backwards)
    assert backwards in encoded
    report = judge(encoded)
    assert report.conclusion is Conclusion.PASSED
    assert result(report, "signature-value") is StepResult.WARNING


def test_without_signed_attributes(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.signer, CONTENT, attributes=False)
    assert judge(encoded, profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.PASSED
    assert judge(encoded).sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    tampered = encoded.replace(CONTENT[:12], b"<paketozeti>", 1)
    assert judge(tampered, profile=Profile.INTEGRITY_ONLY).sub_indication is SubIndication.SIG_CRYPTO_FAILURE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda items: [*items, attribute("signing_time", items[2]["values"][0])], id="two-signing-times"),
        pytest.param(
            lambda items: [*items[:2], attribute("signing_time", *[items[2]["values"][0]] * 2), items[3]],
            id="signing-time-twice",
        ),
        pytest.param(lambda items: items[1:], id="no-content-type"),
        pytest.param(lambda items: [items[0], *items[2:]], id="no-message-digest"),
        pytest.param(lambda items: [attribute("content_type", "signed_data"), *items[1:]], id="other-content-type"),
        pytest.param(lambda items: [*items[:2], cms.CMSAttribute({"type": "signing_time", "values": []})], id="empty"),
        pytest.param(
            lambda items: [
                *items,
                attribute(
                    "cms_algorithm_protection",
                    cms.CMSAlgorithmProtection(
                        {
                            "digest_algorithm": {"algorithm": "sha512"},
                            "signature_algorithm": {"algorithm": "sha512_rsa"},
                        }
                    ),
                ),
            ],
            id="algorithm-protection-differs",
        ),
    ],
)
def test_attribute_rules(pki: Pki, judge: Judge, change: object) -> None:
    report = judge(sign(pki.signer, CONTENT, change=change))
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)
    assert not report.signatures[0].integrity


def test_algorithm_protection_is_compared_by_meaning(pki: Pki, judge: Judge) -> None:
    protection = cms.CMSAlgorithmProtection(
        {
            "digest_algorithm": {"algorithm": "sha256", "parameters": core.Null()},
            "signature_algorithm": {"algorithm": "sha256_rsa"},
        }
    )
    encoded = sign(
        pki.signer, CONTENT, change=lambda items: [*items, attribute("cms_algorithm_protection", protection)]
    )
    assert judge(encoded).conclusion is Conclusion.PASSED


def test_rsa_digest_info_without_null(pki: Pki, judge: Judge) -> None:
    info = signer_info(pki.signer, CONTENT)
    numbers = pki.signer.key.private_numbers()  # type: ignore[union-attr]
    hashed = hashlib.sha256(b"\x31" + info["signed_attrs"].dump()[1:]).digest()
    digest_info = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + hashed
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - len(digest_info)) + b"\x00" + digest_info
    modulus = numbers.public_numbers.n
    info["signature"] = pow(int.from_bytes(padded, "big"), numbers.d, modulus).to_bytes(256, "big")
    report = judge(signed_data([info], list(pki.signer.chain_der), CONTENT))
    assert report.conclusion is Conclusion.PASSED
    assert result(report, "signature-value") is StepResult.WARNING


@pytest.mark.parametrize(("name", "last"), [("sha3_256", 8), ("sha3_384", 9), ("sha3_512", 10)])
def test_rsa_with_sha3(pki: Pki, judge: Judge, name: str, last: int) -> None:
    algorithm = {"sha3_256": hashes.SHA3_256, "sha3_384": hashes.SHA3_384, "sha3_512": hashes.SHA3_512}[name]()
    file = File.of(sign(pki.signer, CONTENT))
    items = [item.encoded for item in der.children(der.read_whole(file.signer[3]))]
    old, new = (octets(hashlib.new(kind, CONTENT).digest()) for kind in ("sha256", name))
    items = [attribute_of(der.read_whole(item), old, new) for item in items]
    value = pki.signer.key.sign(der.encode_set_of(items), padding.PKCS1v15(), algorithm)  # type: ignore[call-arg, union-attr, arg-type]
    oids = (f"2.16.840.1.101.3.4.2.{last}", f"2.16.840.1.101.3.4.3.{last + 6}")
    digest, signature = (sequence(der.encode_oid(oid)) for oid in oids)
    signer = (*file.signer[:2], digest, der.encode_set_of(items, der.CONTEXT_0), signature, octets(value))
    report = judge(replace(file, signer=signer).encode())
    assert report.conclusion is Conclusion.PASSED
    assert name in next(step.text.en for step in report.signatures[0].steps if step.id == "message-digest")


def attribute_of(element: der.Element, old: bytes, new: bytes) -> bytes:
    """The attribute with another value in place of ``old``."""
    kind, values = der.children(element)
    return sequence(kind.encoded, der.encode(der.SET, values.contents.replace(old, new)))


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(16384, 65537), (2048, 2**2000 + 1), (2048, 1), (8192, 2**8000 + 1)],
    ids=["16384 bits", "long exponent", "exponent 1", "both"],
)
def test_rsa_keys_that_would_keep_the_processor_busy_are_refused(bits: int, exponent: int) -> None:
    numbers = sequence(der.encode_integer((1 << bits) - 1), der.encode_integer(exponent))
    algorithm = sequence(der.encode_oid("1.2.840.113549.1.1.1"), der.encode(der.NULL))
    with pytest.raises(CheckFailed) as caught:
        load_public_key(sequence(algorithm, der.encode(der.BIT_STRING, b"\0" + numbers)))
    assert caught.value.sub_indication is SubIndication.FORMAT_FAILURE


def test_sha1_is_intact_but_counts_only_with_an_old_moment(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.signer, CONTENT, digest="sha1")
    report = judge(encoded)
    assert report.signatures[0].integrity
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    assert judge(encoded, moment=NOW).sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_sha1_certificate_reference_does_not_count(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.signer, CONTENT, change=lambda items: [*items[:3], signing_certificate(pki.signer.der, "sha1")])
    assert judge(encoded).sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


def test_rsa_1024(pki: Pki, judge: Judge) -> None:
    weak = pki.qualified.issuing.issue("RSA-1024", key=rsa_key(1024), key_usage=NES_USAGE, qualified=True)
    report = judge(sign(weak, CONTENT))
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


def test_digest_must_agree_with_signature_algorithm(pki: Pki, judge: Judge) -> None:
    info = signer_info(pki.signer, CONTENT)
    info["signature_algorithm"] = {"algorithm": "sha512_rsa"}
    report = judge(signed_data([info], list(pki.signer.chain_der), CONTENT))
    assert report.sub_indication is SubIndication.SIG_CRYPTO_FAILURE


def test_several_signers_each_get_a_verdict(pki: Pki, judge: Judge) -> None:
    stranger = make_hierarchy("yabancı").issuing.issue("Yabancı", key_usage=NES_USAGE, qualified=True)
    bad = signer_info(pki.signer, b"something else")
    infos = [signer_info(pki.signer, CONTENT), signer_info(stranger, CONTENT), bad]
    report = judge(signed_data(infos, [*pki.signer.chain_der, *stranger.chain_der], CONTENT))
    assert sorted(item.conclusion for item in report.signatures) == ["failed", "indeterminate", "passed"]
    assert report.conclusion is Conclusion.FAILED


def test_no_signer_at_all(pki: Pki, judge: Judge) -> None:
    report = judge(signed_data([], list(pki.signer.chain_der), CONTENT))
    assert report.indication is Indication.NO_SIGNATURE_FOUND
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.signatures == []


def test_opaque_content_type_is_never_parsed(pki: Pki, judge: Judge) -> None:
    info = signer_info(pki.signer, CONTENT, content_type="signed_data")
    data_oid, signed_data_oid = (bytes.fromhex(f"2a864886f70d01070{last}") for last in (1, 2))
    encoded = signed_data([info], list(pki.signer.chain_der), CONTENT)
    assert encoded.count(data_oid) == 1
    encoded = encoded.replace(data_oid, signed_data_oid)
    assert judge(encoded).conclusion is Conclusion.PASSED


@pytest.mark.parametrize("placeholder", [b"\x00\x01\x02\x03", b"imza", b"\x30\x02\x05\x00", b"", b"0"])
def test_placeholder(judge: Judge, placeholder: bytes) -> None:
    report = judge(placeholder, CONTENT, format="cades")
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)
    assert report.indication is Indication.TOTAL_FAILED


class TestProfiles:
    def test_not_qualified(self, pki: Pki, judge: Judge) -> None:
        plain = pki.qualified.issuing.issue("Niteliksiz", key_usage=NES_USAGE)
        report = judge(sign(plain, CONTENT))
        assert report.sub_indication is SubIndication.CHAIN_CONSTRAINTS_FAILURE
        assert report.conclusion is Conclusion.INDETERMINATE
        assert not report.signatures[0].signer.qualified  # type: ignore[union-attr]

    def test_missing_non_repudiation(self, pki: Pki, judge: Judge) -> None:
        holder = pki.qualified.issuing.issue("İnkâr", key_usage=SEAL_USAGE, qualified=True)
        report = judge(sign(holder, CONTENT))
        assert result(report, "profile-rules.non-repudiation") is StepResult.INDETERMINATE

    def test_seal(self, pki: Pki, judge: Judge) -> None:
        sealed = sign(pki.sealer, CONTENT, digest="sha384")
        assert judge(sealed, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED
        wrong_profile = judge(sealed)
        assert wrong_profile.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND

    def test_seal_has_one_signer(self, pki: Pki, judge: Judge) -> None:
        infos = [signer_info(pki.sealer, CONTENT, at=NOW - timedelta(hours=hour)) for hour in (0, 1)]
        report = judge(signed_data(infos, list(pki.sealer.chain_der), CONTENT), profile=Profile.INSTITUTION_SEAL)
        assert report.sub_indication is SubIndication.SIG_CONSTRAINTS_FAILURE

    def test_tax_seal_is_not_for_correspondence(self, pki: Pki, judge: Judge) -> None:
        tax = (x509.ExtendedKeyUsage([ObjectIdentifier("2.16.792.1.2.1.1.5.7.50.1")]), False)
        holder = pki.seal.issuing.issue("Mali mühür", key_usage=SEAL_USAGE, extensions=(tax,))
        report = judge(sign(holder, CONTENT), profile=Profile.INSTITUTION_SEAL)
        assert report.sub_indication is SubIndication.CHAIN_CONSTRAINTS_FAILURE

    def test_kephs(self, pki: Pki, judge: Judge) -> None:
        signed = sign(pki.transaction, CONTENT)
        assert judge(signed, profile=Profile.KEPHS_TRANSACTION).conclusion is Conclusion.PASSED

    def test_integrity_only_judges_no_certificate(self, judge: Judge) -> None:
        stranger = build_pki().signer
        report = judge(sign(stranger, CONTENT), profile=Profile.INTEGRITY_ONLY)
        assert report.conclusion is Conclusion.PASSED
        assert result(report, "certificate-path") is StepResult.SKIPPED

    def test_a_ca_may_not_sign(self, pki: Pki, judge: Judge) -> None:
        report = judge(sign(pki.qualified.issuing, CONTENT))
        assert result(report, "profile-rules.end-entity") is StepResult.INDETERMINATE
