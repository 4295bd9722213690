"""Enveloped XAdES, as KEP evidence carries it."""

from __future__ import annotations

import base64
import copy

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner, methods
from signxml.xades import XAdESDataObjectFormat, XAdESSigner

from shared.contracts.signatures import Profile, SignatureFormat
from shared.domain.verdict import Conclusion, Indication, SubIndication
from tests.support.pki import Holder, Pki
from tests.unit.signer.conftest import Judge

EVIDENCE = (
    b'<?xml version="1.0"?><r:DeliveryNonDeliveryToRecipient xmlns:r="http://uri.etsi.org/02640/v2#" version="2.1.1">'
    b"<r:EventCode>http://uri.etsi.org/02640/Event#Delivery</r:EventCode><r:EvidenceIdentifier>e-1</r:EvidenceIdentifier>"
    b"</r:DeliveryNonDeliveryToRecipient>"
)
DS = "{http://www.w3.org/2000/09/xmldsig#}"


def sign_xml(
    holder: Holder,
    document: bytes = EVIDENCE,
    *,
    xades: bool = True,
    c14n: CanonicalizationMethod = CanonicalizationMethod.CANONICAL_XML_1_0,
) -> bytes:
    rsa = isinstance(holder.key, RSAPrivateKey)
    arguments = {
        "method": methods.enveloped,
        "signature_algorithm": SignatureMethod.RSA_SHA256 if rsa else SignatureMethod.ECDSA_SHA256,
        "digest_algorithm": DigestAlgorithm.SHA256,
        "c14n_algorithm": c14n,
    }
    signer = (
        XAdESSigner(data_object_format=XAdESDataObjectFormat("evidence", "text/xml"), **arguments)
        if xades
        else XMLSigner(**arguments)
    )
    signed = signer.sign(etree.fromstring(document), key=holder.key, cert=[holder.certificate, *holder.issuers])
    return etree.tostring(signed)


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return sign_xml(pki.transaction)


def test_evidence(judge: Judge, signed: bytes) -> None:
    report = judge(signed, profile=Profile.KEPHS_TRANSACTION)
    assert report.conclusion is Conclusion.PASSED
    assert report.format is SignatureFormat.XADES
    [signature] = report.signatures
    assert signature.level == "XAdES-B"
    assert signature.claimed_signing_time is not None
    assert [step.number for step in signature.steps] == sorted(step.number for step in signature.steps)
    assert {step.number for step in signature.steps} == set(range(1, 12))


def test_rsa(pki: Pki, judge: Judge) -> None:
    assert judge(sign_xml(pki.signer)).conclusion is Conclusion.PASSED


def test_changed_document(judge: Judge, signed: bytes) -> None:
    report = judge(signed.replace(b"e-1", b"e-2"), profile=Profile.KEPHS_TRANSACTION)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)


def test_changed_signed_properties(judge: Judge, signed: bytes) -> None:
    root = etree.fromstring(signed)
    time = next(root.iter("{http://uri.etsi.org/01903/v1.3.2#}SigningTime"))
    time.text = "2001-01-01T00:00:00Z"
    report = judge(etree.tostring(root), profile=Profile.KEPHS_TRANSACTION)
    assert report.sub_indication is SubIndication.HASH_FAILURE


def test_wrong_signature_value(judge: Judge, signed: bytes) -> None:
    root = etree.fromstring(signed)
    value = root.find(f"{DS}Signature/{DS}SignatureValue")
    value.text = ("A" if value.text[0] != "A" else "B") + value.text[1:]
    report = judge(etree.tostring(root), profile=Profile.KEPHS_TRANSACTION)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.SIG_CRYPTO_FAILURE)


def replace_certificate(encoded: bytes, other: Holder) -> bytes:
    root = etree.fromstring(encoded)
    next(root.iter(f"{DS}X509Certificate")).text = base64.b64encode(other.der).decode()
    return etree.tostring(root)


