"""All tables of kep_relay."""

from services.kep_relay.tables.base import SCHEMA, Base
from services.kep_relay.tables.classified import ClassifiedIncidentRow, IncidentClosingRow
from services.kep_relay.tables.evidence import EvidenceRow, EvidenceVerdictRow
from services.kep_relay.tables.inbound import (
    DrainProgressRow,
    InboundMessageRow,
    InboundPartRow,
    InboundVerificationRow,
    RawMailRow,
)
from services.kep_relay.tables.mailboxes import InstanceRow, MailboxRow
from services.kep_relay.tables.outbound import OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from services.kep_relay.tables.verification import VerificationMailRow

__all__ = [
    "SCHEMA",
    "Base",
    "ClassifiedIncidentRow",
    "DrainProgressRow",
    "EvidenceRow",
    "EvidenceVerdictRow",
    "InboundMessageRow",
    "InboundPartRow",
    "InboundVerificationRow",
    "IncidentClosingRow",
    "InstanceRow",
    "MailboxRow",
    "OutboundEventRow",
    "OutboundMessageRow",
    "OutboundRecipientRow",
    "RawMailRow",
    "VerificationMailRow",
]
