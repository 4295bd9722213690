"""Certificates say what the sheets say they must, and other implementations accept their chains."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.sandbox.furnishing import made_up_identity_no, made_up_tax_no
from services.sandbox.pki.identity import load_pkcs12
from services.sandbox.pki.profiles import Level, Purpose
from services.sandbox.pki.store import Pki
from services.sandbox.world import KeyPlan, WorldPlan
from tests.unit.sandbox_pki.conftest import OpenSsl, Sandbox

LEAVES = [
    ("institution-10000001-person", Purpose.QUALIFIED),
    ("institution-10000002-signing", Purpose.QUALIFIED),
    ("institution-10000001-seal", Purpose.SEAL),
    ("institution-10000002-seal", Purpose.SEAL),
    ("institution-10000002-encryption", Purpose.SEAL),
    ("provider-hs98", Purpose.KEPHS),
    ("provider-hs99", Purpose.KEPHS),
    ("timestamp-authority", Purpose.TIMESTAMP),
    ("tls-server", Purpose.TLS),
]


def statements(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3"))
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    listed = core.SequenceOf.load(extension.value.value, spec=core.Sequence)
    return [core.ObjectIdentifier.load(statement.contents).dotted for statement in listed]


def usage(certificate: x509.Certificate) -> x509.KeyUsage:
    extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert extension.critical
    return extension.value


def keys_of(plan: WorldPlan, detsis_no: int) -> KeyPlan:
    (institution,) = [one for one in plan.institutions if one.detsis_no == detsis_no]
    assert institution.keys is not None
    return institution.keys


@pytest.mark.parametrize(("name", "purpose"), LEAVES)
async def test_openssl_accepts_the_chain_with_revocation_checks(
    sandbox: Sandbox, openssl: OpenSsl, tmp_path: Path, name: str, purpose: Purpose
) -> None:
    """Every leaf verifies against its own root only, with both lists fetched from where the certificates say."""
    lists = b""
    for certificate in (
        sandbox.pki.identity(name).certificate,
        sandbox.pki.authority(purpose, Level.ISSUING).certificate,
    ):
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        names = points[0].full_name
        assert names is not None
        (url,) = names
        answer = await sandbox.http.get(url.value)
        assert answer.headers["content-type"] == "application/pkix-crl"
        lists += x509.load_der_x509_crl(answer.content).public_bytes(Encoding.PEM)
    (tmp_path / "lists.pem").write_bytes(lists)
    (tmp_path / "issuing.pem").write_bytes(sandbox.pki.authority(purpose, Level.ISSUING).certificate_pem)
    options = ["-crl_check_all", "-x509_strict", "-CRLfile", "lists.pem", "-untrusted", "issuing.pem", "-no-CApath"]
    leaf = sandbox.pki.files(name).certificate
    own_root = trusted(sandbox.plan, purpose)
    assert "OK" in await openssl("verify", *options, "-CAfile", own_root, leaf)
    other = Purpose.SEAL if purpose is not Purpose.SEAL else Purpose.QUALIFIED
    await openssl("verify", *options, "-CAfile", trusted(sandbox.plan, other), leaf, expect=2)


def trusted(plan: WorldPlan, purpose: Purpose) -> Path:
    return plan.directory / "trust" / purpose / ("ca.pem" if purpose is Purpose.TLS else "root.crt")


def test_qualified_certificates_carry_the_national_statements(plan: WorldPlan, pki: Pki) -> None:
    """eyp.md 4.3 and signatures.md 6.2: non-repudiation, a policy, both statements, an identity number."""
    for number in (10_000_001, 10_000_002):
        for name in (keys_of(plan, number).person, keys_of(plan, number).signing):
            certificate = pki.identity(name).certificate
            assert usage(certificate).content_commitment
            assert usage(certificate).digital_signature
            assert list(certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value)
            assert statements(certificate) == ["0.4.0.1862.1.1", "2.16.792.1.61.0.1.5070.1.1"]
            (serial,) = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
            assert is_identity_no(str(serial.value))


def test_agents_certificate_names_the_kep_address(plan: WorldPlan, pki: Pki) -> None:
    """The certificate that signs KEP messages holds the account's address."""
    certificate = pki.identity(keys_of(plan, 10_000_001).signing).certificate
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.RFC822Name) == ["ornekbelediyesi@hs98.kep.tr"]


