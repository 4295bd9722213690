"""Enveloped XML signatures, as KEP evidence carries them: XMLDSig core by signxml, XAdES-B binding here.

Only the whole document may be the signed object. So whoever reads the evidence by path reads
signed bytes; with partial references a moved element would still verify (signatures.md 8.4).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidInput, InvalidSignature, SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.algorithms import ECDSA, RSA_PKCS1, RSA_PSS
from services.signer.checks.mathematics import key_use
from services.signer.facts import Content, Embedded, SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.formats.xml_layout import DS, XADES, Layout, find_layout, hardened_parser, parse_xml
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import SubIndication

_METHODS = frozenset(method for method in SignatureMethod if not method.name.startswith(("HMAC", "DSA")))
_CONFIGURATION = SignatureConfiguration(
    location=".//",
    expect_references=True,
    signature_methods=_METHODS,
    # Old digests are computed too, so that the report can say "intact but too old" (step 8).
    digest_algorithms=frozenset(DigestAlgorithm),
)
_FAULTS = (
    SignXMLException,
    etree.LxmlError,
    UnsupportedAlgorithm,
    NotImplementedError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    RecursionError,
)


def read_xades(
    data: bytes, expected: Content | None, limits: Limits, *, known: Sequence[Certificate] = ()
) -> SignatureFacts:
    """Facts about an enveloped signature over a whole XML document.

    ``expected``, when given, must equal the canonical signed bytes. Raises ``CheckFailed``
    (FORMAT_FAILURE) and ``NoSignature``.
    """
    root = parse_xml(data, limits)
    layout = find_layout(root)
    findings = [passed(Step.FORMAT, say("format.xml")), passed(Step.CONTENT, say("content.enveloped"))]
    certificates = _certificates(layout.signature, limits)
    certificate = _choose(layout, (*certificates, *known))
    if certificate is None:
        findings.append(
            failed(
                Step.CERTIFICATE,
                CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.missing")),
            )
        )
        signer = SignerFacts(level=_level(layout, None), findings=tuple(findings), integrity=False)
        return SignatureFacts(SignatureFormat.XADES, (signer,), Embedded(certificates))
    try:
        results = _verify(data, certificate)
    except CheckFailed as failure:
        step = Step.DIGEST if failure.sub_indication is SubIndication.HASH_FAILURE else Step.SIGNATURE
        if failure.sub_indication is SubIndication.FORMAT_FAILURE:
            step = Step.FORMAT
        findings.append(failed(step, failure))
        signer = SignerFacts(
            level=_level(layout, None), findings=_ordered(findings), integrity=False, certificate=certificate
        )
        return SignatureFacts(SignatureFormat.XADES, (signer,), Embedded(certificates))
    signed = results[layout.document_reference].signed_data
    properties = None if layout.properties_reference is None else results[layout.properties_reference].signed_xml
    integrity = True
    findings.append(passed(Step.DIGEST, say("digest.references")))
    findings.append(passed(Step.SIGNATURE, say("signature.holds", name=_method(layout).name.lower())))
    if expected is not None and not hmac.compare_digest(expected.digest("sha256"), hashlib.sha256(signed).digest()):
        findings.append(failed(Step.CONTENT, CheckFailed(SubIndication.HASH_FAILURE, say("content.other"))))
        integrity = False
    signing_time, bound, more = _properties(properties, certificate)
    findings.extend(more)
    signer = SignerFacts(
        level=_level(layout, properties),
        findings=_ordered(findings),
        integrity=integrity,
        certificate=certificate,
        algorithms=_algorithms(layout, certificate, limits),
        bound=bound,
        claimed_signing_time=signing_time,
        unevaluated_timestamps=_timestamps(layout),
    )
    return SignatureFacts(
        SignatureFormat.XADES, (signer,), Embedded(certificates), content_sha256=hashlib.sha256(signed).hexdigest()
    )


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.step.number))


def _certificates(signature: Any, limits: Limits) -> tuple[Certificate, ...]:
    nodes = signature.findall(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    if len(nodes) > limits.certificates:
        raise too_much("certificates", limits.certificates)
    found: list[Certificate] = []
    for node in nodes:
        try:
            found.append(load_certificate(base64.b64decode(node.text or ""), limits))
        except (CheckFailed, binascii.Error, ValueError):
            continue
    return tuple(found)


def _choose(layout: Layout, pool: Sequence[Certificate]) -> Certificate | None:
    """The certificate the signed properties name; without them the first one that is no CA."""
    for certificate in pool:
        if layout.properties is not None and _refers(layout.properties, certificate):
            return certificate
    return next((certificate for certificate in pool if not certificate.is_ca), pool[0] if pool else None)


def _reference_node(properties: Any) -> tuple[Any | None, bool]:
    """The first Cert of SigningCertificate(V2), and whether exactly one of the two is there."""
    scope = f"{XADES}SignedSignatureProperties/{XADES}"
    nodes = [*properties.findall(f"{scope}SigningCertificateV2"), *properties.findall(f"{scope}SigningCertificate")]
    return (nodes[0].find(f"{XADES}Cert") if nodes else None), len(nodes) == 1


def _refers(properties: Any, certificate: Certificate) -> bool:
    node, _single = _reference_node(properties)
    digest = None if node is None else node.find(f"{XADES}CertDigest")
    if digest is None:
        return False
    try:
        name = _digest_name(digest.find(f"{DS}DigestMethod").get("Algorithm"))
        value = base64.b64decode(digest.find(f"{DS}DigestValue").text or "")
        return hmac.compare_digest(hashlib.new(name, certificate.der).digest(), value)
    except (AttributeError, InvalidInput, ValueError):
        return False


def _verify(data: bytes, certificate: Certificate) -> list[Any]:
    """XMLDSig core validation with the given key; what it returns is what was signed."""
    try:
        key_holder = x509.load_der_x509_certificate(certificate.der)
        # Dates are judged later, at the proven moment (step 9).
        configuration = replace(_CONFIGURATION, verification_time=key_holder.not_valid_before_utc)
        results = XMLVerifier().verify(
            data, x509_cert=key_holder, expect_config=configuration, parser=hardened_parser()
        )
    except InvalidDigest as error:
        raise CheckFailed(SubIndication.HASH_FAILURE, say("digest.reference-differs")) from error
    except InvalidSignature as error:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("signature.wrong")) from error
    except _FAULTS as error:
        raise malformed("not a valid XML signature structure") from error
    return results if isinstance(results, list) else [results]


def _properties(properties: Any | None, certificate: Certificate) -> tuple[datetime | None, bool, list[Finding]]:
    """Claimed time, whether the certificate is bound, and the findings of steps 3 and 4."""
    if properties is None:
        return (
            None,
            False,
            [
                warned(Step.ATTRIBUTES, say("attributes.none")),
                passed(Step.CERTIFICATE, say("certificate.found")),
            ],
        )
    findings = [passed(Step.ATTRIBUTES, say("attributes.hold"))]
    node, single = _reference_node(properties)
    bound = single and _refers(properties, certificate)
    if node is None:
        findings.append(passed(Step.CERTIFICATE, say("certificate.found")))
    elif bound:
        findings.append(passed(Step.CERTIFICATE, say("certificate.bound")))
    else:
        findings.append(
            failed(Step.CERTIFICATE, CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.other")))
        )
    claimed = properties.findtext(f"{XADES}SignedSignatureProperties/{XADES}SigningTime")
    return _time(claimed), bound, findings


def _time(text: str | None) -> datetime | None:
    """The claimed time; it is only shown, so an unreadable one is no failure."""
    try:
        parsed = datetime.fromisoformat((text or "").strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _method(layout: Layout) -> SignatureMethod:
    return SignatureMethod(layout.signature.find(f"{DS}SignedInfo/{DS}SignatureMethod").get("Algorithm"))


def _digest_name(uri: str) -> str:
    return DigestAlgorithm(uri).name.lower()


def _algorithms(layout: Layout, certificate: Certificate, limits: Limits) -> Any:
    method = _method(layout).name
    if method.endswith("_RSA_MGF1"):
        scheme, digest = RSA_PSS, method.removesuffix("_RSA_MGF1").lower()
    else:
        kind, _, digest = method.lower().partition("_")
        scheme = ECDSA if kind == "ecdsa" else RSA_PKCS1
    others = {
        _digest_name(node.get("Algorithm"))
        for node in layout.signature.findall(f"{DS}SignedInfo/{DS}Reference/{DS}DigestMethod")
    }
    return key_use(certificate.public_key(limits), scheme, digest, tuple(sorted(others)))


def _timestamps(layout: Layout) -> int:
    return sum(1 for _ in layout.signature.iter(f"{XADES}SignatureTimeStamp"))


def _level(layout: Layout, properties: Any | None) -> str:
    if properties is None or _reference_node(properties)[0] is None:
        return "XMLDSig" if layout.properties is None else "XAdES"
    return "XAdES-T" if _timestamps(layout) else "XAdES-B"
