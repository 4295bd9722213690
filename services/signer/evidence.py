"""The evidence pool: what a verdict is made from, frozen before anything is judged.

What comes inside a file is material only. Its certificates help to build paths to anchors we have; its lists
and responses are used once the signature of their issuer holds, as are the lists from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.signer.certificates import Certificate
from services.signer.checks.basis import Basis
from services.signer.checks.ocsp import OcspResponse, load_responses
from services.signer.checks.revocation import RevocationList, load_list
from services.signer.facts import Embedded, SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed
from services.signer.limits import Limits
from services.signer.trust import TrustStore

_Named = TypeVar("_Named", Certificate, RevocationList, OcspResponse)


@dataclass(frozen=True)
class Evidence:
    """What is at hand beside the file: the anchors, and what was fetched or supplied."""

    trust: TrustStore
    revocation_lists: tuple[RevocationList, ...] = ()
    responses: tuple[OcspResponse, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    """Of authorities, from the addresses that certificates name for them: they help to build paths."""
    supplied: frozenset[str] = frozenset()
    """Fingerprints of those lists and responses that an operator brought; the others were fetched."""


@dataclass(frozen=True)
class Pool:
    """Everything at hand for one file."""

    trust: TrustStore
    certificates: tuple[Certificate, ...]
    """Untrusted, from the file and from the store's intermediates."""
    lists: tuple[RevocationList, ...]
    responses: tuple[OcspResponse, ...] = ()
    embedded: frozenset[str] = frozenset()
    """Fingerprints of the certificates, lists and responses that came in the file."""
    basis: Basis = field(default_factory=Basis, compare=False)


def pool_of(facts: SignatureFacts, evidence: Evidence, limits: Limits) -> Pool:
    """The file's own material and what is at hand, together; more than the limits allow is left out.

    What is at hand stands in the order of its fingerprints: a part of it gives the same verdict as the whole when
    it is the part that mattered.
    """
    found = facts.embedded
    for signer in facts.signers:
        for item in _material(signer):
            found += item
    certificates = found.certificates[: limits.certificates]
    lists = load_lists(found.revocation_lists[: limits.revocation_lists]) if found.revocation_lists else ()
    responses = load_responses(found.ocsp_responses[: limits.revocation_lists])
    return Pool(
        evidence.trust,
        (*certificates, *_ordered(evidence.trust.intermediates), *_ordered(evidence.certificates)),
        (*_ordered(evidence.revocation_lists), *lists),
        (*(item.afresh() for item in _ordered(evidence.responses)), *responses),
        frozenset(
            (
                *(item.sha256 for item in certificates),
                *(item.sha256 for item in lists),
                *(item.sha256 for item in responses),
            )
        ),
    )


def _ordered(items: Sequence[_Named]) -> list[_Named]:
    return sorted(items, key=lambda item: item.sha256)


def _material(signer: SignerFacts) -> Iterator[Embedded]:
    yield signer.unsigned.values
    for stamp in signer.timestamps:
        if stamp.token is not None and stamp.intact:
            yield stamp.token.embedded
            yield from (item.unsigned.values for item in stamp.token.signers)
    for counter in signer.counter_signatures:
        yield from _material(counter)


def load_lists(encoded: Sequence[bytes]) -> tuple[RevocationList, ...]:
    """The readable ones of some revocation lists."""
    found = []
    for item in encoded:
        try:
            found.append(load_list(item))
        except CheckFailed:
            continue
    return tuple(found)
