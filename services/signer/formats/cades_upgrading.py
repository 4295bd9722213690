"""More unsigned attributes for a signature that is there already: what was signed stays as it is, byte for byte.

Each step takes a file apart, adds, and gives a file back. Nothing is added under an archive time-stamp v2, which
covers everything (TS 101 733, 6.4.1); whoever calls sees to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.signer import der
from services.signer.formats import cms
from services.signer.formats.references_writing import ALGORITHM, DIGEST, attribute
from services.signer.limits import Limits, definite, length_octets


class ArchiveVersion(StrEnum):
    """Which archive time-stamp is made: v3 is the standard's, v2 what the field carries (record 0036)."""

    V2 = "v2"
    V3 = "v3"


@dataclass(frozen=True)
class OpenSignature:
    """One signature of a file, open for unsigned attributes."""

    data: cms.SignedData
    fields: tuple[bytes, ...]
    """SignedData up to signerInfos."""
    signers: tuple[bytes, ...]
    """Every signerInfo."""
    index: int
    """Which of them."""
    info: cms.SignerInfo
    attributes: tuple[bytes, ...]
    """The unsigned attributes, in DER order."""

    @classmethod
    def of(cls, encoded: bytes, index: int, limits: Limits) -> OpenSignature:
        """Take a file apart; raises ``CheckFailed`` (FORMAT_FAILURE).

        Args:
            encoded: the CMS, BER or DER.
            index: of the signerInfo, from 0.
            limits: what the bytes may cost.
        """
        encoded = definite(encoded, limits)
        data = cms.parse_signed_data(encoded, limits)
        whole = der.children(der.read_whole(encoded))[1]
        fields = der.children(der.children(whole)[0])[:-1]
        info = cms.parse_signer_info(data.signer_infos[index], limits)
        unsigned = () if info.unsigned is None else der.children(info.unsigned)
        return cls(
            data,
            tuple(item.encoded for item in fields),
            tuple(item.encoded for item in data.signer_infos),
            index,
            info,
            tuple(sorted(item.encoded for item in unsigned)),
        )

    def plus(self, *attributes: bytes) -> OpenSignature:
        """With more unsigned attributes (DER), all in DER order."""
        return replace(self, attributes=tuple(sorted((*self.attributes, *attributes))))

    def with_tokens(self, changed: Mapping[bytes, bytes]) -> OpenSignature:
        """With other forms of some signature time-stamps, by the form they have now (DER)."""
        kept: list[bytes] = []
        for item in self.attributes:
            parsed = cms.parse_attribute(der.read_whole(item))
            values = (changed.get(value.encoded, value.encoded) for value in parsed.values)
            kept.append(attribute(parsed.oid, *values) if parsed.oid == cms.SIGNATURE_TIMESTAMP else item)
        return replace(self, attributes=()).plus(*kept)

    def encoded(self) -> bytes:
        """The file."""
        signer = [item.encoded for item in self._signer_fields]
        if self.attributes:
            signer.append(der.encode(der.CONTEXT_1, *self.attributes))
        signers = list(self.signers)
        signers[self.index] = der.encode(der.SEQUENCE, *signer)
        signed_data = der.encode(der.SEQUENCE, *self.fields, der.encode(der.SET, *signers))
        return der.encode(der.SEQUENCE, der.encode_oid(cms.SIGNED_DATA), der.encode(der.CONTEXT_0, signed_data))

    def under_archive_v2(self, detached: bytes | None) -> bytes:
        """What an archive time-stamp v2 is about (TS 101 733 V1.8.3, 6.4.1).

        Args:
            detached: the content, when it is not in the file.
        """
        pieces = [self.data.encapsulated.encoded]
        if self.data.content is not None:
            content_type = der.children(self.data.encapsulated)[0].encoded
            wrapped = der.encode(der.CONTEXT_0, der.encode(der.OCTET_STRING, self.data.content))
            pieces = [der.encode(der.SEQUENCE, content_type, wrapped)]
        elif detached is not None:
            pieces.append(detached)
        pieces += [item.encoded for item in (self.data.certificate_set, self.data.revocation_set) if item is not None]
        pieces += [item.encoded for item in self._signer_fields]
        if self.attributes:
            pieces += [bytes((der.CONTEXT_1,)), length_octets(sum(map(len, self.attributes))), *self.attributes]
        return b"".join(pieces)

    def under_archive_v3(self, content_digest: bytes, index: bytes) -> bytes:
        """What an archive time-stamp v3 is about (EN 319 122-1, 5.5.3).

        Args:
            content_digest: of the signed content, by the digest of the time-stamp's own imprint.
            index: ``hash_index``.
        """
        content_type = der.children(self.data.encapsulated)[0].encoded
        return b"".join((content_type, content_digest, *(item.encoded for item in self._signer_fields), index))

    def hash_index(self) -> bytes:
        """ATSHashIndexV3 over everything that is there now (5.5.2)."""
        values: list[bytes] = []
        for item in self.attributes:
            kind, members = der.children(der.read_whole(item))
            values += (kind.encoded + value.encoded for value in der.children(members))
        return der.encode(
            der.SEQUENCE,
            ALGORITHM,
            _hashes(_members(self.data.certificate_set)),
            _hashes(_members(self.data.revocation_set)),
            _hashes(values),
        )

    @property
    def _signer_fields(self) -> list[der.Element]:
        info = self.info
        fields = (info.version, info.identifier, info.digest_algorithm, info.signed, info.signature_algorithm)
        return [element for element in (*fields, info.signature_field) if element is not None]


def token_with(token: bytes, limits: Limits, *attributes: bytes) -> bytes:
    """A time-stamp token (DER) with more unsigned attributes; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    return OpenSignature.of(token, 0, limits).plus(*attributes).encoded() if attributes else token


def kinds_of(token: bytes, limits: Limits) -> frozenset[str]:
    """Object identifiers of a token's unsigned attributes; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    return frozenset(map(_kind, OpenSignature.of(token, 0, limits).attributes))


def _kind(encoded: bytes) -> str:
    return der.oid(der.children(der.read_whole(encoded))[0])


def _members(element: der.Element | None) -> list[bytes]:
    return [] if element is None else [item.encoded for item in der.children(element)]


def _hashes(items: Sequence[bytes]) -> bytes:
    return der.encode(
        der.SEQUENCE, *(der.encode(der.OCTET_STRING, hashlib.new(DIGEST, item).digest()) for item in items)
    )
