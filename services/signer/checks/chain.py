"""Certificate paths by RFC 5280: pyhanko-certvalidator, on our anchors and our certificates only.

The library gets no fetcher, no operating-system list and no revocation data: those are decided
elsewhere, by our rules (``revocation.py``).
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from asn1crypto import x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustAnchor
from pyhanko_certvalidator.errors import (
    DisallowedAlgorithmError,
    ExpiredError,
    NotYetValidError,
    PathBuildingError,
    PathValidationError,
    ValidationError,
)
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy
from pyhanko_certvalidator.registry import CertificateRegistry, PathBuilder, SimpleTrustManager, TrustManager
from pyhanko_certvalidator.validate import async_validate_path

from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks.algorithms import CertificateAlgorithms
from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_ISSUER_LOOKUPS = 400
_PATHS_TRIED = 16

T = TypeVar("T")


@dataclass(frozen=True)
class CertificatePath:
    """A valid path: the anchor first, the signer's certificate last."""

    certificates: tuple[Certificate, ...]

    @property
    def anchor(self) -> Certificate:
        """The trusted certificate."""
        return self.certificates[0]

    def pairs(self) -> Iterator[tuple[Certificate, Certificate]]:
        """(certificate, its issuer) for every certificate below the anchor, the signer's first."""
        for index in range(len(self.certificates) - 1, 0, -1):
            yield self.certificates[index], self.certificates[index - 1]


class _BudgetedRegistry(CertificateRegistry):
    """A hostile bag of certificates with the same names has exponentially many paths: count look-ups."""

    lookups = 0

    def find_potential_issuers(
        self, cert: x509.Certificate, trust_manager: TrustManager
    ) -> Iterator[TrustAnchor | x509.Certificate]:
        self.lookups += 1
        if self.lookups > _ISSUER_LOOKUPS:
            raise PathBuildingError("too many possible paths")
        yield from super().find_potential_issuers(cert, trust_manager)


def build_path(
    signer: Certificate,
    pool: Sequence[Certificate],
    anchors: Sequence[Certificate],
    moment: datetime,
    *,
    proven: bool,
) -> CertificatePath:
    """A path from an anchor to ``signer`` that is valid at ``moment``, revocation left out.

    Args:
        signer: the end entity.
        pool: untrusted certificates that may lie between.
        anchors: the only trusted certificates.
        moment: the time of judgement.
        proven: whether the signature is known to have existed then; without that an expired
            certificate leaves the verdict open instead of failing it.

    Raises:
        CheckFailed: with the sub-indication of EN 319 102-1 that fits.
    """
    if any(signer == anchor for anchor in anchors):
        return CertificatePath((signer,)) if _in_force(signer, moment) else _refuse_dates(signer, moment, proven=proven)
    by_der = {item.der: item for item in (*anchors, *pool, signer)}
    registry = _BudgetedRegistry()
    for certificate in pool:
        registry.register(certificate.asn1)
    manager = SimpleTrustManager.build([CertTrustAnchor(anchor.asn1) for anchor in anchors])
    try:
        found, failures = _run(_first_valid(signer, registry, manager, moment))
    except (PathBuildingError, *ASN1_FAULTS):
        found, failures = None, []
    if found is not None:
        path = CertificatePath(tuple(by_der[bytes(item.dump())] for item in found))
        if not _in_force(path.anchor, moment):
            raise CheckFailed(
                SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.anchor-dates", until=path.anchor.not_after)
            )
        return path
    if not failures:
        raise CheckFailed(SubIndication.NO_CERTIFICATE_CHAIN_FOUND, say("path.none"))
    raise _translate(failures[0], proven=proven)


async def _first_valid(
    signer: Certificate, registry: CertificateRegistry, manager: TrustManager, moment: datetime
) -> tuple[list[x509.Certificate] | None, list[ValidationError]]:
    failures: list[ValidationError] = []
    async for path in PathBuilder(manager, registry).async_build_paths_lazy(signer.asn1):
        context = ValidationContext(
            moment=moment,
            best_signature_time=moment,
            allow_fetching=False,
            revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
            certificate_registry=registry,
            trust_manager=manager,
            algorithm_usage_policy=CertificateAlgorithms(),
        )
        try:
            await async_validate_path(context, path)
        except ValidationError as error:
            failures.append(error)
            if len(failures) >= _PATHS_TRIED:
                break
        else:
            return list(path.iter_certs(include_root=True)), []
    return None, failures


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine that never waits; if the library tried to reach something, that is an error."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("the path validator tried to wait for something")


def _in_force(certificate: Certificate, moment: datetime) -> bool:
    return certificate.not_before <= moment <= certificate.not_after


def _refuse_dates(certificate: Certificate, moment: datetime, *, proven: bool) -> CertificatePath:
    if moment < certificate.not_before:
        raise CheckFailed(SubIndication.NOT_YET_VALID, say("path.not-yet", since=certificate.not_before))
    sub_indication = SubIndication.EXPIRED if proven else SubIndication.OUT_OF_BOUNDS_NO_POE
    raise CheckFailed(sub_indication, say("path.expired", until=certificate.not_after))


def _translate(error: ValidationError, *, proven: bool) -> CheckFailed:
    """The library's error as a sub-indication; by type and field, never by its message."""
    end_entity = isinstance(error, PathValidationError) and error.is_ee_cert
    if isinstance(error, ExpiredError):
        if end_entity:
            sub_indication = SubIndication.EXPIRED if proven else SubIndication.OUT_OF_BOUNDS_NO_POE
            return CheckFailed(sub_indication, say("path.expired", until=error.expired_dt))
        return CheckFailed(
            SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.ca-expired", until=error.expired_dt)
        )
    if isinstance(error, NotYetValidError):
        if end_entity:
            return CheckFailed(SubIndication.NOT_YET_VALID, say("path.not-yet", since=error.valid_from))
        return CheckFailed(
            SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.ca-not-yet", since=error.valid_from)
        )
    if isinstance(error, DisallowedAlgorithmError):
        sub_indication = (
            SubIndication.CRYPTO_CONSTRAINTS_FAILURE if proven else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        )
        return CheckFailed(sub_indication, say("path.algorithm"))
    return CheckFailed(SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.invalid"))
