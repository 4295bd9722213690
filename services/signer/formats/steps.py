"""Steps 1 to 6 for one signerInfo, of a file or of a counter-signature."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.signer import der
from services.signer.certificates import Certificate, names_equal
from services.signer.checks import mathematics
from services.signer.facts import AlgorithmUse, BytesContent, Content
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.formats import cms
from services.signer.formats.attributes import SignedAttributes, attribute_failure, read_signed_attributes
from services.signer.limits import Limits, malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication


@dataclass
class Reading:
    """Walks one signerInfo through steps 1 to 6; a step that fails leaves the others readable."""

    data: cms.SignedData
    candidates: Sequence[Content]
    pool: Sequence[Certificate]
    limits: Limits
    level: str
    findings: list[Finding] = field(default_factory=list)
    info: cms.SignerInfo | None = None
    contents: Sequence[Content] = ()
    attributes: SignedAttributes | None = None
    certificate: Certificate | None = None
    algorithms: AlgorithmUse | None = None
    digest: str = ""
    covered: Content | None = None

    def read(self, element: der.Element) -> None:
        """Take all steps."""
        # 1. format
        with self._step(Step.FORMAT):
            self.info = cms.parse_signer_info(element, self.limits)
            self.findings.append(passed(Step.FORMAT, say("format.cms")))
        if self.info is None:
            return
        # 2. signed content
        with self._step(Step.CONTENT):
            self.contents = self._contents()
            self.findings.append(passed(Step.CONTENT, say(self.content_text)))
        # 3. signed attributes
        with self._step(Step.ATTRIBUTES):
            self._read_attributes(self.info)
        # 4. signing certificate
        with self._step(Step.CERTIFICATE):
            self._find_certificate(self.info)
        # 5. message digest
        if self.contents:
            with self._step(Step.DIGEST):
                self._check_digest(self.info)
        # 6. signature value
        if self.certificate is not None:
            with self._step(Step.SIGNATURE):
                self._check_signature(self.info, self.certificate)

    @property
    def content_text(self) -> str:
        """Key of the sentence that says where the content lies."""
        return "content.detached" if self.data.content is None else "content.attached"

    @property
    def integrity(self) -> bool:
        """Whether attributes, digest and signature value all hold."""
        held = {finding.step for finding in self.findings if not finding.conclusive}
        return {Step.FORMAT, Step.CONTENT, Step.ATTRIBUTES, Step.DIGEST, Step.SIGNATURE} <= held

    @contextmanager
    def _step(self, step: Step) -> Iterator[None]:
        try:
            yield
        except CheckFailed as failure:
            self.findings.append(failed(step, failure))

    @property
    def content_type(self) -> str | None:
        """What the content-type attribute must say; None: it must not be there."""
        return self.data.content_type

    def _contents(self) -> Sequence[Content]:
        if self.data.content is None:
            if not self.candidates:
                raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))
            return self.candidates
        attached = BytesContent(self.data.content)
        if self.candidates:
            found = attached.digest("sha256")
            if not any(hmac.compare_digest(found, candidate.digest("sha256")) for candidate in self.candidates):
                raise CheckFailed(SubIndication.HASH_FAILURE, say("content.other"))
        return (attached,)

    def _read_attributes(self, info: cms.SignerInfo) -> None:
        if info.signed is None:
            if self.content_type not in (cms.DATA, None):
                raise attribute_failure("attributes.required")
            self.findings.append(warned(Step.ATTRIBUTES, say("attributes.none")))
            return
        self.attributes = read_signed_attributes(info, self.content_type)
        if self.attributes.references:
            self.level = "CAdES-B"
        self.findings.append(passed(Step.ATTRIBUTES, say("attributes.hold")))

    def _find_certificate(self, info: cms.SignerInfo) -> None:
        """The certificate the signerInfo names, and the one a signed attribute vouches for."""
        named = [certificate for certificate in self.pool if _names(info.identifier, certificate)]
        if not named:
            raise CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.missing"))
        references = self.attributes.references if self.attributes else ()
        vouched = [item for item in named if all(reference.matches(item) for reference in references)]
        self.certificate = (vouched or named)[0]
        if not vouched:
            raise CheckFailed(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, say("certificate.other"))
        self.findings.append(passed(Step.CERTIFICATE, say("certificate.bound" if references else "certificate.found")))

    def _check_digest(self, info: cms.SignerInfo) -> None:
        self.digest = mathematics.digest_name(info.digest_algorithm)
        if info.signed is None:
            self.findings.append(passed(Step.DIGEST, say("digest.direct")))
            return
        if self.attributes is None:
            return
        for content in self.contents:
            if hmac.compare_digest(_digest(content, self.digest), self.attributes.message_digest):
                self.covered = content
                self.findings.append(passed(Step.DIGEST, say("digest.holds", name=self.digest)))
                return
        raise CheckFailed(SubIndication.HASH_FAILURE, say("digest.differs", name=self.digest))

    def _check_signature(self, info: cms.SignerInfo, certificate: Certificate) -> None:
        digest = self.digest or mathematics.digest_name(info.digest_algorithm)
        scheme, salt = mathematics.scheme_of(info.signature_algorithm, digest)
        key = certificate.public_key(self.limits)
        references = self.attributes.references if self.attributes else ()
        self.algorithms = mathematics.key_use(key, scheme, digest, tuple(item.digest for item in references))
        mathematics.hash_algorithm(digest)
        for hashed, content, note in self._signed_digests(info, digest):
            try:
                odd_padding = mathematics.verify(key, scheme, salt, digest, hashed, info.signature)
            except CheckFailed as failure:
                refusal = failure
                continue
            self.covered = content or self.covered
            if note or odd_padding:
                self.findings.append(warned(Step.SIGNATURE, say(note or "signature.no-null")))
            else:
                self.findings.append(passed(Step.SIGNATURE, say("signature.holds", name=scheme)))
            return
        raise refusal

    def _signed_digests(self, info: cms.SignerInfo, digest: str) -> list[tuple[bytes, Content | None, str | None]]:
        """What the signature may be over: DER of the attributes, the attributes as sent, or the content."""
        if info.signed is None:
            if not self.contents:
                raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))
            return [(_digest(content, digest), content, None) for content in self.contents]
        in_der = der.encode_set_of([attribute.encoded for attribute in info.signed_attributes])
        as_sent = bytes((der.SET,)) + info.signed.encoded[1:]
        forms: list[tuple[bytes, Content | None, str | None]] = [(hashlib.new(digest, in_der).digest(), None, None)]
        if as_sent != in_der:
            forms.append((hashlib.new(digest, as_sent).digest(), None, "signature.not-der"))
        return forms


@dataclass
class CounterReading(Reading):
    """The same steps for a signature over another's value (RFC 5652, 11.4): it has no content of its own."""

    countersigned: bytes = b""

    @property
    def content_type(self) -> str | None:
        """A counter-signature has none."""
        return None

    @property
    def content_text(self) -> str:
        """Key of the sentence that says what is signed."""
        return "content.counter"

    def _contents(self) -> Sequence[Content]:
        return (BytesContent(self.countersigned),)


def _names(identifier: der.Element, certificate: Certificate) -> bool:
    """Whether a SignerIdentifier names this certificate (RFC 5652, 5.3)."""
    if identifier.tag == der.SEQUENCE:
        parts = der.children(identifier)
        if len(parts) != 2:
            raise malformed("bad signer identifier")
        return der.integer(parts[1]) == certificate.serial_number and names_equal(
            parts[0].encoded, certificate.issuer_der
        )
    if identifier.tag == der.PRIMITIVE_CONTEXT_0:
        return certificate.key_identifier == identifier.contents
    raise malformed("bad signer identifier")


def _digest(content: Content, algorithm: str) -> bytes:
    try:
        return content.digest(algorithm)
    except KeyError:
        raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing")) from None
