"""Revocation by our own rules: lists verified once, indexed by serial, judged at the proven moment.

Missing data leaves a verdict open; it never makes it good and never makes it "revoked". A
certificate revoked after the judged moment was good then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from services.signer.certificates import Certificate, name_key
from services.signer.checks.algorithms import end_of_life
from services.signer.checks.chain import CertificatePath
from services.signer.findings import CheckFailed
from services.signer.limits import malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

WITHOUT_NEXT_UPDATE = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)

_ENTRY_MEMORY = 160
"""Bytes that one revoked certificate takes in memory beside its encoding, rounded up."""
_KNOWN_CRITICAL = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})


@dataclass(frozen=True)
class Scope:
    """Which certificates a list speaks about (RFC 5280, 5.2.5)."""

    users: bool = True
    authorities: bool = True
    urls: frozenset[str] | None = None
    """Distribution-point names of a partitioned list; None when the list is the whole one."""

    def covers(self, certificate: Certificate) -> bool:
        """Whether ``certificate`` would be on this list if it were revoked."""
        if not (self.authorities if certificate.is_ca else self.users):
            return False
        return self.urls is None or bool(self.urls & set(certificate.revocation_urls))


@dataclass
class RevocationList:
    """One parsed list; ``entries`` maps serial number to revocation time."""

    sha256: str
    issuer_key: str | None
    """The issuer's name as ``Certificate.issuer_key`` has it."""
    this_update: datetime
    next_update: datetime | None
    scope: Scope
    entries: dict[int, datetime] = field(repr=False)
    size: int
    _parsed: x509.CertificateRevocationList = field(repr=False)
    _checked: dict[str, bool] = field(default_factory=dict, repr=False)

    @property
    def memory(self) -> int:
        """About how many bytes it takes here."""
        return self.size + len(self.entries) * _ENTRY_MEMORY

    def speaks_about(self, certificate: Certificate, issuer: Certificate, now: datetime) -> bool:
        """Whether ``issuer`` signed it, not in the future, and ``certificate`` would be on it if revoked."""
        return (
            self.issuer_key is not None
            and self.issuer_key == certificate.issuer_key
            and self.this_update <= now + CLOCK_SKEW
            and self.scope.covers(certificate)
            and self.signed_by(issuer)
        )

    @property
    def good_until(self) -> datetime:
        """End of the list's say; 24 hours when it names none."""
        return self.next_update or self.this_update + WITHOUT_NEXT_UPDATE

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether ``issuer`` signed this list and may; the mathematics run once per issuer."""
        if issuer.sha256 not in self._checked:
            self._checked[issuer.sha256] = self._verify(issuer)
        return self._checked[issuer.sha256]

    def _verify(self, issuer: Certificate) -> bool:
        if issuer.key_usage is not None and "crl_sign" not in issuer.key_usage:
            return False
        try:
            return self._parsed.is_signature_valid(issuer.public_key())
        except (CheckFailed, TypeError, ValueError, UnsupportedAlgorithm):
            return False

    def algorithm_counts(self, moment: datetime) -> bool:
        """Whether the digest under the list's signature still counts at ``moment``."""
        try:
            algorithm = self._parsed.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return False
        name = "" if algorithm is None else algorithm.name.replace("-", "_")
        until = end_of_life("digest", name)
        return until is not None and moment < until

    def reason(self, serial_number: int) -> str:
        """Why a listed certificate was revoked, in RFC 5280's words."""
        entry = self._parsed.get_revoked_certificate_by_serial_number(serial_number)
        try:
            if entry is not None:
                return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except (x509.ExtensionNotFound, ValueError):
            pass
        return "unspecified"


