"""What a signature says, before anybody is trusted: bytes in, facts out; no clock, no network."""

from __future__ import annotations

import hashlib
import mmap
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

from services.signer.certificates import Certificate, names_equal
from services.signer.findings import CheckFailed, Finding
from shared.contracts.signatures import SignatureFormat, SignatureScope, TimestampType

_CHUNK = 256 * 1024


class Content(Protocol):
    """The signed bytes, as far as a check needs them: by digest."""

    def digest(self, algorithm: str) -> bytes:
        """Digest by ``hashlib`` name."""
        ...


class BytesContent:
    """Content held in memory; each digest is computed once."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self._digests: dict[str, bytes] = {}

    def digest(self, algorithm: str) -> bytes:
        """Digest by ``hashlib`` name."""
        if algorithm not in self._digests:
            self._digests[algorithm] = hashlib.new(algorithm, self.data).digest()
        return self._digests[algorithm]


class FileContent:
    """Content in an open file, of which no more than a chunk is in memory."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._digests: dict[str, bytes] = {}

    def digest(self, algorithm: str) -> bytes:
        """Digest by ``hashlib`` name, computed once; raises ``OSError``, ``EOFError`` when the file is shorter than told."""
        if algorithm not in self._digests:
            hashed, position = hashlib.new(algorithm), 0
            while position < self._size:
                # By position: where the descriptor stands is shared with whoever opened the file.
                chunk = os.pread(self._descriptor, min(_CHUNK, self._size - position), position)
                if not chunk:
                    raise EOFError("the content's file is shorter than told")
                hashed.update(chunk)
                position += len(chunk)
            self._digests[algorithm] = hashed.digest()
        return self._digests[algorithm]

    @cached_property
    def data(self) -> memoryview:
        """The bytes, mapped: for stamps that are about the content itself together with more."""
        if not self._size:
            return memoryview(b"")
        return memoryview(mmap.mmap(self._descriptor, self._size, prot=mmap.PROT_READ))


class DigestedContent:
    """Content that went by as a stream: only the digests computed then are known."""

    def __init__(self, digests: dict[str, bytes]) -> None:
        self._digests = digests

    def digest(self, algorithm: str) -> bytes:
        """Digest by ``hashlib`` name; raises ``KeyError`` for one that was not computed."""
        return self._digests[algorithm]


@dataclass(frozen=True)
class AlgorithmUse:
    """What a signature computes with, named as ``checks/algorithms.py`` names it."""

    digest: str
    signature: str
    key: str
    """``rsa`` or the curve's name."""
    key_bits: int
    other_digests: tuple[str, ...] = ()
    """Digests of references to content or certificate."""


@dataclass(frozen=True)
class Reference:
    """A digest that stands for one revocation list or OCSP response (EN 319 122-1, annex A.1)."""

    digest: str
    """By its ``hashlib`` name."""
    value: bytes

    def fits(self, encoded: bytes) -> bool:
        """Whether ``encoded`` has this digest."""
        return hashlib.new(self.digest, encoded).digest() == self.value


@dataclass(frozen=True)
class CertificateReference(Reference):
    """A digest that stands for one certificate, and its issuer and serial number when they are given."""

    serial_number: int | None
    issuer: bytes | None

    def matches(self, certificate: Certificate) -> bool:
        """Whether hash, and serial and issuer when given, are those of ``certificate``."""
        if self.serial_number is not None and self.serial_number != certificate.serial_number:
            return False
        if not self.fits(certificate.der):
            return False
        return self.issuer is None or names_equal(self.issuer, certificate.issuer_der)


@dataclass(frozen=True)
class RevocationReferences:
    """What complete-revocation-references names, without the order of certificates."""

    lists: tuple[Reference, ...] = ()
    responses: tuple[Reference, ...] = ()
    undigested_responses: int = 0
    """OCSP responses named by responder and time only, which no value can be held against."""


@dataclass(frozen=True)
class SignaturePolicy:
    """The signature policy a signed attribute names (EN 319 122-1, 5.2.9.1)."""

    oid: str
    digest: str | None
    """Algorithm of ``value``, by its ``hashlib`` name; None when the policy is only implied."""
    value: bytes


@dataclass(frozen=True)
class Embedded:
    """Certificates and revocation data that come with a signature: material, trusted for nothing."""

    certificates: tuple[Certificate, ...] = ()
    revocation_lists: tuple[bytes, ...] = field(default=(), repr=False)
    ocsp_responses: tuple[bytes, ...] = field(default=(), repr=False)

    def __add__(self, other: Embedded) -> Embedded:
        return Embedded(
            tuple(dict.fromkeys((*self.certificates, *other.certificates))),
            tuple(dict.fromkeys((*self.revocation_lists, *other.revocation_lists))),
            tuple(dict.fromkeys((*self.ocsp_responses, *other.ocsp_responses))),
        )


