"""Evidence on its way to a worker: by digests, with the bytes of what the worker has not got yet.

A worker holds the evidence of one moment. A large revocation list is parsed and indexed once in each worker
and stays there as long as it is part of the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.ocsp import OcspResponse, load_response
from services.signer.checks.revocation import RevocationList, load_list
from services.signer.evidence import Evidence
from services.signer.trust import TrustStore
from services.signer.workers.vocabulary import Item, ItemKind, Snapshot

Piece: TypeAlias = Certificate | RevocationList | OcspResponse


class Sender:
    """Signer's side: what one worker holds."""

    def __init__(self) -> None:
        self._evidence: Evidence | None = None
        self._held: frozenset[str] = frozenset()

    def news(self, evidence: Evidence) -> tuple[Snapshot | None, list[bytes]]:
        """What to tell before a question about ``evidence``, and the bytes that go with it; None when nothing changed."""
        before = self._evidence
        if before is not None and before.trust is evidence.trust and before == evidence:
            return None, []
        pieces = {piece.sha256: piece for piece in _pieces(evidence)}
        new = [piece for digest, piece in pieces.items() if digest not in self._held]
        encoded = [_encoded(piece) for piece in new]
        trust = evidence.trust
        snapshot = Snapshot(
            trust_sha256=trust.sha256,
            anchors={purpose: _digests(items) for purpose, items in trust.anchors.items()},
            ends=dict(trust.ends),
            intermediates=_digests(trust.intermediates),
            lists=_digests(evidence.revocation_lists),
            responses=_digests(evidence.responses),
            certificates=_digests(evidence.certificates),
            supplied=sorted(evidence.supplied),
            new=[
                Item(kind=_kind(piece), sha256=piece.sha256, size=len(data))
                for piece, data in zip(new, encoded, strict=True)
            ],
        )
        self._evidence, self._held = evidence, frozenset(pieces)
        return snapshot, encoded


class Receiver:
    """The worker's side: builds the evidence from what it holds and what is new."""

    def __init__(self) -> None:
        self._certificates: dict[str, Certificate] = {}
        self._lists: dict[str, RevocationList] = {}
        self._responses: dict[str, OcspResponse] = {}

    def evidence(self, snapshot: Snapshot, parts: Iterator[bytes]) -> Evidence:
        """The evidence that ``snapshot`` names; raises ``CheckFailed`` and ``KeyError`` when it is not complete."""
        for item in snapshot.new:
            self._take(item, next(parts))
        trust = TrustStore(
            {purpose: self._named(digests) for purpose, digests in snapshot.anchors.items()},
            self._named(snapshot.intermediates),
            snapshot.trust_sha256,
            snapshot.ends,
        )
        evidence = Evidence(
            trust,
            tuple(self._lists[digest] for digest in snapshot.lists),
            tuple(self._responses[digest] for digest in snapshot.responses),
            self._named(snapshot.certificates),
            frozenset(snapshot.supplied),
        )
        named = {piece.sha256 for piece in _pieces(evidence)}
        for held in (self._certificates, self._lists, self._responses):
            for digest in held.keys() - named:
                del held[digest]
        return evidence

    def _take(self, item: Item, data: bytes) -> None:
        match item.kind:
            case ItemKind.CERTIFICATE:
                self._certificates[item.sha256] = load_certificate(data)
            case ItemKind.LIST:
                self._lists[item.sha256] = load_list(data)
            case ItemKind.RESPONSE:
                self._responses[item.sha256] = load_response(data)

    def _named(self, digests: list[str]) -> tuple[Certificate, ...]:
        return tuple(self._certificates[digest] for digest in digests)


def _pieces(evidence: Evidence) -> Iterator[Piece]:
    trust = evidence.trust
    yield from chain(*trust.anchors.values(), trust.intermediates, evidence.certificates)
    yield from evidence.revocation_lists
    yield from evidence.responses


def _digests(items: tuple[Piece, ...]) -> list[str]:
    return [item.sha256 for item in items]


def _encoded(piece: Piece) -> bytes:
    return piece.der if isinstance(piece, Certificate) else piece.encoded


def _kind(piece: Piece) -> ItemKind:
    if isinstance(piece, Certificate):
        return ItemKind.CERTIFICATE
    return ItemKind.LIST if isinstance(piece, RevocationList) else ItemKind.RESPONSE
