"""What a certificate of each kind says: the extensions, with the clause or measurement they come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

QC_COMPLIANCE = "0.4.0.1862.1.1"
"""id-etsi-qcs-QcCompliance."""
QUALIFIED_BY_LAW_5070 = "2.16.792.1.61.0.1.5070.1.1"
"""National statement of a qualified certificate (eyp.md 4.3)."""
INSTITUTION_SEAL = "2.16.792.1.61.0.1.5070.1.3"
"""National statement of an institution seal, beside ``QUALIFIED_BY_LAW_5070`` (eyp.md 4.3)."""
QUALIFIED_POLICY = "2.16.792.1.2.1.1.5.7.1.1"
TIMESTAMP_POLICY = "2.16.792.1.2.1.1.5.7.3.1"
ANY_POLICY = "2.5.29.32.0"

_QC_STATEMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")


class Purpose(StrEnum):
    """One hierarchy, root and issuing authority, for each kind of trust."""

    QUALIFIED = "qualified"
    SEAL = "seal"
    KEPHS = "kephs"
    TIMESTAMP = "timestamp"
    TLS = "tls"


class Level(StrEnum):
    """Which of a hierarchy's two authorities."""

    ROOT = "root"
    ISSUING = "issuing"


class _Statement(core.Sequence):  # type: ignore[misc]
    _fields = [("statement_id", core.ObjectIdentifier)]  # noqa: RUF012 - asn1crypto's way


class _Statements(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Statement


@dataclass(frozen=True)
class Profile:
    """The part of a certificate that depends on what it is for."""

    purpose: Purpose
    subject: x509.Name
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]
    """Extension and whether it is critical."""


def qualified_person(name: str, identity_no: str, *, email: str | None = None) -> Profile:
    """A natural person's qualified certificate (NES); ``email`` is given to those who sign KEP messages."""
    subject = _name(
        (NameOID.COUNTRY_NAME, "TR"),
        (NameOID.SERIAL_NUMBER, identity_no),
        (NameOID.COMMON_NAME, name),
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (key_usage(digital_signature=True, content_commitment=True), True),
        (_policies(QUALIFIED_POLICY), False),
        (qc_statements(QC_COMPLIANCE, QUALIFIED_BY_LAW_5070), False),
    ]
    if email is not None:
        extensions.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False))
        extensions.append((x509.SubjectAlternativeName([x509.RFC822Name(email)]), False))
    return Profile(Purpose.QUALIFIED, subject, tuple(extensions))


def institution_seal(name: str, tax_no: str) -> Profile:
    """An institution's electronic seal: digital signature only, never non-repudiation (signatures.md 6.2)."""
    return Profile(
        Purpose.SEAL,
        _organisation(name, tax_no, unit="Kurumsal Mühür"),
        (
            (key_usage(digital_signature=True), True),
            (qc_statements(QUALIFIED_BY_LAW_5070, INSTITUTION_SEAL), False),
        ),
    )


def institution_encryption(name: str, tax_no: str) -> Profile:
    """An institution's encryption certificate (eyp.md 4.3): key encipherment, cannot sign."""
    return Profile(
        Purpose.SEAL,
        _organisation(name, tax_no, unit="Kurumsal Şifreleme"),
        ((key_usage(key_encipherment=True), True),),
    )


