"""What an officer should know of a certificate before he approves it; nothing here decides anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.signer import der
from services.signer.certificates import ASN1_FAULTS, Certificate, names_equal
from services.signer.checks.algorithms import DIGEST_BY_OID, SIGNATURE_BY_OID, end_of_life
from services.signer.checks.mathematics import scheme_of, verify
from services.signer.findings import CheckFailed
from services.signer.trust import INTERMEDIATES

_PSS = "1.2.840.113549.1.1.10"
_OLD_DIGESTS = frozenset({"md5", "sha1", "sha224"})


class Warning_(NamedTuple):  # noqa: N801 - a builtin has the name
    """One thing to look at; ``code`` is for programs."""

    code: str
    text: str


def scrutinise(
    certificate: Certificate, purposes: tuple[str, ...], present: Iterable[Certificate], moment: datetime
) -> tuple[Warning_, ...]:
    """The warnings about one certificate that is to be added.

    Args:
        certificate: the one proposed.
        purposes: what it would be trusted for.
        present: those in the store.
        moment: the time of judgement (aware).
    """
    found = [*_dates(certificate, moment), *_key(certificate, moment)]
    if not certificate.is_ca:
        found.append(Warning_("not-a-ca", "basicConstraints does not say that it is a CA's certificate"))
    if purposes != (INTERMEDIATES,):
        found += _self_signature(certificate)
    digest = signature_digest(certificate)
    if digest is None or digest in _OLD_DIGESTS:
        found.append(Warning_("old-digest", f"signed with {digest or 'an unknown algorithm'}"))
    return (*found, *_beside(certificate, present))


def describe_key(certificate: Certificate) -> str:
    """Kind and size of the public key, for people."""
    try:
        key = certificate.public_key()
    except (CheckFailed, *ASN1_FAULTS):
        return "unreadable"
    return f"RSA-{key.key_size}" if isinstance(key, RSAPublicKey) else key.curve.name


def signature_digest(certificate: Certificate) -> str | None:
    """The digest of the certificate's own signature by its ``hashlib`` name; None when it is not known."""
    try:
        algorithm = der.children(der.read_whole(certificate.der))[1]
        parts = der.children(algorithm)
        oid = der.oid(parts[0])
        if oid == _PSS:
            return _pss_digest(parts)
        return SIGNATURE_BY_OID[oid][1]
    except (CheckFailed, *ASN1_FAULTS):
        return None


def _pss_digest(parts: list[der.Element]) -> str:
    for field in der.children(parts[1]) if len(parts) > 1 else ():
        if field.tag == der.CONTEXT_0:
            return DIGEST_BY_OID[der.oid(der.children(der.children(field)[0])[0])]
    return "sha1"


def _dates(certificate: Certificate, moment: datetime) -> list[Warning_]:
    if moment > certificate.not_after:
        text = f"expired on {certificate.not_after:%Y-%m-%d}: it counts for signatures of its time only"
        return [Warning_("expired", text)]
    if moment < certificate.not_before:
        return [Warning_("not-yet-valid", f"not valid before {certificate.not_before:%Y-%m-%d}")]
    return []


def _key(certificate: Certificate, moment: datetime) -> list[Warning_]:
    try:
        key = certificate.public_key()
    except (CheckFailed, *ASN1_FAULTS):
        return [Warning_("key-unreadable", "its public key is of a kind or size that nothing is verified with")]
    if isinstance(key, RSAPublicKey):
        name, until = f"RSA-{key.key_size}", end_of_life("rsa", "", key.key_size)
    else:
        name, until = key.curve.name, end_of_life("curve", key.curve.name)
    if until is None or moment >= until:
        return [Warning_("weak-key", f"the key ({name}) does not count today")]
    return []


def _self_signature(certificate: Certificate) -> list[Warning_]:
    if not names_equal(certificate.issuer_der, certificate.subject_der):
        return [Warning_("not-self-signed", f"issued by {certificate.issuer_name}: no root")]
    digest = signature_digest(certificate)
    try:
        body, algorithm, value = der.children(der.read_whole(certificate.der))
        scheme, salt = scheme_of(algorithm, digest or "?")
        hashed = hashlib.new(digest or "?", body.encoded).digest()
        verify(certificate.public_key(), scheme, salt, digest or "?", hashed, value.contents[1:])
    except (CheckFailed, *ASN1_FAULTS):
        return [Warning_("self-signature", "its own signature does not hold, or cannot be computed")]
    return []


def _beside(certificate: Certificate, present: Iterable[Certificate]) -> list[Warning_]:
    found = []
    for other in present:
        if other == certificate:
            found.append(Warning_("already-there", "is in the store already"))
            continue
        same_name = names_equal(other.subject_der, certificate.subject_der)
        same_key = bytes(other.asn1.public_key.dump()) == bytes(certificate.asn1.public_key.dump())
        if same_key and not same_name:
            found.append(Warning_("same-key", f"has the key of {other.subject_name}, under another name"))
        elif same_key:
            found.append(Warning_("renewed", f"another certificate for the key of {other.sha256[:16]}"))
        elif same_name:
            found.append(Warning_("same-name", f"has the name of {other.sha256[:16]}, with another key"))
    return found
