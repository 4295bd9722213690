"""The bulk lists, as streams of typed rows (detsis.md 5.1, 5.3, 5.4, 5.6 and 5.7)."""

from __future__ import annotations

from datetime import date, datetime

from services.detsis_sync import translate
from services.detsis_sync.rows import (
    BudgetRow,
    CertificateOwnerRow,
    CertificateRow,
    CodeRow,
    ContactRow,
    KepAddressRow,
    PlaceRow,
    UnitRow,
)
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.bulk import BulkAnswer
from services.detsis_sync.soap.client.calling import Caller
from shared.clock import ISTANBUL
from shared.domain.identifiers import DetsisNumber

UnitAnswer = BulkAnswer[wire.WireUnit, UnitRow]
BudgetAnswer = BulkAnswer[wire.WireBudget, BudgetRow]
KepAddressAnswer = BulkAnswer[wire.WireKepAddress, KepAddressRow]
CertificateAnswer = BulkAnswer[wire.WireCertificate, CertificateRow]
CertificateOwnerAnswer = BulkAnswer[wire.WireCertificateOwner, CertificateOwnerRow]
ContactAnswer = BulkAnswer[wire.WireContact, ContactRow]
CategoryAnswer = BulkAnswer[wire.WireCategory, CodeRow]
StatusAnswer = BulkAnswer[wire.WireStatus, CodeRow]
PlaceAnswer = BulkAnswer[wire.WirePlace, PlaceRow]


class ListCalls(Caller):
    """Each method gives the answer unentered: ``async with`` sends the call, iterating reads it."""

    def external_units(self, since: date) -> UnitAnswer:
        """The units able to correspond with others that changed since a day; an early day asks for all."""
        return self._units(wire.external_units_call(since))

    def own_units(self, changed_since: datetime | None = None) -> UnitAnswer:
        """The account's own tree; ``changed_since`` (aware) None asks for all of it."""
        local = None if changed_since is None else changed_since.astimezone(ISTANBUL).replace(tzinfo=None)
        return self._units(wire.own_units_call(local))

    def main_institutions(self) -> UnitAnswer:
        """Every main institution."""
        return self._units(wire.Call(wire.Operation.MAIN_INSTITUTIONS))

    def children(self, number: DetsisNumber) -> UnitAnswer:
        """The units under a number. Whether only those directly below or all: unknown (detsis.md 13)."""
        return self._units(wire.children_call(number))

    def main_institution_budgets(self) -> BudgetAnswer:
        """Budget type and legal person of every main institution."""
        call = wire.Call(wire.Operation.MAIN_INSTITUTION_BUDGETS)
        return self._stream(call, wire.BUDGET_LIST, translate.budget_row)

    def active_kep_addresses(self) -> KepAddressAnswer:
        """Every active KEP address of the state."""
        call = wire.Call(wire.Operation.ACTIVE_KEP_ADDRESSES)
        return self._stream(call, wire.KEP_ADDRESS_LIST, translate.kep_address_row)

    def certificates(self, since: date) -> CertificateAnswer:
        """The certificates uploaded since a Turkish local day; an early day asks for all."""
        return self._stream(wire.certificates_call(since), wire.CERTIFICATE_LIST, translate.certificate_row)

    def certificate_owners(self, since: date) -> CertificateOwnerAnswer:
        """Whose certificate serves which unit, changed since a Turkish local day."""
        call = wire.certificate_owners_call(since)
        return self._stream(call, wire.CERTIFICATE_OWNER_LIST, translate.certificate_owner_row)

    def main_institution_contacts(self) -> ContactAnswer:
        """The contacts of all main institutions; empty ones count as rejected rows."""
        call = wire.Call(wire.Operation.MAIN_INSTITUTION_CONTACTS)
        return self._stream(call, wire.CONTACT_LIST, translate.contact_row)

    def own_contacts(self) -> ContactAnswer:
        """The contacts of all units of the account's institution; empty ones count as rejected rows."""
        call = wire.Call(wire.Operation.OWN_CONTACTS)
        return self._stream(call, wire.OWN_CONTACT_LIST, translate.contact_row)

    def categories(self) -> CategoryAnswer:
        """Every category of units (Tip1)."""
        return self._stream(wire.Call(wire.Operation.CATEGORIES), wire.CATEGORY_LIST, translate.category_row)

    def statuses(self) -> StatusAnswer:
        """Every status of units (Tip2), with the endings of the addressee line."""
        return self._stream(wire.Call(wire.Operation.STATUSES), wire.STATUS_LIST, translate.status_row)

    def places(self) -> PlaceAnswer:
        """Every place."""
        return self._stream(wire.Call(wire.Operation.PLACES), wire.PLACE_LIST, translate.place_row)

    def _units(self, call: wire.Call) -> UnitAnswer:
        return self._stream(call, wire.UNIT_LIST, translate.unit_row)
