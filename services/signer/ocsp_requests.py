"""Asking for an OCSP response and what an answer must be before it is kept (RFC 6960; RFC 9654 for the nonce).

Answers travel over plain http. One is kept when it is about the certificate, signed by its issuer or by a responder
with a certificate of it, in force, and made for our question: with our nonce, or, from a responder that gives none,
recently. Whether the responder is in good standing is left to the judgement.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from services.signer.certificates import Certificate
from services.signer.checks.chain import build_path
from services.signer.checks.ocsp import OCSP_SIGNING, OcspResponse, Statement, key_bits, load_response
from services.signer.checks.revocation import CLOCK_SKEW
from services.signer.checks.wanted import WantedResponse
from services.signer.findings import CheckFailed

LONGEST_ANSWER = 64 * 1024
"""Bytes."""
NONCE_BYTES = 16
"""What responders of before RFC 9654 know as well."""
HEADERS = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}


class AnswerRefused(Exception):  # noqa: N818 - an outcome; the message is for the operator's log
    """The answer is not kept; why is in the message."""


def request_about(wanted: WantedResponse, nonce: bytes) -> bytes:
    """OCSPRequest (4.1.1) about one certificate; its issuer is named by SHA-1, which is what every responder knows."""
    name = hashlib.sha1(wanted.certificate.issuer_der).digest()  # noqa: S324 - an identifier
    key = hashlib.sha1(key_bits(wanted.issuer)).digest()  # noqa: S324 - an identifier
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        name,
        key,
        wanted.certificate.serial_number,
        hashes.SHA1(),  # noqa: S303 - an identifier
    )
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(Encoding.DER)


def check_answer(
    encoded: bytes, wanted: WantedResponse, nonce: bytes, now: datetime, without_nonce: timedelta
) -> tuple[OcspResponse, Statement]:
    """The response and what it says about the wanted certificate.

    Args:
        encoded: the answer's body.
        wanted: what was asked for.
        nonce: what was sent along.
        now: the clock, aware.
        without_nonce: how old an answer may be that has no nonce; zero: none is accepted.

    Raises:
        AnswerRefused: it is not to be kept.
    """
    try:
        response = load_response(encoded)
    except CheckFailed as failure:
        raise AnswerRefused("not a successful response") from failure
    about = [item for item in response.statements if item.about(wanted.certificate, wanted.issuer)]
    if not about:
        raise AnswerRefused("says nothing about the certificate")
    statement = max(about, key=lambda item: item.this_update)
    if not _made_by(response, wanted.issuer, now):
        raise AnswerRefused("signed by nobody who may")
    if statement.this_update > now + CLOCK_SKEW:
        raise AnswerRefused("from the future")
    if statement.good_until < now:
        raise AnswerRefused("not in force any more")
    try:
        given = response.nonce
    except ValueError as error:
        raise AnswerRefused("unreadable extensions") from error
    if given is not None and given != nonce:
        raise AnswerRefused("made for another question")
    if given is None and now - statement.this_update > without_nonce:
        raise AnswerRefused("without our nonce, and not recent")
    return response, statement


def _made_by(response: OcspResponse, issuer: Certificate, now: datetime) -> bool:
    if response.named_by(issuer) and response.signed_by(issuer, now):
        return True
    return any(
        OCSP_SIGNING in candidate.extended_key_usage
        and response.named_by(candidate)
        and response.signed_by(candidate, now)
        and _issued_by(candidate, issuer, response.produced_at)
        for candidate in response.certificates
    )


def _issued_by(responder: Certificate, issuer: Certificate, moment: datetime) -> bool:
    try:
        return len(build_path(responder, (), (issuer,), moment, proven=True).certificates) > 1
    except CheckFailed:
        return False
