"""What the history of a letter says about its confidentiality, and where the letter's row keeps it. Pure."""

from __future__ import annotations

from services.kep_relay.outbound.history import EventKind
from services.kep_relay.tables import OutboundMessageRow
from shared.contracts.outbound import LetterConfidentiality, LetterEncryption


def recorded_confidentiality(row: OutboundMessageRow) -> LetterConfidentiality | None:
    """As the letter was accepted with; None for those accepted before it was recorded."""
    return None if row.confidentiality is None else LetterConfidentiality.model_validate(row.confidentiality)


def confidentiality_event(of: LetterConfidentiality, package_sha256: str) -> tuple[EventKind, str] | None:
    """Kind and text of the line that tells what was done about the degree; None when nothing had to be."""
    basis = f"{of.rule} (rules of {of.rules_of.isoformat()}): {of.degree.value}"
    if of.decision is not None:
        decision = of.decision
        return EventKind.UNENCRYPTED_DECISION, (
            f"{basis}, to be sent unencrypted; decided by {decision.decided_by} at "
            f"{decision.decided_at.isoformat()}: {decision.reason}"
        )
    if of.encryption is LetterEncryption.GATEWAY:
        used = "; ".join(f"{item.serial} of {item.holder_no} (sha256 {item.sha256})" for item in of.certificates)
        return EventKind.ENCRYPTED, (
            f"{basis}; sha256 inside {of.inner_sha256}, outside {package_sha256}; certificates: {used}"
        )
    if of.encryption is LetterEncryption.SENDER:
        named = "".join(f"; for certificate {item.serial}" for item in of.certificates)
        return EventKind.ENCRYPTED, (
            f"{basis} as the sender declared; handed over encrypted, sha256 {package_sha256}{named}"
        )
    return None
