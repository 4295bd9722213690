"""How an account stands with its provider: credit, quota, log-in policy, lock. It outlives a restart."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.kephs.plan import Account, LoginPolicy
from services.sandbox.kephs.store import MailStore
from shared.domain.identifiers import ascii_lower

KILOBYTE = 1024


class Standing(BaseModel):
    """One account's. Everything can be changed while the provider runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: LoginPolicy = LoginPolicy.BASE
    credit: float = Field(default=1_000_000, ge=0, le=1e9)
    """Messages that may still be sent over the SOAP service."""
    quota_kilobytes: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Room for all mails together; None: as much as they need."""
    evidence_by_mail: bool = True
    read_by: Literal["confirmation", "download"] = "confirmation"
    """Which call of the SOAP service creates evidence 60 (kep.md 2.7: not known)."""
    locks_after: int | None = Field(default=5, ge=1, le=1000)
    """Wrong passwords in a row until the SOAP service refuses the account; None: never."""
    wrong_passwords: int = Field(default=0, ge=0)
    locked: bool = False


class Standings:
    """Those of one provider's accounts."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._standings: dict[str, Standing] = {}

    def open(self, account: Account) -> None:
        """From now on this account exists, as it was left or as its plan says."""
        address = ascii_lower(account.address)
        kept = self._store.remembered(_name(address))
        if kept is not None:
            self._standings[address] = Standing.model_validate_json(kept)
        elif account.soap is None:
            self._standings[address] = Standing()
        else:
            access = account.soap
            self._standings[address] = Standing(policy=access.policy, evidence_by_mail=access.evidence_by_mail)

    def of(self, address: str) -> Standing:
        """The account's. Raises ``KeyError``."""
        return self._standings[ascii_lower(address)]

    def change(self, address: str, **changes: Any) -> Standing:
        """Set some fields. Raises ``KeyError``, and ``ValueError`` for impossible values."""
        address = ascii_lower(address)
        before = self._standings[address]
        after = Standing.model_validate({**before.model_dump(), **changes})
        if after != before:
            self._standings[address] = after
            self._store.remember(_name(address), after.model_dump_json())
        return after

    def evidence_by_mail(self, address: str) -> bool:
        """Whether evidence comes into the INBOX; also true of an address without an account."""
        standing = self._standings.get(ascii_lower(address))
        return standing is None or standing.evidence_by_mail

    def room(self, address: str) -> int | None:
        """Octets that still fit; None without a quota. Raises ``KeyError``."""
        quota = self.of(address).quota_kilobytes
        return None if quota is None else max(quota * KILOBYTE - self._store.used(ascii_lower(address)), 0)

    def is_full(self, address: str, size: int) -> bool:
        """Whether a mail of ``size`` octets no longer fits."""
        address = ascii_lower(address)
        if address not in self._standings:
            return False
        room = self.room(address)
        return room is not None and room < size


def _name(address: str) -> str:
    return f"standing:{address}"
