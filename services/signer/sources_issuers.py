"""Certificates of authorities, from the addresses that certificates name for their issuers (RFC 5280, 4.2.2.1).

They help to build paths and are trusted for nothing. One is kept when it bears the issuer's name and its key signed
the certificate that led to it, so that nobody can fill the place with rubbish.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from services.signer import der
from services.signer.certificates import ASN1_FAULTS, Certificate, load_certificate, name_key, pem_or_der
from services.signer.checks.chain import build_path
from services.signer.checks.wanted import MOST_LEVELS, WantedIssuer
from services.signer.fetchers import Budget, Fetcher, FetchFailed
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS, definite, malformed
from services.signer.trust import TrustStore
from shared.clock import Clock

log = structlog.get_logger(__name__)

LONGEST_ANSWER = 64 * 1024
"""Bytes."""

_AGAIN_AFTER = timedelta(minutes=5)
_CERTIFICATES = 8
"""Read of one answer."""
_URLS_REMEMBERED = 256


@dataclass
class _Source:
    """One address, what it last answered, and when it was last asked: certificates of several issuers may name it."""

    answer: bytes | None = None
    asked_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class IssuerCertificates:
    """What was fetched, at most ``capacity`` certificates (64 kB each at most)."""

    def __init__(
        self,
        fetcher: Fetcher | None,
        clock: Clock,
        *,
        capacity: int = 64,
        on_outcome: Callable[[str], None] = lambda _result: None,
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._capacity = capacity
        self._on_outcome = on_outcome
        self._held: OrderedDict[str, Certificate] = OrderedDict()
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def current(self) -> tuple[Certificate, ...]:
        """All of them, to be frozen into one verification's evidence."""
        return tuple(self._held.values())

    async def obtain(self, wanted: WantedIssuer, store: TrustStore, budget: Budget) -> bool:
        """Get the issuer, its issuer, and so on until one that ``store`` knows; whether any is there now."""
        if self._fetcher is None:
            return False
        known = {name_key(item.subject_der) for item in (*_anchors(store), *store.intermediates)}
        came = False
        for _ in range(MOST_LEVELS):
            found = await self._one_level(self._fetcher, wanted, budget)
            if found is None:
                break
            came = True
            if found.self_issued or found.issuer_key in known:
                break
            wanted = WantedIssuer(found)
        return came

    async def _one_level(self, fetcher: Fetcher, wanted: WantedIssuer, budget: Budget) -> Certificate | None:
        known = await self._at_hand(wanted.certificate)
        for url in wanted.urls if known is None else ():
            source = self._source(url)
            async with source.lock:
                # Another verification may have just got it.
                known = await self._at_hand(wanted.certificate)
                if known is None:
                    known = await self._ask(fetcher, url, source, wanted.certificate, budget)
            if known is not None:
                break
        return known

    async def _at_hand(self, certificate: Certificate) -> Certificate | None:
        held = [item for item in self._held.values() if name_key(item.subject_der) == certificate.issuer_key]
        known = await asyncio.to_thread(_issuer_among, held, certificate)
        if known is not None and known.sha256 in self._held:
            self._held.move_to_end(known.sha256)
        return known

    async def _ask(
        self, fetcher: Fetcher, url: str, source: _Source, certificate: Certificate, budget: Budget
    ) -> Certificate | None:
        now = self._clock.now()
        lately = source.asked_at is not None and now - source.asked_at < _AGAIN_AFTER
        # Reading an answer once more is no request, but not for nothing.
        if (lately and source.answer is None) or not budget.spend():
            return None
        try:
            if not lately:
                source.asked_at, source.answer = now, None
                source.answer = await fetcher.fetch(url, limit=LONGEST_ANSWER)
            found = await asyncio.to_thread(_read, source.answer or b"", certificate)
        except FetchFailed as error:
            self._on_outcome("failed")
            log.warning("issuer_not_fetched", url=url, reason=str(error))
            return None
        except CheckFailed as error:
            if not lately:
                self._on_outcome("refused")
                log.warning("issuer_not_usable", url=url, reason=str(error))
            return None
        if not lately:
            self._on_outcome("fetched")
        self._held[found.sha256] = found
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return found

    def _source(self, url: str) -> _Source:
        source = self._sources.setdefault(url, _Source())
        self._sources.move_to_end(url)
        while len(self._sources) > _URLS_REMEMBERED:
            self._sources.popitem(last=False)
        return source


def certificates_in(encoded: bytes) -> list[Certificate]:
    """The readable ones of an answer: one certificate in DER, some in PEM, or PKCS #7 with certificates only.

    Raises ``CheckFailed`` (FORMAT_FAILURE) for anything else.
    """
    try:
        members = _members(encoded)
    except ASN1_FAULTS as error:
        raise malformed("no certificates") from error
    found = []
    for item in members[:_CERTIFICATES]:
        try:
            found.append(load_certificate(item))
        except CheckFailed:
            continue
    return found


def _members(encoded: bytes) -> list[bytes]:
    if encoded.lstrip().startswith(b"-----BEGIN"):
        return pem_or_der(encoded.lstrip())
    fields = der.children(der.read_whole(definite(encoded, DEFAULT_LIMITS)))
    if not fields or fields[0].tag != der.OID:
        return [encoded]
    # ContentInfo of SignedData without signers (RFC 5652, 5.1).
    signed_data = der.children(der.children(fields[1])[0])
    return [item.encoded for part in signed_data[3:] if part.tag == der.CONTEXT_0 for item in der.children(part)]


def _read(encoded: bytes, certificate: Certificate) -> Certificate:
    found = _issuer_among(certificates_in(encoded), certificate)
    if found is None:
        raise malformed("no certificate of the issuer")
    return found


def _issuer_among(candidates: list[Certificate], certificate: Certificate) -> Certificate | None:
    return next((item for item in candidates if _signed(item, certificate)), None)


def _signed(issuer: Certificate, certificate: Certificate) -> bool:
    if not issuer.is_ca or issuer == certificate or name_key(issuer.subject_der) != certificate.issuer_key:
        return False
    moment = max(issuer.not_before, certificate.not_before)
    try:
        return len(build_path(certificate, (), (issuer,), moment, proven=True).certificates) > 1
    except CheckFailed:
        return False


def _anchors(store: TrustStore) -> list[Certificate]:
    return [item for items in store.anchors.values() for item in items]
