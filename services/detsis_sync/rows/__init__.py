"""What DETSİS answers hold, as typed English rows: the only shape the rest of the service sees."""

from services.detsis_sync.rows.addresses import KepAddressRow
from services.detsis_sync.rows.certificates import CertificateOwnerRow, CertificateRow
from services.detsis_sync.rows.codes import CodeRow, FilePlanRow, PlaceRow
from services.detsis_sync.rows.contacts import ContactRow, OfficerRow
from services.detsis_sync.rows.letters import CorrespondencePackage, PackageRecipient, SenderContact, Signatory
from services.detsis_sync.rows.managers import ManagerRow
from services.detsis_sync.rows.outcome import BulkOutcome, RowFault
from services.detsis_sync.rows.units import BudgetRow, FormerNumberRow, UnitKind, UnitRow

__all__ = [
    "BudgetRow",
    "BulkOutcome",
    "CertificateOwnerRow",
    "CertificateRow",
    "CodeRow",
    "ContactRow",
    "CorrespondencePackage",
    "FilePlanRow",
    "FormerNumberRow",
    "KepAddressRow",
    "ManagerRow",
    "OfficerRow",
    "PackageRecipient",
    "PlaceRow",
    "RowFault",
    "SenderContact",
    "Signatory",
    "UnitKind",
    "UnitRow",
]
