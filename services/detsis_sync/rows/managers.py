"""Managers of units as typed rows; what letters do not need (birth date, age) is not here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shared.domain.identifiers import DetsisNumber


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """One manager in one post."""

    post_id: int
    unit_name: str | None
    manager_code: int
    """The manager's own code in DETSİS; never an identity number."""
    name: str | None
    """Given name and surname."""
    title: str | None
    legal_basis: str | None
    kind_of_post: str | None
    """In office, acting, deputy …: a text of DETSİS."""
    from_day: date | None
    """Turkish local day."""
    to_day: date | None
    """Turkish local day."""
    active: bool
    path_text: str | None
    """Display text of the unit's place in the tree."""
    parent_no: DetsisNumber | None
