"""Certificate paths by RFC 5280: pyhanko-certvalidator, on our anchors and our certificates only.

The library gets no fetcher, no operating-system list and no revocation data: those are decided
elsewhere, by our rules (``revocation.py``).

A valid path is remembered for the time it is valid in: it depends on nothing but the certificates,
the inputs of the caller and the moment. Revocation is judged anew each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from asn1crypto import x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustAnchor
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy, PKIXValidationParams
from pyhanko_certvalidator.registry import CertificateRegistry, PathBuilder, SimpleTrustManager, TrustManager
from pyhanko_certvalidator.validate import async_validate_path

from services.signer.certificates import ASN1_FAULTS, Certificate, name_key
from services.signer.checks.algorithms import CertificateAlgorithms
from services.signer.checks.distribution import list_issuers
from services.signer.checks.path_faults import translate
from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_ISSUER_LOOKUPS = 400
_PATHS_TRIED = 16
_REMEMBERED = 512
_LIST_SIGNERS = 16
_LIST_SIGNER_BYTES = 8192

T = TypeVar("T")


@dataclass(frozen=True)
class PathInputs:
    """What a caller may ask of a path (RFC 5280, 6.1.1 c, e, f and g); the default asks for nothing."""

    policies: frozenset[str] | None = None
    """user-initial-policy-set as object identifiers; None for any policy."""
    require_explicit_policy: bool = False
    inhibit_policy_mapping: bool = False
    inhibit_any_policy: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Names these inputs among others."""
        flags = (self.require_explicit_policy, self.inhibit_policy_mapping, self.inhibit_any_policy)
        policies = ("any",) if self.policies is None else sorted(self.policies)
        return ("inputs", "".join(str(int(flag)) for flag in flags), *policies)

    def for_library(self) -> PKIXValidationParams:
        """The same in the validator's words."""
        return PKIXValidationParams(
            user_initial_policy_set=frozenset({"any_policy"}) if self.policies is None else self.policies,
            initial_explicit_policy=self.require_explicit_policy,
            initial_policy_mapping_inhibit=self.inhibit_policy_mapping,
            initial_any_policy_inhibit=self.inhibit_any_policy,
        )


ANY_PATH = PathInputs()


@dataclass(frozen=True)
class CertificatePath:
    """A valid path: the anchor first, the signer's certificate last."""

    certificates: tuple[Certificate, ...]
    list_signers: tuple[Certificate, ...] = field(default=(), compare=False)
    """Other certificates at hand, not trusted, that may have signed revocation lists about this path."""

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


@dataclass(frozen=True)
class _Failure:
    """Why one candidate is no path, and how many of its certificates hold."""

    failure: CheckFailed
    progress: int


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
    inputs: PathInputs = ANY_PATH,
) -> CertificatePath:
    """The first path from an anchor to ``signer`` that is valid at ``moment``, revocation left out (RFC 5280, 6.1).

    Args:
        signer: the end entity.
        pool: untrusted certificates that may lie between.
        anchors: the only trusted certificates.
        moment: the time of judgement.
        proven: whether the signature is known to have existed then; without that an expired
            certificate leaves the verdict open instead of failing it.
        inputs: what the caller asks of the path's policies.

    Raises:
        CheckFailed: with the sub-indication of EN 319 102-1 that fits; of several candidates that
            failed, the one that came furthest is told about.
    """
    if any(signer == anchor for anchor in anchors):
        return CertificatePath((signer,)) if _in_force(signer, moment) else _refuse_dates(signer, moment, proven=proven)
    key = (
        *("anchors", *(item.sha256 for item in anchors), "pool", *(item.sha256 for item in pool)),
        *(*inputs.key, signer.sha256),
    )
    with _memory.lock:
        found = _memory.at(key, moment)
        if found is None:
            found = next(_search(signer, pool, anchors, moment, proven=proven, inputs=inputs))
            if found.first:
                _memory.keep(key, found)
    return found.path


def valid_paths(
    signer: Certificate,
    pool: Sequence[Certificate],
    anchors: Sequence[Certificate],
    moment: datetime,
    *,
    inputs: PathInputs = ANY_PATH,
) -> Iterator[CertificatePath]:
    """Every valid path, for a caller to whom the first may be no good (revoked, say); raises as ``build_path``.

    It raises at once or never: there is at least one path when it returns. At most 16 candidates are tried.
    """
    first = build_path(signer, pool, anchors, moment, proven=True, inputs=inputs)
    yield first
    if len(first.certificates) == 1:
        return
    with _memory.lock:
        others = [found.path for found in _search(signer, pool, anchors, moment, proven=True, inputs=inputs)]
    yield from (path for path in others if path != first)


