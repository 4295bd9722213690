"""A KEP message's signature that the document system brings along, made by a person's or an institution's own device.

It is judged before the letter is taken over, because nothing that does not verify may leave (kep.md 2.6): over the
very part that will be sent, with the certificates as they are now, by the first profile that it satisfies.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from asn1crypto import cms

from services.kep_relay.outbound.content import letter_filename, signed_part
from shared.blobs import BlobStore, checked
from shared.clients.signer import SignerClient
from shared.contracts.outbound import OutboundSubmission
from shared.contracts.signatures import (
    Profile,
    SignatureFormat,
    SignatureReport,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion, StepResult
from shared.errors import DomainError, ErrorCode, Fault

_POINTER = "/message_signature"
_MICALG = {"sha256": "sha-256", "sha384": "sha-384", "sha512": "sha-512"}
_NAMED = 5


@dataclass(frozen=True)
class ClientSignature:
    """A signature that was judged and holds."""

    der: bytes
    signed_by: str
    """Names, certificates and the profile it satisfies, for the letter's history."""


class ClientSignatures:
    """Judges them."""

    def __init__(self, signer: SignerClient, blobs: BlobStore, profiles: Sequence[Profile]) -> None:
        self._signer = signer
        self._blobs = blobs
        self._profiles = profiles

    async def judged(self, submission: OutboundSubmission) -> ClientSignature | None:
        """The signature of ``submission``, None when it has none.

        Raises ``DomainError``: SIGNATURE_INVALID, SERVICE_UNAVAILABLE when revocation data cannot be had now,
        SIGNER_UNAVAILABLE, and NOT_FOUND when the package was not put before.
        """
        if submission.message_signature is None:
            return None
        try:
            der = base64.b64decode(submission.message_signature, validate=True)
        except binascii.Error:
            raise _invalid("is not base64") from None
        reports: list[VerificationReport] = []
        for profile in self._profiles:
            request = VerificationRequest(format=SignatureFormat.CADES, profile=profile)
            report = await self._signer.verify(request, der, content=self._content(submission))
            if report.conclusion is Conclusion.PASSED:
                micalg_of(der)
                return ClientSignature(der, _told(report))
            reports.append(report)
        later = [report.retry_after_seconds for report in reports if report.retry_after_seconds is not None]
        if later:
            detail = "the message's signature cannot be judged now: revocation data is missing"
            raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, detail, retry_after_seconds=min(later))
        raise _invalid(f"does not verify: {'; '.join(map(_why, reports))}")

    async def _content(self, submission: OutboundSubmission) -> AsyncIterator[bytes]:
        name = letter_filename(
            submission.document_id,
            submission.confidentiality,
            submission.package_filename,
            submission.package_sha256,
        )
        async for chunk in signed_part(name, checked(self._blobs, submission.package_sha256)):
            yield chunk


def micalg_of(signature: bytes) -> str:
    """The digest of a detached signature as a message names it (RFC 8551, 3.5.3.2). Raises SIGNATURE_INVALID."""
    try:
        found = cms.ContentInfo.load(signature, strict=True)["content"]
        attached = found["encap_content_info"]["content"].native is not None
        digests = {info["digest_algorithm"]["algorithm"].native for info in found["signer_infos"]}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _invalid("is no CMS signature in DER") from None
    if attached:
        raise _invalid("holds the content: a detached one is needed")
    if len(digests) != 1 or not digests <= _MICALG.keys():
        raise _invalid("is not made with one digest out of SHA-256, SHA-384 and SHA-512")
    return _MICALG[digests.pop()]


def _told(report: VerificationReport) -> str:
    signers = [_named(item) for item in report.signatures[:_NAMED]]
    more = len(report.signatures) - len(signers)
    return f"{'; '.join(signers)}{f' and {more} more' if more else ''}; judged by {report.profile.value}"


def _named(signature: SignatureReport) -> str:
    signer = signature.signer
    if signer is None:
        return signature.level
    return f"{signer.name}, certificate {signer.serial_number} of {signer.issuer} ({signature.level})"


def _why(report: VerificationReport) -> str:
    failed = [
        step.text.en
        for signature in report.signatures
        for step in signature.steps
        if step.result in {StepResult.FAILED, StepResult.INDETERMINATE}
    ]
    reason = report.sub_indication.value if report.sub_indication is not None else report.indication.value
    return f"{report.profile.value}: {reason}{f' ({failed[0]})' if failed else ''}"[:500]


def _invalid(why: str) -> DomainError:
    detail = f"the message's signature {why}"[:2000]
    return DomainError(ErrorCode.SIGNATURE_INVALID, detail, faults=[Fault(_POINTER, detail)])