def test_seals_are_organisation_certificates_without_non_repudiation(plan: WorldPlan, pki: Pki) -> None:
    """signatures.md 6.2: a seal must fail the personal profile and carry its own statements."""
    certificate = pki.identity(keys_of(plan, 10_000_002).seal).certificate
    assert usage(certificate).digital_signature
    assert not usage(certificate).content_commitment
    assert statements(certificate) == ["2.16.792.1.61.0.1.5070.1.1", "2.16.792.1.61.0.1.5070.1.3"]
    (organisation,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert organisation.value == "DENEME VALİLİĞİ"
    (serial,) = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    assert len(str(serial.value)) == 10


def test_encryption_certificates_cannot_sign(plan: WorldPlan, pki: Pki) -> None:
    """eyp.md 4.3: key encipherment, which needs RSA."""
    for number in (10_000_001, 10_000_002):
        certificate = pki.identity(keys_of(plan, number).encryption).certificate
        assert usage(certificate).key_encipherment
        assert not usage(certificate).digital_signature
        assert isinstance(certificate.public_key(), RSAPublicKey)


def test_both_kinds_of_key_are_met(plan: WorldPlan, pki: Pki) -> None:
    """The first institution and provider use RSA, the second ones elliptic curves."""
    for name in (keys_of(plan, 10_000_001).seal, keys_of(plan, 10_000_001).signing, "provider-hs98"):
        assert isinstance(pki.identity(name).certificate.public_key(), RSAPublicKey)
    for name in (keys_of(plan, 10_000_002).seal, keys_of(plan, 10_000_002).signing, "provider-hs99"):
        assert isinstance(pki.identity(name).certificate.public_key(), EllipticCurvePublicKey)


def test_timestamping_is_the_only_and_critical_use(pki: Pki) -> None:
    """RFC 3161 section 2.3."""
    extension = pki.identity("timestamp-authority").certificate.extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert extension.critical
    assert list(extension.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def test_keys_lie_in_files_that_only_the_owner_reads(plan: WorldPlan, pki: Pki) -> None:
    """PKCS#12 files open with the password beside them and with no other."""
    for name in ("institution-10000001-seal", "institution-10000002-seal"):
        files = pki.files(name)
        for path in (files.pkcs12, files.password_file, plan.directory / "plan.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        identity = load_pkcs12(files.pkcs12, files.password_file.read_text())
        assert identity.certificate == pki.identity(name).certificate
        assert identity.chain == (
            pki.authority(Purpose.SEAL, Level.ISSUING).certificate,
            pki.anchor(Purpose.SEAL),
        )
        with pytest.raises(ValueError, match=r"password|PKCS12"):
            load_pkcs12(files.pkcs12, "another password")


async def test_openssl_reads_the_pkcs12_files(pki: Pki, openssl: OpenSsl) -> None:
    """The files are usable outside Python."""
    files = pki.files("institution-10000002-person")
    printed = await openssl("pkcs12", "-in", files.pkcs12, "-passin", f"file:{files.password_file}", "-nokeys")
    assert printed.count("BEGIN CERTIFICATE") == 3


@pytest.mark.parametrize("order", [1, 2, 17, 99])
def test_made_up_numbers_have_valid_check_digits(order: int) -> None:
    """Identity numbers and tax numbers pass the public checksum rules."""
    assert is_identity_no(made_up_identity_no(order))
    assert is_tax_no(made_up_tax_no(order))


def is_identity_no(text: str) -> bool:
    if not (len(text) == 11 and text.isdigit() and text[0] != "0"):
        return False
    digits = [int(digit) for digit in text]
    odd, even = sum(digits[0:9:2]), sum(digits[1:8:2])
    return (odd * 7 - even) % 10 == digits[9] and sum(digits[:10]) % 10 == digits[10]


def is_tax_no(text: str) -> bool:
    digits = [int(digit) for digit in text]
    total = 0
    for index, digit in enumerate(digits[:9]):
        moved = (digit + 9 - index) % 10
        power = moved * 2 ** (9 - index) % 9
        total += 9 if moved != 0 and power == 0 else power
    return len(digits) == 10 and (10 - total % 10) % 10 == digits[9]
