"""The lists of a refresh, as data: how each is asked for, staged and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from services.detsis_sync.refresh import lines
from services.detsis_sync.soap.bulk import BulkAnswer
from services.detsis_sync.soap.client import DetsisClient
from shared.contracts.directory.runs import RefreshMode


@dataclass(frozen=True)
class Asking:
    """What one run asks DETSİS for."""

    mode: RefreshMode
    everything_since: date
    """An early day: lists that want one are then whole."""
    changed_since: datetime | None = None
    """Of a delta."""


class Target(StrEnum):
    """What a list ends up in, and so how it is applied."""

    UNITS = "units"
    KEYED = "keyed"
    EYP_VERSIONS = "eyp_versions"
    CONTACTS = "contacts"


@dataclass(frozen=True)
class Mirrored:
    """A table whose rows have a key, a content and an ``absent_since``; its changes are kept under ``subject``."""

    table: str
    subject: str
    keys: tuple[str, ...]
    content: tuple[str, ...]
    """What a change shows, besides the keys."""
    unit: str | None = None
    """The column that names the unit a row belongs to."""
    binary: tuple[str, ...] = ()
    """Columns that no change shows."""


@dataclass(frozen=True)
class ListPlan:
    """One list.

    A ``required`` list that fails or is refused ends the run; of another one the previous content stays,
    and the run's report says why.
    """

    name: str
    target: Target
    columns: tuple[str, ...]
    """Of the staging table."""
    line: lines.Line
    open: Callable[[DetsisClient, Asking], BulkAnswer[Any, Any]] | None
    """None for the one list that is put together from small calls."""
    mirrored: Mirrored | None = None
    scope: tuple[str, str] | None = None
    """Column and value: the part of the table this list is all of."""
    required: bool = False
    state_wide: bool = True
    """The list is the state's, whoever asks: it is compared with the last accepted one of any account."""
    of_own_tree: bool = False
    """Only for accounts whose endpoint offers the caller's own units."""
    may_be_delta: bool = False
    rejected_limit: float | None = None
    """Share of rows that may be beyond understanding; None: as large as the share that may be lost."""

    @property
    def like(self) -> str:
        """The table whose columns the staging table has."""
        return self.mirrored.table if self.mirrored is not None else self.target.value

    @property
    def keys(self) -> tuple[str, ...]:
        """What no two staged rows may share; empty where rows may repeat."""
        if self.target is Target.UNITS:
            return ("detsis_no",)
        return self.mirrored.keys if self.mirrored is not None else ()

    def is_delta(self, mode: str) -> bool:
        """Whether a run of this mode gets no more than the changes of this list."""
        return mode == "delta" and self.may_be_delta


ADDRESSES = Mirrored("kep_addresses", "kep_address", ("detsis_no", "address"), lines.ADDRESS_CONTENT, "detsis_no")
CERTIFICATES = Mirrored(
    "certificates", "certificate", ("detsis_no", "sha256"), lines.CERTIFICATE_CONTENT, "detsis_no", ("der",)
)
OWNERS = Mirrored("certificate_owners", "certificate_owner", ("unit_no",), ("owner_no",), "unit_no")
BUDGETS = Mirrored("main_institutions", "main_institution", ("detsis_no",), lines.BUDGET_CONTENT, "detsis_no")
CODES = Mirrored("codes", "code", ("kind", "code_id"), lines.CODE_CONTENT)
PLACES = Mirrored("places", "place", ("place_id",), lines.PLACE_CONTENT)
MIRRORED = (ADDRESSES, CERTIFICATES, OWNERS, BUDGETS, CODES, PLACES)


def _units(name: str, open_list: Callable[[DetsisClient, Asking], BulkAnswer[Any, Any]], **more: Any) -> ListPlan:
    return ListPlan(
        name, Target.UNITS, lines.UNIT_COLUMNS, lines.unit_line, open_list, state_wide=False, rejected_limit=0.0, **more
    )  # fmt: skip


def _keyed(
    name: str, mirrored: Mirrored, line: lines.Line, open_list: Callable[[DetsisClient, Asking], Any], **more: Any
) -> ListPlan:
    columns = (*mirrored.keys, *mirrored.content, "content_hash", *mirrored.binary)
    return ListPlan(name, Target.KEYED, columns, line, open_list, mirrored=mirrored, **more)


PLANS: tuple[ListPlan, ...] = (
    _units(
        "external",
        lambda client, asking: client.external_units(
            asking.everything_since if asking.changed_since is None else asking.changed_since.date()
        ),
        required=True,
        may_be_delta=True,
    ),
    _units(
        "own",
        lambda client, asking: client.own_units(asking.changed_since),
        required=True,
        of_own_tree=True,
        may_be_delta=True,
    ),
    _units("main_institutions", lambda client, _asking: client.main_institutions()),
    _keyed(
        "addresses",
        ADDRESSES,
        lines.address_line,
        lambda client, _asking: client.active_kep_addresses(),
        required=True,
    ),
    _keyed(
        "certificates",
        CERTIFICATES,
        lines.certificate_line,
        lambda client, asking: client.certificates(asking.everything_since),
    ),
    _keyed(
        "certificate_owners",
        OWNERS,
        lines.owner_line,
        lambda client, asking: client.certificate_owners(asking.everything_since),
    ),
    ListPlan(
        "eyp_versions", Target.EYP_VERSIONS, ("detsis_no", "version", "checked"), lines.contact_line, None
    ),
    _keyed("budgets", BUDGETS, lines.budget_line, lambda client, _asking: client.main_institution_budgets()),
    _keyed(
        "categories", CODES, lines.category_line, lambda client, _asking: client.categories(), scope=("kind", "category")
    ),
    _keyed("statuses", CODES, lines.status_line, lambda client, _asking: client.statuses(), scope=("kind", "status")),
    _keyed("places", PLACES, lines.place_line, lambda client, _asking: client.places()),
    ListPlan(
        "contacts_own", Target.CONTACTS, ("detsis_no", "kind", "value", "label"), lines.contact_line,
        lambda client, _asking: client.own_contacts(), state_wide=False, of_own_tree=True,
        rejected_limit=1.0,
    ),
    ListPlan(
        "contacts_main", Target.CONTACTS, ("detsis_no", "kind", "value", "label"), lines.contact_line,
        lambda client, _asking: client.main_institution_contacts(), rejected_limit=1.0,
    ),
)  # fmt: skip
"""In the order in which they are fetched."""
BY_NAME = {plan.name: plan for plan in PLANS}
