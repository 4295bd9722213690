"""Which certificates something may be encrypted for, by themselves.

Who issued them and whether they are revoked is another question (``standing.py``), asked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.signer.certificates import ASN1_FAULTS, Certificate, PublicKey, load_certificate
from services.signer.envelopes.algorithms import CURVES
from services.signer.envelopes.refusals import RecipientsUnfit, UnfitCertificate
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS, Limits
from shared.contracts.envelopes import RecipientFault

LEAST_RSA_BITS = 2048
_RSA_USES = frozenset({"key_encipherment", "data_encipherment"})
_EC_USES = frozenset({"key_agreement"})


@dataclass(frozen=True)
class FitRecipient:
    """A certificate that passed, its public key and its place in the list that was given."""

    index: int
    certificate: Certificate
    key: PublicKey


class _UnfitError(Exception):
    def __init__(self, fault: RecipientFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


def fit_recipients(
    certificates: Sequence[bytes], moment: datetime, limits: Limits = DEFAULT_LIMITS
) -> tuple[FitRecipient, ...]:
    """The recipients of an envelope made at ``moment``, each certificate once.

    Key usage must be there and allow it: key or data encipherment for RSA (eyp.md 4.3), key agreement
    for elliptic curves (RFC 5753, 6); RSA has 2048 bits or more; curves are P-256, P-384 and P-521.
    Raises ``RecipientsUnfit`` naming every certificate (DER) at fault.
    """
    fit: dict[bytes, FitRecipient] = {}
    unfit: list[UnfitCertificate] = []
    for index, encoded in enumerate(certificates):
        try:
            fit.setdefault(encoded, _fit(index, encoded, moment, limits))
        except _UnfitError as error:
            unfit.append(UnfitCertificate(index, error.fault, error.detail))
    if unfit:
        raise RecipientsUnfit(tuple(unfit))
    return tuple(fit.values())


def _fit(index: int, encoded: bytes, moment: datetime, limits: Limits) -> FitRecipient:
    try:
        certificate = load_certificate(encoded, limits)
    except CheckFailed as error:
        raise _UnfitError(RecipientFault.UNREADABLE, error.text.en) from error
    if not certificate.not_before <= moment <= certificate.not_after:
        span = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        raise _UnfitError(RecipientFault.NOT_IN_FORCE, f"in force from {span} only")
    key = _key(certificate, limits)
    allowed = _EC_USES if isinstance(key, EllipticCurvePublicKey) else _RSA_USES
    if certificate.key_usage is None or certificate.key_usage.isdisjoint(allowed):
        raise _UnfitError(RecipientFault.KEY_USAGE, f"key usage does not have {' or '.join(sorted(allowed))}")
    return FitRecipient(index, certificate, key)


def _key(certificate: Certificate, limits: Limits) -> PublicKey:
    try:
        bound_to_signing = certificate.asn1.public_key.algorithm == "rsassa_pss"
        key = certificate.public_key(limits)
    except (CheckFailed, *ASN1_FAULTS) as error:
        raise _UnfitError(RecipientFault.KEY_KIND, "the public key cannot be used") from error
    if bound_to_signing:
        raise _UnfitError(RecipientFault.KEY_KIND, "the key is bound to signatures (RSASSA-PSS)")
    if isinstance(key, RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise _UnfitError(RecipientFault.KEY_SIZE, f"RSA with {key.key_size} bits, at least {LEAST_RSA_BITS}")
    elif key.curve.name not in CURVES:
        raise _UnfitError(RecipientFault.KEY_KIND, f"curve {key.curve.name} is not supported")
    return key
