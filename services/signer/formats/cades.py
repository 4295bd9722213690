"""CMS and CAdES signatures, attached and detached, any number of signers, each with its counter-signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.signer import der
from services.signer.certificates import Certificate
from services.signer.facts import (
    NOTHING_UNSIGNED,
    BytesContent,
    Content,
    Embedded,
    SignatureFacts,
    SignerFacts,
    Stamp,
    UnsignedFacts,
)
from services.signer.findings import CheckFailed, Step, warned
from services.signer.formats import cms
from services.signer.formats.imprints import Frame, HashBudget
from services.signer.formats.levels import baseline_found, level_found
from services.signer.formats.steps import CounterReading, Reading
from services.signer.formats.unsigned import UnsignedReading, element_list
from services.signer.limits import Limits, malformed, too_much
from shared.contracts.signatures import SignatureFormat


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
    embedded = Embedded(data.certificates, data.revocation_lists, data.ocsp_responses)
    pool = (*data.certificates, *known)
    reader = _Reader(data, candidates, pool, embedded, limits, lowest_level, HashBudget(limits.stamped_bytes))
    signers = tuple(reader.signer(element) for element in data.signer_infos)
    covered = next((content for content in reader.covered if content is not None), None)
    return SignatureFacts(
        signature_format,
        signers,
        embedded,
        None if covered is None else covered.digest("sha256").hex(),
        attached_content=data.content,
    )


@dataclass
class _Reader:
    """Reads the signatures of one file and keeps count over all of them."""

    data: cms.SignedData
    candidates: Sequence[Content]
    pool: Sequence[Certificate]
    embedded: Embedded
    limits: Limits
    lowest_level: str
    budget: HashBudget
    signatures: int = 0
    stamps: int = 0

    def __post_init__(self) -> None:
        self.covered: list[Content | None] = []

    def signer(self, element: der.Element) -> SignerFacts:
        """One signature over the content, and the tree above it."""
        reading = Reading(self.data, self.candidates, self.pool, self.limits, self.lowest_level)
        reading.read(element)
        self.covered.append(reading.covered)
        content = reading.covered
        if content is None and self.data.content is not None:
            content = BytesContent(self.data.content)
        return self._facts(reading, content or next(iter(self.candidates), None), depth=0)

    def _facts(self, reading: Reading, content: Content | None, *, depth: int) -> SignerFacts:
        self.signatures += 1
        if self.signatures > self.limits.signers:
            raise too_much("signers", self.limits.signers)
        if reading.info is None:
            return _described(reading, self.embedded)
        try:
            elements = element_list(reading.info)
        except CheckFailed as failure:
            reading.findings.append(warned(Step.FORMAT, failure.text, rule="unsigned-attributes"))
            elements = []
        if not elements:
            return _described(reading, self.embedded)
        frame = Frame(self.data, reading.info, content, tuple(elements), self.limits, self.budget)
        unsigned = UnsignedReading(frame, counter_signature=depth > 0)
        unsigned.read()
        reading.findings.extend(unsigned.findings)
        self._count(unsigned.facts.stamps)
        counters = tuple(self._counter(item, reading.info.signature, depth + 1) for item in unsigned.counters)
        return _described(reading, self.embedded, unsigned.facts, counters)

    def _count(self, stamps: Sequence[Stamp]) -> None:
        self.stamps += len(stamps)
        if self.stamps > self.limits.timestamps:
            raise too_much("time-stamps", self.limits.timestamps)

    def _counter(self, element: der.Element, countersigned: bytes, depth: int) -> SignerFacts:
        if depth > self.limits.counter_signature_depth:
            raise too_much("counter-signatures upon each other", self.limits.counter_signature_depth)
        reading = CounterReading(self.data, (), self.pool, self.limits, self.lowest_level, countersigned=countersigned)
        reading.read(element)
        return self._facts(reading, BytesContent(countersigned), depth=depth)


def _described(
    reading: Reading,
    embedded: Embedded,
    unsigned: UnsignedFacts = NOTHING_UNSIGNED,
    counter_signatures: tuple[SignerFacts, ...] = (),
) -> SignerFacts:
    """What was read of one signature, under the names of its levels."""
    attributes = reading.attributes
    basic = reading.level
    if basic == "CAdES-B" and attributes is not None and attributes.policy is not None:
        basic = "CAdES-EPES"
    signing_time = attributes.signing_time if attributes else None
    return SignerFacts(
        level=level_found(basic, unsigned),
        findings=tuple(sorted(reading.findings, key=lambda item: item.step.number)),
        integrity=reading.integrity,
        certificate=reading.certificate,
        algorithms=reading.algorithms,
        bound=bool(attributes and attributes.references),
        claimed_signing_time=signing_time,
        policy=attributes.policy if attributes else None,
        signature_value=reading.info.signature if reading.info else b"",
        unsigned=unsigned,
        baseline_level=baseline_found(basic, unsigned, embedded, signing_time=signing_time is not None),
        counter_signatures=counter_signatures,
    )
