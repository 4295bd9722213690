"""Answers that only the operator reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.signer.certificates import Certificate
from shared.contracts.base import Contract


class Anchor(Contract):
    """One trusted certificate."""

    subject: str
    sha256: str
    not_after: datetime
    valid_for_signatures_until: datetime | None = None
    """After this it counts only for signatures proven to have existed before."""


class AnchorList(Contract):
    """The anchors of one purpose."""

    purpose: str
    anchors: list[Anchor]

    @staticmethod
    def of(purpose: str, certificates: Sequence[Certificate], ends: Mapping[str, datetime]) -> AnchorList:
        """From the store's certificates and ends."""
        return AnchorList(
            purpose=purpose,
            anchors=[
                Anchor(
                    subject=item.subject_name,
                    sha256=item.sha256,
                    not_after=item.not_after,
                    valid_for_signatures_until=ends.get(item.sha256),
                )
                for item in certificates
            ],
        )


class TrustAnswer(Contract):
    """``GET /internal/v1/trust``: which anchors are in use, and the names reports give them."""

    trust_store_sha256: str
    policy_version: str
    version: int
    """Of a managed store; 0 for a plain directory."""
    approved_by: list[str]
    """Whose signatures brought it."""
    anchors: list[AnchorList]