def kep_transaction(provider: str, email: str) -> Profile:
    """A KEP provider's transaction certificate: signs envelopes and evidence."""
    return Profile(
        Purpose.KEPHS,
        _name(
            (NameOID.COUNTRY_NAME, "TR"),
            (NameOID.ORGANIZATION_NAME, f"Deneme KEPHS {provider} (gerçek değildir)"),
            (NameOID.COMMON_NAME, f"{provider} KEP İşlem Sertifikası"),
        ),
        (
            (key_usage(digital_signature=True, content_commitment=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
            (x509.SubjectAlternativeName([x509.RFC822Name(email)]), False),
        ),
    )


def timestamp_authority() -> Profile:
    """The RFC 3161 authority: time stamping as its only and critical extended key usage (section 2.3)."""
    return Profile(
        Purpose.TIMESTAMP,
        _name(
            (NameOID.COUNTRY_NAME, "TR"),
            (NameOID.ORGANIZATION_NAME, "Deneme ESHS (gerçek değildir)"),
            (NameOID.COMMON_NAME, "Deneme Zaman Damgası Sunucusu"),
        ),
        (
            (key_usage(digital_signature=True, content_commitment=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
            (_policies(TIMESTAMP_POLICY), False),
        ),
    )


def tls_server(host: str) -> Profile:
    """What the sandbox's TLS listeners present: the loopback names and ``host``."""
    addresses = {"127.0.0.1", "::1"}
    names = {"localhost"}
    try:
        addresses.add(str(ipaddress.ip_address(host)))
    except ValueError:
        names.add(host)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    alternatives.extend(x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(addresses))
    return Profile(
        Purpose.TLS,
        _name((NameOID.COMMON_NAME, "localhost")),
        (
            (key_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName(alternatives), False),
        ),
    )


def ocsp_responder(purpose: Purpose) -> Profile:
    """A delegated OCSP responder, itself exempt from revocation checks (RFC 6960 section 4.2.2.2)."""
    return Profile(
        purpose,
        _name(
            (NameOID.COUNTRY_NAME, "TR"),
            (NameOID.ORGANIZATION_NAME, "Deneme ESHS (gerçek değildir)"),
            (NameOID.COMMON_NAME, f"Deneme OCSP Yanıtlayıcı ({purpose})"),
        ),
        (
            (key_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
            (x509.OCSPNoCheck(), False),
        ),
    )


def authority_name(purpose: Purpose, level: Level) -> x509.Name:
    """The subject of a hierarchy's root or issuing authority."""
    title = "Kök Sertifika" if level is Level.ROOT else "Alt Kök Sertifika"
    return _name(
        (NameOID.COUNTRY_NAME, "TR"),
        (NameOID.ORGANIZATION_NAME, "Deneme ESHS (gerçek değildir)"),
        (NameOID.COMMON_NAME, f"Deneme {title} ({purpose})"),
    )


def authority_extensions(level: Level) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """What an authority's certificate adds to its key identifiers."""
    constraints = x509.BasicConstraints(ca=True, path_length=1 if level is Level.ROOT else 0)
    usage = key_usage(key_cert_sign=True, crl_sign=True)
    if level is Level.ROOT:
        return ((constraints, True), (usage, True))
    return ((constraints, True), (usage, True), (_policies(ANY_POLICY), False))


def key_usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """A key usage with only the named bits."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def qc_statements(*statement_ids: str) -> x509.UnrecognizedExtension:
    """The QCStatements extension (RFC 3739 section 3.2.6) with statements that carry no further text."""
    statements = _Statements([{"statement_id": statement_id} for statement_id in statement_ids])
    return x509.UnrecognizedExtension(_QC_STATEMENTS, statements.dump())


def _organisation(name: str, tax_no: str, *, unit: str) -> x509.Name:
    return _name(
        (NameOID.COUNTRY_NAME, "TR"),
        (NameOID.ORGANIZATION_NAME, name),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        (NameOID.SERIAL_NUMBER, tax_no),
        (NameOID.COMMON_NAME, name),
    )


def _policies(*policy_ids: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(policy_id), None) for policy_id in policy_ids]
    )


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name(_attributes(attributes))


def _attributes(attributes: Sequence[tuple[x509.ObjectIdentifier, str]]) -> list[x509.NameAttribute[str]]:
    # X.520 limits a common name to 64 characters; the real authorities cut longer names too
    return [x509.NameAttribute(oid, value[:64]) for oid, value in attributes]
