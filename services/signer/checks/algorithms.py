"""Which algorithms count until when, as data; and the names everything else uses for them.

End dates follow the default table of the EU's DSS after ETSI TS 119 312 (signatures.md 8.2). An
algorithm not listed is never accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import algos, keys
from pyhanko_certvalidator.policy_decl import AlgorithmUsageConstraint, AlgorithmUsagePolicy

from services.signer.facts import AlgorithmUse
from services.signer.findings import CheckFailed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

TABLE_VERSION = "algorithms-2026-11"

DIGEST_BY_OID = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
"""Digest OIDs and their ``hashlib`` names."""

OID_BY_DIGEST = {name: oid for oid, name in DIGEST_BY_OID.items()}

RSA_PKCS1, RSA_PSS, ECDSA = "rsassa_pkcs1v15", "rsassa_pss", "ecdsa"

SIGNATURE_BY_OID: dict[str, tuple[str, str | None]] = {
    "1.2.840.113549.1.1.1": (RSA_PKCS1, None),
    "1.2.840.113549.1.1.4": (RSA_PKCS1, "md5"),
    "1.2.840.113549.1.1.5": (RSA_PKCS1, "sha1"),
    "1.2.840.113549.1.1.14": (RSA_PKCS1, "sha224"),
    "1.2.840.113549.1.1.11": (RSA_PKCS1, "sha256"),
    "1.2.840.113549.1.1.12": (RSA_PKCS1, "sha384"),
    "1.2.840.113549.1.1.13": (RSA_PKCS1, "sha512"),
    "2.16.840.1.101.3.4.3.14": (RSA_PKCS1, "sha3_256"),
    "2.16.840.1.101.3.4.3.15": (RSA_PKCS1, "sha3_384"),
    "2.16.840.1.101.3.4.3.16": (RSA_PKCS1, "sha3_512"),
    "1.2.840.113549.1.1.10": (RSA_PSS, None),
    "1.2.840.10045.4.1": (ECDSA, "sha1"),
    "1.2.840.10045.4.3.1": (ECDSA, "sha224"),
    "1.2.840.10045.4.3.2": (ECDSA, "sha256"),
    "1.2.840.10045.4.3.3": (ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (ECDSA, "sha512"),
    "2.16.840.1.101.3.4.3.10": (ECDSA, "sha3_256"),
    "2.16.840.1.101.3.4.3.11": (ECDSA, "sha3_384"),
    "2.16.840.1.101.3.4.3.12": (ECDSA, "sha3_512"),
}
"""Signature OIDs: scheme, and the digest when the OID names it."""

NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def _until(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=UTC)


DIGESTS: dict[str, datetime] = {
    "sha1": _until(2012, 8),
    "sha224": _until(2029, 1),
    "sha256": NEVER,
    "sha384": NEVER,
    "sha512": NEVER,
    "sha3_256": NEVER,
    "sha3_384": NEVER,
    "sha3_512": NEVER,
}
"""Digest and the moment until which it counts."""

CURVES: dict[str, datetime] = {"secp256r1": NEVER, "secp384r1": NEVER, "secp521r1": NEVER}


@dataclass(frozen=True)
class RsaRow:
    """From ``bits`` up an RSA key counts until ``until``."""

    bits: int
    until: datetime


RSA_SIZES = (RsaRow(3000, NEVER), RsaRow(1900, _until(2029, 1)), RsaRow(1024, _until(2019, 10)))


def end_of_life(kind: str, name: str, bits: int = 0) -> datetime | None:
    """Until when an algorithm counts; None for one that never does. ``kind``: digest, rsa or curve."""
    if kind == "digest":
        return DIGESTS.get(name)
    if kind == "curve":
        return CURVES.get(name)
    return next((row.until for row in RSA_SIZES if bits >= row.bits), None)


def check(use: AlgorithmUse, moment: datetime, *, proven: bool) -> None:
    """Raise ``CheckFailed`` unless all of ``use`` counts at ``moment``.

    ``proven`` says whether the signature is known to have existed then (EN 319 102-1, 5.2.8: without
    that proof a later verdict may still be good).
    """
    rows = [("digest", use.digest, 0)]
    rows.append(("rsa", f"RSA-{use.key_bits}", use.key_bits) if use.key == "rsa" else ("curve", use.key, 0))
    rows.extend(("digest", name, 0) for name in use.other_digests)
    _check_rows(rows, moment, proven=proven)


def check_digests(names: Iterable[str], moment: datetime, *, proven: bool) -> None:
    """The same for digests that no key is used with."""
    _check_rows([("digest", name, 0) for name in names], moment, proven=proven)


def _check_rows(rows: list[tuple[str, str, int]], moment: datetime, *, proven: bool) -> None:
    for kind, name, bits in rows:
        until = end_of_life(kind, name, bits)
        if until is None or moment >= until:
            sub_indication = (
                SubIndication.CRYPTO_CONSTRAINTS_FAILURE
                if proven or until is None
                else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            )
            limit = "-" if until is None else until.date().isoformat()
            raise CheckFailed(sub_indication, say("algorithms.refused", name=name, until=limit, table=TABLE_VERSION))


class CertificateAlgorithms(AlgorithmUsagePolicy):
    """The same table for the signatures inside a certificate path; ``counts_until`` is when the first of them ends."""

    def __init__(self) -> None:
        self.counts_until = NEVER

    def digest_algorithm_allowed(self, algo: Any, moment: datetime | None) -> AlgorithmUsageConstraint:
        """Whether the digest counts at ``moment``."""
        name = DIGEST_BY_OID.get(algo["algorithm"].dotted, "?")
        return self._constraint(name, end_of_life("digest", name), moment)

    def signature_algorithm_allowed(
        self, algo: algos.SignedDigestAlgorithm, moment: datetime | None, public_key: keys.PublicKeyInfo | None
    ) -> AlgorithmUsageConstraint:
        """Whether scheme, digest and key size count at ``moment``."""
        scheme, digest = SIGNATURE_BY_OID.get(algo["algorithm"].dotted, ("?", None))
        if scheme == RSA_PSS:
            digest = DIGEST_BY_OID.get(algo["parameters"]["hash_algorithm"]["algorithm"].dotted, "?")
        verdict = self._constraint(str(digest), end_of_life("digest", str(digest)), moment)
        if not verdict or public_key is None:
            return verdict
        if public_key.algorithm in ("rsa", "rsassa_pss"):
            name, until = f"RSA-{public_key.bit_size}", end_of_life("rsa", "", public_key.bit_size)
        else:
            kind, value = public_key.curve if public_key.algorithm == "ec" else ("", "")
            name = str(value) if kind == "named" else "?"
            until = end_of_life("curve", name)
        return self._constraint(name, until, moment)

    def _constraint(self, name: str, until: datetime | None, moment: datetime | None) -> AlgorithmUsageConstraint:
        allowed = until is not None and (moment is None or moment < until)
        if until is not None:
            self.counts_until = min(self.counts_until, until)
        return AlgorithmUsageConstraint(
            allowed=allowed, not_allowed_after=until, failure_reason=None if allowed else f"{name} no longer counts"
        )
