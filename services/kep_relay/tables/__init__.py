"""All tables of kep_relay."""

from services.kep_relay.tables.acceptance import AcceptanceRow
from services.kep_relay.tables.accounts import AccountStandingRow, SecondFactorRow
from services.kep_relay.tables.base import SCHEMA, Base
from services.kep_relay.tables.classified import ClassifiedIncidentRow, IncidentClosingRow
from services.kep_relay.tables.consumers import ConsumerRow, InboundCopyRow, InboundRoutingRow
from services.kep_relay.tables.events import EventPositionRow, EventRow
from services.kep_relay.tables.evidence import EvidenceRow, EvidenceVerdictRow
from services.kep_relay.tables.inbound import (
    DrainProgressRow,
    InboundMessageRow,
    InboundPartRow,
    InboundVerificationRow,
    RawMailRow,
)
from services.kep_relay.tables.listed import EvidencePollRow, ListedEvidenceRow
from services.kep_relay.tables.mailboxes import InstanceRow, MailboxRow, ProviderNumberRow
from services.kep_relay.tables.notices import RefusalNoticeRow
from services.kep_relay.tables.outbound import OutboundEventRow, OutboundMessageRow, OutboundRecipientRow
from services.kep_relay.tables.verification import VerificationMailRow

__all__ = [
    "SCHEMA",
    "AcceptanceRow",
    "AccountStandingRow",
    "Base",
    "ClassifiedIncidentRow",
    "ConsumerRow",
    "DrainProgressRow",
    "EventPositionRow",
    "EventRow",
    "EvidencePollRow",
    "EvidenceRow",
    "EvidenceVerdictRow",
    "InboundCopyRow",
    "InboundMessageRow",
    "InboundPartRow",
    "InboundRoutingRow",
    "InboundVerificationRow",
    "IncidentClosingRow",
    "InstanceRow",
    "ListedEvidenceRow",
    "MailboxRow",
    "OutboundEventRow",
    "OutboundMessageRow",
    "OutboundRecipientRow",
    "ProviderNumberRow",
    "RawMailRow",
    "RefusalNoticeRow",
    "SecondFactorRow",
    "VerificationMailRow",
]
