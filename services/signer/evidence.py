"""The evidence pool: what a verdict is made from, frozen before anything is judged.

What comes inside a file is material only. Its certificates help to build paths to anchors we have; its lists
and responses are used once the signature of their issuer holds, as are the lists from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.signer.certificates import Certificate
from services.signer.checks.ocsp import OcspResponse, load_responses
from services.signer.checks.revocation import RevocationList, load_list
from services.signer.facts import Embedded, SignatureFacts, SignerFacts
from services.signer.findings import CheckFailed
from services.signer.limits import Limits
from services.signer.trust import TrustStore


@dataclass(frozen=True)
class Evidence:
    """What is at hand beside the file: the anchors, and the lists that were fetched or supplied."""

    trust: TrustStore
    revocation_lists: tuple[RevocationList, ...] = ()


@dataclass(frozen=True)
class Pool:
    """Everything at hand for one file."""

    trust: TrustStore
    certificates: tuple[Certificate, ...]
    """Untrusted, from the file and from the store's intermediates."""
    lists: tuple[RevocationList, ...]
    responses: tuple[OcspResponse, ...] = ()


def pool_of(facts: SignatureFacts, evidence: Evidence, limits: Limits) -> Pool:
    """The file's own material and what is at hand, together; more than the limits allow is left out."""
    found = facts.embedded
    for signer in facts.signers:
        for item in _material(signer):
            found += item
    certificates = (*found.certificates[: limits.certificates], *evidence.trust.intermediates)
    lists = load_lists(found.revocation_lists[: limits.revocation_lists]) if found.revocation_lists else ()
    return Pool(
        evidence.trust,
        certificates,
        (*evidence.revocation_lists, *lists),
        load_responses(found.ocsp_responses[: limits.revocation_lists]),
    )


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
