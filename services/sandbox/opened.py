"""KEP mailboxes that were opened while the sandbox ran: an institution that changes its provider needs a new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.sandbox.kephs import Account, SoapAccess
from services.sandbox.pki.identity import write_private
from services.sandbox.planning import made_up_agent_no


class OpenedMailbox(BaseModel):
    """One of them; ``username`` is the address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    institution_no: int
    password: str = Field(repr=False)
    second_password: str | None = Field(default=None, repr=False)
    """For the SOAP service; None for one that was opened before there was any."""

    @property
    def account(self) -> Account:
        """As the providers know it."""
        access = self.second_password and SoapAccess(made_up_agent_no(self.institution_no), self.second_password)
        return Account(self.address, self.address, self.password, soap=access or None)


_LIST = TypeAdapter(list[OpenedMailbox])


class OpenedMailboxes:
    """The list of them in one file, so that the next start finds the mailboxes again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened = _LIST.validate_json(file.read_bytes()) if file.exists() else []

    def __iter__(self) -> Iterator[OpenedMailbox]:
        return iter(self._opened)

    def add(self, mailbox: OpenedMailbox) -> None:
        """Keep one more."""
        self._opened.append(mailbox)
        write_private(self._file, _LIST.dump_json(self._opened, indent=1))
