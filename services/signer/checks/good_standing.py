"""Good standing of a whole path from everything at hand: OCSP responses and revocation lists together.

One good word about a certificate is enough (signatures.md 6.4), a bad one from either side decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.signer.certificates import Certificate
from services.signer.checks.chain import CertificatePath
from services.signer.checks.ocsp import OcspCheck, OcspResponse
from services.signer.checks.revocation import RevocationCheck, RevocationMissing
from services.signer.checks.revocation_list import RevocationList
from services.signer.checks.wanted import Wanted, WantedResponse


@dataclass(frozen=True)
class SourceOrder:
    """Which kind of source is asked for first where none is at hand; the other one stands in for it."""

    end_entity: tuple[str, str]
    """``CRL`` and ``OCSP`` in some order."""
    authorities: tuple[str, str] = ("CRL", "OCSP")


OCSP_FIRST = SourceOrder(("OCSP", "CRL"))
LISTS_FIRST = SourceOrder(("CRL", "OCSP"))


@dataclass(frozen=True)
class StandingSource:
    """What says that a certificate was not revoked."""

    kind: str
    """``CRL`` or ``OCSP``."""
    sha256: str
    issued_at: datetime
    beside: StandingSource | None = None
    """Another one that says so together with it, or as well."""

    @property
    def every(self) -> tuple[StandingSource, ...]:
        """This one and those beside it."""
        return (self,) if self.beside is None else (self, *self.beside.every)


def judge_path(
    path: CertificatePath,
    lists: RevocationCheck,
    responses: tuple[OcspResponse, ...],
    order: SourceOrder = LISTS_FIRST,
) -> tuple[StandingSource, ...]:
    """One source for every certificate below the anchor, the signer's first.

    Raises ``CheckFailed`` as ``RevocationCheck.path`` does; a ``RevocationMissing`` wants lists and responses in
    the order given.
    """
    good = _from_responses(path, lists, responses)
    found: list[StandingSource] = []
    missing: list[RevocationMissing] = []
    wanted: list[Wanted] = []
    for index, (pair, status) in enumerate(zip(path.pairs(), lists.examine(path), strict=True)):
        if not isinstance(status, RevocationMissing):
            found.append(_listed(status.sources, good.get(index)))
        elif index in good:
            found.append(good[index])
        else:
            missing.append(status)
            wanted += in_order(status.wanted, pair, order.authorities if index else order.end_entity)
    if missing:
        missing[0].wanted = tuple(wanted)
        raise missing[0]
    return tuple(found)


def in_order(lists: Sequence[Wanted], pair: tuple[Certificate, Certificate], kinds: tuple[str, ...]) -> list[Wanted]:
    """What may be asked for about a certificate of an issuer, the first choice first; nothing without an address."""
    every: dict[str, Sequence[Wanted]] = {"CRL": lists, "OCSP": (WantedResponse(*pair),)}
    return [item for kind in kinds for item in every[kind] if item.urls]


def _from_responses(
    path: CertificatePath, lists: RevocationCheck, responses: tuple[OcspResponse, ...]
) -> dict[int, StandingSource]:
    if not responses:
        return {}
    check = OcspCheck(responses, lists)
    good: dict[int, StandingSource] = {}
    for index, (certificate, issuer) in enumerate(path.pairs()):
        statement = check.says(certificate, issuer, path)
        if statement is None:
            continue
        if statement.revoked_at is not None and statement.revoked_at <= lists.moment:
            raise lists.refusal(statement.revoked_at, statement.reason, end_entity=index == 0)
        good[index] = StandingSource("OCSP", statement.source, statement.this_update)
    return good


def _listed(sources: tuple[RevocationList, ...], beside: StandingSource | None) -> StandingSource:
    for item in reversed(sources):
        beside = StandingSource("CRL", item.sha256, item.this_update, beside)
    assert beside is not None
    return beside
