"""One revocation list: what it speaks about, and its entries by serial number (RFC 5280, 5).

It is indexed only once its signature holds: a forged list costs its parsing and one equation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from services.signer import der
from services.signer.certificates import Certificate, name_key
from services.signer.checks.algorithms import end_of_life
from services.signer.checks.distribution import (
    ALL_REASONS,
    DistributionPoint,
    PointNames,
    directory_name,
    distribution_points,
    point_names,
)
from services.signer.findings import CheckFailed
from services.signer.limits import malformed

WITHOUT_NEXT_UPDATE = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)
HOLD, REMOVED = "certificateHold", "removeFromCRL"

_ENTRY_MEMORY = 160
"""Bytes that one revoked certificate takes in memory beside its encoding, rounded up."""
_KNOWN_CRITICAL = frozenset(
    {
        *(ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER),
        *(ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.CRL_NUMBER, ExtensionOID.FRESHEST_CRL),
    }
)
_KNOWN_CRITICAL_OF_ENTRIES = frozenset(
    {
        *(CRLEntryExtensionOID.CERTIFICATE_ISSUER, CRLEntryExtensionOID.CRL_REASON),
        CRLEntryExtensionOID.INVALIDITY_DATE,
    }
)
_CRITICAL = b"\x01\x01\xff"
"""BOOLEAN TRUE: without it there is no critical extension."""
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


@dataclass(frozen=True)
class Scope:
    """Which certificates a list speaks about (RFC 5280, 5.2.5)."""

    users: bool = True
    authorities: bool = True
    names: PointNames | None = None
    """Distribution-point names of a partitioned list; None when the list is the whole one."""
    indirect: bool = False
    """Whether it may speak about certificates of other issuers."""
    reasons: frozenset[str] = ALL_REASONS

    def covers(self, certificate: Certificate, list_issuer: str) -> bool:
        """Whether ``certificate`` would be on this list of ``list_issuer`` if it were revoked (6.3.3 b)."""
        if not (self.indirect or list_issuer == certificate.issuer_key):
            return False
        if not (self.authorities if certificate.is_ca else self.users):
            return False
        return any(self._is_for(point, certificate, list_issuer) for point in _all_points(certificate))

    def _is_for(self, point: DistributionPoint, certificate: Certificate, list_issuer: str) -> bool:
        if point.issuers:
            if not self.indirect or list_issuer not in point.issuers:
                return False
        elif list_issuer != certificate.issuer_key:
            return False
        return self.names is None or bool(self.names & point.names)


def _all_points(certificate: Certificate) -> Iterator[DistributionPoint]:
    yield from distribution_points(certificate)
    # Lists of the issuer that no point names count as well, under the issuer's name (6.3.3, last paragraph).
    own = directory_name(certificate.issuer_der)
    yield DistributionPoint(frozenset() if own is None else frozenset({own}))


@dataclass
class RevocationList:
    """One parsed list, complete or delta."""

    sha256: str
    issuer_key: str | None
    """The issuer's name as ``Certificate.issuer_key`` has it."""
    this_update: datetime
    good_until: datetime
    """End of the list's say; 24 hours when it names none."""
    scope: Scope
    size: int
    number: int | None
    base_number: int | None
    """The number of the complete list that a delta starts from; None for a complete list."""
    encoded: bytes = field(repr=False)
    """The bytes it was read from, DER or PEM; ``sha256`` is theirs."""
    _parsed: x509.CertificateRevocationList = field(repr=False)
    _checked: dict[str, bool] = field(default_factory=dict, repr=False)
    _reasons: dict[tuple[str, int], str] = field(default_factory=dict, repr=False)

    @property
    def memory(self) -> int:
        """About how many bytes it takes here."""
        return self.size + len(self._parsed) * _ENTRY_MEMORY

    @property
    def is_delta(self) -> bool:
        """Whether it only tells what has changed since a complete list (5.2.4)."""
        return self.base_number is not None

    def about(self, certificate: Certificate, now: datetime) -> bool:
        """Whether it is not from the future, and ``certificate`` would be on it if revoked; nobody is believed yet."""
        return (
            self.issuer_key is not None
            and self.this_update <= now + CLOCK_SKEW
            and self.scope.covers(certificate, self.issuer_key)
        )

    def named_by(self, signer: Certificate) -> bool:
        """Whether ``signer`` bears the name of the list's issuer."""
        return self.issuer_key is not None and self.issuer_key == name_key(signer.subject_der)

    def signed_by(self, signer: Certificate) -> bool:
        """Whether ``signer`` signed this list and may, and all of it can be read; computed once for each signer."""
        if signer.sha256 not in self._checked:
            self._checked[signer.sha256] = self._verify(signer) and self._indexes()
        return self._checked[signer.sha256]

    def _verify(self, signer: Certificate) -> bool:
        if signer.key_usage is not None and "crl_sign" not in signer.key_usage:
            return False
        try:
            return self._parsed.is_signature_valid(signer.public_key())
        except (CheckFailed, TypeError, ValueError, UnsupportedAlgorithm):
            return False

    def _indexes(self) -> bool:
        try:
            return self._index is not None
        except (CheckFailed, *_UNREADABLE):
            return False

    @property
    def entries(self) -> dict[int, datetime]:
        """Serial number to revocation time, for certificates of the list's own issuer."""
        return self._index.get(self.issuer_key or "", {})

    def revoked_at(self, certificate: Certificate) -> datetime | None:
        """When ``certificate`` was revoked; None when it is not on the list."""
        return self._index.get(certificate.issuer_key or "", {}).get(certificate.serial_number)

    def algorithm_counts(self, moment: datetime) -> bool:
        """Whether the digest under the list's signature still counts at ``moment``."""
        try:
            algorithm = self._parsed.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return False
        name = "" if algorithm is None else algorithm.name.replace("-", "_")
        until = end_of_life("digest", name)
        return until is not None and moment < until

    def reason(self, certificate: Certificate) -> str:
        """Why a listed certificate was revoked, in RFC 5280's words."""
        known = self._reasons.get((certificate.issuer_key or "", certificate.serial_number))
        if known is not None:
            return known
        entry = self._parsed.get_revoked_certificate_by_serial_number(certificate.serial_number)
        return "unspecified" if entry is None else _reason(entry)

    @cached_property
    def _index(self) -> dict[str, dict[int, datetime]]:
        """Entries by certificate issuer. Raises ``CheckFailed`` for one with an unknown critical extension (5.3)."""
        own = self.issuer_key or ""
        if not self.is_delta and not _any_critical_entry(self._parsed.tbs_certlist_bytes):
            return {own: {entry.serial_number: entry.revocation_date_utc for entry in self._parsed}}
        index: dict[str, dict[int, datetime]] = {}
        issuer = own
        for entry in self._parsed:
            # The issuer of an entry is that of the one before it, until another is named (5.3.3).
            issuer = _entry_issuer(entry, issuer)
            index.setdefault(issuer, {})[entry.serial_number] = entry.revocation_date_utc
            self._reasons[issuer, entry.serial_number] = _reason(entry)
        return index


