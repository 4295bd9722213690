"""Makes XAdES signatures at every level with a pen of its own, so that the verifier is not checked against itself."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from tests.support.pki import NOW, Holder, Pki
from tests.unit.signer.signing import HASHES, timestamp

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141 = "http://uri.etsi.org/01903/v1.4.1#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = f"{DS}enveloped-signature"
PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
COUNTERSIGNED_TYPE = "http://uri.etsi.org/01903#CountersignedSignature"
XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    f'<ds:XPath xmlns:ds="{DS}">not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>'
)
FILTER = (
    '<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><f:XPath xmlns:f='
    f'"http://www.w3.org/2002/06/xmldsig-filter2" xmlns:ds="{DS}" Filter="subtract">/descendant::ds:Signature</f:XPath>'
    "</ds:Transform>"
)
SIGNED_AT = NOW - timedelta(days=1)
MINUTE = timedelta(minutes=1)
DOCUMENT = (
    b'<?xml version="1.0"?><?style none?><r:Delivery xmlns:r="http://uri.etsi.org/02640/v2#" xmlns:other="urn:other" '
    b'xml:lang="tr"><r:Code>Delivery</r:Code> <!-- a note --><r:Identifier>e-1</r:Identifier></r:Delivery>'
)
_DIGESTS = {
    "md5": "http://www.w3.org/2001/04/xmldsig-more#md5",
    "sha1": f"{DS}sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
_NUMBERS = itertools.count(1)


def text64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def parsed(markup: str) -> Any:
    """One element, with the usual prefixes."""
    spaces = f'xmlns:ds="{DS}" xmlns:xades="{XADES}" xmlns:x141="{XADES_141}"'
    return etree.fromstring(f"<w {spaces}>{markup}</w>")[0]


def digested(octets: bytes, name: str = "sha256") -> str:
    value = text64(hashlib.new(name, octets).digest())
    return f'<ds:DigestMethod Algorithm="{_DIGESTS[name]}"/><ds:DigestValue>{value}</ds:DigestValue>'


def cert_reference(encoded: bytes, name: str = "sha256") -> str:
    return f"<xades:Cert><xades:CertDigest>{digested(encoded, name)}</xades:CertDigest></xades:Cert>"


def canonical(element: Any, method: str = EXCLUSIVE) -> bytes:
    """By libxml2; inherited attributes of the xml namespace are written by hand where the method wants them."""
    if method == INCLUSIVE:
        element, around = etree.fromstring(etree.tostring(element, with_tail=False)), list(element.iterancestors())
        for name, value in ((name, value) for item in around for name, value in item.attrib.items()):
            if name.startswith("{http://www.w3.org/XML/1998/namespace}") and name not in element.attrib:
                element.set(name, value)
    octets: bytes = etree.tostring(element, method="c14n", exclusive=method == EXCLUSIVE, with_comments=False)
    return octets


@dataclass(frozen=True)
class Style:
    """How a signature is made."""

    digest: str = "sha256"
    method: str | None = EXCLUSIVE
    """Canonicalisation named in each reference; None: none, which means inclusive."""
    transform: str = f'<ds:Transform Algorithm="{ENVELOPED}"/>'
    uri: str = ""
    at: datetime | None = SIGNED_AT
    reference: bytes | None = None
    """Another certificate than the signer's in SigningCertificateV2."""
    reference_digest: str = "sha256"
    bound: bool = True
    policy: tuple[str, bytes] | None = None
    object: str = ""
    """A further ds:Object of the signature, signed."""
    properties: Callable[[dict[str, bytes]], str] = field(default=lambda _data: "")
    """Signed properties about the data, from the octets by name of reference."""
    more: str = ""
    """Further signed properties about the signature."""
    covered: bool = True
    """Whether a reference covers the signed properties."""


