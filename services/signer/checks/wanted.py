"""What would help a judgement and may be had from an address that a certificate names for it.

Plain data: certificates only, so that a judgement elsewhere can ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from services.signer.certificates import Certificate, name_key
from services.signer.checks.distribution import ISSUER_CERTIFICATES, OCSP, access_urls
from services.signer.checks.revocation_list import RevocationList

MOST_LEVELS = 4
"""Authorities looked for above one certificate."""


@dataclass(frozen=True)
class WantedList:
    """A list about ``certificate``, made by ``issuer`` or by one of ``others``, who lead to the same anchor."""

    certificate: Certificate
    issuer: Certificate
    others: tuple[Certificate, ...] = ()
    fresher: bool = False
    """There is one in force, and a newer one would say more."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it may be had."""
        return self.certificate.revocation_urls

    def met_by(self, item: RevocationList, now: datetime) -> bool:
        """Whether ``item`` is such a list."""
        if not item.about(self.certificate, now):
            return False
        return any(item.named_by(signer) and item.signed_by(signer) for signer in (self.issuer, *self.others))


@dataclass(frozen=True)
class WantedResponse:
    """An OCSP response about ``certificate``, made for ``issuer``."""

    certificate: Certificate
    issuer: Certificate

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it may be had."""
        return access_urls(self.certificate, OCSP)


@dataclass(frozen=True)
class WantedIssuer:
    """Certificates of whoever issued ``certificate``."""

    certificate: Certificate

    @property
    def urls(self) -> tuple[str, ...]:
        """Where they may be had."""
        return access_urls(self.certificate, ISSUER_CERTIFICATES)


Wanted: TypeAlias = WantedList | WantedResponse | WantedIssuer


def missing_issuer(certificate: Certificate, pool: Sequence[Certificate]) -> tuple[WantedIssuer, ...]:
    """Who is missing above ``certificate``, if an address is named for it: the issuer of the last one at hand."""
    above = authorities_above(certificate, pool)
    if len(above) >= MOST_LEVELS:
        return ()
    top = above[-1] if above else certificate
    wanted = WantedIssuer(top)
    return (wanted,) if wanted.urls and not top.self_issued else ()


def authorities_above(certificate: Certificate, pool: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Those of ``pool`` that bear the name of the issuer, of its issuer and so on, the next one first."""
    found: list[Certificate] = []
    while len(found) < MOST_LEVELS and not certificate.self_issued and certificate.issuer_key is not None:
        named = (item for item in pool if name_key(item.subject_der) == certificate.issuer_key and item not in found)
        issuer = next((item for item in named if _keys_fit(item, certificate)), None)
        if issuer is None:
            break
        found.append(issuer)
        certificate = issuer
    return tuple(found)


def _keys_fit(issuer: Certificate, certificate: Certificate) -> bool:
    named: bytes | None = certificate.asn1.authority_key_identifier
    return named is None or issuer.key_identifier is None or issuer.key_identifier == named
