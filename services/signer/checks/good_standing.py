"""Good standing of a whole path from everything at hand: OCSP responses and revocation lists together.

One good word about a certificate is enough (signatures.md 6.4), a bad one from either side decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.signer.checks.chain import CertificatePath
from services.signer.checks.ocsp import OcspCheck, OcspResponse, Statement, revoked
from services.signer.checks.revocation import RevocationCheck, RevocationMissing
from services.signer.findings import CheckFailed
from shared.domain.verdict import SubIndication


@dataclass(frozen=True)
class StandingSource:
    """What says that a certificate was not revoked."""

    kind: str
    """``CRL`` or ``OCSP``."""
    sha256: str


def judge_path(
    path: CertificatePath, lists: RevocationCheck, responses: tuple[OcspResponse, ...]
) -> list[StandingSource]:
    """Sources for every certificate below the anchor, the signer's first.

    Raises ``CheckFailed`` as ``RevocationCheck.path`` does.
    """
    if not responses:
        return _from_lists(path, lists)
    check = OcspCheck(responses, lists)
    good: dict[int, Statement] = {}
    for index, (certificate, issuer) in enumerate(path.pairs()):
        statement = check.says(certificate, issuer, path)
        if statement is None:
            continue
        if statement.revoked_at is not None and statement.revoked_at <= lists.moment:
            raise revoked(statement, end_entity=index == 0, proven=lists.proven)
        good[index] = statement
    return _together(path, lists, good)


def _together(path: CertificatePath, lists: RevocationCheck, good: dict[int, Statement]) -> list[StandingSource]:
    """Lists for the rest: a certificate at the end of the path that OCSP speaks well of needs none."""
    sources: list[StandingSource] = []
    for index in range(len(path.certificates) - 1):
        rest = replace(path, certificates=path.certificates[: len(path.certificates) - index])
        try:
            return [*sources, *_from_lists(rest, lists)]
        except RevocationMissing:
            if index not in good:
                raise
            sources.append(StandingSource("OCSP", good[index].source))
        except CheckFailed as failure:
            # Seen from the signer's certificate, which OCSP has spoken for, this one is an authority's.
            if index and failure.sub_indication in (SubIndication.REVOKED, SubIndication.REVOKED_NO_POE):
                raise CheckFailed(SubIndication.REVOKED_CA_NO_POE, failure.text) from failure
            raise
    return sources


def _from_lists(path: CertificatePath, lists: RevocationCheck) -> list[StandingSource]:
    return [StandingSource("CRL", status.source.sha256) for status in lists.path(path)]
