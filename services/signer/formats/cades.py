"""CMS and CAdES signatures, attached and detached, any number of signers (steps 1 to 6)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.signer import der
from services.signer.certificates import Certificate, names_equal
from services.signer.checks import mathematics
from services.signer.facts import AlgorithmUse, BytesContent, Content, SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.formats import cms
from services.signer.formats.attributes import SignedAttributes, attribute_failure, read_signed_attributes
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import SubIndication


def read_cades(
    encoded: bytes,
    candidates: Sequence[Content],
    limits: Limits,
    *,
    known: Sequence[Certificate] = (),
    signature_format: SignatureFormat = SignatureFormat.CADES,
    expected_type: str | None = None,
) -> SignatureFacts:
    """Facts about every signer of one SignedData.

    Args:
        encoded: the CMS, BER or DER.
        candidates: detached: the forms the content may have been signed in, likeliest first;
            attached: the content must equal one of them, unless there is none.
        limits: what the bytes may cost.
        known: certificates from elsewhere, for signatures that carry none.
        signature_format: what the caller calls the file; decides the name of the lowest level.
        expected_type: when given, the only eContentType that is accepted.

    Raises:
        CheckFailed: FORMAT_FAILURE, when the file as a whole cannot be read; a fault in one
            signer stays with that signer.
    """
    data = cms.parse_signed_data(encoded, limits)
    if expected_type is not None and data.content_type != expected_type:
        raise malformed("unexpected content type")
    lowest_level = "S/MIME" if signature_format is SignatureFormat.SMIME else "CMS"
    pool = (*data.certificates, *known)
    readings = [_Reading(data, candidates, pool, limits, lowest_level) for _ in data.signer_infos]
    for reading, element in zip(readings, data.signer_infos, strict=True):
        reading.read(element)
    if sum(len(reading.timestamps) for reading in readings) > limits.timestamps:
        raise too_much("time-stamps", limits.timestamps)
    covered = next((reading.covered for reading in readings if reading.covered is not None), None)
    return SignatureFacts(
        signature_format,
        tuple(reading.facts() for reading in readings),
        data.certificates,
        data.revocation_lists,
        None if covered is None else covered.digest("sha256").hex(),
        attached_content=data.content,
    )


@dataclass
class _Reading:
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
    timestamps: tuple[bytes, ...] = ()
    counter_signatures: int = 0

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
            self.findings.append(
                passed(Step.CONTENT, say("content.detached" if self.data.content is None else "content.attached"))
            )
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
        self._read_unsigned(self.info)

    @property
    def integrity(self) -> bool:
        """Whether attributes, digest and signature value all hold."""
        held = {finding.step for finding in self.findings if not finding.conclusive}
        return {Step.FORMAT, Step.CONTENT, Step.ATTRIBUTES, Step.DIGEST, Step.SIGNATURE} <= held

    def facts(self) -> SignerFacts:
        """What was read."""
        return SignerFacts(
            level=self.level,
            findings=tuple(self.findings),
            integrity=self.integrity,
            certificate=self.certificate,
            algorithms=self.algorithms,
            bound=bool(self.attributes and self.attributes.references),
            claimed_signing_time=self.attributes.signing_time if self.attributes else None,
            signature_value=self.info.signature if self.info else b"",
            timestamp_tokens=self.timestamps,
            counter_signatures=self.counter_signatures,
        )

    @contextmanager
    def _step(self, step: Step) -> Iterator[None]:
        try:
            yield
        except CheckFailed as failure:
            self.findings.append(failed(step, failure))

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
            if self.data.content_type != cms.DATA:
                raise attribute_failure("attributes.required")
            self.findings.append(warned(Step.ATTRIBUTES, say("attributes.none")))
            return
        self.attributes = read_signed_attributes(info, self.data.content_type)
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

    def _read_unsigned(self, info: cms.SignerInfo) -> None:
        """Unsigned attributes decide the level's name; a broken one spoils nothing but itself."""
        present: set[str] = set()
        tokens: list[bytes] = []
        try:
            items = der.children(info.unsigned) if info.unsigned is not None else []
            if len(items) > self.limits.attributes:
                raise too_much("attributes", self.limits.attributes)
        except CheckFailed as failure:
            self.findings.append(warned(Step.FORMAT, failure.text, rule="unsigned-attributes"))
            return
        for item in items:
            try:
                attribute = cms.parse_attribute(item)
            except CheckFailed as failure:
                self.findings.append(warned(Step.FORMAT, failure.text, rule="unsigned-attributes"))
                continue
            present.add(attribute.oid)
            if attribute.oid == cms.SIGNATURE_TIMESTAMP:
                tokens.extend(value.encoded for value in attribute.values)
            elif attribute.oid == cms.COUNTER_SIGNATURE:
                self.counter_signatures += len(attribute.values)
        self.timestamps = tuple(tokens)
        if self.level == "CAdES-B":
            self.level = _level(present)


def _level(unsigned: set[str]) -> str:
    """Name of the level that the attributes claim (EN 319 122-1, TS 101 733)."""
    if unsigned & cms.ARCHIVE_TIMESTAMPS:
        return "CAdES-A"
    if cms.CERTIFICATE_VALUES in unsigned and cms.REVOCATION_VALUES in unsigned:
        return "CAdES-XL"
    if cms.CERTIFICATE_REFERENCES in unsigned and cms.REVOCATION_REFERENCES in unsigned:
        return "CAdES-C"
    return "CAdES-T" if cms.SIGNATURE_TIMESTAMP in unsigned else "CAdES-B"


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
