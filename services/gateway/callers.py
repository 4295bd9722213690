"""Who is calling, and what that caller may do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import DomainError, ErrorCode, Fault


class Scope(StrEnum):
    """What a key may be used for."""

    MESSAGES_SEND = "messages:send"
    MESSAGES_READ = "messages:read"
    INBOUND_CONSUME = "inbound:consume"
    CLASSIFIED_HANDLE = "classified:handle"
    """For the institution's security officer: sealed letters, and what was decided about them."""
    DIRECTORY_READ = "directory:read"
    DIRECTORY_PEOPLE = "directory:people"
    """Who leads a unit, and who looks after its entries in DETSİS: names and how to reach them."""
    REGISTRATIONS_MANAGE = "registrations:manage"
    """For those who look after an institution's KEP addresses: it shows the links that open an address to others."""
    PACKAGES_INSPECT = "packages:inspect"
    """Includes what is encrypted for the caller's institutions."""
    PACKAGES_WRITE = "packages:write"
    DOCUMENTS_PRINT = "documents:print"
    """Includes what is encrypted for the caller's institutions."""
    SIGNATURES_VERIFY = "signatures:verify"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """An authenticated client with the rights of the key it used."""

    client_id: str
    key_prefix: str
    scopes: frozenset[Scope]
    institutions: tuple[int, ...]
    """DETSİS numbers it may act for, ascending."""

    def require(self, scopes: Sequence[Scope]) -> None:
        """Raise SCOPE_MISSING unless the key has one of ``scopes``."""
        if not self.scopes.intersection(scopes):
            wanted = " or ".join(scopes)
            raise DomainError(ErrorCode.SCOPE_MISSING, f"this operation needs an API key with scope {wanted}")

    def visible(self, asked: int | None = None) -> tuple[int, ...]:
        """The institutions a query is confined to: the one asked for, else all of the caller's.

        Never empty. Raises INSTITUTION_FORBIDDEN.
        """
        if asked is not None and asked not in self.institutions:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, "this API key may not act for that institution")
        if not self.institutions:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, "this API key is bound to no institution")
        return self.institutions if asked is None else (asked,)

    def acting_for(self, asked: int | None, pointer: str) -> int:
        """The one institution a change is made for; it may be left out when the key has only one.

        Raises INSTITUTION_FORBIDDEN, VALIDATION_FAILED.
        """
        visible = self.visible(asked)
        if len(visible) > 1:
            fault = Fault(pointer, "required, because this API key is bound to several institutions")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the institution must be named", faults=[fault])
        return visible[0]
