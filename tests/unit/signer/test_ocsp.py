"""OCSP responses that come inside a signature: whose they must be, and for when they count."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.signer import der
from services.signer.checks.ocsp import load_response
from services.signer.findings import CheckFailed
from shared.contracts.signatures import SignatureReport
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NES_USAGE, NOW, SEAL_USAGE, Holder, Pki, build_pki
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import sign

CONTENT = b"<PaketOzeti/>" * 10
HOUR = timedelta(hours=1)
OCSP_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
NO_CHECK = (x509.OCSPNoCheck(), False)


def responder(pki: Pki, *extensions: tuple[x509.ExtensionType, bool], days: tuple[int, int] = (-30, 365)) -> Holder:
    return pki.qualified.issuing.issue("OCSP", key_usage=SEAL_USAGE, extensions=extensions, days=days)


def respond(
    pki: Pki,
    by: Holder,
    *,
    about: Holder | None = None,
    at: datetime = SIGNED_AT + HOUR,
    until: datetime | None = None,
    revoked_at: datetime | None = None,
    unknown: bool = False,
    reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise,
) -> bytes:
    """A whole OCSPResponse."""
    status = ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=(about or pki.signer).certificate,
        issuer=pki.qualified.issuing.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.UNKNOWN if unknown else status,
        this_update=at,
        next_update=until,
        revocation_time=revoked_at,
        revocation_reason=reason if revoked_at else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate).certificates([by.certificate])
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def basic(response: bytes) -> bytes:
    wrapped = der.children(der.children(der.read_whole(response))[1])[0]
    return der.octets(der.children(wrapped)[1])


@pytest.fixture
def judged(pki: Pki, judge: Judge) -> Callable[..., SignatureReport]:
    """A level-T signature with one response in its revocation values, and no list about the signer."""

    def run(response: bytes, *, crls: list[bytes] | None = None, **options: object) -> SignatureReport:
        file = levels.with_signature_stamp(File.of(sign(pki.signer, CONTENT, at=SIGNED_AT)), pki.tsa)
        file = file.plus(levels.REVOCATION_VALUES, levels.revocation_values([], [basic(response)]))
        lists = [pki.qualified.root.crl(), *pki.timestamp.crls()] if crls is None else crls
        [signature] = judge(file.encode(), crls=lists, **options).signatures
        return signature

    return run


def sources(signature: SignatureReport) -> str:
    return next(step.text.en for step in signature.steps if step.id == "revocation")


def test_a_responder_of_the_issuer_is_enough(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    signature = judged(respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK)))
    assert signature.conclusion is Conclusion.PASSED
    assert "OCSP " in sources(signature)
    assert "CRL " in sources(signature)


def test_the_issuer_may_answer_itself(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    assert judged(respond(pki, pki.qualified.issuing)).conclusion is Conclusion.PASSED


def test_without_nocheck_the_responder_is_looked_up(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    by = responder(pki, OCSP_SIGNING)
    response = respond(pki, by)
    assert judged(response).sub_indication is SubIndication.TRY_LATER
    assert judged(response, crls=pki.crls()).conclusion is Conclusion.PASSED
    pki.qualified.issuing.revoke(by, SIGNED_AT - HOUR)
    try:
        lists = [
            pki.qualified.issuing.crl(at=SIGNED_AT + 2 * HOUR, hours=2),
            pki.qualified.root.crl(),
            *pki.timestamp.crls(),
        ]
    finally:
        pki.qualified.issuing.revoked.clear()
    assert "OCSP " not in sources(judged(response, crls=lists))


@pytest.mark.parametrize(
    "fault", ["no usage", "stranger", "other root", "expired responder", "altered", "unknown", "about another"]
)
def test_responses_that_do_not_count(pki: Pki, judged: Callable[..., SignatureReport], fault: str) -> None:
    by = responder(pki, OCSP_SIGNING, NO_CHECK)
    other = pki.qualified.issuing.issue("Başkası", key_usage=SEAL_USAGE)
    response = {
        "no usage": lambda: respond(pki, responder(pki, NO_CHECK)),
        "stranger": lambda: respond(pki, responder(build_pki(), OCSP_SIGNING, NO_CHECK)),
        "other root": lambda: respond(
            pki, pki.seal.issuing.issue("OCSP", key_usage=SEAL_USAGE, extensions=(OCSP_SIGNING, NO_CHECK))
        ),
        "expired responder": lambda: respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK, days=(-30, -10))),
        "altered": lambda: respond(pki, by).replace(b"20261119130000Z", b"20261119140000Z"),
        "unknown": lambda: respond(pki, by, unknown=True),
        "about another": lambda: respond(pki, by, about=other),
    }[fault]()
    signature = judged(response)
    assert (signature.conclusion, signature.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)


def test_revoked_before_and_after_the_proven_time(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    by = responder(pki, OCSP_SIGNING, NO_CHECK)
    before = judged(respond(pki, by, revoked_at=SIGNED_AT - HOUR), crls=pki.crls())
    assert (before.conclusion, before.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED), "a list says good"
    after = judged(respond(pki, by, at=SIGNED_AT + 2 * HOUR, revoked_at=SIGNED_AT + HOUR))
    assert after.conclusion is Conclusion.PASSED, "revoked later is good standing then"


def test_on_hold_is_open_as_on_a_list(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    by = responder(pki, OCSP_SIGNING, NO_CHECK)
    held = judged(respond(pki, by, revoked_at=SIGNED_AT - HOUR, reason=x509.ReasonFlags.certificate_hold))
    assert (held.conclusion, held.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
    assert "on hold" in sources(held)


@pytest.mark.parametrize("revoked_at", [None, SIGNED_AT - HOUR], ids=["good", "revoked"])
def test_good_after_the_certificate_ran_out_says_nothing(pki: Pki, judge: Judge, revoked_at: datetime | None) -> None:
    signer = pki.qualified.issuing.issue("Eski", key_usage=NES_USAGE, qualified=True, days=(-30, 1))
    later, lists = NOW + timedelta(days=2), [pki.qualified.root.crl(), *pki.timestamp.crls()]
    response = respond(pki, pki.qualified.issuing, about=signer, at=later, revoked_at=revoked_at)
    file = levels.with_signature_stamp(File.of(sign(signer, CONTENT, at=SIGNED_AT)), pki.tsa)
    file = file.plus(levels.REVOCATION_VALUES, levels.revocation_values([], [basic(response)]))
    [signature] = judge(file.encode(), crls=lists, moment=NOW, now=later + HOUR).signatures
    expected = SubIndication.TRY_LATER if revoked_at is None else SubIndication.REVOKED
    assert signature.sub_indication is expected


def test_a_list_that_knows_better_decides(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    pki.qualified.issuing.revoke(pki.signer, SIGNED_AT - HOUR)
    try:
        lists = pki.crls()
    finally:
        pki.qualified.issuing.revoked.clear()
    signature = judged(respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK)), crls=lists)
    assert (signature.conclusion, signature.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)


def test_for_how_long_an_answer_counts(pki: Pki, judged: Callable[..., SignatureReport]) -> None:
    by = responder(pki, OCSP_SIGNING, NO_CHECK)
    day = timedelta(days=1)
    assert judged(respond(pki, by, at=SIGNED_AT - day)).conclusion is Conclusion.PASSED
    assert judged(respond(pki, by, at=SIGNED_AT - day - HOUR)).sub_indication is SubIndication.TRY_LATER
    assert judged(respond(pki, by, at=SIGNED_AT - 2 * day, until=SIGNED_AT)).conclusion is Conclusion.PASSED
    ahead = respond(pki, by, at=NOW + timedelta(minutes=6))
    assert judged(ahead).sub_indication is SubIndication.TRY_LATER


def test_a_response_in_signed_data_counts_as_well(pki: Pki, judge: Judge) -> None:
    response = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK))
    choice = der.encode(der.CONTEXT_1, der.encode_oid("1.3.6.1.5.5.7.16.2"), response)
    file = levels.with_signature_stamp(File.of(sign(pki.signer, CONTENT, at=SIGNED_AT)), pki.tsa)
    lists = [pki.qualified.root.crl(), *pki.timestamp.crls()]
    report = judge(file.with_revocation(choice).encode(), crls=lists)
    assert (report.conclusion, report.signatures[0].baseline_level) == (Conclusion.PASSED, "B-LT")


def test_damaged_responses_are_unreadable_or_read(pki: Pki) -> None:
    good = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK))
    for position in range(0, len(good), 3):
        damaged = good[:position] + bytes((good[position] ^ 0x41,)) + good[position + 1 :]
        with contextlib.suppress(CheckFailed):
            load_response(damaged)
