"""Where evidence comes from beside the file: the trust store, and what is supplied, kept or fetched.

A verification gathers: it works on a frozen snapshot, says what is missing, and goes on with the next
snapshot. One verification makes a bounded number of requests and asks for nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.signer.checks.wanted import Wanted, WantedIssuer, WantedList
from services.signer.evidence import Evidence
from services.signer.fetchers import Budget
from services.signer.lists import RevocationLists
from services.signer.sources_issuers import IssuerCertificates
from services.signer.sources_ocsp import OcspResponses
from services.signer.trust import TrustDirectory, TrustStore


class EvidenceSources:
    """All sources of this process; shared by all verifications."""

    def __init__(
        self,
        trust: TrustDirectory,
        lists: RevocationLists,
        responses: OcspResponses | None = None,
        issuers: IssuerCertificates | None = None,
        *,
        offline: bool = False,
    ) -> None:
        self._trust = trust
        self._lists = lists
        self._responses = responses
        self._issuers = issuers
        self._offline = offline

    @property
    def store(self) -> TrustStore:
        """The anchors in use."""
        return self._trust.store

    def current(self, store: TrustStore | None = None) -> Evidence:
        """Everything at hand now, with the anchors in use or with those that a verification began with."""
        return Evidence(
            store or self._trust.store,
            self._lists.current(),
            () if self._responses is None else self._responses.current(),
            () if self._issuers is None else self._issuers.current(),
            self._lists.supplied(),
        )

    def gather(self, *, offline: bool = False) -> Gathering:
        """A new verification's way to evidence; ``offline``: to what is at hand only."""
        return Gathering(self, offline=offline or self._offline)

    async def obtain(self, wanted: Wanted, store: TrustStore, budget: Budget) -> bool:
        """Get one item; whether it is there now. What it is worth is for the judgement to find out."""
        if isinstance(wanted, WantedList):
            return await self._lists.obtain(wanted, budget)
        if isinstance(wanted, WantedIssuer):
            return self._issuers is not None and await self._issuers.obtain(wanted, store, budget)
        return self._responses is not None and await self._responses.obtain(wanted, budget)


class Gathering:
    """The evidence of one verification; ``evidence`` is a snapshot, renewed when ``fetch`` got something."""

    def __init__(self, sources: EvidenceSources, *, offline: bool) -> None:
        self._sources = sources
        self._offline = offline
        self._store = sources.store
        self._budget = Budget()
        self._asked: set[Wanted] = set()
        self.evidence = self._first_evidence = sources.current(self._store)

    async def fetch(self, wanted: Sequence[Wanted]) -> bool:
        """Get what is wanted; whether any of it came.

        Of several items about the same certificate each is a substitute for those before it: they are tried in
        their order until one comes.
        """
        if self._offline:
            return False
        groups: dict[str, list[Wanted]] = {}
        for item in wanted:
            if item not in self._asked:
                groups.setdefault(item.certificate.sha256, []).append(item)
        came = await asyncio.gather(*(self._first(group) for group in groups.values()))
        if any(came):
            self.evidence = self._sources.current(self._store)
        return any(came)

    def had(self, sha256: str) -> bool:
        """Whether a piece was at hand before anything was fetched."""
        first = self._first_evidence
        pieces = (first.certificates, first.revocation_lists, first.responses)
        return any(piece.sha256 == sha256 for kind in pieces for piece in kind)

    async def _first(self, group: list[Wanted]) -> bool:
        for item in group:
            self._asked.add(item)
            if await self._sources.obtain(item, self._store, self._budget):
                return True
        return False
