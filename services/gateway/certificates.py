"""Which certificate to encrypt with for a unit: the directory's order, signer's verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from services.gateway.schemas.certificates import (
    CheckedCertificate,
    ChoiceRule,
    ChosenCertificate,
    UnitCertificatesAnswer,
)
from shared.clients.signer import SignerClient
from shared.contracts.directory import CertificateHolder, DirectoryWarning, WarningCode
from shared.contracts.directory.certificates import UnitCertificate, UnitCertificates
from shared.contracts.signatures import (
    LONGEST_CERTIFICATE,
    MOST_CERTIFICATES,
    CertificatePurpose,
    CertificateVerdict,
)
from shared.domain.verdict import Conclusion, SubIndication
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

VOLATILE = {"certificates": {"__all__": {"check": {"judged_at"}}}}
"""What differs in each answer and changes nothing."""
_SILENT = frozenset({ErrorCode.SIGNER_UNAVAILABLE, ErrorCode.SERVICE_UNAVAILABLE})
_OPEN = frozenset({SubIndication.TRY_LATER, SubIndication.POLICY_PROCESSING_ERROR})
"""Something could not be had just now; every other doubt speaks against the certificate itself."""


async def checked(signer: SignerClient, found: UnitCertificates) -> UnitCertificatesAnswer:
    """The unit's certificates with verdicts on those that may be used, in order, until one passes."""
    candidates = [item for item in found.certificates if item.refusal is None]
    verdicts, answered = await _verdicts(signer, candidates[:MOST_CERTIFICATES])
    chosen = _chosen(candidates, verdicts, answered=answered)
    return UnitCertificatesAnswer(
        detsis_no=found.detsis_no,
        owner_no=found.owner_no,
        certificates=[
            CheckedCertificate(**item.model_dump(), check=verdicts.get(_key(item))) for item in found.certificates
        ],
        chosen=None if chosen is None else _described(chosen, verdicts.get(_key(chosen))),
        warnings=list(_warnings(found, chosen, verdicts, answered=answered)),
        freshness=found.freshness,
    )


def _key(item: UnitCertificate) -> tuple[int, str]:
    return item.holder_no, item.sha256


async def _verdicts(
    signer: SignerClient, candidates: list[UnitCertificate]
) -> tuple[dict[tuple[int, str], CertificateVerdict], bool]:
    """What signer says of each candidate up to the first that passes, and whether it answered."""
    verdicts: dict[tuple[int, str], CertificateVerdict] = {}
    for item in candidates:
        if len(item.der_base64) > LONGEST_CERTIFICATE:
            continue
        try:
            report = await signer.verify_certificates(CertificatePurpose.ENCRYPTION, [item.der_base64])
        except DomainError as error:
            if error.code not in _SILENT:
                raise
            log.warning("certificate_not_checked", sha256=item.sha256, because=error.code)
            return verdicts, False
        verdicts[_key(item)] = report.verdicts[0]
        if report.verdicts[0].conclusion is Conclusion.PASSED:
            break
    return verdicts, True


def _chosen(
    candidates: list[UnitCertificate], verdicts: dict[tuple[int, str], CertificateVerdict], *, answered: bool
) -> UnitCertificate | None:
    for item in candidates:
        verdict = verdicts.get(_key(item))
        if verdict is not None and verdict.conclusion is Conclusion.PASSED:
            return item
    for item in candidates:
        verdict = verdicts.get(_key(item))
        if verdict is None and not answered:
            return item
        if verdict is not None and verdict.sub_indication in _OPEN:
            return item
    return None


def _described(chosen: UnitCertificate, verdict: CertificateVerdict | None) -> ChosenCertificate:
    return ChosenCertificate(
        sha256=chosen.sha256,
        holder=chosen.holder,
        holder_no=chosen.holder_no,
        rule=ChoiceRule.OWN if chosen.holder is CertificateHolder.OWN else ChoiceRule.OWNER,
        established=verdict is not None and verdict.conclusion is Conclusion.PASSED,
    )


def _warnings(
    found: UnitCertificates,
    chosen: UnitCertificate | None,
    verdicts: dict[tuple[int, str], CertificateVerdict],
    *,
    answered: bool,
) -> Iterator[DirectoryWarning]:
    if found.freshness.stale:
        yield _warning(WarningCode.MIRROR_STALE, "the nightly copy is old: certificates may have changed")
    if not answered:
        yield _warning(
            WarningCode.CERTIFICATE_NOT_CHECKED, "signer does not answer: chain and revocation were not looked at"
        )
    if chosen is None:
        yield _warning(
            WarningCode.NO_ENCRYPTION_CERTIFICATE, "no certificate of this unit or its owner can be encrypted with"
        )
        return
    verdict = verdicts.get(_key(chosen))
    if verdict is not None and verdict.conclusion is not Conclusion.PASSED:
        yield _warning(
            WarningCode.CERTIFICATE_NOT_ESTABLISHED,
            "the chosen certificate's revocation could not be looked up just now; ask again before relying on it",
        )
    if chosen.expires_soon and chosen.not_after is not None:
        yield _warning(
            WarningCode.CERTIFICATE_EXPIRES_SOON, f"the chosen certificate expires at {chosen.not_after.isoformat()}"
        )


def _warning(code: WarningCode, detail: str) -> DirectoryWarning:
    return DirectoryWarning(code=code, detail=detail)
