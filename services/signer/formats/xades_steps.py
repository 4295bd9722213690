"""Steps 1 to 6 for one XML signature, of a document or over another signature's value."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate
from services.signer.checks import mathematics
from services.signer.checks.algorithms import RSA_PSS
from services.signer.facts import AlgorithmUse, Content
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.formats.xades_algorithms import scheme_of, value_in_der
from services.signer.formats.xades_core import (
    Document,
    Reference,
    Subject,
    read_references,
    signed_info_octets,
    subject_of,
)
from services.signer.formats.xades_signed import SignedProperties, parse_signed, read_signed
from services.signer.formats.xml_layout import DS, Layout, layout_of, octets_of
from services.signer.limits import malformed, too_much
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_CONTENT_TEXTS = {
    Subject.DOCUMENT: "content.enveloped",
    Subject.COUNTERSIGNED: "content.counter",
    Subject.OBJECT: "content.attached",
    Subject.SUPPLIED: "content.detached",
}


@dataclass
class XmlReading:
    """Walks one signature through steps 1 to 6; a step that fails leaves the others readable."""

    document: Document
    signature: Any
    known: Sequence[Certificate]
    expected: Content | None = None
    countersigned: Layout | None = None
    findings: list[Finding] = field(default_factory=list)
    layout: Layout | None = None
    references: list[Reference] = field(default_factory=list)
    certificates: tuple[Certificate, ...] = ()
    properties: SignedProperties | None = None
    """Only what was signed."""
    certificate: Certificate | None = None
    algorithms: AlgorithmUse | None = None
    value: bytes = b""
    octets: bytes | None = field(default=None, repr=False)
    """What the signature is over, once its digest fits."""

    def read(self) -> None:
        """Take all steps."""
        # 1. format
        with self._step(Step.FORMAT):
            layout = layout_of(self.signature)
            self.references = read_references(self.document, layout, self.countersigned)
            self.certificates = _certificates(layout, self.document)
            self.value = octets_of(layout.value)
            self.layout = layout
            self.findings.append(passed(Step.FORMAT, say("format.xml")))
        if self.layout is None:
            return
        # 3. signed attributes
        with self._step(Step.ATTRIBUTES):
            self._read_properties()
        # 4. signing certificate
        with self._step(Step.CERTIFICATE):
            self._find_certificate(self.layout)
        # 5. message digest
        with self._step(Step.DIGEST):
            self._check_digests()
        # 2. signed content: what it is over is known once its digest fits
        with self._step(Step.CONTENT):
            self._check_content()
        # 6. signature value
        if self.certificate is not None:
            with self._step(Step.SIGNATURE):
                self._check_signature(self.layout, self.certificate)

    @property
    def main(self) -> Reference | None:
        """The reference to what is signed."""
        return next((item for item in self.references if item.subject in _CONTENT_TEXTS), None)

    @property
    def integrity(self) -> bool:
        """Whether content, properties, digests and signature value all hold."""
        held = {finding.step for finding in self.findings if not finding.conclusive}
        broken = {finding.step for finding in self.findings if finding.conclusive}
        wanted = {Step.FORMAT, Step.CONTENT, Step.ATTRIBUTES, Step.DIGEST, Step.SIGNATURE}
        return wanted <= held and not wanted & broken

    @property
    def basic_level(self) -> str:
        """What the signed properties make of it."""
        if self.properties is None or not self.properties.references:
            return "XMLDSig" if self.layout is None or self.layout.qualifying is None else "XAdES"
        return "XAdES-B" if self.properties.policy is None else "XAdES-EPES"

    @contextmanager
    def _step(self, step: Step) -> Iterator[None]:
        try:
            yield
        except CheckFailed as failure:
            self.findings.append(failed(step, failure))
        except ASN1_FAULTS:
            self.findings.append(failed(step, malformed("the signature confuses the reader")))

    def _read_properties(self) -> None:
        reference = subject_of(self.references, Subject.PROPERTIES)
        if reference is None:
            self.findings.append(warned(Step.ATTRIBUTES, say("attributes.none")))
            return
        octets = self.document.octets(reference, self.signature)
        self.properties = parse_signed(octets, self.document.limits)
        self.findings.append(passed(Step.ATTRIBUTES, say("attributes.hold")))
        named = {f"#{item.identifier}" for item in self.references if item.identifier}
        if not named.issuperset(self.properties.described):
            text = say("attributes.not-evaluated", name="DataObjectFormat")
            self.findings.append(warned(Step.ATTRIBUTES, text, rule="data-object-format"))

    def _find_certificate(self, layout: Layout) -> None:
        """The certificate the signed properties name; without them the first one that is no CA."""
        pool = (*self.certificates, *self.known)
        properties = self.properties
        if properties is None and layout.signed_properties is not None:
            properties = _unsigned_hint(layout, self.document)
        named = [] if properties is None or not properties.references else [c for c in pool if properties.names(c)]
        own = next((item for item in pool if not item.is_ca), pool[0] if pool else None)
        self.certificate = named[0] if named else own
        if self.certificate is None:
            raise CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.missing"))
        if self.properties is None or not self.properties.references:
            self.findings.append(passed(Step.CERTIFICATE, say("certificate.found")))
        elif named:
            self.findings.append(passed(Step.CERTIFICATE, say("certificate.bound")))
        else:
            raise CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.other"))

    @property
    def bound(self) -> bool:
        """Whether signed properties name the certificate."""
        properties, certificate = self.properties, self.certificate
        return bool(properties and properties.references and certificate and properties.names(certificate))

    def _check_digests(self) -> None:
        for reference in self.references:
            mathematics.hash_algorithm(reference.digest)
            if reference.subject is Subject.SUPPLIED:
                digest = self._supplied(reference.digest)
            else:
                octets = self.document.octets(reference, self.signature)
                digest = hashlib.new(reference.digest, octets).digest()
                if reference is self.main:
                    self.octets = octets
            if not hmac.compare_digest(digest, reference.value):
                self.octets = None
                raise CheckFailed(SubIndication.HASH_FAILURE, say("digest.reference-differs"))
        self.findings.append(passed(Step.DIGEST, say("digest.references")))

    def _supplied(self, algorithm: str) -> bytes:
        try:
            if self.expected is not None:
                return self.expected.digest(algorithm)
        except KeyError:
            pass
        raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))

    def _check_content(self) -> None:
        main = self.main
        if main is None:
            return
        if main.subject is not Subject.SUPPLIED and self.expected is not None and self.octets is not None:
            found = hashlib.sha256(self.octets).digest()
            if not hmac.compare_digest(self.expected.digest("sha256"), found):
                raise CheckFailed(SubIndication.HASH_FAILURE, say("content.other"))
        self.findings.append(passed(Step.CONTENT, say(_CONTENT_TEXTS[main.subject])))

    def _check_signature(self, layout: Layout, certificate: Certificate) -> None:
        scheme, digest = scheme_of(layout)
        key = certificate.public_key(self.document.limits)
        named = () if self.properties is None else tuple(item.digest for item in self.properties.references)
        others = tuple(sorted({*named, *(item.digest for item in self.references)}))
        self.algorithms = mathematics.key_use(key, scheme, digest, others)
        salt = mathematics.hash_algorithm(digest).digest_size if scheme == RSA_PSS else 0
        hashed = hashlib.new(digest, signed_info_octets(layout)).digest()
        odd_padding = mathematics.verify(key, scheme, salt, digest, hashed, value_in_der(self.value, key, scheme))
        if odd_padding:
            self.findings.append(warned(Step.SIGNATURE, say("signature.no-null")))
        else:
            self.findings.append(passed(Step.SIGNATURE, say("signature.holds", name=scheme)))


def _unsigned_hint(layout: Layout, document: Document) -> SignedProperties | None:
    """Properties no reference covers: they help to find the certificate and bind nothing."""
    try:
        return read_signed(layout.signed_properties, document.limits)
    except CheckFailed:
        return None


def _certificates(layout: Layout, document: Document) -> tuple[Certificate, ...]:
    nodes = [] if layout.key_info is None else layout.key_info.findall(f"{DS}X509Data/{DS}X509Certificate")
    if len(nodes) > document.limits.certificates:
        raise too_much("certificates", document.limits.certificates)
    found: list[Certificate] = []
    for node in nodes:
        try:
            found.append(load_certificate(octets_of(node), document.limits))
        except CheckFailed:
            continue
    return tuple(found)
