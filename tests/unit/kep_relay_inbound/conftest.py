from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.kep_relay.drivers.protocol import MailboxAccount
from services.sandbox.pki.identity import Identity
from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import KepAddress
from tests.unit.sandbox_kephs.conftest import PASSWORD, Kephs, identities, kephs, root, start

__all__ = ["identities", "kephs", "root", "start"]

AccountOf = Callable[..., MailboxAccount]


@pytest.fixture
def account_of(kephs: Kephs, root: Identity, tmp_path: Path) -> AccountOf:
    """How our driver reaches an account of the providers in ``kephs``."""
    return make_account(kephs, root, tmp_path)


def make_account(kephs: Kephs, root: Identity, directory: Path) -> AccountOf:
    authorities = directory / "authorities.pem"
    authorities.write_bytes(root.certificate_pem)

    def account(address: str, *, password: str = PASSWORD, **imap: object) -> MailboxAccount:
        ports = kephs.providers.ports[address.partition("@")[2].partition(".")[0]]
        fields = {"host": "127.0.0.1", "port": ports.imap, "ca_file": str(authorities)} | imap
        server = ServerAddress.model_validate(fields)
        return MailboxAccount(
            "mailbox-1", 10000001, KepAddress(address), address, SecretStr(password), server, server, "INBOX", "Sent", 1
        )

    return account
