"""Accounts at DETSİS."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.base import Contract

_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"


class RegisterAccount(Contract):
    """One institution's DETSİS account. The password goes in and never comes out."""

    institution_no: int
    account_id: str = Field(min_length=1, max_length=100, pattern=_NO_CONTROL_CHARACTERS)
    """DETSİS ``KurumID``: looks like the caller's own number, but that is not proven."""
    endpoint: str = Field(max_length=500, pattern=_NO_CONTROL_CHARACTERS)
    """The https URL of the service; the address inside the WSDL is never used."""
    keeps_copy: bool = True
    """False for an institution that asks DETSİS live and refreshes no copy at night (EK-3/3)."""
    has_own_tree: bool = True
    """False where the endpoint does not offer the caller's own units, as that for the private sector."""
    password: str | None = Field(default=None, min_length=1, max_length=500, repr=False)
