"""IMAP4rev1 over TLS by pymap, on the provider's own store: login per account, folders, IDLE."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NoReturn

from proxyprotocol.sock import SocketInfo
from pymap.concurrent import Subsystem
from pymap.config import BackendCapability, IMAPConfig
from pymap.exceptions import AuthorizationFailure, InvalidAuth, NotAllowedError
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface, LoginInterface
from pymap.token import AllTokens
from pymap.user import UserMetadata
from pysasl.creds.server import ServerCredentials
from pysasl.identity import ClearIdentity

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs.literals import SteeredWriter
from services.sandbox.kephs.mailboxes import AccountSession, Mailboxes, current_connection
from services.sandbox.kephs.plan import Account, KepProviderPlan
from services.sandbox.kephs.store import INBOX, SENT
from shared.domain.identifiers import ascii_lower

_APPEND_LIMIT = 64 * 1024 * 1024


class ServerConfig(IMAPConfig):
    """pymap's settings without its command line."""

    def __init__(self, plan: KepProviderPlan, context: ssl.SSLContext) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=plan.host,
            port=plan.imap.port,
            ssl_context=context,
            tls_enabled=plan.imap.tls == "starttls",
            cpu_subsystem=Subsystem.for_asyncio(),
            max_append_len=_APPEND_LIMIT,
        )
        self._greeting = f"{plan.name} KEPHS (sandbox) ready".encode()

    @property
    def backend_capability(self) -> BackendCapability:
        """IDLE, and identifiers of RFC 8474."""
        return BackendCapability(idle=True, object_id=True, multi_append=True)

    @property
    def greeting(self) -> bytes:
        """The first line; pymap's own would look up the host's name."""
        return self._greeting


class AccountIdentity(IdentityInterface):
    """A known account; pymap's user administration is not offered."""

    def __init__(self, account: Account, login: AccountLogin) -> None:
        self._account = account
        self._login = login

    @property
    def name(self) -> str:
        """The login."""
        return self._account.username

    @property
    def roles(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[AccountSession]:
        """Open the account's folders."""
        login, address = self._login, ascii_lower(self._account.address)
        mailboxes = login.mailboxes
        with mailboxes.store.transaction():
            for name in (INBOX, SENT):
                mailboxes.store.ensure_folder(address, name, mailboxes.clock.now())
        provider, faults = login.plan.name, login.faults
        connection = current_connection.get()
        assert isinstance(connection, SteeredWriter)
        connection.account = address
        scope = {"provider": provider, "account": address}
        yield AccountSession(
            address,
            login.config,
            mailboxes,
            drops=lambda: faults.take("imap.drop", **scope),
            renews=lambda: faults.take("imap.new_uidvalidity", **scope),
        )

    async def new_token(self, *, expiration: datetime | None = None) -> str | None:  # noqa: ARG002
        """None: passwords only."""
        return None

    async def get(self) -> UserMetadata:
        """Not offered."""
        self._refuse()

    async def set(self, metadata: UserMetadata) -> int | None:  # noqa: ARG002
        """Not offered."""
        self._refuse()

    async def delete(self) -> None:
        """Not offered."""
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise NotAllowedError("accounts are fixed")


class AccountLogin(LoginInterface):
    """Checks logins against the plan's accounts."""

    def __init__(self, plan: KepProviderPlan, config: ServerConfig, mailboxes: Mailboxes, faults: FaultBoard) -> None:
        self.plan = plan
        self.config = config
        self.mailboxes = mailboxes
        self.faults = faults
        self._accounts = {account.username: account for account in plan.accounts}
        self._tokens = AllTokens(config)

    def add(self, account: Account) -> None:
        """From now on this account may log in."""
        self._accounts[account.username] = account

    @property
    def tokens(self) -> AllTokens:
        """Required by pymap; no token is ever accepted."""
        return self._tokens

    async def authenticate(self, credentials: ServerCredentials) -> AccountIdentity:
        """The account, or ``InvalidAuth``."""
        account = self._accounts.get(credentials.authcid)
        if account is None or not credentials.verify(ClearIdentity(account.username, account.password)):
            raise InvalidAuth
        return AccountIdentity(account, self)

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> AccountIdentity:
        """Nobody acts for another account."""
        if authzid != authenticated.name:
            raise AuthorizationFailure
        return AccountIdentity(self._accounts[authzid], self)


class ImapListener:
    """The IMAP port of one provider."""

    def __init__(
        self, plan: KepProviderPlan, context: ssl.SSLContext, mailboxes: Mailboxes, faults: FaultBoard
    ) -> None:
        self._plan = plan
        self._context = context
        self._faults = faults
        config = ServerConfig(plan, context)
        self.login = AccountLogin(plan, config, mailboxes, faults)
        self._serve = IMAPServer(self.login, config)
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        """Listen."""
        implicit = self._plan.imap.tls == "implicit"
        return await asyncio.start_server(
            self._connected, self._plan.host, self._plan.imap.port, ssl=self._context if implicit else None
        )

    async def aclose(self) -> None:
        """Hang up on everyone."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._faults.take("imap.refuse_connection", provider=self._plan.name):
            writer.transport.abort()
            return
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        steered = SteeredWriter(writer, self._plan.name, self._faults)
        current_connection.set(steered)
        try:
            await self._serve(reader, steered, SocketInfo.get(writer, None, unique_id=uuid.uuid4().bytes))
        except (ConnectionError, ssl.SSLError):
            writer.transport.abort()
        finally:
            self._connections.discard(connection)
            await steered.aclose()