class Imprint(Protocol):
    """The bytes a time-stamp must be about."""

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:
        """Positions of the unsigned attributes that are stamped as well.

        Args:
            algorithm: digest of the message imprint, by its ``hashlib`` name.
            hashed: the message imprint's value.
            token: what was read of the time-stamp's own signature.

        Raises:
            CheckFailed: HASH_FAILURE when the stamp is about other bytes, FORMAT_FAILURE when its
                hash index cannot be read, SIGNED_DATA_NOT_FOUND when the bytes are not at hand.
        """
        ...


@dataclass(frozen=True)
class Stamp:
    """A time-stamp attribute as it stands in the file, not yet looked into."""

    type: TimestampType
    position: int
    """Of its attribute among the unsigned ones."""
    token: bytes = field(repr=False)
    imprint: Imprint | None = field(repr=False)
    """None for a kind that is named and not evaluated."""


@dataclass(frozen=True)
class StampFacts:
    """One time-stamp attribute taken apart; nobody is trusted yet."""

    type: TimestampType
    position: int
    failure: CheckFailed | None
    """Why it is not intact: about other bytes, or its own signature does not hold."""
    generated_at: datetime | None = None
    """What the token says, even when it is not intact."""
    certificate: Certificate | None = None
    token: SignatureFacts | None = field(default=None, repr=False)
    covers: frozenset[int] = frozenset()
    """Positions of the unsigned attributes it stamps."""
    digests: tuple[str, ...] = ()
    """Digest of the imprint, and of the hash index when there is one."""

    @property
    def intact(self) -> bool:
        """Whether it is about the right bytes and its own signature holds."""
        return self.failure is None


@dataclass(frozen=True)
class UnsignedFacts:
    """The unsigned attributes of one signature, each read on its own."""

    present: frozenset[str] = frozenset()
    """Object identifiers."""
    values: Embedded = Embedded()
    """certificate-values and revocation-values."""
    certificate_references: tuple[CertificateReference, ...] | None = None
    revocation_references: RevocationReferences | None = None
    stamps: tuple[Stamp, ...] = ()
    hash_indexes: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    """ats-hash-index attributes of a time-stamp token: object identifier and value."""


NOTHING_UNSIGNED = UnsignedFacts()
"""Of a signature at level B."""


@dataclass(frozen=True)
class SignerFacts:
    """One signature inside a file."""

    level: str
    """What the attributes claim: ``CMS``, ``CAdES-B``, ``CAdES-EPES``, -T, -C, -X, -XL, -A."""
    findings: tuple[Finding, ...]
    """Steps 1 to 6."""
    integrity: bool
    certificate: Certificate | None = None
    algorithms: AlgorithmUse | None = None
    bound: bool = False
    """Whether a signed attribute names the certificate."""
    claimed_signing_time: datetime | None = None
    policy: SignaturePolicy | None = None
    signature_value: bytes = b""
    unsigned: UnsignedFacts = NOTHING_UNSIGNED
    baseline_level: str | None = None
    """The same in the words of EN 319 122-1, 6: ``B-B``, ``B-T``, ``B-LT``, ``B-LTA``; None when it is none of them."""
    timestamps: tuple[StampFacts, ...] = ()
    unevaluated_timestamps: int = 0
    """Time-stamps that are there but in a form that is not evaluated."""
    counter_signatures: tuple[SignerFacts, ...] = ()
    """Signatures over this one's value, each with its own."""
    scope: SignatureScope | None = None
    """How much of its document it covers; None when that is all there is."""


@dataclass(frozen=True)
class SignatureFacts:
    """Everything read from one file."""

    format: SignatureFormat
    signers: tuple[SignerFacts, ...]
    embedded: Embedded = Embedded()
    """What SignedData itself carries."""
    content_sha256: str | None = None
    """Digest of the signed bytes, once they are known to be the right ones."""
    attached_content: bytes | None = field(default=None, repr=False)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates the file itself carries."""
        return self.embedded.certificates

    def with_finding(self, finding: Finding) -> SignatureFacts:
        """The same facts with one more finding for every signer, at its place among the steps."""
        signers = tuple(
            replace(
                signer,
                findings=tuple(sorted((*signer.findings, finding), key=lambda item: item.step.number)),
            )
            for signer in self.signers
        )
        return replace(self, signers=signers)
