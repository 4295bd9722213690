"""Answers that DETSİS itself is asked for: the register for institutions without a copy (EK-3/3), and details of units."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.directory.freshness import Freshness


class LiveChoice(Contract):
    """Whether the register is to be asked live for some institutions, and as which of them."""

    institution_no: int | None
    """None: by the nightly copy."""


class UnitContact(Contract):
    """One contact of a unit."""

    kind: int
    """As DETSİS numbers them: 1 web, 2 e-mail, 4 telephone, 5 fax; the others have only their label."""
    value: str
    label: str | None = None


class UnitContacts(Contract):
    """How a unit is reached besides KEP, as DETSİS lists it."""

    detsis_no: int
    contacts: list[UnitContact]
    freshness: Freshness


class UnitUetsNumbers(Contract):
    """The numbers of a unit in UETS, the national electronic notification system."""

    detsis_no: int
    numbers: list[str]
    freshness: Freshness


class UnitManager(Contract):
    """Somebody who leads or led a unit. Birth dates and ages, which DETSİS sends as well, are never read."""

    name: str | None
    title: str | None
    kind_of_post: str | None = None
    """In office, acting …: a text of DETSİS."""
    legal_basis: str | None = None
    manager_code: int
    """The manager's own code in DETSİS; never an identity number."""
    from_day: date | None = None
    to_day: date | None = None
    active: bool


class UnitManagers(Contract):
    """Who leads a unit."""

    detsis_no: int
    on: date | None = None
    """The day asked about; None: the day DETSİS answered."""
    managers: list[UnitManager]
    freshness: Freshness


class DetsisOfficer(Contract):
    """Somebody who looks after an institution's entries in DETSİS."""

    given_name: str | None = None
    surname: str | None = None
    phone: str | None = None
    email: str | None = None
    role: str | None = None


class DetsisOfficers(Contract):
    """Whom to call to have the institution's data in DETSİS corrected (EK-3/5)."""

    institution_no: int
    officers: list[DetsisOfficer]
    freshness: Freshness


class FilePlanEntry(Contract):
    """One entry of a file plan (Standart Dosya Planı)."""

    code_id: int
    code: str | None
    """As it stands in a letter's reference, for example ``010.06.02``."""
    title: str | None
    level: str | None = None
    retention_years_text: str | None = None
    retention_phase_text: str | None = None
    retention_code: str | None = None
    footnote: str | None = None
    explanation: str | None = None
    active: bool


class FilePlanPage(Contract):
    """A main institution's file plan, in the order of DETSİS."""

    detsis_no: int
    entries: list[FilePlanEntry]
    next_cursor: str | None = None
    freshness: Freshness


class FormerNumber(Contract):
    """The unit that has a number of the older register (kütük)."""

    former_number: str
    detsis_no: int | None
    """None when DETSİS names no unit for it."""
    name: str | None = None
    main_institution_no: int | None = None
    active: bool | None = None


class FormerNumbers(Contract):
    """One item or more for each number asked, in the order asked."""

    items: list[FormerNumber] = Field(default_factory=list)
    freshness: Freshness