def load_list(encoded: bytes) -> RevocationList:
    """Read one list (DER or PEM).

    Raises ``CheckFailed`` (FORMAT_FAILURE) when it cannot be read, is about attribute certificates, or
    has unknown critical extensions.
    """
    try:
        if encoded.startswith(b"-----BEGIN"):
            parsed = x509.load_pem_x509_crl(encoded)
        else:
            parsed = x509.load_der_x509_crl(encoded)
        return RevocationList(
            hashlib.sha256(encoded).hexdigest(),
            name_key(parsed.issuer.public_bytes()),
            parsed.last_update_utc,
            parsed.next_update_utc or parsed.last_update_utc + WITHOUT_NEXT_UPDATE,
            _scope(parsed),
            len(encoded),
            *_numbers(parsed),
            encoded,
            parsed,
        )
    except _UNREADABLE as error:
        raise malformed("unreadable revocation list") from error


def _numbers(parsed: x509.CertificateRevocationList) -> tuple[int | None, int | None]:
    number = base = None
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.CRLNumber):
            number = extension.value.crl_number
        elif isinstance(extension.value, x509.DeltaCRLIndicator):
            base = extension.value.crl_number
    return number, base


def _scope(parsed: x509.CertificateRevocationList) -> Scope:
    point: x509.IssuingDistributionPoint | None = None
    for extension in parsed.extensions:
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise malformed("revocation list with an unknown critical extension")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
    if point is None:
        return Scope()
    if point.only_contains_attribute_certs:
        raise malformed("revocation list of attribute certificates")
    names: PointNames | None = None
    for part in der.children(der.read_whole(point.public_bytes())):
        if part.tag == der.CONTEXT_0:
            names = point_names(der.children(part)[0], parsed.issuer.public_bytes())
    some = point.only_some_reasons
    reasons = ALL_REASONS if some is None else frozenset(reason.name for reason in some)
    return Scope(
        not point.only_contains_ca_certs, not point.only_contains_user_certs, names, point.indirect_crl, reasons
    )


def _any_critical_entry(tbs: bytes) -> bool:
    """Whether an entry may have a critical extension: reading those of each entry takes most of a large list's time."""
    for part in der.children(der.read_whole(tbs))[2:]:
        # After the issuer's name the only SEQUENCE is that of the entries.
        if part.tag == der.SEQUENCE and tbs.find(_CRITICAL, part.body, part.end) >= 0:
            return True
    return False


def _entry_issuer(entry: x509.RevokedCertificate, before: str) -> str:
    for extension in entry.extensions:
        if extension.critical and extension.oid not in _KNOWN_CRITICAL_OF_ENTRIES:
            raise malformed("revoked certificate with an unknown critical extension")
        if isinstance(extension.value, x509.CertificateIssuer):
            names = extension.value.get_values_for_type(x509.DirectoryName)
            return (name_key(names[0].public_bytes()) if names else None) or ""
    return before


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return "unspecified"
