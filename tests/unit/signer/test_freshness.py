"""Each sentence about fresh revocation data (signatures.md 8.7) with what keeps it and what breaks it.

The signer is spoken for by one list or one response; everything else is spoken for well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from asn1crypto import core
from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from services.signer.checks.ocsp import load_responses
from services.signer.pipeline import Evidence, load_lists, verify
from services.signer.trust import TrustStore
from shared.contracts.signatures import Maturity, Profile, SignatureReport, VerificationRequest
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NOW, Authority, Holder, Pki
from tests.unit.signer import levels
from tests.unit.signer.answering import NO_CHECK, OCSP_SIGNING
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import sign
from tests.unit.signer.test_ocsp import respond, responder

CONTENT = b"<PaketOzeti/>" * 10
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def crl(authority: Authority, at: datetime, until: datetime) -> bytes:
    """A list of ``at``, in force to ``until``."""
    return authority.crl(at + HOUR, hours=(until - at) / HOUR)


def without_end(authority: Authority, at: datetime) -> bytes:
    """A list that names no nextUpdate; ``cryptography`` makes none such."""
    found = asn1_crl.CertificateList.load(crl(authority, at, at + DAY))
    parts = found["tbs_cert_list"]
    del parts["next_update"]
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    signature = authority.key.sign(parts.dump(force=True), ec.ECDSA(hashes.SHA256()))
    found["signature"] = core.OctetBitString(signature)
    encoded: bytes = found.dump(force=True)
    return encoded


@dataclass(frozen=True)
class Word:
    """What speaks for the signer, and whether it counts; the proven time is ``SIGNED_AT``, now is ``NOW``."""

    name: str
    counts: bool
    crls: Callable[[Pki], list[bytes]] = lambda _pki: []
    responses: Callable[[Pki, Holder], list[bytes]] = lambda _pki, _by: []


def listed(name: str, counts: bool, at: datetime, until: datetime) -> Word:
    return Word(f"list: {name}", counts, lambda pki: [crl(pki.qualified.issuing, at, until)])


def unending(name: str, counts: bool, at: datetime) -> Word:
    return Word(f"list without nextUpdate: {name}", counts, lambda pki: [without_end(pki.qualified.issuing, at)])


def answered(name: str, counts: bool, at: datetime, until: datetime | None) -> Word:
    return Word(f"response: {name}", counts, responses=lambda pki, by: [respond(pki, by, at=at, until=until)])


WORDS = [
    listed("in force at the proven time", True, SIGNED_AT - HOUR, SIGNED_AT + HOUR),
    listed("to the very second", True, SIGNED_AT - HOUR, SIGNED_AT),
    listed("over before", False, SIGNED_AT - HOUR, SIGNED_AT - timedelta(seconds=1)),
    listed("issued after it", True, SIGNED_AT + HOUR, NOW + HOUR),
    listed("issued after it and over by now", True, SIGNED_AT + HOUR, SIGNED_AT + 2 * HOUR),
    listed("a little ahead of our clock", True, NOW + 4 * MINUTE, NOW + DAY),
    listed("from the future", False, NOW + 6 * MINUTE, NOW + DAY),
    unending("a day old", True, SIGNED_AT - DAY),
    unending("older than a day", False, SIGNED_AT - DAY - MINUTE),
    answered("in force at the proven time", True, SIGNED_AT - HOUR, SIGNED_AT + HOUR),
    answered("over before", False, SIGNED_AT - HOUR, SIGNED_AT - MINUTE),
    answered("issued after it", True, NOW - MINUTE, NOW + HOUR),
    answered("without nextUpdate, a day old", True, SIGNED_AT - DAY, None),
    answered("without nextUpdate, older than a day", False, SIGNED_AT - DAY - MINUTE, None),
    answered("a little ahead of our clock", True, NOW + 4 * MINUTE, NOW + DAY),
    answered("from the future", False, NOW + 6 * MINUTE, NOW + DAY),
    Word("nothing at all", False),
]


def judged(
    pki: Pki, trust: TrustStore, crls: list[bytes], responses: list[bytes], profile: Profile, now: datetime = NOW
) -> SignatureReport:
    file = levels.with_signature_stamp(File.of(sign(pki.signer, CONTENT, at=SIGNED_AT)), pki.tsa)
    others = [crl(tree, SIGNED_AT - HOUR, NOW + DAY) for tree in (pki.qualified.root, pki.timestamp.root)]
    others.append(crl(pki.timestamp.issuing, SIGNED_AT - HOUR, NOW + DAY))
    evidence = Evidence(trust, load_lists([*others, *crls]), load_responses(responses))
    [signature] = verify(file.encode(), None, VerificationRequest(profile=profile), evidence, now).signatures
    return signature


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.name)
def test_what_counts_at_the_proven_time(pki: Pki, trust: TrustStore, word: Word) -> None:
    by = responder(pki, OCSP_SIGNING, NO_CHECK)
    signature = judged(pki, trust, word.crls(pki), word.responses(pki, by), Profile.QUALIFIED_SIGNATURE)
    if word.counts:
        assert signature.conclusion is Conclusion.PASSED
    else:
        assert (signature.conclusion, signature.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)


@pytest.mark.parametrize(
    ("issued", "maturity"),
    [(DAY - MINUTE, Maturity.PRELIMINARY), (DAY, Maturity.FINAL)],
    ids=["before the end of the grace period", "at its end"],
)
def test_a_final_verdict_of_p2_needs_a_list_of_after_the_grace_period(
    pki: Pki, trust: TrustStore, issued: timedelta, maturity: Maturity
) -> None:
    lists = [crl(pki.qualified.issuing, SIGNED_AT + issued, NOW + 2 * DAY)]
    assert judged(pki, trust, lists, [], Profile.P2, NOW + HOUR).maturity is maturity


def test_the_list_without_nextupdate_has_none(pki: Pki) -> None:
    [found] = load_lists([without_end(pki.qualified.issuing, NOW)])
    assert found.good_until == NOW + DAY
    assert x509.load_der_x509_crl(found.encoded).next_update_utc is None
