"""KEP addresses as typed rows."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.identifiers import DetsisNumber, KepAddress


@dataclass(frozen=True, slots=True)
class KepAddressRow:
    """One KEP address of one unit. A unit can have two at once: the old one and one waiting for verification."""

    detsis_no: DetsisNumber
    """May name a unit that no other list holds."""
    address: KepAddress
    active: bool
    status_text: str | None
    """Free text of DETSİS, for people: decide on ``active``."""