def load_list(encoded: bytes) -> RevocationList:
    """Read and index one list (DER or PEM).

    Raises ``CheckFailed`` (FORMAT_FAILURE) when it cannot be read or has a scope that is not
    evaluated: delta, indirect, by reason, of attribute certificates, or with unknown critical parts.
    """
    try:
        if encoded.startswith(b"-----BEGIN"):
            parsed = x509.load_pem_x509_crl(encoded)
        else:
            parsed = x509.load_der_x509_crl(encoded)
        scope = _scope(parsed)
        entries = {entry.serial_number: entry.revocation_date_utc for entry in parsed}
        return RevocationList(
            hashlib.sha256(encoded).hexdigest(),
            name_key(parsed.issuer.public_bytes()),
            parsed.last_update_utc,
            parsed.next_update_utc,
            scope,
            entries,
            len(encoded),
            parsed,
        )
    except (ValueError, TypeError, OverflowError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise malformed("unreadable revocation list") from error


def _scope(parsed: x509.CertificateRevocationList) -> Scope:
    point: x509.IssuingDistributionPoint | None = None
    for extension in parsed.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            raise malformed("delta revocation list")
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise malformed("revocation list with an unknown critical extension")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
    if point is None:
        return Scope()
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs or point.relative_name:
        raise malformed("revocation list of a scope that is not evaluated")
    urls = None
    if point.full_name is not None:
        urls = frozenset(name.value for name in point.full_name if isinstance(name, x509.UniformResourceIdentifier))
    return Scope(not point.only_contains_ca_certs, not point.only_contains_user_certs, urls)


@dataclass(frozen=True)
class RevocationStatus:
    """Good standing of one certificate at the judged moment, and the list that says so."""

    certificate: Certificate
    source: RevocationList


@dataclass(frozen=True)
class WantedList:
    """A list about ``certificate``, made by ``issuer``."""

    certificate: Certificate
    issuer: Certificate

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it may be had."""
        return self.certificate.revocation_urls

    def met_by(self, item: RevocationList, now: datetime) -> bool:
        """Whether ``item`` is such a list."""
        return item.speaks_about(self.certificate, self.issuer, now)


class RevocationMissing(CheckFailed):
    """No usable list for a certificate of the path; ``wanted`` are all the lists that would help."""

    wanted: tuple[WantedList, ...] = ()

    def __init__(self, certificate: Certificate, *, stale: bool, retry_after_seconds: int) -> None:
        key = "revocation.stale" if stale else "revocation.missing"
        super().__init__(
            SubIndication.TRY_LATER,
            say(key, name=certificate.subject_value("common_name") or certificate.sha256[:16]),
            retry_after_seconds=retry_after_seconds if certificate.revocation_urls else None,
        )


@dataclass(frozen=True)
class RevocationCheck:
    """The rules for one judgement: which lists there are, and when it is."""

    lists: tuple[RevocationList, ...]
    moment: datetime
    now: datetime
    proven: bool
    retry_after_seconds: int

    def path(self, path: CertificatePath) -> list[RevocationStatus]:
        """Good standing of every certificate below the anchor, the signer's first.

        Raises:
            RevocationMissing: no list, or none fresh enough.
            CheckFailed: REVOKED, REVOKED_NO_POE or REVOKED_CA_NO_POE.
        """
        statuses = []
        missing: RevocationMissing | None = None
        wanted = []
        for index, (certificate, issuer) in enumerate(path.pairs()):
            try:
                statuses.append(self.certificate(certificate, issuer, end_entity=index == 0))
            except RevocationMissing as failure:
                missing = missing or failure
                if certificate.revocation_urls:
                    wanted.append(WantedList(certificate, issuer))
        if missing is not None:
            missing.wanted = tuple(wanted)
            raise missing
        return statuses

    def certificate(self, certificate: Certificate, issuer: Certificate, *, end_entity: bool) -> RevocationStatus:
        """Good standing of one certificate; raises as ``path`` does."""
        applicable = [
            item
            for item in self.lists
            if item.speaks_about(certificate, issuer, self.now) and item.algorithm_counts(self.moment)
        ]
        applicable.sort(key=lambda item: item.this_update, reverse=True)
        usable = [item for item in applicable if item.good_until >= self.moment]
        for item in usable:
            revoked_at = item.entries.get(certificate.serial_number)
            if revoked_at is not None and revoked_at <= self.moment:
                raise self._revoked(certificate, item, revoked_at, end_entity=end_entity)
            # A list made after the certificate ran out may have dropped it.
            if revoked_at is not None or item.this_update <= certificate.not_after:
                return RevocationStatus(certificate, item)
        raise RevocationMissing(certificate, stale=bool(applicable), retry_after_seconds=self.retry_after_seconds)

    def _revoked(
        self, certificate: Certificate, source: RevocationList, revoked_at: datetime, *, end_entity: bool
    ) -> CheckFailed:
        if not end_entity:
            sub_indication = SubIndication.REVOKED_CA_NO_POE
        else:
            sub_indication = SubIndication.REVOKED if self.proven else SubIndication.REVOKED_NO_POE
        return CheckFailed(
            sub_indication, say("revocation.revoked", at=revoked_at, reason=source.reason(certificate.serial_number))
        )