def _search(
    signer: Certificate,
    pool: Sequence[Certificate],
    anchors: Sequence[Certificate],
    moment: datetime,
    *,
    proven: bool,
    inputs: PathInputs,
) -> Iterator[_Found]:
    """The valid ones of the candidates, as they are found; raises ``CheckFailed`` if there is none."""
    # By identity: asn1crypto changes the bytes of some certificates when it has read them (issuerUniqueID).
    by_asn1 = {id(item.asn1): item for item in (*anchors, *pool, signer)}
    registry = _BudgetedRegistry()
    for certificate in pool:
        registry.register(certificate.asn1)
    manager = SimpleTrustManager.build([CertTrustAnchor(anchor.asn1) for anchor in anchors])
    failures: list[_Failure] = []
    any_found = False
    for tried, candidate in enumerate(_candidates(signer, registry, manager)):
        if tried >= _PATHS_TRIED:
            break
        path = tuple(by_asn1[id(item)] for item in candidate.iter_certs(include_root=True))
        algorithms = CertificateAlgorithms()
        failure = _validate(candidate, path, registry, manager, moment, algorithms, inputs, proven=proven)
        if failure is not None:
            failures.append(failure)
            continue
        any_found = True
        yield _Found(
            CertificatePath(path, _list_signers(path, pool)),
            max(item.not_before for item in path),
            min(algorithms.counts_until, *(item.not_after for item in path)),
            first=tried == 0,
        )
    if any_found:
        return
    if not failures:
        raise CheckFailed(SubIndication.NO_CERTIFICATE_CHAIN_FOUND, say("path.none"))
    raise max(failures, key=lambda item: item.progress).failure


def _candidates(signer: Certificate, registry: CertificateRegistry, manager: TrustManager) -> Iterator[ValidationPath]:
    """Chains of names from ``signer`` to an anchor, good or bad, until they or the budget end."""
    try:
        paths = PathBuilder(manager, registry).async_build_paths_lazy(signer.asn1)
        while True:
            path: ValidationPath = _run(anext(paths))
            # The library takes a certificate with an anchor's name and key for the anchor, whatever else it says.
            yield path if path.pkix_len else ValidationPath(path.trust_anchor, [], signer.asn1)
    except (StopAsyncIteration, PathBuildingError, *ASN1_FAULTS):
        return


def _validate(
    candidate: ValidationPath,
    path: tuple[Certificate, ...],
    registry: CertificateRegistry,
    manager: TrustManager,
    moment: datetime,
    algorithms: CertificateAlgorithms,
    inputs: PathInputs,
    *,
    proven: bool,
) -> _Failure | None:
    if not _in_force(path[0], moment):
        key = "path.anchor-dates" if moment > path[0].not_after else "path.anchor-not-yet"
        text = say(key, until=path[0].not_after, since=path[0].not_before)
        return _Failure(CheckFailed(SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, text), 0)
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
        _run(async_validate_path(context, candidate, inputs.for_library()))
    except ValidationError as error:
        failure = translate(error, path, proven=proven)
    except (NotImplementedError, *ASN1_FAULTS):
        # Name constraints of a kind that cannot be compared (IP addresses, other names) must not be passed over.
        failure = CheckFailed(SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, say("path.unprocessable"))
    else:
        return None
    return _Failure(failure, _progress(context, path))


def _progress(context: ValidationContext, path: tuple[Certificate, ...]) -> int:
    validated: Callable[[x509.Certificate], ValidationPath | None] = context.check_validation
    return sum(validated(item.asn1) is not None for item in path)


def _list_signers(path: tuple[Certificate, ...], pool: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Those of ``pool`` that bear the name of somebody who may speak about the path's certificates.

    Few and small: they are remembered with the path.
    """
    names = {item.issuer_key for item in path} | {name for item in path for name in list_issuers(item)}
    found = (
        item
        for item in pool
        if item not in path
        and len(item.der) <= _LIST_SIGNER_BYTES
        and (item.key_usage is None or "crl_sign" in item.key_usage)
        and name_key(item.subject_der) in names
    )
    return tuple(islice(found, _LIST_SIGNERS))


def _run(awaitable: Awaitable[T]) -> T:
    """Drive something that never waits; if the library tried to reach something, that is an error."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("the path validator tried to wait for something")


def _in_force(certificate: Certificate, moment: datetime) -> bool:
    return certificate.not_before <= moment <= certificate.not_after


def _refuse_dates(certificate: Certificate, moment: datetime, *, proven: bool) -> CertificatePath:
    if moment < certificate.not_before:
        raise CheckFailed(SubIndication.NOT_YET_VALID, say("path.not-yet", since=certificate.not_before))
    sub_indication = SubIndication.EXPIRED if proven else SubIndication.OUT_OF_BOUNDS_NO_POE
    raise CheckFailed(sub_indication, say("path.expired", until=certificate.not_after))
