"""Revocation by our own rules (RFC 5280, 6.3): verified, indexed lists, judged at the proven moment.

Missing data leaves a verdict open; it never makes it good and never makes it "revoked". A
certificate revoked after the judged moment was good then.

Lists may be complete, partitioned, indirect, or brought up to date by deltas, and signed with the key
of the certificate's issuer or with another one whose certificate leads to the same anchor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from services.signer.certificates import Certificate, name_key
from services.signer.checks.basis import Basis
from services.signer.checks.chain import CertificatePath, build_path
from services.signer.checks.distribution import ALL_REASONS, OCSP, access_urls, list_issuers
from services.signer.checks.revocation_list import CLOCK_SKEW, HOLD, REMOVED, RevocationList, load_list
from services.signer.checks.wanted import Wanted, WantedList
from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_OTHER_SIGNERS = 32
"""Certificates examined as signers of lists, for one path."""


@dataclass(frozen=True)
class RevocationStatus:
    """Good standing of one certificate at the judged moment, and the lists that say so together."""

    certificate: Certificate
    sources: tuple[RevocationList, ...]

    @property
    def source(self) -> RevocationList:
        """The first of them: mostly there is one."""
        return self.sources[0]


class RevocationMissing(CheckFailed):
    """No usable list for a certificate of the path; ``wanted`` is all that would help."""

    wanted: tuple[Wanted, ...] = ()

    def __init__(self, certificate: Certificate, *, stale: bool, retry_after_seconds: int) -> None:
        key = "revocation.stale" if stale else "revocation.missing"
        super().__init__(
            SubIndication.TRY_LATER,
            say(key, name=certificate.subject_value("common_name") or certificate.sha256[:16]),
            retry_after_seconds=retry_after_seconds if _somewhere(certificate) else None,
        )


def _somewhere(certificate: Certificate) -> bool:
    return bool(certificate.revocation_urls or access_urls(certificate, OCSP))


@dataclass(frozen=True)
class _Knowledge:
    """A complete list, and the delta that brings it up to date if there is one (5.2.4)."""

    complete: RevocationList
    delta: RevocationList | None = None

    @property
    def newest(self) -> RevocationList:
        return self.delta or self.complete

    @property
    def sources(self) -> tuple[RevocationList, ...]:
        return (self.complete,) if self.delta is None else (self.complete, self.delta)

    def revoked(self, certificate: Certificate) -> tuple[datetime, str] | None:
        """Since when and why ``certificate`` is revoked; None when it is not."""
        for item in (self.delta, self.complete):
            revoked_at = None if item is None else item.revoked_at(certificate)
            if item is not None and revoked_at is not None:
                reason = item.reason(certificate)
                return None if reason == REMOVED else (revoked_at, reason)
        return None


@dataclass
class _Signers:
    """What is known about other signers of lists, and how many may still be examined: each may need lists of its own."""

    left: int = _OTHER_SIGNERS
    stand: dict[tuple[str, str], bool] = field(default_factory=dict)
    """By fingerprint of anchor and signer."""


@dataclass(frozen=True)
class RevocationCheck:
    """The rules for one judgement: which lists there are, and when it is."""

    lists: tuple[RevocationList, ...]
    moment: datetime
    now: datetime
    proven: bool
    retry_after_seconds: int
    pool: tuple[Certificate, ...] = ()
    """Certificates, not trusted, that may have signed lists, beside those that came with the path."""
    basis: Basis = field(default_factory=Basis, compare=False)
    _judging: frozenset[str] = frozenset()
    """Signers of lists whose own standing is being asked for: their paths hold."""
    _signers: _Signers = field(default_factory=_Signers, compare=False)

    def path(self, path: CertificatePath) -> list[RevocationStatus]:
        """Good standing of every certificate below the anchor, the signer's first.

        Raises:
            RevocationMissing: no list, or none fresh enough, or not for all reasons.
            CheckFailed: REVOKED, REVOKED_NO_POE or REVOKED_CA_NO_POE; TRY_LATER for one on hold.
        """
        found = self.examine(path)
        missing = [item for item in found if isinstance(item, RevocationMissing)]
        if missing:
            missing[0].wanted = tuple(wanted for item in missing for wanted in item.wanted if wanted.urls)
            raise missing[0]
        return [item for item in found if isinstance(item, RevocationStatus)]

    def examine(self, path: CertificatePath) -> list[RevocationStatus | RevocationMissing]:
        """Good standing of every certificate below the anchor, the signer's first, or what is missing for it.

        Raises ``CheckFailed`` as ``path`` does for one that was revoked.
        """
        found: list[RevocationStatus | RevocationMissing] = []
        for index, (certificate, issuer) in enumerate(path.pairs()):
            try:
                found.append(self._certificate(certificate, issuer, path, end_entity=index == 0))
            except RevocationMissing as failure:
                failure.wanted = (self.wanted(certificate, issuer, path),)
                found.append(failure)
        return found

    def wanted(
        self, certificate: Certificate, issuer: Certificate, path: CertificatePath, *, fresher: bool = False
    ) -> WantedList:
        """A list about a certificate of ``path``, from whoever may make it."""
        return WantedList(certificate, issuer, tuple(self._eligible(certificate, path)), fresher)

    def _certificate(
        self, certificate: Certificate, issuer: Certificate, path: CertificatePath, *, end_entity: bool
    ) -> RevocationStatus:
        applicable = _newest_first(list(self._applicable(certificate, issuer, path)), certificate)
        covered: frozenset[str] = frozenset()
        sources: list[RevocationList] = []
        for item in applicable:
            scope = item.complete.scope
            if item.newest.good_until < self.moment or scope.reasons <= covered:
                continue
            revoked = item.revoked(certificate)
            if revoked is not None and revoked[0] <= self.moment:
                raise self.refusal(*revoked, end_entity=end_entity)
            # A list made after the certificate ran out may have dropped it.
            if revoked is None and item.newest.this_update > certificate.not_after:
                continue
            covered |= scope.reasons
            sources += item.sources
            if covered >= ALL_REASONS:
                return RevocationStatus(certificate, tuple(sources))
        stale = bool(applicable) and not covered
        raise RevocationMissing(certificate, stale=stale, retry_after_seconds=self.retry_after_seconds)

    def _applicable(self, certificate: Certificate, issuer: Certificate, path: CertificatePath) -> Iterator[_Knowledge]:
        """The complete lists about ``certificate`` from somebody who may make them, with their deltas."""
        for item in self.lists:
            if item.is_delta or not item.about(certificate, self.now) or not item.algorithm_counts(self.moment):
                continue
            signer = self._signer(item, certificate, issuer, path)
            if signer is not None:
                knowledge = _Knowledge(item, self._delta(item, signer))
                for source in knowledge.sources:
                    self.basis.add_list(source)
                yield knowledge

    def _delta(self, complete: RevocationList, signer: Certificate) -> RevocationList | None:
        """The newest delta in force that continues ``complete`` (RFC 5280, 6.3.3 c): same maker, scope and key."""
        if complete.number is None:
            return None
        newest: RevocationList | None = None
        for item in self.lists:
            if item.base_number is None or item.number is None:
                continue
            if (
                item.base_number <= complete.number < item.number
                and (newest is None or item.number > (newest.number or 0))
                and (item.issuer_key, item.scope) == (complete.issuer_key, complete.scope)
                and item.this_update <= self.now + CLOCK_SKEW
                and item.good_until >= self.moment
                and item.algorithm_counts(self.moment)
                and item.signed_by(signer)
            ):
                newest = item
        return newest

    def _signer(
        self, item: RevocationList, certificate: Certificate, issuer: Certificate, path: CertificatePath
    ) -> Certificate | None:
        """Who signed ``item`` and may (6.3.3 f and g); None when nobody that can be found."""
        if item.named_by(issuer) and item.signed_by(issuer):
            return issuer
        for other in self._other_signers(path):
            if item.named_by(other) and item.signed_by(other) and self._stands(other, certificate, path):
                self.basis.add_certificates((other,))
                return other
        return None

    def _other_signers(self, path: CertificatePath) -> tuple[Certificate, ...]:
        return tuple(dict.fromkeys((*path.certificates, *path.list_signers, *self.pool)))

    def _eligible(self, certificate: Certificate, path: CertificatePath) -> Iterator[Certificate]:
        """Others who may make lists about ``certificate``, their own standing left out: it may wait for a list as well."""
        names = {certificate.issuer_key, *list_issuers(certificate)}
        named = (signer for signer in self._other_signers(path) if name_key(signer.subject_der) in names)
        return (signer for signer in islice(named, _OTHER_SIGNERS) if self._path_to(signer, path) is not None)

    def _path_to(self, signer: Certificate, path: CertificatePath) -> CertificatePath | None:
        try:
            return build_path(signer, self._other_signers(path), (path.anchor,), self.moment, proven=True)
        except CheckFailed:
            return None

    def _stands(self, signer: Certificate, certificate: Certificate, path: CertificatePath) -> bool:
        """Whether ``signer`` leads to the path's anchor and was not revoked."""
        if signer.sha256 in self._judging or signer in path.certificates[:-1]:
            return True
        if signer == certificate:
            return False
        key = (path.anchor.sha256, signer.sha256)
        if key in self._signers.stand:
            return self._signers.stand[key]
        stands = self._examine(signer, path)
        # What is found while another one is in question counts for that question only.
        if not self._judging:
            self._signers.stand[key] = stands
        return stands

    def _examine(self, signer: Certificate, path: CertificatePath) -> bool:
        if self._signers.left <= 0:
            return False
        self._signers.left -= 1
        own = self._path_to(signer, path)
        if own is None:
            return False
        self.basis.add_certificates(own.certificates)
        try:
            # A list about its signer is taken from that signer, once the path to him holds: some CAs publish no other.
            replace(self, _judging=self._judging | {signer.sha256}).path(own)
        except CheckFailed:
            return False
        return True

    def refusal(self, revoked_at: datetime, reason: str, *, end_entity: bool) -> CheckFailed:
        """What follows for a certificate revoked by the judged moment, whoever says so."""
        text = say("revocation.revoked", at=revoked_at, reason=reason)
        if not end_entity:
            return CheckFailed(SubIndication.REVOKED_CA_NO_POE, text)
        if reason == HOLD:
            # A hold may be lifted as if it had never been (EN 319 102-1, 5.2.6.4).
            held = say("revocation.hold", at=revoked_at)
            return CheckFailed(SubIndication.TRY_LATER, held, retry_after_seconds=self.retry_after_seconds)
        return CheckFailed(SubIndication.REVOKED if self.proven else SubIndication.REVOKED_NO_POE, text)


__all__ = [
    "CLOCK_SKEW",
    "RevocationCheck",
    "RevocationList",
    "RevocationMissing",
    "RevocationStatus",
    "WantedList",
    "load_list",
]


def _newest_first(applicable: list[_Knowledge], certificate: Certificate) -> list[_Knowledge]:
    """Of several lists of one second the one that names the certificate comes first: it was made after the others."""
    of_one_moment = Counter(item.newest.this_update for item in applicable)

    def rank(item: _Knowledge) -> tuple[datetime, bool, str]:
        moment = item.newest.this_update
        return moment, of_one_moment[moment] > 1 and item.revoked(certificate) is not None, item.newest.sha256

    return sorted(applicable, key=rank, reverse=True)
