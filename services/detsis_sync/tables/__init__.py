"""Tables of detsis_sync."""

from __future__ import annotations

from services.detsis_sync.tables.accounts import Account
from services.detsis_sync.tables.base import Base
from services.detsis_sync.tables.certificates import (
    CertificateOwnerRecord,
    CertificateRecord,
    EypVersionCheck,
    EypVersionRecord,
)
from services.detsis_sync.tables.codes import (
    CodeRecord,
    ContactFetch,
    ContactRecord,
    MainInstitutionRecord,
    PlaceRecord,
)
from services.detsis_sync.tables.registrations import Registration, RegistrationEvent
from services.detsis_sync.tables.runs import Change, Run, RunList
from services.detsis_sync.tables.units import KepAddressRecord, UnitRecord, UnitSighting

__all__ = [
    "Account",
    "Base",
    "CertificateOwnerRecord",
    "CertificateRecord",
    "Change",
    "CodeRecord",
    "ContactFetch",
    "ContactRecord",
    "EypVersionCheck",
    "EypVersionRecord",
    "KepAddressRecord",
    "MainInstitutionRecord",
    "PlaceRecord",
    "Registration",
    "RegistrationEvent",
    "Run",
    "RunList",
    "UnitRecord",
    "UnitSighting",
]
