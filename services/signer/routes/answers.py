"""Answers that only the operator reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.signer.certificates import Certificate
from shared.contracts.base import Contract


class Anchor(Contract):
    """One trusted certificate."""

    subject: str
    sha256: str
    not_after: datetime


class AnchorList(Contract):
    """The anchors of one purpose."""

    purpose: str
    anchors: list[Anchor]

    @staticmethod
    def of(purpose: str, certificates: Sequence[Certificate]) -> AnchorList:
        """From the store's certificates."""
        return AnchorList(
            purpose=purpose,
            anchors=[
                Anchor(subject=item.subject_name, sha256=item.sha256, not_after=item.not_after) for item in certificates
            ],
        )


class TrustAnswer(Contract):
    """``GET /internal/v1/trust``: which anchors are in use, and the names reports give them."""

    trust_store_sha256: str
    policy_version: str
    anchors: list[AnchorList]
