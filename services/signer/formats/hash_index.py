"""Archive time-stamp v3 and its hash index (EN 319 122-1, 5.5.2 and 5.5.3; TS 101 733 V2.2.1, 6.4.2).

The time-stamp covers the index, and the index covers certificates, revocation data and unsigned attributes
one by one, so that more can be added afterwards. The older index takes whole attributes, v3 each value.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from services.signer import der
from services.signer.checks.mathematics import digest_name
from services.signer.facts import SignerFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.imprints import Frame, signer_forms, stamped_other
from services.signer.limits import malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_ADDED_LATER = cms.ARCHIVE_TIMESTAMPS | {cms.COUNTER_SIGNATURE, cms.LONG_TERM_VALIDATION}
"""Attributes that may follow an archive time-stamp; all others stood there before it."""
_KNOWN = (cms.HASH_INDEX_V1, cms.HASH_INDEX_V3)


@dataclass(frozen=True)
class HashIndex:
    """One ats-hash-index or ats-hash-index-v3 attribute."""

    by_value: bool
    """Whether each value of an unsigned attribute has an entry of its own (v3)."""
    digest: str
    certificates: frozenset[bytes]
    revocation: frozenset[bytes]
    attributes: frozenset[bytes]
    encoded: bytes


def index_of(token: SignerFacts) -> HashIndex:
    """The hash index a time-stamp token carries; raises ``CheckFailed`` when there is not exactly one that is known."""
    found = [(oid, encoded) for oid, encoded in token.unsigned.hash_indexes if oid in _KNOWN]
    if len(found) != 1:
        raise CheckFailed(SubIndication.FORMAT_FAILURE, say("timestamp.no-index"))
    oid, encoded = found[0]
    fields = der.children(der.expect(der.read_whole(encoded), der.SEQUENCE, "ATSHashIndex"))
    # The older one leaves its algorithm out when it is SHA-256.
    digest = digest_name(fields.pop(0)) if len(fields) == 4 else "sha256"
    if len(fields) != 3:
        raise malformed("bad ATSHashIndex")
    certificates, revocation, attributes = (frozenset(map(der.octets, der.children(field))) for field in fields)
    return HashIndex(oid == cms.HASH_INDEX_V3, digest, certificates, revocation, attributes, encoded)


@dataclass(frozen=True)
class IndexedImprint:
    """Under an archive time-stamp v3: content type, content digest, signerInfo and index."""

    frame: Frame

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:
        """As ``facts.Imprint`` has it; an index that names what is not there, or leaves out what was, is refused."""
        index = index_of(token)
        content_type = der.children(self.frame.data.encapsulated)[0].encoded
        for signer in signer_forms(self.frame.info):
            whole = content_type + self._content_digest(algorithm) + signer + index.encoded
            self.frame.budget.spend(len(whole))
            if hmac.compare_digest(hashlib.new(algorithm, whole).digest(), hashed):
                return self._covered(index)
        raise stamped_other()

    def _content_digest(self, algorithm: str) -> bytes:
        try:
            if self.frame.content is not None:
                return self.frame.content.digest(algorithm)
        except KeyError:
            pass
        raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))

    def _covered(self, index: HashIndex) -> frozenset[int]:
        frame = self.frame
        attributes = {position: self._entries(position, index) for position in range(len(frame.attributes))}
        for entries, elements in (
            (index.certificates, self._hashed(frame.data.certificate_set, index)),
            (index.revocation, self._hashed(frame.data.revocation_set, index)),
            (index.attributes, frozenset().union(*attributes.values())),
        ):
            if not entries <= elements:
                raise stamped_other("timestamp.index-wrong")
        covered = frozenset(position for position, entries in attributes.items() if entries <= index.attributes)
        before = {position for position, kind in frame.kinds.items() if kind not in _ADDED_LATER}
        if not before <= covered:
            raise stamped_other("timestamp.index-incomplete")
        return covered

    def _hashed(self, element: der.Element | None, index: HashIndex) -> frozenset[bytes]:
        items = [] if element is None else der.children(element)
        return frozenset(self._hash(item.encoded, index) for item in items)

    def _entries(self, position: int, index: HashIndex) -> frozenset[bytes]:
        element = self.frame.attributes[position]
        if not index.by_value:
            return frozenset((self._hash(element.encoded, index),))
        return frozenset(self._hash(piece, index) for piece in _values(element))

    def _hash(self, encoded: bytes, index: HashIndex) -> bytes:
        self.frame.budget.spend(len(encoded))
        return hashlib.new(index.digest, encoded).digest()


def _values(attribute: der.Element) -> Iterator[bytes]:
    """Type and value, one after the other, for each value of an attribute; one that nobody can read has none."""
    try:
        values = cms.parse_attribute(attribute).values
    except CheckFailed:
        yield attribute.encoded
        return
    kind = der.children(attribute)[0].encoded
    yield from (kind + value.encoded for value in values)
