"""Unsigned attributes: each is read on its own, and a broken one spoils nothing but itself.

Real files hold a time-stamp wrapped in an OCTET STRING, or values nobody can read; the signature is as
good as before then, and the report says what was not understood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from services.signer import der
from services.signer.certificates import ASN1_FAULTS
from services.signer.facts import Imprint, Stamp, UnsignedFacts
from services.signer.findings import CheckFailed, Finding, Step, warned
from services.signer.formats import cms, imprints, references, tokens
from services.signer.formats.attributes import attribute_failure
from services.signer.formats.hash_index import IndexedImprint
from services.signer.formats.imprints import Frame
from services.signer.limits import malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import Text, TimestampType

_STAMPS = {
    cms.SIGNATURE_TIMESTAMP: TimestampType.SIGNATURE,
    cms.VALIDATION_DATA_TIMESTAMP: TimestampType.VALIDATION_DATA,
    cms.REFERENCES_TIMESTAMP: TimestampType.REFERENCES,
    cms.ARCHIVE_TIMESTAMP_V1: TimestampType.ARCHIVE_V1,
    cms.ARCHIVE_TIMESTAMP_V2: TimestampType.ARCHIVE_V2,
    cms.ARCHIVE_TIMESTAMP_V3: TimestampType.ARCHIVE_V3,
}
_HASH_INDEXES = frozenset({cms.HASH_INDEX_V1, cms.HASH_INDEX_V2, cms.HASH_INDEX_V3})
_SINGLE = frozenset(
    {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES, cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES}
)

T = TypeVar("T")


def element_list(info: cms.SignerInfo) -> list[der.Element]:
    """The unsigned attributes as elements; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    return [] if info.unsigned is None else der.children(info.unsigned)


@dataclass
class UnsignedReading:
    """Reads the unsigned attributes of one signature."""

    frame: Frame
    counter_signature: bool = False
    """Archive time-stamps of a counter-signature are in no standard: they are named only."""
    facts: UnsignedFacts = field(default_factory=UnsignedFacts)
    counters: list[der.Element] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def read(self) -> None:
        """Take them one by one; what cannot be read becomes a finding of step 1."""
        elements = self.frame.attributes
        if len(elements) > self.frame.limits.attributes:
            self._fault(too_much("attributes", self.frame.limits.attributes).text)
            return
        attributes = [self._isolated(partial(cms.parse_attribute, element)) for element in elements]
        known = {position: item for position, item in enumerate(attributes) if item is not None}
        self.frame.kinds.update({position: item.oid for position, item in known.items()})
        self.facts = replace(self.facts, present=frozenset(self.frame.kinds.values()))
        for position, attribute in known.items():
            if attribute.oid in cms.ARCHIVE_TIMESTAMPS and attribute.values:
                self._note_time(position, attribute.values[0].encoded)
        for position, attribute in known.items():
            self._isolated(partial(self._take, position, attribute))

    def _isolated(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except CheckFailed as failure:
            self._fault(failure.text)
        except ASN1_FAULTS:
            self._fault(malformed("unsigned attribute").text)
        return None

    def _fault(self, text: Text) -> None:
        self.findings.append(warned(Step.FORMAT, text, rule="unsigned-attributes"))

    def _note_time(self, position: int, token: bytes) -> None:
        try:
            self.frame.archived_at[position] = tokens.read_info(token, self.frame.limits).generated_at
        except (CheckFailed, *ASN1_FAULTS):
            return  # the time-stamp's own reading says what is wrong with it

    def _take(self, position: int, attribute: cms.Attribute) -> None:
        oid, facts, limits = attribute.oid, self.facts, self.frame.limits
        if oid in _SINGLE and (len(attribute.values) != 1 or len(self.frame.positions(oid)) != 1):
            raise attribute_failure("attributes.cardinality", oid=oid)
        if oid in _STAMPS:
            stamps = [
                Stamp(_STAMPS[oid], position, value.encoded, self._imprint(oid, position)) for value in attribute.values
            ]
            self.facts = replace(facts, stamps=(*facts.stamps, *stamps))
        elif oid in _HASH_INDEXES:
            entries = tuple((oid, value.encoded) for value in attribute.values)
            self.facts = replace(facts, hash_indexes=(*facts.hash_indexes, *entries))
        elif oid == cms.COUNTER_SIGNATURE:
            self.counters.extend(attribute.values)
        elif oid == cms.CERTIFICATE_VALUES:
            values = references.certificate_values(attribute.values[0], limits)
            self.facts = replace(facts, values=facts.values + values)
        elif oid == cms.REVOCATION_VALUES:
            values = references.revocation_values(attribute.values[0], limits)
            self.facts = replace(facts, values=facts.values + values)
        elif oid == cms.CERTIFICATE_REFERENCES:
            found = references.certificate_references(attribute.values[0], limits)
            self.facts = replace(facts, certificate_references=found)
        elif oid == cms.REVOCATION_REFERENCES:
            named = references.revocation_references(attribute.values[0], limits)
            self.facts = replace(facts, revocation_references=named)
        elif oid == cms.LONG_TERM_VALIDATION:
            self._fault(say("attributes.not-evaluated", name="long-term-validation"))

    def _imprint(self, oid: str, position: int) -> Imprint | None:
        if self.counter_signature and oid in cms.ARCHIVE_TIMESTAMPS:
            return None
        if oid == cms.SIGNATURE_TIMESTAMP:
            return imprints.ValueImprint(self.frame.info.signature)
        if oid == cms.VALIDATION_DATA_TIMESTAMP:
            return imprints.validation_data(self.frame)
        if oid == cms.REFERENCES_TIMESTAMP:
            return imprints.references(self.frame)
        if oid == cms.ARCHIVE_TIMESTAMP_V2:
            return imprints.archive_v2(self.frame, position)
        return IndexedImprint(self.frame) if oid == cms.ARCHIVE_TIMESTAMP_V3 else None
