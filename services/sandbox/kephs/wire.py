"""Header names and texts of KEP mail (kep.md 2.6 and 3.3). National names occur in this module only."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.evidence import EvidenceCode

MESSAGE_KIND = "X-TR-REM-iletiTip"
MESSAGE_REFERENCE = "X-TR-REM-iletiID"
MESSAGE_KINDS = frozenset({"standart", "eyazisma", "etebligat"})
"""Values of ``MESSAGE_KIND`` in ASCII lower case; on the wire ``eYazisma`` and ``eTebligat``."""

ENVELOPE_KIND = "X-REM-Msg-Type"
DISPATCH = "Dispatch"
EVIDENCE_ONLY = "Message"
SECTION_KIND = "X-REM-Section-Type"
EVIDENCE_TYPE = "X-REM-Evidence-Type"
EVENT = "X-REM-Event"
EVIDENCE_IDENTIFIER = "X-REM-Evidence-Identifier"
DISPATCH_IDENTIFIER = "X-REM-Message-Identifier"
DIGEST_METHOD = "X-REM-DigestMethod"
DIGEST_VALUE = "X-REM-DigestValue"

SHA256_URI = "http://www.w3.org/2001/04/xmlenc#sha256"
UNKNOWN_CODE = 70
"""Stands for evidence whose kind no table of codes knows (fault ``evidence.unknown_code``)."""


@dataclass(frozen=True)
class EvidenceKind:
    """How one national code looks in ETSI TS 102 640-2 and in the mail that carries it."""

    evidence_type: str
    event: str
    """Fragment of the event code URI."""
    event_text: str
    """Value of ``EVENT``."""
    subject: str
    """Turkish prefix of the mail's subject."""
    sentence: str
    """Turkish text for people."""


_SUBMISSION = "SubmissionAcceptanceRejection"
_RELAY = "RelayREMMDAcceptanceRejection"
_DELIVERY = "DeliveryNonDeliveryToRecipient"

EVIDENCE_KINDS: dict[int, EvidenceKind] = {
    EvidenceCode.ACCEPTED: EvidenceKind(
        _SUBMISSION, "Acceptance", "Submission acceptance", "Kabul Edildi", "İletiniz KEPHS tarafından kabul edildi."
    ),
    EvidenceCode.REJECTED: EvidenceKind(
        _SUBMISSION, "Rejection", "Submission rejection", "Kabul Edilmedi", "İletiniz KEPHS tarafından kabul edilmedi."
    ),
    EvidenceCode.RELAYED: EvidenceKind(
        _RELAY,
        "Acceptance",
        "Relay to REM-MD acceptance",
        "Alıcı KEPHS'ye Teslim Edildi",
        "İletiniz alıcının KEPHS'sine teslim edildi.",
    ),
    EvidenceCode.RELAY_REJECTED: EvidenceKind(
        _RELAY,
        "Rejection",
        "Relay to REM-MD rejection",
        "Alıcı KEPHS'ye Teslim Edilemedi",
        "Alıcının KEPHS'si iletiyi kabul etmedi.",
    ),
    EvidenceCode.RELAY_UNREACHABLE: EvidenceKind(
        "RelayREMMDFailure",
        "RelayFailure",
        "Relay to REM-MD failure",
        "Alıcı KEPHS'ye Ulaşılamadı",
        "Alıcının KEPHS'sine ulaşılamadı.",
    ),
    EvidenceCode.DELIVERED: EvidenceKind(
        _DELIVERY, "Delivery", "Delivery", "Teslim Edildi", "İletiniz alıcının posta kutusuna teslim edildi."
    ),
    EvidenceCode.NOT_DELIVERED: EvidenceKind(
        _DELIVERY, "NonDelivery", "Non delivery", "Teslim Edilemedi", "İletiniz alıcının posta kutusuna konulamadı."
    ),
    EvidenceCode.READ: EvidenceKind(
        "RetrievalNonRetrievalByRecipient", "Retrieval", "Retrieval", "Okundu", "İletiniz alıcı tarafından okundu."
    ),
    UNKNOWN_CODE: EvidenceKind(
        "AcceptanceRejectionByRecipient",
        "Acceptance",
        "Acceptance by recipient",
        "Alıcı Kabulü",
        "İletiniz alıcı tarafından kabul edildi.",
    ),
}
DISPATCH_SUBJECT = "KEP İletisi"
DISPATCH_SENTENCE = "Bu KEP iletisi ekinde gönderenin orijinal iletisini ve kabul delilini taşır."
