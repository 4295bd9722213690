"""XML signatures and XAdES: any number of signatures over one document, each with its counter-signatures.

A signature covers the whole document it stands in, or its one object, or what the caller gives. So whoever reads the
document by path reads signed bytes; with partial references a moved element would still verify (signatures.md 8.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from services.signer.certificates import Certificate
from services.signer.facts import NOTHING_UNSIGNED, Content, Embedded, SignatureFacts, SignerFacts, UnsignedFacts
from services.signer.findings import Step, warned
from services.signer.formats.imprints import HashBudget
from services.signer.formats.levels import level_found, xml_baseline_found
from services.signer.formats.smime import NoSignature
from services.signer.formats.xades_core import Document
from services.signer.formats.xades_imprints import Frame
from services.signer.formats.xades_steps import XmlReading
from services.signer.formats.xades_unsigned import UnsignedReading
from services.signer.formats.xml_layout import DS, Layout, parse_xml
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat


def read_xades(
    data: bytes, expected: Content | None, limits: Limits, *, known: Sequence[Certificate] = ()
) -> SignatureFacts:
    """Facts about every signature of one XML file.

    Args:
        data: the file.
        expected: when given, must equal the canonical signed bytes; of a signature beside its content, that content.
        limits: what the bytes may cost.
        known: certificates from elsewhere, for signatures that carry none.

    Raises:
        CheckFailed: FORMAT_FAILURE, when the file as a whole cannot be read; a fault in one signature stays with it.
        NoSignature: there is none.
    """
    try:
        reader = _Reader(Document(parse_xml(data, limits), limits, HashBudget(limits.stamped_bytes), expected), known)
        signers = tuple(reader.signer(item, expected) for item in reader.outermost())
    except etree.LxmlError as error:
        raise malformed("the XML confuses the reader") from error
    contents = set(reader.contents)
    octets = contents.pop() if len(contents) == 1 else None
    if octets is None and reader.supplied and expected is not None:
        digest: str | None = expected.digest("sha256").hex()
    else:
        digest = None if octets is None else hashlib.sha256(octets).hexdigest()
    return SignatureFacts(SignatureFormat.XADES, signers, reader.embedded, digest, attached_content=octets)


@dataclass
class _Reader:
    """Reads the signatures of one file and keeps count over all of them."""

    document: Document
    known: Sequence[Certificate]
    embedded: Embedded = field(default_factory=Embedded)
    contents: list[bytes] = field(default_factory=list)
    supplied: bool = False
    signatures: int = 0
    stamps: int = 0

    def outermost(self) -> list[Any]:
        """The signatures that stand in no other."""
        found = [
            element
            for element in self.document.root.iter(f"{DS}Signature")
            if next(element.iterancestors(f"{DS}Signature"), None) is None
        ]
        if not found:
            raise NoSignature
        if len(found) > self.document.limits.signers:
            raise too_much("signers", self.document.limits.signers)
        return found

    def signer(self, signature: Any, expected: Content | None) -> SignerFacts:
        """One signature over the content, and the tree above it."""
        reading = XmlReading(self.document, signature, self.known, expected)
        facts = self._facts(reading, depth=0)
        if reading.octets is not None:
            self.contents.append(reading.octets)
        elif facts.integrity:
            self.supplied = True
        read = 1 + sum(1 for _ in _tree(facts.counter_signatures))
        if read < sum(1 for _ in signature.iter(f"{DS}Signature")):
            text = say("attributes.not-evaluated", name="Signature")
            facts = replace(facts, findings=(warned(Step.FORMAT, text, rule="unsigned-attributes"), *facts.findings))
        return facts

    def _facts(self, reading: XmlReading, *, depth: int) -> SignerFacts:
        self.signatures += 1
        if self.signatures > self.document.limits.signers:
            raise too_much("signers", self.document.limits.signers)
        reading.read()
        self.embedded += Embedded(reading.certificates)
        layout = reading.layout
        if layout is None:
            return _described(reading)
        signed = reading.properties
        content_stamps = () if signed is None else signed.stamps
        frame = Frame(self.document, layout, reading.references, len(content_stamps))
        unsigned = UnsignedReading(frame, counter_signature=depth > 0)
        unsigned.read(content_stamps)
        reading.findings.extend(unsigned.findings)
        self.embedded += unsigned.material
        self.stamps += len(unsigned.facts.stamps)
        if self.stamps > self.document.limits.timestamps:
            raise too_much("time-stamps", self.document.limits.timestamps)
        counters = tuple(self._counter(item, layout, depth + 1) for item in unsigned.counters)
        return _described(reading, unsigned.facts, counters, unsigned.unevaluated)

    def _counter(self, signature: Any, countersigned: Layout, depth: int) -> SignerFacts:
        if depth > self.document.limits.counter_signature_depth:
            raise too_much("counter-signatures upon each other", self.document.limits.counter_signature_depth)
        pool = (*self.embedded.certificates, *self.known)
        return self._facts(XmlReading(self.document, signature, pool, countersigned=countersigned), depth=depth)


def _tree(signers: Sequence[SignerFacts]) -> list[SignerFacts]:
    return [found for item in signers for found in (item, *_tree(item.counter_signatures))]


def _described(
    reading: XmlReading,
    unsigned: UnsignedFacts = NOTHING_UNSIGNED,
    counter_signatures: tuple[SignerFacts, ...] = (),
    unevaluated: int = 0,
) -> SignerFacts:
    """What was read of one signature, under the names of its levels."""
    signed, basic = reading.properties, reading.basic_level
    signing_time = None if signed is None else signed.signing_time
    return SignerFacts(
        level=level_found(basic, unsigned),
        findings=tuple(sorted(reading.findings, key=lambda item: item.step.number)),
        integrity=reading.integrity,
        certificate=reading.certificate,
        algorithms=reading.algorithms,
        bound=reading.bound,
        claimed_signing_time=signing_time,
        policy=None if signed is None else signed.policy,
        signature_value=reading.value,
        unsigned=unsigned,
        baseline_level=xml_baseline_found(basic, unsigned, signing_time=signing_time is not None),
        unevaluated_timestamps=unevaluated,
        counter_signatures=counter_signatures,
    )