def test_swapped_certificate_with_the_same_key(pki: Pki, judge: Judge) -> None:
    other = pki.kephs.issuing.issue("Başkası", key=pki.transaction.key)
    # signxml's signer signs KeyInfo as well, so the digest tells already.
    report = judge(replace_certificate(sign_xml(pki.transaction), other), profile=Profile.KEPHS_TRANSACTION)
    assert report.sub_indication is SubIndication.HASH_FAILURE
    # Without that only the certificate reference can; a plain signature has none.
    plain = replace_certificate(sign_xml(pki.transaction, xades=False), other)
    assert judge(plain, profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.PASSED
    assert judge(plain, profile=Profile.KEPHS_TRANSACTION).conclusion is Conclusion.INDETERMINATE


def test_plain_xml_signature_names_no_certificate(pki: Pki, judge: Judge) -> None:
    plain = sign_xml(pki.transaction, xades=False)
    report = judge(plain, profile=Profile.KEPHS_TRANSACTION)
    assert report.sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    assert report.signatures[0].level == "XMLDSig"
    assert judge(plain, profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.PASSED


def test_exclusive_canonicalisation(pki: Pki, judge: Judge) -> None:
    exclusive = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    plain = sign_xml(pki.transaction, xades=False, c14n=exclusive)
    assert judge(plain, profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.PASSED


def test_unsigned_xml(judge: Judge) -> None:
    assert judge(EVIDENCE).indication is Indication.NO_SIGNATURE_FOUND


def test_wrapped_in_another_document(judge: Judge, signed: bytes) -> None:
    """The signed document moved below a new root: the signature no longer covers the whole."""
    wrapped = b"<evil><fake/>" + signed + b"</evil>"
    report = judge(wrapped, profile=Profile.KEPHS_TRANSACTION)
    assert report.conclusion is Conclusion.FAILED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'URI=""', b'URI="http://127.0.0.1/x"'),
        (b'URI=""', b'URI="#elsewhere"'),
        (b"xmldsig#enveloped-signature", b"xmldsig#base64"),
        (b"xmldsig#enveloped-signature", b"http-xslt"),
    ],
)
def test_references_and_transforms_outside_the_short_list(judge: Judge, signed: bytes, old: bytes, new: bytes) -> None:
    assert old in signed
    report = judge(signed.replace(old, new), profile=Profile.INTEGRITY_ONLY)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_second_signature_is_refused(judge: Judge, signed: bytes) -> None:
    root = etree.fromstring(signed)
    root.append(copy.deepcopy(root.find(f"{DS}Signature")))
    report = judge(etree.tostring(root), profile=Profile.INTEGRITY_ONLY)
    assert report.sub_indication is SubIndication.FORMAT_FAILURE


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
        b"<a>" * 300 + b"</a>" * 300,
        b"<a",
        b"<?xml version='1.0' encoding='nonsense'?><a/>",
        b"<",
        b"<?xml version='1.0' encoding='UTF-7'?><a/>",
        b"<a>" + b"<b/>" * 100_001 + b"</a>",
        b"<a " + b" ".join(b'b%d="1"' % number for number in range(5_001)) + b"/>",
    ],
    ids=["entity", "external-dtd", "deep", "cut", "encoding", "bracket", "utf-7", "elements", "attributes"],
)
def test_hostile_xml(judge: Judge, document: bytes) -> None:
    report = judge(document)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_bit_flips(judge: Judge, signed: bytes) -> None:
    canonical = judge(signed, profile=Profile.INTEGRITY_ONLY).signed_content_sha256
    for position in range(0, len(signed), 29):
        flipped = bytearray(signed)
        flipped[position] ^= 0x04
        report = judge(bytes(flipped), profile=Profile.INTEGRITY_ONLY)
        if report.conclusion is Conclusion.PASSED:
            assert report.signed_content_sha256 == canonical
