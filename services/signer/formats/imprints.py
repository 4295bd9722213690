"""What each kind of time-stamp attribute stamps: the bytes under its message imprint.

Signature time-stamp: the signature's value. CAdES-C time-stamp: that value, the signature time-stamps and the
references. References time-stamp: the references. Archive time-stamp v2 (TS 101 733 V1.8.3, 6.4.1): everything, with
no word in the standard about other archive time-stamps, so signers differ. v3: ``hash_index.py``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from services.signer import der
from services.signer.facts import BytesContent, Content, FileContent, SignerFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.limits import Limits, length_octets, too_much
from services.signer.texts import say
from shared.domain.verdict import SubIndication

Buffer: TypeAlias = bytes | memoryview


@dataclass
class HashBudget:
    """Bytes that may still be hashed for the time-stamps of one file: every archive time-stamp covers all of it."""

    limit: int
    spent: int = 0

    def spend(self, size: int) -> None:
        """Raise ``CheckFailed`` (FORMAT_FAILURE) when there is nothing left."""
        self.spent += size
        if self.spent > self.limit:
            raise too_much("bytes under time-stamps", self.limit)


@dataclass
class Frame:
    """The signature that the time-stamps of one signerInfo stand in."""

    data: cms.SignedData
    info: cms.SignerInfo
    content: Content | None
    """The content the signature covers; None when it is not at hand."""
    attributes: tuple[der.Element, ...]
    """The unsigned attributes, readable or not."""
    limits: Limits
    budget: HashBudget
    kinds: dict[int, str] = field(default_factory=dict)
    """Object identifier by position, for those that are readable."""
    archived_at: dict[int, datetime] = field(default_factory=dict)
    """When each archive time-stamp says it was made, by position."""

    @cached_property
    def encoded(self) -> list[bytes]:
        """The unsigned attributes as sent."""
        return [element.encoded for element in self.attributes]

    def positions(self, *kinds: str) -> list[int]:
        """Where the attributes of these kinds stand."""
        return [position for position, kind in self.kinds.items() if kind in kinds]


def stamped_other(text: str = "timestamp.other") -> CheckFailed:
    """The failure for a time-stamp that does not fit."""
    return CheckFailed(SubIndication.HASH_FAILURE, say(text))


@dataclass(frozen=True)
class Imprinted:
    """Bytes in one of some forms: the first that fits counts, and says which attributes it holds."""

    frame: Frame
    forms: Callable[[], Iterator[tuple[Sequence[Buffer], Iterable[int]]]]

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it."""
        for pieces, positions in self.forms():
            self.frame.budget.spend(sum(map(len, pieces)))
            state = hashlib.new(algorithm)
            for piece in pieces:
                state.update(piece)
            if hmac.compare_digest(state.digest(), hashed):
                return frozenset(positions)
        raise stamped_other()


@dataclass(frozen=True)
class ValueImprint:
    """Under a signature time-stamp (EN 319 122-1, 5.3): the signature's value."""

    value: bytes

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it."""
        if not hmac.compare_digest(hashlib.new(algorithm, self.value).digest(), hashed):
            raise stamped_other()
        return frozenset()


def validation_data(frame: Frame) -> Imprinted:
    """Under a CAdES-C time-stamp (EN 319 122-1, A.1.5.2)."""
    kinds = (cms.SIGNATURE_TIMESTAMP, cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES)
    return Imprinted(frame, lambda: _attribute_forms(frame, (frame.info.signature,), kinds))


def references(frame: Frame) -> Imprinted:
    """Under a references time-stamp (EN 319 122-1, A.1.5.1)."""
    return Imprinted(
        frame, lambda: _attribute_forms(frame, (), (cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES))
    )


def _attribute_forms(
    frame: Frame, before: tuple[bytes, ...], kinds: tuple[str, ...]
) -> Iterator[tuple[Sequence[Buffer], list[int]]]:
    """Type and values of each attribute without the SEQUENCE around them, as the standard's note has it; or with it."""
    positions = [position for kind in kinds for position in frame.positions(kind)]
    if not set(kinds) - {cms.SIGNATURE_TIMESTAMP} <= set(frame.kinds.values()):
        raise stamped_other()
    elements = [frame.attributes[position] for position in positions]
    yield (*before, *(element.contents for element in elements)), positions
    yield (*before, *(element.encoded for element in elements)), positions


def archive_v2(frame: Frame, position: int) -> Imprinted:
    """Under an archive time-stamp v2, with each of the choices that signers make about other archive time-stamps."""
    return Imprinted(frame, lambda: _archive_forms(frame, position))


def _archive_forms(frame: Frame, own: int) -> Iterator[tuple[Sequence[Buffer], list[int]]]:
    head = (*_content_pieces(frame), *_signer_pieces(frame.info))
    seen: list[list[int]] = []
    for left_out in _left_out(frame, own):
        as_sent = [position for position in range(len(frame.attributes)) if position not in left_out]
        for kept in (as_sent, sorted(as_sent, key=frame.encoded.__getitem__)):
            if kept in seen:
                continue
            seen.append(kept)
            attributes = [frame.encoded[position] for position in kept]
            # The header by itself: the attributes may be large, and there are many stamps over them.
            header = bytes((der.CONTEXT_1,)) + length_octets(sum(map(len, attributes)))
            yield (*head, header, *attributes) if attributes else head, kept


def _left_out(frame: Frame, own: int) -> list[set[int]]:
    """All but this; without any archive time-stamp; without later ones (signatures.md 6.1)."""
    archive = set(frame.positions(*cms.ARCHIVE_TIMESTAMPS))
    made = frame.archived_at.get(own)
    later = {
        position
        for position in archive
        if made is not None and position in frame.archived_at and frame.archived_at[position] > made
    }
    return [{own}, archive | {own}, later | {own}]


def _content_pieces(frame: Frame) -> Iterator[Buffer]:
    """The encapContentInfo in DER, the detached content, all certificates, all revocation data."""
    data = frame.data
    content_type = der.children(data.encapsulated)[0].encoded
    if data.content is not None:
        wrapped = der.encode(der.CONTEXT_0, der.encode(der.OCTET_STRING, data.content))
        yield der.encode(der.SEQUENCE, content_type, wrapped)
    else:
        if not isinstance(frame.content, BytesContent | FileContent):
            raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))
        yield data.encapsulated.encoded
        yield frame.content.data
    for element in (data.certificate_set, data.revocation_set):
        if element is not None:
            yield element.encoded


def _signer_pieces(info: cms.SignerInfo) -> Iterator[bytes]:
    """The fields of the signerInfo up to its value, without the SEQUENCE around them."""
    fields = (info.version, info.identifier, info.digest_algorithm, info.signed, info.signature_algorithm)
    yield from (element.encoded for element in (*fields, info.signature_field) if element is not None)


def signer_forms(info: cms.SignerInfo) -> Iterator[bytes]:
    """Those fields as one piece: as sent, and with the signed attributes in DER order when they are not."""
    as_sent = b"".join(_signer_pieces(info))
    yield as_sent
    if info.signed is not None:
        ordered = der.encode_set_of([attribute.encoded for attribute in info.signed_attributes], der.CONTEXT_0)
        if ordered != info.signed.encoded:
            yield as_sent.replace(info.signed.encoded, ordered, 1)
