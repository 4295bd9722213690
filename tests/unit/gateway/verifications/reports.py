"""Reports that signer really made, and orders for paper about them."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from services.gateway.verifications.document import DocumentOrder, PastVerdict
from services.gateway.verifications.verdicts import ripeness
from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence, load_lists, verify
from services.signer.trust import make_store
from shared.contracts.signatures import Maturity, VerificationReport, VerificationRequest
from tests.support.pki import NOW, Pki
from tests.unit.signer import levels

CONTENT = "Gereği için bilgilerinize sunulur.".encode()


def signed(pki: Pki) -> bytes:
    """CAdES-XL with a time-stamp, references and values."""
    return levels.long_term(pki, CONTENT).encode()


def judged(pki: Pki, data: bytes, *, lists: bool = True) -> VerificationReport:
    """What signer says of it; without ``lists`` nothing outside the file tells about revocation."""
    anchors = {name: (load_certificate(tree.root.der),) for name, tree in pki.hierarchies().items()}
    evidence = Evidence(make_store(anchors), load_lists(pki.crls() if lists else []))
    return verify(data, None, VerificationRequest(), evidence, NOW)


def early(report: VerificationReport) -> VerificationReport:
    """The same report, as it is before the end of a grace period."""
    (item,) = report.signatures
    update = {"maturity": Maturity.PRELIMINARY, "final_after": NOW + timedelta(hours=24)}
    return report.model_copy(update={"signatures": [item.model_copy(update=update)]})


def order(report: VerificationReport, **changes: object) -> DocumentOrder:
    """For paper."""
    sha256 = hashlib.sha256(report.model_dump_json().encode()).hexdigest()
    past = PastVerdict(at=NOW, conclusion=report.conclusion, maturity=ripeness(report).maturity, report_sha256=sha256)
    values = {
        "verification_id": "0199f0a2-1111-7aaa-8bbb-0123456789ab", "report": report, "report_sha256": sha256,
        "file_name": "karar örneği.p7s", "file_sha256": "ab" * 32, "file_size": 4982, "content_sha256": None,
        "content_size": None, "client_ref": "2026/114 Esas", "history": [past],
    }  # fmt: skip
    return DocumentOrder.model_validate({**values, **changes})
