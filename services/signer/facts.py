"""What a signature says, before anybody is trusted: bytes in, facts out; no clock, no network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from services.signer.certificates import Certificate
from services.signer.findings import Finding
from shared.contracts.signatures import SignatureFormat


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
class SignerFacts:
    """One signature inside a file."""

    level: str
    findings: tuple[Finding, ...]
    """Steps 1 to 6."""
    integrity: bool
    certificate: Certificate | None = None
    algorithms: AlgorithmUse | None = None
    bound: bool = False
    """Whether a signed attribute names the certificate."""
    claimed_signing_time: datetime | None = None
    signature_value: bytes = b""
    timestamp_tokens: tuple[bytes, ...] = ()
    unevaluated_timestamps: int = 0
    """Time-stamps that are there but in a form that is not evaluated."""
    counter_signatures: int = 0


@dataclass(frozen=True)
class SignatureFacts:
    """Everything read from one file."""

    format: SignatureFormat
    signers: tuple[SignerFacts, ...]
    certificates: tuple[Certificate, ...] = ()
    revocation_lists: tuple[bytes, ...] = field(default=(), repr=False)
    content_sha256: str | None = None
    """Digest of the signed bytes, once they are known to be the right ones."""
    attached_content: bytes | None = field(default=None, repr=False)

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
