"""Good standing of a whole path from everything at hand: OCSP responses and revocation lists together.

One good word about a certificate is enough (signatures.md 6.4), a bad one from either side decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.signer.checks.chain import CertificatePath
from services.signer.checks.ocsp import OcspCheck, OcspResponse
from services.signer.checks.revocation import RevocationCheck, RevocationMissing, RevocationStatus
from services.signer.findings import CheckFailed
from shared.domain.verdict import SubIndication


@dataclass(frozen=True)
class StandingSource:
    """What says that a certificate was not revoked."""

    kind: str
    """``CRL`` or ``OCSP``."""
    sha256: str
    issued_at: datetime
    beside: StandingSource | None = None
    """A response that says so as well as a list."""

    @property
    def every(self) -> tuple[StandingSource, ...]:
        """This one and the one beside it."""
        return (self,) if self.beside is None else (self, self.beside)


def judge_path(
    path: CertificatePath, lists: RevocationCheck, responses: tuple[OcspResponse, ...]
) -> tuple[StandingSource, ...]:
    """One source for every certificate below the anchor, the signer's first.

    Raises ``CheckFailed`` as ``RevocationCheck.path`` does.
    """
    if not responses:
        return tuple(_listed(status) for status in lists.path(path))
    good = _from_responses(path, lists, responses)
    listed = _from_lists(path, lists, frozenset(good))
    return tuple(
        replace(listed[index], beside=good.get(index)) if index in listed else good[index]
        for index in range(len(path.certificates) - 1)
    )


def _from_responses(
    path: CertificatePath, lists: RevocationCheck, responses: tuple[OcspResponse, ...]
) -> dict[int, StandingSource]:
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


def _from_lists(path: CertificatePath, lists: RevocationCheck, spoken_for: frozenset[int]) -> dict[int, StandingSource]:
    """Lists for the path, or for what is left of it above certificates that need none."""
    for index in range(len(path.certificates) - 1):
        rest = replace(path, certificates=path.certificates[: len(path.certificates) - index])
        try:
            return {at: _listed(status) for at, status in enumerate(lists.path(rest), start=index)}
        except RevocationMissing:
            if index not in spoken_for:
                raise
        except CheckFailed as failure:
            # The first of what is left of the path is an authority's certificate.
            if index and failure.sub_indication in (SubIndication.REVOKED, SubIndication.REVOKED_NO_POE):
                raise CheckFailed(SubIndication.REVOKED_CA_NO_POE, failure.text) from failure
            raise
    return {}


def _listed(status: RevocationStatus) -> StandingSource:
    return StandingSource("CRL", status.source.sha256, status.source.this_update)
