"""KEP evidence (delil): its kinds and their codes (kep.md 1.3)."""

from __future__ import annotations

from enum import IntEnum


class EvidenceCode(IntEnum):
    """The codes met so far. A code outside this list is stored and flagged, never refused."""

    ACCEPTED = 10
    REJECTED = 11
    RELAYED = 20
    RELAY_REJECTED = 21
    RELAY_UNREACHABLE = 31
    DELIVERED = 40
    NOT_DELIVERED = 41
    READ = 60


_BY_EVENT: dict[tuple[str, str], EvidenceCode] = {
    ("SubmissionAcceptanceRejection", "Acceptance"): EvidenceCode.ACCEPTED,
    ("SubmissionAcceptanceRejection", "Rejection"): EvidenceCode.REJECTED,
    ("RelayREMMDAcceptanceRejection", "Acceptance"): EvidenceCode.RELAYED,
    ("RelayREMMDAcceptanceRejection", "Rejection"): EvidenceCode.RELAY_REJECTED,
    ("RelayREMMDFailure", ""): EvidenceCode.RELAY_UNREACHABLE,
    ("DeliveryNonDeliveryToRecipient", "Delivery"): EvidenceCode.DELIVERED,
    ("DeliveryNonDeliveryToRecipient", "NonDelivery"): EvidenceCode.NOT_DELIVERED,
    ("DeliveryNonDeliveryToRecipient", "DeliveryExpiration"): EvidenceCode.NOT_DELIVERED,
    ("RetrievalNonRetrievalByRecipient", "Retrieval"): EvidenceCode.READ,
}
_ALIASES = {
    "REMMDAcceptanceRejection": "RelayREMMDAcceptanceRejection",
    "RelayToREMMDFailure": "RelayREMMDFailure",
}


def evidence_code(evidence_type: str, event: str) -> EvidenceCode | None:
    """Map an ETSI TS 102 640-2 evidence type and event-code URI to the national code.

    Only the URI's fragment counts: producers spell what stands before it in several ways
    (kep.md 3.4). An unknown pair gives None.
    """
    evidence_type = _ALIASES.get(evidence_type, evidence_type)
    if evidence_type == "RelayREMMDFailure":
        return EvidenceCode.RELAY_UNREACHABLE
    return _BY_EVENT.get((evidence_type, event.rpartition("#")[2]))
