"""What each kind of XAdES time-stamp stamps (EN 319 132-1, 5.2.8, 5.3, 5.5.2 and A.1.5; TS 101 903 V1.4.2).

All but the content time-stamps are over elements of the file, each canonicalised where it stands with the method the
time-stamp names and then joined: the signature's value; that and the references; everything that came before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.signer.facts import Imprint, SignerFacts
from services.signer.findings import CheckFailed
from services.signer.formats.imprints import stamped_other
from services.signer.formats.xades_canonical import Canonicalisation, read_canonicalisation
from services.signer.formats.xades_core import Document, Reference, Subject
from services.signer.formats.xml_layout import DS, XADES, XADES_141, Layout, only_child
from services.signer.texts import say
from shared.domain.verdict import SubIndication

SIGNATURE_STAMP = f"{XADES}SignatureTimeStamp"
REFERENCES = frozenset(
    {
        f"{XADES}CompleteCertificateRefs",
        f"{XADES_141}CompleteCertificateRefsV2",
        f"{XADES}CompleteRevocationRefs",
        f"{XADES}AttributeCertificateRefs",
        f"{XADES_141}AttributeCertificateRefsV2",
        f"{XADES}AttributeRevocationRefs",
    }
)
"""The properties under time-stamps over references."""

Form = tuple[Sequence[bytes], frozenset[int]]


@dataclass
class Frame:
    """The signature that time-stamps stand in."""

    document: Document
    layout: Layout
    references: Sequence[Reference]
    content_stamps: int = 0
    """How many the signed properties hold; their positions are -1, -2 and so on."""

    @property
    def signed_positions(self) -> frozenset[int]:
        """Positions of the content time-stamps: whatever is over the signature's value is over them."""
        return frozenset(range(-self.content_stamps, 0))

    def octets(self, element: Any, method: Canonicalisation) -> bytes:
        """One element where it stands."""
        return self.document.written(element, method)


@dataclass(frozen=True)
class XmlImprint:
    """Octets in one of some forms: the first that fits counts."""

    frame: Frame
    forms: Callable[[Canonicalisation], Iterator[Form]]
    method: Canonicalisation

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it."""
        for pieces, positions in self.forms(self.method):
            self.frame.document.budget.spend(sum(map(len, pieces)))
            state = hashlib.new(algorithm)
            for piece in pieces:
                state.update(piece)
            if hmac.compare_digest(state.digest(), hashed):
                return positions
        raise stamped_other()


@dataclass(frozen=True)
class Unevaluated:
    """A time-stamp over what we do not put together: ``failure`` says why."""

    failure: CheckFailed

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it; always raises."""
        raise self.failure.to_keep()


def imprint_of(frame: Frame, stamp: Any, position: int) -> Imprint:
    """What the unsigned time-stamp property ``stamp`` must be about."""
    forms = {
        SIGNATURE_STAMP: _value,
        f"{XADES}SigAndRefsTimeStamp": _value_and_references,
        f"{XADES_141}SigAndRefsTimeStampV2": _value_and_references,
        f"{XADES}RefsOnlyTimeStamp": _references_alone,
        f"{XADES_141}RefsOnlyTimeStampV2": _references_alone,
        f"{XADES_141}ArchiveTimeStamp": _everything,
    }[stamp.tag]
    if stamp.find(f"{XADES}Include") is not None:
        # The explicit mechanism, for properties that lie elsewhere (EN 319 132-1, 4.5): ours all lie here.
        return Unevaluated(_kind("Include"))
    return _isolated(frame, stamp, lambda method: forms(frame, method, position))


