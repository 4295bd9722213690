"""Unsigned properties of XAdES: each is read on its own, and a broken one spoils nothing but itself.

What they are called by is the object identifier of the CMS attribute that means the same, so that levels, references
and profiles have one set of rules for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lxml import etree

from services.signer.certificates import ASN1_FAULTS
from services.signer.facts import Embedded, Imprint, Stamp, UnsignedFacts
from services.signer.findings import CheckFailed, Finding, Step, warned
from services.signer.formats import cms
from services.signer.formats import xades_validation_data as data
from services.signer.formats.attributes import attribute_failure
from services.signer.formats.xades_imprints import Frame, content_imprint, imprint_of
from services.signer.formats.xml_layout import DS, XADES, XADES_141, children_of, octets_of
from services.signer.limits import malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import Text, TimestampType

_STAMPS = {
    f"{XADES}SignatureTimeStamp": (TimestampType.SIGNATURE, cms.SIGNATURE_TIMESTAMP),
    f"{XADES}SigAndRefsTimeStamp": (TimestampType.VALIDATION_DATA, cms.VALIDATION_DATA_TIMESTAMP),
    f"{XADES_141}SigAndRefsTimeStampV2": (TimestampType.VALIDATION_DATA, cms.VALIDATION_DATA_TIMESTAMP),
    f"{XADES}RefsOnlyTimeStamp": (TimestampType.REFERENCES, cms.REFERENCES_TIMESTAMP),
    f"{XADES_141}RefsOnlyTimeStampV2": (TimestampType.REFERENCES, cms.REFERENCES_TIMESTAMP),
    f"{XADES}ArchiveTimeStamp": (TimestampType.ARCHIVE_V1, cms.ARCHIVE_TIMESTAMP_V1),
    f"{XADES_141}ArchiveTimeStamp": (TimestampType.XADES_ARCHIVE, cms.ARCHIVE_TIMESTAMP_V3),
}
_DATA = {
    f"{XADES}CompleteCertificateRefs": cms.CERTIFICATE_REFERENCES,
    f"{XADES_141}CompleteCertificateRefsV2": cms.CERTIFICATE_REFERENCES,
    f"{XADES}CompleteRevocationRefs": cms.REVOCATION_REFERENCES,
    f"{XADES}CertificateValues": cms.CERTIFICATE_VALUES,
    f"{XADES}RevocationValues": cms.REVOCATION_VALUES,
}
_STAMP_PARTS = frozenset({f"{XADES}Include", f"{DS}CanonicalizationMethod"})


@dataclass
class UnsignedReading:
    """Reads the unsigned properties of one signature, and the content time-stamps of its signed ones."""

    frame: Frame
    counter_signature: bool = False
    """Archive time-stamps of a counter-signature are named only."""
    facts: UnsignedFacts = field(default_factory=UnsignedFacts)
    counters: list[Any] = field(default_factory=list)
    material: Embedded = field(default_factory=Embedded)
    """What came along for the certificates of time-stamps: no reference stands for it."""
    findings: list[Finding] = field(default_factory=list)
    unevaluated: int = 0

    def read(self, content_stamps: tuple[Any, ...] = ()) -> None:
        """Take them one by one; what cannot be read becomes a finding of step 1.

        Raises ``CheckFailed`` (FORMAT_FAILURE) for more time-stamps than the limits allow.
        """
        elements, limits = self.frame.layout.unsigned, self.frame.document.limits
        for number, element in enumerate(content_stamps, 1):
            self._isolated(partial(self._stamps, element, TimestampType.CONTENT, -number))
        if len(elements) > limits.attributes:
            self._fault(too_much("unsigned properties", limits.attributes).text)
            return
        known = [_DATA.get(item.tag) or _STAMPS.get(item.tag, (None, None))[1] for item in elements]
        self.facts = replace(self.facts, present=frozenset(item for item in known if item is not None))
        for position, element in enumerate(elements):
            self._isolated(partial(self._take, position, element, known))
        if len(self.facts.stamps) + self.unevaluated > limits.timestamps:
            raise too_much("time-stamps", limits.timestamps)

    def _isolated(self, work: Callable[[], None]) -> None:
        try:
            work()
        except CheckFailed as failure:
            self._fault(failure.text)
        except ASN1_FAULTS:
            self._fault(malformed("unsigned property").text)

    def _fault(self, text: Text) -> None:
        self.findings.append(warned(Step.FORMAT, text, rule="unsigned-attributes"))

    def _take(self, position: int, element: Any, known: list[str | None]) -> None:
        name, facts, limits = element.tag, self.facts, self.frame.document.limits
        if name in _DATA and known.count(known[position]) != 1:
            raise attribute_failure("attributes.cardinality", oid=etree.QName(element).localname)
        if name in _STAMPS:
            self._stamps(element, _STAMPS[name][0], position)
        elif name == f"{XADES}CounterSignature":
            inside = children_of(element)
            if len(inside) != 1 or inside[0].tag != f"{DS}Signature":
                raise malformed("counter-signature")
            self.counters.append(inside[0])
        elif name == f"{XADES}CertificateValues":
            self.facts = replace(facts, values=facts.values + data.certificate_values(element, limits))
        elif name == f"{XADES}RevocationValues":
            self.facts = replace(facts, values=facts.values + data.revocation_values(element, limits))
        elif known[position] == cms.CERTIFICATE_REFERENCES:
            self.facts = replace(facts, certificate_references=data.certificate_references(element, limits))
        elif known[position] == cms.REVOCATION_REFERENCES:
            self.facts = replace(facts, revocation_references=data.revocation_references(element, limits))
        elif name == f"{XADES_141}TimeStampValidationData":
            self.material += data.stamp_values(element, limits)
        else:
            self._fault(say("attributes.not-evaluated", name=etree.QName(element).localname[:60]))

    def _stamps(self, element: Any, kind: TimestampType, position: int) -> None:
        tokens = [item for item in children_of(element) if item.tag not in _STAMP_PARTS]
        encapsulated = [item for item in tokens if item.tag == f"{XADES}EncapsulatedTimeStamp"]
        # XMLTimeStamp: the standard leaves open what it is, and nobody makes them.
        self.unevaluated += len(tokens) - len(encapsulated)
        if not tokens:
            raise malformed("time-stamp without a token")
        if len(encapsulated) + len(self.facts.stamps) > self.frame.document.limits.timestamps:
            self.unevaluated += len(encapsulated)
            return
        imprint = self._imprint(element, kind, position)
        stamps = [Stamp(kind, position, octets_of(item), imprint) for item in encapsulated]
        self.facts = replace(self.facts, stamps=(*self.facts.stamps, *stamps))

    def _imprint(self, element: Any, kind: TimestampType, position: int) -> Imprint | None:
        if kind is TimestampType.CONTENT:
            return content_imprint(self.frame, element)
        if kind is TimestampType.ARCHIVE_V1 or (self.counter_signature and kind is TimestampType.XADES_ARCHIVE):
            return None
        return imprint_of(self.frame, element, position)
