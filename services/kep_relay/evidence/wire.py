"""Names of ETSI TS 102 640-2 evidence (kep.md 3.4). They occur in this module only."""

from __future__ import annotations

NAMESPACES = frozenset({"http://uri.etsi.org/02640/v2#", "http://uri.etsi.org/02640/v1#"})
DS = "http://www.w3.org/2000/09/xmldsig#"

EVIDENCE_TYPES = frozenset(
    {
        "SubmissionAcceptanceRejection",
        "RelayREMMDAcceptanceRejection",
        "RelayREMMDFailure",
        "DeliveryNonDeliveryToRecipient",
        "DownloadNonDownloadByRecipient",
        "RetrievalNonRetrievalByRecipient",
        "AcceptanceRejectionByRecipient",
        "RelayToNonREMSystem",
        "ReceivedFromNonREMSystem",
        # Spellings of one provider's interface (kep.md 3.2).
        "REMMDAcceptanceRejection",
        "RelayToREMMDFailure",
    }
)
"""Root elements. Another root in one of ``NAMESPACES`` is evidence of a kind nobody knows yet."""

NOT_EVIDENCE = frozenset({"REMExtensions", "Extensions", "REMDispatch", "REMMDMessage", "REMMDDispatch"})
"""Roots in the same namespaces that prove nothing by themselves."""

EVENT_CODE = "EventCode"
EVENT_REASON = "EventReason"
REASON_CODE = "Code"
REASON_DETAILS = "Details"
IDENTIFIER = "EvidenceIdentifier"
ISSUER = "EvidenceIssuerDetails"
EVENT_TIME = "EventTime"
SENDER = "SenderDetails"
RECIPIENTS = "RecipientsDetails"
ENTITY = "EntityDetails"
REFERS_TO = "EvidenceRefersToRecipient"
MESSAGE = "SenderMessageDetails"
MESSAGE_SUBJECT = "MessageSubject"
ORIGINAL_IDENTIFIER = "UAMessageIdentifier"
DISPATCH_IDENTIFIER = "MessageIdentifierByREMMD"
DIGEST_METHOD = "DigestMethod"
DIGEST_VALUE = "DigestValue"
ADDRESS = "AttributedElectronicAddress"
NAME = "Name"
SIGNATURE = "Signature"