@dataclass
class Xades:
    """One signature, where it stands, open for unsigned properties."""

    signature: Any
    holder: Holder

    @property
    def root(self) -> Any:
        return self.signature.getroottree().getroot()

    def encode(self) -> bytes:
        octets: bytes = etree.tostring(self.root.getroottree())
        return octets

    def copy(self) -> Xades:
        tree = etree.fromstring(self.encode())
        identifier = self.signature.get("Id")
        return Xades(
            next(item for item in tree.iter(f"{{{DS}}}Signature") if item.get("Id") == identifier), self.holder
        )

    def part(self, name: str) -> Any:
        return self.signature.find(f"{{{DS}}}{name}")

    @property
    def qualifying(self) -> Any:
        return self.signature.find(f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties")

    @property
    def unsigned(self) -> list[Any]:
        found = self.qualifying.find(f"{{{XADES}}}UnsignedProperties/{{{XADES}}}UnsignedSignatureProperties")
        return [] if found is None else list(found)

    def plus(self, markup: str) -> Xades:
        """A copy with one more unsigned property."""
        file = self.copy()
        holder = file.qualifying.find(f"{{{XADES}}}UnsignedProperties/{{{XADES}}}UnsignedSignatureProperties")
        if holder is None:
            file.qualifying.append(
                parsed("<xades:UnsignedProperties><xades:UnsignedSignatureProperties/></xades:UnsignedProperties>")
            )
            holder = file.qualifying[-1][0]
        holder.append(parsed(markup))
        return file

    def without(self, name: str) -> Xades:
        file = self.copy()
        for item in file.unsigned:
            if etree.QName(item).localname == name:
                item.getparent().remove(item)
        return file

    # What time-stamps are about

    def under_value(self, method: str = EXCLUSIVE) -> bytes:
        return canonical(self.part("SignatureValue"), method)

    def of_kinds(self, kinds: Sequence[str], method: str) -> bytes:
        return b"".join(canonical(item, method) for item in self.unsigned if etree.QName(item).localname in kinds)

    def under_references(self, method: str = EXCLUSIVE) -> bytes:
        kinds = ("CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs")
        return self.of_kinds(kinds, method)

    def under_value_and_references(self, method: str = EXCLUSIVE) -> bytes:
        kinds = ("SignatureTimeStamp", "CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs")
        return self.under_value(method) + self.of_kinds(kinds, method)

    def under_archive(self, method: str = EXCLUSIVE) -> bytes:
        parts = [self.part("SignedInfo"), self.part("SignatureValue"), self.part("KeyInfo"), *self.unsigned]
        objects = [item for item in self.signature.findall(f"{{{DS}}}Object") if item.find(f"{{{XADES}}}*") is None]
        data = b"".join(self.octets(item, method) for item in self.part("SignedInfo").findall(f"{{{DS}}}Reference"))
        return data + b"".join(canonical(item, method) for item in (*parts, *objects))

    def octets(self, reference: Any, fallback: str) -> bytes:
        """What a reference stands for."""
        named = [item.get("Algorithm") for item in reference.iter(f"{{{DS}}}Transform")]
        method = named[-1] if named and named[-1] in (EXCLUSIVE, INCLUSIVE) else fallback
        uri = reference.get("URI")
        if uri and uri != f"#{self.root.get('Id')}":
            [target] = self.root.xpath("//*[@Id=$uri]", uri=uri[1:])
            return canonical(target, method)
        return _document(self, method, every=any("xpath" in item or "filter" in item for item in named), whole=not uri)


def _document(file: Xades, method: str, *, every: bool, whole: bool) -> bytes:
    copied = file.copy()
    top = copied.root
    for item in list(top.iter(f"{{{DS}}}Signature")) if every else [copied.signature]:
        parent, before = item.getparent(), item.getprevious()
        if parent is None:
            continue
        if before is not None:
            before.tail = (before.tail or "") + (item.tail or "")
        else:
            parent.text = (parent.text or "") + (item.tail or "")
        parent.remove(item)
    if not whole:
        return canonical(top, method)
    octets: bytes = etree.tostring(top.getroottree(), method="c14n", exclusive=method == EXCLUSIVE, with_comments=False)
    return octets


def sign_document(holder: Holder, document: bytes = DOCUMENT, style: Style | None = None) -> Xades:
    """An enveloped signature as the last child of the document."""
    root = etree.fromstring(document)
    return _signed(holder, root, style or Style(), data=None)


def countersign(file: Xades, holder: Holder, style: Style | None = None, *, kind: str = COUNTERSIGNED_TYPE) -> Xades:
    """A copy with a counter-signature among its unsigned properties."""
    copied = file.plus("<xades:CounterSignature/>")
    place = copied.unsigned[-1]
    _signed(holder, place, style or Style(), data=(copied.part("SignatureValue"), kind))
    return copied


def sign_alone(holder: Holder, style: Style, beside: tuple[str, bytes] | None = None) -> Xades:
    """A signature that is the document: around ``style.object``, or beside a content with an address of its own."""
    file = _signed(holder, etree.fromstring("<w/>"), style, data=beside or ("", b""))
    return Xades(etree.fromstring(canonical(file.signature)), holder)


def _signed(holder: Holder, parent: Any, style: Style, data: tuple[Any, Any] | None) -> Xades:
    number = next(_NUMBERS)
    policy = ""
    if style.policy is not None:
        digest = f'<ds:DigestMethod Algorithm="{_DIGESTS["sha256"]}"/><ds:DigestValue>{text64(style.policy[1])}</ds:DigestValue>'
        policy = (
            "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId><xades:Identifier "
            f'Qualifier="OIDAsURN">urn:oid:{style.policy[0]}</xades:Identifier></xades:SigPolicyId>'
            f"<xades:SigPolicyHash>{digest}</xades:SigPolicyHash></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>"
        )
    time = "" if style.at is None else f"<xades:SigningTime>{style.at.isoformat()}</xades:SigningTime>"
    named = cert_reference(style.reference or holder.der, style.reference_digest)
    bound = f"<xades:SigningCertificateV2>{named}</xades:SigningCertificateV2>" if style.bound else ""
    certificates = "".join(f"<ds:X509Certificate>{text64(item)}</ds:X509Certificate>" for item in holder.chain_der)
    further = f'<ds:Object Id="o{number}">{style.object}</ds:Object>' if style.object else ""
    signature = parsed(
        f'<ds:Signature Id="s{number}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{_method(holder, style.digest)}"/></ds:SignedInfo>'
        f'<ds:SignatureValue Id="v{number}"/><ds:KeyInfo Id="k{number}"><ds:X509Data>{certificates}</ds:X509Data>'
        f'</ds:KeyInfo>{further}<ds:Object><xades:QualifyingProperties Target="#s{number}">'
        f'<xades:SignedProperties Id="p{number}"><xades:SignedSignatureProperties>{time}{bound}{policy}{style.more}'
        "</xades:SignedSignatureProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object></ds:Signature>"
    )
    parent.append(signature)
    file = Xades(parent[-1], holder)
    info = file.part("SignedInfo")
    transform = f'<ds:Transform Algorithm="{style.method}"/>' if style.method else ""
    alone = data is not None and isinstance(data[0], str)
    wanted = [("r2", f"#k{number}", transform, "")]
    if data is None:
        wanted.insert(0, ("r1", style.uri, style.transform + transform, ""))
    elif alone and data[0]:
        wanted.insert(0, ("r1", data[0], "", ""))
    elif not alone:
        wanted.insert(0, ("r1", f"#{data[0].get('Id')}", transform, data[1]))
    if style.object:
        wanted.append(("r3", f"#o{number}", transform, ""))
    octets: dict[str, bytes] = {}
    for name, uri, transforms, kind in wanted:
        info.append(_reference(f"{name}-{number}", uri, transforms, kind))
        octets[name] = data[1] if alone and name == "r1" and data else file.octets(info[-1], INCLUSIVE)
        _fill(info[-1], octets[name], style.digest)
    about_data = style.properties(octets).replace("-N", f"-{number}")
    if about_data:
        properties = file.qualifying[0]
        properties.append(parsed(f"<xades:SignedDataObjectProperties>{about_data}</xades:SignedDataObjectProperties>"))
    if style.covered:
        info.append(_reference(f"r4-{number}", f"#p{number}", transform, PROPERTIES_TYPE))
        _fill(info[-1], file.octets(info[-1], INCLUSIVE), style.digest)
    file.part("SignatureValue").text = text64(_value(holder, canonical(info), style.digest))
    return file


def resign(file: Xades, digest: str = "sha256") -> Xades:
    """The same with a value that fits whatever SignedInfo says now: its own signer wrote it so."""
    copied = file.copy()
    copied.part("SignatureValue").text = text64(_value(file.holder, canonical(copied.part("SignedInfo")), digest))
    return copied


def _reference(identifier: str, uri: str, transforms: str, kind: str) -> Any:
    held = f"<ds:Transforms>{transforms}</ds:Transforms>" if transforms else ""
    typed = f' Type="{kind}"' if kind else ""
    return parsed(f'<ds:Reference Id="{identifier}" URI="{uri}"{typed}>{held}</ds:Reference>')


def _fill(reference: Any, octets: bytes, digest: str) -> None:
    for item in parsed(f"<w>{digested(octets, digest)}</w>"):
        reference.append(item)


def _method(holder: Holder, digest: str) -> str:
    base = DS if digest == "sha1" else "http://www.w3.org/2001/04/xmldsig-more#"
    if isinstance(holder.key, RSAPrivateKey):
        return f"{base}rsa-{digest}"
    return f"http://www.w3.org/2001/04/xmldsig-more#ecdsa-{digest}"


def _value(holder: Holder, octets: bytes, digest: str) -> bytes:
    algorithm = HASHES.get(digest, HASHES["sha256"])()
    if isinstance(holder.key, RSAPrivateKey):
        return holder.key.sign(octets, padding.PKCS1v15(), algorithm)
    assert isinstance(holder.key, ec.EllipticCurvePrivateKey)
    size = (holder.key.key_size + 7) // 8
    one, other = decode_dss_signature(holder.key.sign(octets, ec.ECDSA(algorithm)))
    return one.to_bytes(size, "big") + other.to_bytes(size, "big")


# The steps up


def stamp(name: str, token: bytes, method: str | None = EXCLUSIVE, *, before: str = "") -> str:
    """A time-stamp property; ``method`` None names none, which means inclusive."""
    named = f'<ds:CanonicalizationMethod Algorithm="{method}"/>' if method else ""
    held = f"<xades:EncapsulatedTimeStamp>{text64(token)}</xades:EncapsulatedTimeStamp>"
    return f"<{name}>{before}{named}{held}</{name}>"


def with_signature_stamp(file: Xades, pki: Pki, at: datetime = SIGNED_AT, method: str | None = EXCLUSIVE) -> Xades:
    token = timestamp(pki.tsa, file.under_value(method or INCLUSIVE), at)
    return file.plus(stamp("xades:SignatureTimeStamp", token, method))


def authorities(pki: Pki) -> list[bytes]:
    return [pki.qualified.issuing.der, pki.qualified.root.der]


def certificate_refs(certificates: Sequence[bytes], *, later: bool = False) -> str:
    entries = "".join(cert_reference(item) for item in certificates)
    name, space = ("x141:CompleteCertificateRefsV2", "x141") if later else ("xades:CompleteCertificateRefs", "xades")
    return f"<{name}><{space}:CertRefs>{entries}</{space}:CertRefs></{name}>"


def revocation_refs(crls: Sequence[bytes], responses: Sequence[bytes] = ()) -> str:
    def entry(name: str, encoded: bytes) -> str:
        return f"<xades:{name}><xades:DigestAlgAndValue>{digested(encoded)}</xades:DigestAlgAndValue></xades:{name}>"

    lists = "".join(entry("CRLRef", item) for item in crls)
    answers = "".join(entry("OCSPRef", item) for item in responses)
    held = (f"<xades:CRLRefs>{lists}</xades:CRLRefs>" if crls else "") + (
        f"<xades:OCSPRefs>{answers}</xades:OCSPRefs>" if responses else ""
    )
    return f"<xades:CompleteRevocationRefs>{held}</xades:CompleteRevocationRefs>"


def certificate_values(certificates: Sequence[bytes]) -> str:
    held = "".join(
        f"<xades:EncapsulatedX509Certificate>{text64(item)}</xades:EncapsulatedX509Certificate>"
        for item in certificates
    )
    return f"<xades:CertificateValues>{held}</xades:CertificateValues>"


def revocation_values(crls: Sequence[bytes], responses: Sequence[bytes] = ()) -> str:
    lists = "".join(f"<xades:EncapsulatedCRLValue>{text64(item)}</xades:EncapsulatedCRLValue>" for item in crls)
    answers = "".join(
        f"<xades:EncapsulatedOCSPValue>{text64(item)}</xades:EncapsulatedOCSPValue>" for item in responses
    )
    held = (f"<xades:CRLValues>{lists}</xades:CRLValues>" if crls else "") + (
        f"<xades:OCSPValues>{answers}</xades:OCSPValues>" if responses else ""
    )
    return f"<xades:RevocationValues>{held}</xades:RevocationValues>"


def with_references(file: Xades, pki: Pki, crls: Sequence[bytes], *, later: bool = False) -> Xades:
    return file.plus(certificate_refs(authorities(pki), later=later)).plus(revocation_refs(crls))


def with_values(file: Xades, pki: Pki, crls: Sequence[bytes]) -> Xades:
    return file.plus(certificate_values(authorities(pki))).plus(revocation_values(crls))


def with_archive(
    file: Xades, pki: Pki, at: datetime = SIGNED_AT + MINUTE, method: str | None = EXCLUSIVE, under: bytes | None = None
) -> Xades:
    octets = file.under_archive(method or INCLUSIVE) if under is None else under
    return file.plus(stamp("x141:ArchiveTimeStamp", timestamp(pki.tsa, octets, at), method))


def level_t(pki: Pki, style: Style | None = None) -> Xades:
    return with_signature_stamp(sign_document(pki.signer, style=style), pki)


def level_c(pki: Pki, style: Style | None = None, *, later: bool = False) -> Xades:
    return with_references(level_t(pki, style), pki, pki.qualified.crls(), later=later)


def level_x(pki: Pki, name: str = "xades:SigAndRefsTimeStamp") -> Xades:
    file = level_c(pki, later=name.endswith("V2"))
    under = file.under_references() if "RefsOnly" in name else file.under_value_and_references()
    return file.plus(stamp(name, timestamp(pki.tsa, under, SIGNED_AT + MINUTE)))


def level_xl(pki: Pki, style: Style | None = None) -> Xades:
    crls = pki.qualified.crls()
    return with_values(with_references(level_t(pki, style), pki, crls), pki, crls)


def level_a(pki: Pki, style: Style | None = None) -> Xades:
    return with_archive(level_xl(pki, style), pki)


def baseline_lt(pki: Pki) -> Xades:
    return with_values(level_t(pki), pki, pki.qualified.crls())
