"""Digests of parts: which algorithms a generation allows, and computing several in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from typing import BinaryIO

from shared.eyp.model import Generation

_CHUNK = 256 * 1024


class DigestAlgorithm(Enum):
    """A digest algorithm: its XML signature URI and its name in hashlib."""

    SHA1 = ("http://www.w3.org/2000/09/xmldsig#sha1", "sha1")
    RIPEMD160 = ("http://www.w3.org/2001/04/xmlenc#ripemd160", "ripemd160")
    SHA256 = ("http://www.w3.org/2001/04/xmlenc#sha256", "sha256")
    SHA384 = ("http://www.w3.org/2001/04/xmldsig-more#sha384", "sha384")
    SHA512 = ("http://www.w3.org/2001/04/xmlenc#sha512", "sha512")

    @property
    def uri(self) -> str:
        """The identifier written into manifests."""
        return self.value[0]


ALLOWED: dict[Generation, frozenset[DigestAlgorithm]] = {
    Generation.V1: frozenset(
        {DigestAlgorithm.SHA1, DigestAlgorithm.RIPEMD160, DigestAlgorithm.SHA256, DigestAlgorithm.SHA512}
    ),
    Generation.V2: frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}),
}
RETIRED = frozenset({DigestAlgorithm.SHA1, DigestAlgorithm.RIPEMD160})
_BY_URI = {algorithm.uri.lower(): algorithm for algorithm in DigestAlgorithm}


def algorithm_of(uri: str) -> DigestAlgorithm | None:
    """The algorithm a URI names (compared without case, as the official library does), or None."""
    return _BY_URI.get(uri.strip().lower())


def compute(stream: BinaryIO, algorithms: Iterable[DigestAlgorithm]) -> dict[DigestAlgorithm, bytes]:
    """Read a stream to its end once, in chunks, and return the digest for each algorithm.

    An algorithm this machine's OpenSSL does not offer (RIPEMD-160 often) is missing in the answer.
    """
    running = {}
    for algorithm in dict.fromkeys(algorithms):
        try:
            running[algorithm] = hashlib.new(algorithm.value[1], usedforsecurity=False)
        except ValueError:
            continue
    while chunk := stream.read(_CHUNK):
        for state in running.values():
            state.update(chunk)
    return {algorithm: state.digest() for algorithm, state in running.items()}
