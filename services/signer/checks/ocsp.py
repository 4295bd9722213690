"""OCSP responses at hand (RFC 6960): signed by the issuer or by a responder it named, about a moment.

Responses come inside signatures or were asked for; nothing is asked here, and whoever asked has compared the nonce.
What cannot be used is as if it were not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import InvalidVersion, ocsp

from services.signer import der
from services.signer.certificates import ASN1_FAULTS, Certificate, PublicKey, load_certificate, names_equal
from services.signer.checks import mathematics
from services.signer.checks.algorithms import SIGNATURE_BY_OID, check
from services.signer.checks.chain import CertificatePath, build_path
from services.signer.checks.revocation import CLOCK_SKEW, RevocationCheck
from services.signer.findings import CheckFailed
from services.signer.formats.references import ocsp_forms
from services.signer.limits import malformed

WITHOUT_NEXT_UPDATE = timedelta(hours=24)

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_STATEMENTS = 64
_CERTIFICATES = 8
"""Read of one response: the responder's and what leads to its issuer."""


@dataclass(frozen=True)
class Statement:
    """What a response says about one certificate; read in full when the response is."""

    digest: str
    """By which the issuer is named."""
    issuer_name: bytes
    issuer_key: bytes
    serial_number: int
    this_update: datetime
    good_until: datetime
    revoked_at: datetime | None
    """None: good."""
    reason: str
    source: str
    """SHA-256 of the response."""

    def about(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Whether serial number and both digests of the issuer are those of ``certificate`` (RFC 6960, 4.1.1)."""
        return (
            self.serial_number == certificate.serial_number
            and hashlib.new(self.digest, certificate.issuer_der).digest() == self.issuer_name
            and hashlib.new(self.digest, key_bits(issuer)).digest() == self.issuer_key
        )


@dataclass(frozen=True)
class OcspResponse:
    """One response, parsed; whose it is is not known yet."""

    sha256: str
    produced_at: datetime
    statements: tuple[Statement, ...]
    certificates: tuple[Certificate, ...]
    encoded: bytes = field(repr=False)
    """The bytes it was read from; ``sha256`` is theirs."""
    _parsed: ocsp.OCSPResponse = field(repr=False)
    _signed: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)
    delegations: dict[tuple[str, ...], bool] = field(default_factory=dict, repr=False, compare=False)
    """Who may answer for whom on which path, as found out in one pool of evidence."""

    def afresh(self) -> OcspResponse:
        """The same for another pool of evidence, where other lists may speak about the responder."""
        return replace(self, delegations={})

    @property
    def nonce(self) -> bytes | None:
        """What it repeats of the question (RFC 9654); raises ``ValueError`` when its extensions cannot be read."""
        try:
            return self._parsed.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        except x509.ExtensionNotFound:
            return None
        except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise ValueError("unreadable extensions") from error

    def named_by(self, certificate: Certificate) -> bool:
        """Whether the responder's id is that of ``certificate``."""
        name = self._parsed.responder_name
        if name is not None:
            return names_equal(name.public_bytes(), certificate.subject_der)
        return self._parsed.responder_key_hash == hashlib.sha1(key_bits(certificate)).digest()  # noqa: S324 - RFC 6960's id

    def signed_by(self, certificate: Certificate, moment: datetime) -> bool:
        """Whether the key of ``certificate`` signed it, with algorithms that count at ``moment``.

        The equation is computed once for each signer: a response is asked about at many moments.
        """
        scheme, digest = SIGNATURE_BY_OID.get(self._parsed.signature_algorithm_oid.dotted_string, ("?", None))
        if digest is None:
            return False
        try:
            key = certificate.public_key()
            check(mathematics.key_use(key, scheme, digest, ()), moment, proven=True)
        except CheckFailed:
            return False
        if certificate.sha256 not in self._signed:
            self._signed[certificate.sha256] = self._holds(key, scheme, digest)
        return self._signed[certificate.sha256]

    def _holds(self, key: PublicKey, scheme: str, digest: str) -> bool:
        hashed = hashlib.new(digest, self._parsed.tbs_response_bytes).digest()
        try:
            mathematics.verify(key, scheme, 0, digest, hashed, self._parsed.signature)
        except CheckFailed:
            return False
        return True


def load_response(encoded: bytes) -> OcspResponse:
    """Read one response, whole or its basic part (DER); raises ``CheckFailed`` (FORMAT_FAILURE)."""
    sha256 = hashlib.sha256(encoded).hexdigest()
    try:
        basic, whole = ocsp_forms(encoded)
        parsed = ocsp.load_der_ocsp_response(whole)
        known = (item for item in parsed.responses if item.certificate_status is not ocsp.OCSPCertStatus.UNKNOWN)
        return OcspResponse(
            sha256,
            parsed.produced_at_utc,
            tuple(_statement(item, sha256) for item in islice(known, _STATEMENTS)),
            tuple(load_certificate(item.encoded) for item in _carried(basic)[:_CERTIFICATES]),
            encoded,
            parsed,
        )
    except (*ASN1_FAULTS, UnsupportedAlgorithm, InvalidVersion) as error:
        raise malformed("unreadable OCSP response") from error


def _statement(single: ocsp.OCSPSingleResponse, source: str) -> Statement:
    reason = single.revocation_reason
    return Statement(
        single.hash_algorithm.name.replace("-", "_"),
        single.issuer_name_hash,
        single.issuer_key_hash,
        single.serial_number,
        single.this_update_utc,
        single.next_update_utc or single.this_update_utc + WITHOUT_NEXT_UPDATE,
        single.revocation_time_utc,
        "unspecified" if reason is None else reason.value,
        source,
    )


def load_responses(encoded: Sequence[bytes]) -> tuple[OcspResponse, ...]:
    """The readable ones."""
    found = []
    for item in encoded:
        try:
            found.append(load_response(item))
        except CheckFailed:
            continue
    return tuple(found)


def _carried(basic: bytes) -> list[der.Element]:
    """The certificates of a BasicOCSPResponse, which ``cryptography`` would read with its own, stricter parser."""
    fields = der.children(der.read_whole(basic))
    last = fields[-1]
    return der.children(der.children(last)[0]) if len(fields) == 4 and last.tag == der.CONTEXT_0 else []


def key_bits(certificate: Certificate) -> bytes:
    """The subjectPublicKey without tag, length and count of unused bits (RFC 6960, 4.1.1)."""
    info = der.children(der.read_whole(bytes(certificate.asn1.public_key.dump())))
    return info[1].contents[1:]


@dataclass(frozen=True)
class OcspCheck:
    """The rules for one judgement; ``lists`` judges responders that must be looked up themselves."""

    responses: tuple[OcspResponse, ...]
    lists: RevocationCheck

    def says(self, certificate: Certificate, issuer: Certificate, path: CertificatePath) -> Statement | None:
        """The newest usable statement about ``certificate``; None when there is none."""
        usable: list[Statement] = []
        for response in self.responses:
            about = [item for item in response.statements if self._counts(item, certificate, issuer)]
            if about and self._authorised(response, issuer, path):
                usable += about
        return max(usable, key=lambda item: (item.this_update, item.source), default=None)

    def ends(self, path: CertificatePath) -> set[datetime]:
        """Until when the responses speak about certificates of the path, from those who may."""
        found = set()
        for certificate, issuer in path.pairs():
            for response in self.responses:
                about = [item.good_until for item in response.statements if item.about(certificate, issuer)]
                if about and self._authorised(response, issuer, path):
                    found.update(about)
        return found

    def _counts(self, statement: Statement, certificate: Certificate, issuer: Certificate) -> bool:
        return (
            statement.about(certificate, issuer)
            and statement.good_until >= self.lists.moment
            and statement.this_update <= self.lists.now + CLOCK_SKEW
            # Whoever is asked about a certificate that has run out may have forgotten its revocation.
            and (statement.revoked_at is not None or statement.this_update <= certificate.not_after)
        )

    def _authorised(self, response: OcspResponse, issuer: Certificate, path: CertificatePath) -> bool:
        """Signed by the issuer, or by somebody it gave a certificate for this (RFC 6960, 4.2.2.2)."""
        moment = self.lists.moment
        if response.named_by(issuer) and response.signed_by(issuer, moment):
            self.lists.basis.add_response(response.sha256)
            return True
        delegated = any(
            self._delegated(candidate, response, issuer, path)
            for candidate in response.certificates
            if OCSP_SIGNING in candidate.extended_key_usage
            and response.named_by(candidate)
            and response.signed_by(candidate, moment)
        )
        if delegated:
            self.lists.basis.add_response(response.sha256)
        return delegated

    def _delegated(
        self, responder: Certificate, response: OcspResponse, issuer: Certificate, path: CertificatePath
    ) -> bool:
        key = (responder.sha256, issuer.sha256, *(item.sha256 for item in path.certificates))
        if key not in response.delegations:
            response.delegations[key] = self._may_answer(responder, response, issuer, path)
        return response.delegations[key]

    def _may_answer(
        self, responder: Certificate, response: OcspResponse, issuer: Certificate, path: CertificatePath
    ) -> bool:
        pool = (*response.certificates, *path.certificates[1:])
        try:
            own = build_path(responder, pool, (path.anchor,), response.produced_at, proven=True)
            if len(own.certificates) < 2 or key_bits(own.certificates[-2]) != key_bits(issuer):
                return False
            if not _unchecked(responder):
                RevocationCheck(
                    self.lists.lists,
                    response.produced_at,
                    self.lists.now,
                    True,
                    self.lists.retry_after_seconds,
                    basis=self.lists.basis,
                ).path(own)
        except CheckFailed:
            return False
        return True


def _unchecked(responder: Certificate) -> bool:
    """Whether its issuer says that its revocation need not be looked up (4.2.2.2.1)."""
    return any(
        extension["extn_id"].dotted == _NO_CHECK for extension in responder.asn1["tbs_certificate"]["extensions"]
    )