def content_imprint(frame: Frame, stamp: Any) -> Imprint:
    """What a content time-stamp must be about: the data that references stand for."""
    named = [(item.get("URI"), item.get("referencedData")) for item in stamp.findall(f"{XADES}Include")]
    if stamp.tag == f"{XADES}AllDataObjectsTimeStamp":
        if named:
            return Unevaluated(_kind("Include"))
        return _isolated(frame, stamp, lambda method: _all_data(frame, method))
    by_identifier = {f"#{item.identifier}": item for item in frame.references if item.identifier}
    chosen = [by_identifier.get(uri or "") for uri, whole in named if whole in ("true", "1")]
    if not named or len(chosen) != len(named):
        return Unevaluated(_kind("Include"))
    found = [item for item in chosen if item is not None]
    if len(found) != len(chosen) or len(by_identifier) != sum(1 for item in frame.references if item.identifier):
        return Unevaluated(stamped_other())
    return _isolated(frame, stamp, lambda method: iter([(_data(frame, found, method), frozenset())]))


def _isolated(frame: Frame, stamp: Any, forms: Callable[[Canonicalisation], Iterator[Form]]) -> Imprint:
    try:
        method = read_canonicalisation(only_child(stamp, f"{DS}CanonicalizationMethod"))
    except CheckFailed as failure:
        return Unevaluated(failure.to_keep())
    return XmlImprint(frame, forms, method)


def _kind(name: str) -> CheckFailed:
    return CheckFailed(SubIndication.FORMAT_FAILURE, say("timestamp.kind", name=name))


def _value(frame: Frame, method: Canonicalisation, position: int) -> Iterator[Form]:  # noqa: ARG001 - one of a table
    """EN 319 132-1, 5.3: the SignatureValue element."""
    yield (frame.octets(frame.layout.value, method),), frame.signed_positions


def _value_and_references(frame: Frame, method: Canonicalisation, position: int) -> Iterator[Form]:
    """A.1.5.1: the value, then time-stamps and references in their order, as far as they come before."""
    kinds = REFERENCES | {SIGNATURE_STAMP}
    places = [place for place, item in enumerate(frame.layout.unsigned[:position]) if item.tag in kinds]
    if not _refers(frame, places):
        raise stamped_other()
    pieces = [frame.octets(frame.layout.unsigned[place], method) for place in places]
    yield (frame.octets(frame.layout.value, method), *pieces), frozenset(places) | frame.signed_positions


def _references_alone(frame: Frame, method: Canonicalisation, position: int) -> Iterator[Form]:
    """A.1.5.2: the references in their order, as far as they come before."""
    places = [place for place, item in enumerate(frame.layout.unsigned[:position]) if item.tag in REFERENCES]
    if not _refers(frame, places):
        raise stamped_other()
    yield [frame.octets(frame.layout.unsigned[place], method) for place in places], frozenset(places)


def _refers(frame: Frame, places: Sequence[int]) -> bool:
    """Whether there are references to certificates and to revocation data among these properties."""
    names = {frame.layout.unsigned[place].tag for place in places}
    certificates = {f"{XADES}CompleteCertificateRefs", f"{XADES_141}CompleteCertificateRefsV2"}
    return not certificates.isdisjoint(names) and f"{XADES}CompleteRevocationRefs" in names


def _everything(frame: Frame, method: Canonicalisation, position: int) -> Iterator[Form]:
    """5.5.2.2: what the references stand for, SignedInfo, value, key, the properties before it, the other objects."""
    layout = frame.layout
    parts = (layout.signed_info, layout.value, layout.key_info, *layout.unsigned[:position], *layout.objects)
    pieces = (
        *_data(frame, frame.references, method),
        *(frame.octets(item, method) for item in parts if item is not None),
    )
    yield pieces, frozenset(range(position)) | frame.signed_positions


def _all_data(frame: Frame, method: Canonicalisation) -> Iterator[Form]:
    """5.2.8.1: what all references but that to the signed properties stand for; or without the key as well."""
    chosen = [item for item in frame.references if item.subject is not Subject.PROPERTIES]
    yield _data(frame, chosen, method), frozenset()
    without_key = [item for item in chosen if item.subject is not Subject.KEY]
    if len(without_key) < len(chosen):
        yield _data(frame, without_key, method), frozenset()


def _data(frame: Frame, references: Sequence[Reference], method: Canonicalisation) -> list[bytes]:
    return [frame.document.octets(item, frame.layout.signature, method) for item in references]
