"""Which rule of RFC 5280 a path breaks, for the report: the validator's errors tell it in prose only.

Nothing is decided here: a path that comes here has been refused already.
"""

from __future__ import annotations

from enum import Enum
from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from pyhanko_certvalidator.errors import (
    DisallowedAlgorithmError,
    ExpiredError,
    NotYetValidError,
    PathValidationError,
    ValidationError,
)
from pyhanko_certvalidator.name_trees import (
    ExcludedSubtrees,
    PermittedSubtrees,
    default_excluded_subtrees,
    default_permitted_subtrees,
    process_general_subtrees,
)
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator
from pyhanko_certvalidator.validate import SUPPORTED_EXTENSIONS

from services.signer.certificates import ASN1_FAULTS, Certificate, name_key
from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication


class Fault(Enum):
    """The rule that is broken; the value ends the key of its sentence (``path.<value>``)."""

    SIGNATURE = "signature"
    NOT_AUTHORITY = "not-authority"
    LENGTH = "length"
    CRITICAL = "critical"
    NAMES = "names"
    POLICY = "policy"
    OTHER = "invalid"


def translate(error: ValidationError, path: tuple[Certificate, ...], *, proven: bool) -> CheckFailed:
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
    fault, name = name_fault(path)
    policy = fault is Fault.POLICY
    return CheckFailed(
        SubIndication.CHAIN_CONSTRAINTS_FAILURE if policy else SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        say(f"path.{fault.value}", name=name),
    )


def name_fault(path: tuple[Certificate, ...]) -> tuple[Fault, str]:
    """The first broken rule from the anchor down, and whose certificate breaks it."""
    room = len(path)
    for index in range(1, len(path)):
        certificate, last = path[index], index == len(path) - 1
        name = certificate.subject_name
        if not _signed_by(certificate, path[index - 1]):
            return Fault.SIGNATURE, name
        if _outside(path[: index + 1]):
            return Fault.NAMES, name
        if certificate.asn1.critical_extensions - SUPPORTED_EXTENSIONS:
            return Fault.CRITICAL, name
        if last:
            break
        if not _may_issue(certificate):
            return Fault.NOT_AUTHORITY, name
        if not certificate.self_issued:
            room -= 1
            if room < 0:
                return Fault.LENGTH, name
        limit = certificate.asn1.max_path_length
        room = room if limit is None else min(room, limit)
    # What is left are policies, and encodings that only the validator minds.
    return (Fault.POLICY if _issued_in_order(path) else Fault.OTHER), path[-1].subject_name


def _issued_in_order(path: tuple[Certificate, ...]) -> bool:
    """Whether each certificate names the one above it as its issuer."""
    return all(lower.issuer_key == name_key(upper.subject_der) for upper, lower in pairwise(path))


def _signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        DefaultSignatureValidator().validate_signature(
            signature=certificate.asn1["signature_value"].native,
            signed_data=certificate.asn1["tbs_certificate"].dump(),
            public_key_info=issuer.asn1.public_key,
            signature_algorithm=certificate.asn1["signature_algorithm"],
        )
    except (InvalidSignature, UnsupportedAlgorithm, *ASN1_FAULTS):
        return False
    return True


def _may_issue(certificate: Certificate) -> bool:
    return certificate.is_ca and (certificate.key_usage is None or "key_cert_sign" in certificate.key_usage)


def _outside(path: tuple[Certificate, ...]) -> bool:
    """Whether the last certificate has a name that those above it do not allow (RFC 5280, 4.2.1.10)."""
    try:
        permitted = PermittedSubtrees(default_permitted_subtrees())
        excluded = ExcludedSubtrees(default_excluded_subtrees())
        for item in path[1:-1]:
            constraints = item.asn1.name_constraints_value
            if constraints is None:
                continue
            if constraints["permitted_subtrees"].native:
                permitted.intersect_with(process_general_subtrees(constraints["permitted_subtrees"]))
            if constraints["excluded_subtrees"].native:
                excluded.union_with(process_general_subtrees(constraints["excluded_subtrees"]))
        names = path[-1].asn1
        return not (permitted.accept_cert(names) and excluded.accept_cert(names))
    except (NotImplementedError, *ASN1_FAULTS):
        return True
