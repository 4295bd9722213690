"""One Dovecot and one Postfix for the tests of a module, with accounts nobody else uses."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.kep_relay.drivers.protocol import MailboxAccount
from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import kep_address
from tests.support.dovecot import Dovecot, running_dovecot
from tests.support.peers import PeerGround
from tests.support.postfix import Postfix, running_postfix

DOMAIN = "hs01.kep.tr"
_ADDRESSES = [f"kurum.{number}@{DOMAIN}" for number in range(40)]


@dataclass(frozen=True)
class MailServers:
    """Two servers nobody here wrote, playing one KEP provider's submission and mailboxes."""

    postfix: Postfix
    dovecot: Dovecot
    password: str
    unused: Callable[[], str]

    def account(self, *, smtp: ServerAddress | None = None, imap: ServerAddress | None = None) -> MailboxAccount:
        """An account with empty folders."""
        address = kep_address(self.unused())
        return MailboxAccount(
            mailbox_id=address,
            institution_no=10000001,
            address=address,
            username=address,
            password=SecretStr(self.password),
            smtp=smtp or self.postfix.submission,
            imap=imap or self.dovecot.imaps,
            inbox_folder="INBOX",
            sent_folder="Sent",
            revision=1,
        )


@pytest.fixture(scope="module")
def ground() -> AsyncIterator[PeerGround]:
    made = PeerGround.make()
    yield made
    made.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(ground: PeerGround) -> AsyncIterator[MailServers]:
    password = f'{secrets.token_urlsafe(12)} "\\ü'  # what needs quoting must be quoted
    async with (
        running_dovecot(ground, dict.fromkeys(_ADDRESSES, password)) as dovecot,
        running_postfix(ground, dovecot, _ADDRESSES) as postfix,
    ):
        numbers = itertools.count()
        yield MailServers(postfix, dovecot, password, lambda: _ADDRESSES[next(numbers)])


def with_password(account: MailboxAccount, password: str) -> MailboxAccount:
    return replace(account, password=SecretStr(password))
