"""KEP providers as programs: SMTP submission, IMAP, PTT KEP's SOAP service, relay between providers and signed evidence.

``start_providers`` runs any number of them in the caller's event loop.
"""

from __future__ import annotations

from services.sandbox.kephs.plan import (
    Account,
    IssuedEvidence,
    KepProviderPlan,
    LoginPolicy,
    RecipientScript,
    SoapAccess,
    StoredMail,
    Timeline,
    Timing,
)
from services.sandbox.kephs.provider import REJECTION_WORD
from services.sandbox.kephs.running import ProviderPorts, RunningProviders, start_providers
from services.sandbox.kephs.standing import Standing
from services.sandbox.kephs.store import INBOX, SENT

__all__ = [
    "INBOX",
    "REJECTION_WORD",
    "SENT",
    "Account",
    "IssuedEvidence",
    "KepProviderPlan",
    "LoginPolicy",
    "ProviderPorts",
    "RecipientScript",
    "RunningProviders",
    "SoapAccess",
    "Standing",
    "StoredMail",
    "Timeline",
    "Timing",
    "start_providers",
]
