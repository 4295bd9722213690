"""Raises signatures to T, C, X, X-L and A with encoders of its own, so that the verifier is not checked against itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.signer import der
from tests.support.pki import NOW, Hierarchy, Holder, Pki
from tests.unit.signer.signing import sign, timestamp

SIGNATURE_STAMP = "1.2.840.113549.1.9.16.2.14"
CERTIFICATE_REFERENCES = "1.2.840.113549.1.9.16.2.21"
REVOCATION_REFERENCES = "1.2.840.113549.1.9.16.2.22"
CERTIFICATE_VALUES = "1.2.840.113549.1.9.16.2.23"
REVOCATION_VALUES = "1.2.840.113549.1.9.16.2.24"
C_STAMP = "1.2.840.113549.1.9.16.2.25"
REFERENCES_STAMP = "1.2.840.113549.1.9.16.2.26"
ARCHIVE_V1 = "1.2.840.113549.1.9.16.2.27"
ARCHIVE_V2 = "1.2.840.113549.1.9.16.2.48"
ARCHIVE_V3 = "0.4.0.1733.2.4"
INDEX_V1 = "0.4.0.1733.2.5"
INDEX_V3 = "0.4.0.19122.1.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
ARCHIVES = (ARCHIVE_V1, ARCHIVE_V2, ARCHIVE_V3)
MINUTE = timedelta(minutes=1)
SIGNED_AT = NOW - timedelta(days=1)
SHA256 = der.encode(der.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.1"))


def sequence(*parts: bytes) -> bytes:
    return der.encode(der.SEQUENCE, *parts)


def octets(value: bytes) -> bytes:
    return der.encode(der.OCTET_STRING, value)


def attribute(oid: str, *values: bytes) -> bytes:
    return sequence(der.encode_oid(oid), der.encode(der.SET, *values))


@dataclass(frozen=True)
class File:
    """A CMS file with one signer, open for more unsigned attributes."""

    before: tuple[bytes, ...]
    """Fields of SignedData before signerInfos: version, digestAlgorithms, encapContentInfo, certificates, crls."""
    signer: tuple[bytes, ...]
    """Fields of the signerInfo up to the signature."""
    attributes: tuple[bytes, ...] = ()
    detached: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, encoded: bytes, detached: bytes | None = None) -> File:
        info = der.children(der.read_whole(encoded))
        fields = der.children(der.children(info[1])[0])
        signer = [item.encoded for item in der.children(der.children(fields[-1])[0])]
        attributes: tuple[bytes, ...] = ()
        if signer[-1][0] == der.CONTEXT_1:
            attributes = tuple(item.encoded for item in der.children(der.read_whole(signer.pop())))
        return cls(tuple(item.encoded for item in fields[:-1]), tuple(signer), attributes, detached)

    @property
    def signature(self) -> bytes:
        return der.octets(der.read_whole(self.signer[-1]))

    def encode(self) -> bytes:
        unsigned = (der.encode(der.CONTEXT_1, *self.attributes),) if self.attributes else ()
        infos = der.encode(der.SET, sequence(*self.signer, *unsigned))
        signed_data = sequence(*self.before, infos)
        return sequence(der.encode_oid("1.2.840.113549.1.7.2"), der.encode(der.CONTEXT_0, signed_data))

    def plus(self, oid: str, *values: bytes) -> File:
        return replace(self, attributes=(*self.attributes, attribute(oid, *values)))

    def of_kind(self, *oids: str) -> list[bytes]:
        return [item for item in self.attributes if der.oid(der.children(der.read_whole(item))[0]) in oids]

    def without(self, *oids: str) -> File:
        gone = self.of_kind(*oids)
        return replace(self, attributes=tuple(item for item in self.attributes if item not in gone))

    def with_revocation(self, *choices: bytes) -> File:
        """The given members in SignedData.crls."""
        return replace(self, before=(*self.before, der.encode(der.CONTEXT_1, *choices)))

    # What time-stamps are about

    def under_c_stamp(self) -> bytes:
        kinds = (SIGNATURE_STAMP, CERTIFICATE_REFERENCES, REVOCATION_REFERENCES)
        return self.signature + b"".join(bare(item) for kind in kinds for item in self.of_kind(kind))

    def under_references_stamp(self) -> bytes:
        kinds = (CERTIFICATE_REFERENCES, REVOCATION_REFERENCES)
        return b"".join(bare(item) for kind in kinds for item in self.of_kind(kind))

    def under_archive_v2(self) -> bytes:
        unsigned = der.encode(der.CONTEXT_1, *self.attributes) if self.attributes else b""
        content = (self.before[2], self.detached or b"")
        return b"".join((*content, *self.before[3:], *self.signer, unsigned))

    def under_archive_v3(self, content: bytes, index: bytes) -> bytes:
        content_type = der.children(der.read_whole(self.before[2]))[0].encoded
        return b"".join((content_type, hashlib.sha256(content).digest(), *self.signer, index))

    def members(self, tag: int) -> list[bytes]:
        return [
            item.encoded for part in self.before[3:] if part[0] == tag for item in der.children(der.read_whole(part))
        ]


def bare(encoded: bytes) -> bytes:
    """Type and values of an attribute without the SEQUENCE around them."""
    return der.read_whole(encoded).contents


def add_unsigned(token: bytes, oid: str, value: bytes) -> bytes:
    return File.of(token).plus(oid, value).encode()


# The steps up


def with_signature_stamp(file: File, tsa: Holder, at: datetime = SIGNED_AT) -> File:
    return file.plus(SIGNATURE_STAMP, timestamp(tsa, file.signature, at))


def other_hash(encoded: bytes) -> bytes:
    return sequence(SHA256, octets(hashlib.sha256(encoded).digest()))


def certificate_references(certificates: Sequence[bytes]) -> bytes:
    return sequence(*(sequence(other_hash(item)) for item in certificates))


def revocation_references(crls: Sequence[bytes], responses: Sequence[bytes] = ()) -> bytes:
    entries = [sequence(der.encode(der.CONTEXT_0, sequence(sequence(sequence(other_hash(item)))))) for item in crls]
    for item in responses:
        identifier = sequence(der.encode(der.CONTEXT_1, b""), der.encode(der.GENERALIZED_TIME, b"20261119120000Z"))
        named = sequence(identifier, other_hash(item))
        entries.append(sequence(der.encode(der.CONTEXT_1, sequence(sequence(named)))))
    return sequence(*entries)


def revocation_values(crls: Sequence[bytes], responses: Sequence[bytes] = ()) -> bytes:
    parts = [der.encode(der.CONTEXT_0, sequence(*crls))] if crls else []
    if responses:
        parts.append(der.encode(der.CONTEXT_1, sequence(*responses)))
    return sequence(*parts)


def authorities(tree: Hierarchy) -> list[bytes]:
    return [tree.issuing.der, tree.root.der]


def with_references(file: File, tree: Hierarchy, crls: Sequence[bytes]) -> File:
    named = file.plus(CERTIFICATE_REFERENCES, certificate_references(authorities(tree)))
    return named.plus(REVOCATION_REFERENCES, revocation_references(crls))


def with_values(file: File, tree: Hierarchy, crls: Sequence[bytes]) -> File:
    filled = file.plus(CERTIFICATE_VALUES, sequence(*authorities(tree)))
    return filled.plus(REVOCATION_VALUES, revocation_values(crls))


def with_archive_v2(file: File, tsa: Holder, at: datetime, under: bytes | None = None) -> File:
    return file.plus(ARCHIVE_V2, timestamp(tsa, under if under is not None else file.under_archive_v2(), at))


def hash_index(file: File, *, by_value: bool = True, leave_out: str = "", extra: bytes = b"") -> bytes:
    def hashes(items: Sequence[bytes]) -> bytes:
        return sequence(*(octets(hashlib.sha256(item).digest()) for item in items))

    kept = file.without(leave_out).attributes if leave_out else file.attributes
    entries: list[bytes] = []
    for item in kept:
        oid, values = der.children(der.read_whole(item))
        entries += [oid.encoded + value.encoded for value in der.children(values)] if by_value else [item]
    certificates = [*file.members(der.CONTEXT_0), *([extra] if extra else [])]
    algorithm = (SHA256,) if by_value else ()
    return sequence(*algorithm, hashes(certificates), hashes(file.members(der.CONTEXT_1)), hashes(entries))


def with_archive_v3(
    file: File, content: bytes, tsa: Holder, at: datetime, *, by_value: bool = True, index: bytes | None = None
) -> File:
    index = hash_index(file, by_value=by_value) if index is None else index
    token = timestamp(tsa, file.under_archive_v3(content, index), at)
    return file.plus(ARCHIVE_V3, add_unsigned(token, INDEX_V3 if by_value else INDEX_V1, index))


def long_term(pki: Pki, content: bytes, *, attached: bool = True) -> File:
    """X-L as Turkish packages carry it: time-stamp, references and values, no X time-stamp."""
    crls = pki.qualified.crls()
    file = File.of(sign(pki.signer, content, attached=attached, at=SIGNED_AT), None if attached else content)
    stamped = with_signature_stamp(file, pki.tsa)
    return with_values(with_references(stamped, pki.qualified, crls), pki.qualified, crls)
