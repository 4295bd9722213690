"""Examples of kept verifications for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from uuid import UUID

from services.gateway.examples import REPORT
from services.gateway.schemas.verifications import (
    BatchAnswer,
    BatchEntry,
    CertificateVerificationBody,
    SignatureVerificationAnswer,
    VerdictEntry,
    VerificationProblem,
    VerificationState,
    VerifiedFile,
)
from shared.contracts.signatures import (
    CertificatePurpose,
    CertificateVerdict,
    CertificateVerificationReport,
    Maturity,
    Text,
    VerificationStep,
)
from shared.domain.verdict import Conclusion, Indication, StepResult
from shared.errors import ErrorCode

_NOW = REPORT.verified_at
_FILE = VerifiedFile(sha256=hashlib.sha256(b"signature").hexdigest(), size=7412)
_CONTENT = VerifiedFile(sha256=hashlib.sha256(b"content").hexdigest(), size=48213)
_REPORT_SHA256 = hashlib.sha256(REPORT.model_dump_json().encode()).hexdigest()

KEPT = SignatureVerificationAnswer(
    verification_id=UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e80"), institution_no=10000002,
    state=VerificationState.DONE, client_ref="2026/114", file=_FILE, content=_CONTENT, report=REPORT,
    report_sha256=_REPORT_SHA256, problem=None,
    verdicts=[
        VerdictEntry(
            sequence=1, at=_NOW, conclusion=Conclusion.PASSED, indication=Indication.TOTAL_PASSED, sub_indication=None,
            maturity=Maturity.FINAL, final_after=None, report_sha256=_REPORT_SHA256,
        )
    ],
    next_look_at=None, created_at=_NOW - timedelta(seconds=2), updated_at=_NOW, erased_at=None,
)  # fmt: skip
RUNNING = KEPT.model_copy(
    update={
        "state": VerificationState.RUNNING, "report": None, "report_sha256": None, "verdicts": [],
        "next_look_at": _NOW + timedelta(minutes=3),
    }
)  # fmt: skip
BATCH = BatchAnswer(
    entries=[
        BatchEntry(name="file1", sha256=_FILE.sha256, report=REPORT, problem=None),
        BatchEntry(
            name="file2", sha256=_CONTENT.sha256, report=None,
            problem=VerificationProblem(code=ErrorCode.SIGNER_UNAVAILABLE, detail="signer does not answer"),
        ),
    ]
)  # fmt: skip
CERTIFICATES = CertificateVerificationBody(
    purpose=CertificatePurpose.ENCRYPTION, certificates=[base64.b64encode(b"the certificate in DER").decode()]
)
CERTIFICATE_REPORT = CertificateVerificationReport(
    purpose=CertificatePurpose.ENCRYPTION, policy_version=REPORT.policy_version,
    trust_store_sha256=REPORT.trust_store_sha256,
    verdicts=[
        CertificateVerdict(
            certificate_sha256=hashlib.sha256(b"the certificate in DER").hexdigest(), conclusion=Conclusion.PASSED,
            indication=Indication.TOTAL_PASSED, judged_at=_NOW,
            steps=[
                VerificationStep(
                    number=9, id="path", result=StepResult.PASSED,
                    text=Text(tr="Güvenilen köke ulaşan geçerli zincir", en="A valid path to a trusted root"),
                )
            ],
        )
    ],
    verified_at=_NOW,
)  # fmt: skip
