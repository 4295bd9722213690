"""From wire rows to typed rows: here the texts of DETSİS get their meaning, once."""

from services.detsis_sync.translate.addresses import kep_address_row, uets_number
from services.detsis_sync.translate.certificates import (
    certificate_owner_row,
    certificate_row,
    changed_institution,
    eyp_version,
)
from services.detsis_sync.translate.codes import category_row, file_plan_row, place_row, status_row
from services.detsis_sync.translate.contacts import contact_row, officer_row
from services.detsis_sync.translate.letters import correspondence_package
from services.detsis_sync.translate.managers import manager_row
from services.detsis_sync.translate.texts import CERTIFICATE_LIMIT, FIELD_LIMIT, active_flag
from services.detsis_sync.translate.units import budget_row, former_number_row, unit_row

__all__ = [
    "CERTIFICATE_LIMIT",
    "FIELD_LIMIT",
    "active_flag",
    "budget_row",
    "category_row",
    "certificate_owner_row",
    "certificate_row",
    "changed_institution",
    "contact_row",
    "correspondence_package",
    "eyp_version",
    "file_plan_row",
    "former_number_row",
    "kep_address_row",
    "manager_row",
    "officer_row",
    "place_row",
    "status_row",
    "uets_number",
    "unit_row",
]
