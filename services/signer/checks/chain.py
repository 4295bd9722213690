"""Certificate paths by RFC 5280: pyhanko-certvalidator, on our anchors and our certificates only.

The library gets no fetcher, no operating-system list and no revocation data: those are decided
elsewhere, by our rules (``revocation.py``).

A valid path is remembered for the time it is valid in: it depends on nothing but the certificates
and the moment. Revocation is judged anew each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
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
_REMEMBERED = 512

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


@dataclass(frozen=True)
class _Found:
    """A valid path and the moments it is known to be valid at: from ``since`` to before ``until``."""

    path: CertificatePath
    since: datetime
    until: datetime
    first: bool
    """Whether it was the first one tried. Then it is so at every moment, and may be remembered."""


class _PathMemory:
    """The last valid paths by signer, pool and anchors.

    Its lock is also the one that keeps certvalidator to a thread at a time: the certificates are
    shared, and asn1crypto's parsing on first look is not safe between threads.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._found: OrderedDict[tuple[str, ...], _Found] = OrderedDict()

    def at(self, key: tuple[str, ...], moment: datetime) -> _Found | None:
        found = self._found.get(key)
        if found is None or not found.since <= moment < found.until:
            return None
        self._found.move_to_end(key)
        return found

    def keep(self, key: tuple[str, ...], found: _Found) -> None:
        self._found[key] = found
        self._found.move_to_end(key)
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)


_memory = _PathMemory()


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
    key = ("anchors", *(item.sha256 for item in anchors), "pool", *(item.sha256 for item in pool), signer.sha256)
    with _memory.lock:
        found = _memory.at(key, moment)
        if found is None:
            found = _search(signer, pool, anchors, moment, proven=proven)
            if found.first:
                _memory.keep(key, found)
    return found.path


def _search(
    signer: Certificate,
    pool: Sequence[Certificate],
    anchors: Sequence[Certificate],
    moment: datetime,
    *,
    proven: bool,
) -> _Found:
    by_der = {item.der: item for item in (*anchors, *pool, signer)}
    algorithms = CertificateAlgorithms()
    registry = _BudgetedRegistry()
    for certificate in pool:
        registry.register(certificate.asn1)
    manager = SimpleTrustManager.build([CertTrustAnchor(anchor.asn1) for anchor in anchors])
    try:
        found, failures = _run(_first_valid(signer, registry, manager, moment, algorithms))
    except (PathBuildingError, *ASN1_FAULTS):
        found, failures = None, []
    if found is not None:
        path = CertificatePath(tuple(by_der[bytes(item.dump())] for item in found))
        if not _in_force(path.anchor, moment):
            raise CheckFailed(
                SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.anchor-dates", until=path.anchor.not_after)
            )
        return _Found(
            path,
            max(item.not_before for item in path.certificates),
            min(algorithms.counts_until, *(item.not_after for item in path.certificates)),
            first=not failures,
        )
    if not failures:
        raise CheckFailed(SubIndication.NO_CERTIFICATE_CHAIN_FOUND, say("path.none"))
    raise _translate(failures[0], proven=proven)


async def _first_valid(
    signer: Certificate,
    registry: CertificateRegistry,
    manager: TrustManager,
    moment: datetime,
    algorithms: CertificateAlgorithms,
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
            algorithm_usage_policy=algorithms,
        )
        try:
            await async_validate_path(context, path)
        except ValidationError as error:
            failures.append(error)
            if len(failures) >= _PATHS_TRIED:
                break
        else:
            return list(path.iter_certs(include_root=True)), failures
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
