"""What clients are told about a kept verification, as JSON and for paper; and the Prefer header and PEM they write."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from services.gateway.schemas.verifications import (
    SignatureVerificationAnswer,
    VerdictEntry,
    VerificationProblem,
    VerificationState,
    VerifiedFile,
)
from services.gateway.tables import SignatureVerdict, SignatureVerification
from services.gateway.verifications.document import DocumentOrder, PastVerdict
from services.gateway.verifications.keeping import read_report
from shared.contracts.signatures import Maturity
from shared.domain.verdict import Conclusion, Indication, SubIndication
from shared.errors import DomainError, ErrorCode, Fault

USUAL_WAIT, LONGEST_WAIT = 10, 50
"""Seconds; longer than the longest, and connections are cut on the way."""
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def wanted_wait(prefer: str | None) -> int:
    """Seconds a client waits (``Prefer: wait=10``, RFC 7240); what cannot be read is ignored, as it demands."""
    match = _WAIT.search(prefer or "")
    return min(int(match[1]), LONGEST_WAIT) if match else USUAL_WAIT


def certificates_in_base64(given: Sequence[str]) -> list[str]:
    """Each certificate as DER in base64 without spaces. Raises VALIDATION_FAILED with the place of what is neither."""
    encoded = []
    for number, text in enumerate(given):
        match = _PEM.fullmatch(text)
        body = "".join((match[1] if match else text).split())
        try:
            base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            fault = Fault(f"/body/certificates/{number}", "is neither one PEM certificate nor DER in base64")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "a certificate cannot be read", faults=[fault]) from None
        encoded.append(body)
    return encoded


def described(row: SignatureVerification, verdicts: Sequence[SignatureVerdict]) -> SignatureVerificationAnswer:
    """The whole resource."""
    content = None
    if row.content_sha256 is not None:
        content = VerifiedFile(sha256=row.content_sha256, size=row.content_size or 0)
    return SignatureVerificationAnswer(
        verification_id=row.verification_id, institution_no=row.institution_no, state=VerificationState(row.state),
        client_ref=row.client_ref, file=VerifiedFile(sha256=row.file_sha256, size=row.file_size), content=content,
        report=read_report(row.report) if row.report else None, report_sha256=row.report_sha256,
        problem=VerificationProblem.model_validate(row.problem) if row.problem else None,
        verdicts=[_entry(item) for item in verdicts], next_look_at=row.due_at, created_at=row.created_at,
        updated_at=row.updated_at, erased_at=row.erased_at,
    )  # fmt: skip


def for_paper(row: SignatureVerification, report: str, verdicts: Sequence[SignatureVerdict]) -> DocumentOrder:
    """What the PDF shows; ``report``: the text whose digest the row has."""
    return DocumentOrder(
        verification_id=str(row.verification_id), report=read_report(report), report_sha256=row.report_sha256 or "",
        file_name=row.file_name, file_sha256=row.file_sha256, file_size=row.file_size,
        content_sha256=row.content_sha256, content_size=row.content_size, client_ref=row.client_ref,
        history=[
            PastVerdict(
                at=item.at, conclusion=Conclusion(item.conclusion), maturity=Maturity(item.maturity),
                report_sha256=item.report_sha256,
            )
            for item in verdicts
        ],
    )  # fmt: skip


def _entry(item: SignatureVerdict) -> VerdictEntry:
    return VerdictEntry(
        sequence=item.sequence, at=item.at, conclusion=Conclusion(item.conclusion),
        indication=Indication(item.indication),
        sub_indication=SubIndication(item.sub_indication) if item.sub_indication else None,
        maturity=Maturity(item.maturity), final_after=item.final_after, report_sha256=item.report_sha256,
    )  # fmt: skip
