"""Starts the KEP providers inside the sandbox's event loop and shows what they hold."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs.eyws.endpoint import build_app
from services.sandbox.kephs.eyws.listener import SoapListener, lying_context
from services.sandbox.kephs.eyws.service import SoapService, open_service
from services.sandbox.kephs.faults import FAULTS, SCOPES
from services.sandbox.kephs.imap import AccountLogin, ImapListener
from services.sandbox.kephs.mailboxes import Mailboxes
from services.sandbox.kephs.plan import (
    Account,
    IssuedEvidence,
    KepProviderPlan,
    RecipientScript,
    StoredMail,
    Timeline,
    Timing,
)
from services.sandbox.kephs.provider import KepProvider
from services.sandbox.kephs.relay import PeerLink, relay_protocol
from services.sandbox.kephs.sockets import TrackedSmtp
from services.sandbox.kephs.standing import Standing, Standings
from services.sandbox.kephs.store import INBOX, SENT, MailRow, MailStore
from services.sandbox.kephs.submission import SubmissionSession, submission_protocol
from services.sandbox.kephs.tasks import TaskRunner
from shared.domain.identifiers import KepAddress, ascii_lower, bare_message_id, kep_address


@dataclass(frozen=True)
class ProviderPorts:
    """Where one provider listens, all on its plan's host."""

    smtp: int
    imap: int
    relay: int
    soap: int | None = None
    """None: the SOAP service is not offered."""


@dataclass(frozen=True)
class _Running:
    provider: KepProvider
    mailboxes: Mailboxes
    session: SubmissionSession
    login: AccountLogin
    standings: Standings
    service: SoapService


class RunningProviders:
    """All providers at work. ``aclose`` stops them; what they keep on disk is there at the next start."""

    def __init__(
        self,
        running: Sequence[_Running],
        ports: Mapping[str, ProviderPorts],
        script: RecipientScript,
        stack: AsyncExitStack,
    ) -> None:
        self._running = running
        self._script = script
        self._stack = stack
        self.ports = ports
        """By the provider's name."""

    def open_account(self, account: Account) -> None:
        """Give someone a mailbox while the providers run; it is forgotten at the next start unless it is planned.

        Raises ``KeyError`` if no provider serves the address.
        """
        address = ascii_lower(account.address)
        for running in self._running:
            if running.provider.plan.serves(address):
                store = running.provider.store
                with store.transaction():
                    for folder in (INBOX, SENT):
                        store.ensure_folder(address, folder, running.mailboxes.clock.now())
                self._script.add(account)
                running.standings.open(account)
                running.service.login.add(account)
                running.session.add(account)
                running.login.add(account)
                return
        raise KeyError(address)

    def submit(self, sender: KepAddress, recipients: Sequence[KepAddress], content: bytes, message_id: str) -> None:
        """Send a signed message of an account as if it had come over SMTP; see ``KepProvider.submit``.

        Raises ``KeyError`` if no provider serves the sender.
        """
        for running in self._running:
            if running.provider.plan.serves(sender):
                running.provider.submit(sender, recipients, content, message_id)
                return
        raise KeyError(sender)

    def calls(self, address: str) -> Mapping[str, int]:
        """How often each operation of the SOAP service was called at the provider that serves ``address``."""
        for running in self._running:
            if running.provider.plan.serves(ascii_lower(address)):
                return dict(running.service.calls)
        return {}

    def count(self, address: str, folder: str = INBOX) -> int:
        """How many mails a folder of an account holds; 0 if there is no such folder or address."""
        account = ascii_lower(address)
        for running in self._running:
            if running.provider.plan.serves(account):
                return running.provider.store.count(account, folder)
        return 0

    def messages(self, address: str, folder: str = INBOX, *, after_uid: int = 0, limit: int = -1) -> list[StoredMail]:
        """The mails in a folder of an account, by UID; empty if there is no such folder or address.

        Those with UIDs above ``after_uid``, at most ``limit`` of them if it is not below 0.
        """
        account = ascii_lower(address)
        for running in self._running:
            if running.provider.plan.serves(account):
                rows = running.provider.store.mails(account, folder, after_uid=after_uid, limit=limit)
                return [_shown(row) for row in rows]
        return []

    def content(self, address: str, folder: str, uid: int) -> bytes:
        """The bytes of one mail. Raises ``KeyError``."""
        account = ascii_lower(address)
        for running in self._running:
            if running.provider.plan.serves(account):
                return running.provider.store.content(account, folder, uid)
        raise KeyError(address)

    def evidence(self, message_id: str | None = None, *, limit: int = 1000) -> list[IssuedEvidence]:
        """All evidence issued about the letter with this Message-ID (angle brackets or not).

        Without a Message-ID the last ``limit`` pieces about any letter. In the order of issue; copies sent
        twice count once.
        """
        found: list[IssuedEvidence] = []
        for running in self._running:
            store = running.provider.store
            if message_id is None:
                found += store.newest_evidence(limit)
            else:
                found += store.evidence_about(f"<{bare_message_id(message_id)}>")
        found.sort(key=lambda evidence: evidence.issued_at)
        return found if message_id is not None else found[-limit:]

    def unfinished(self) -> int:
        """How many tasks all providers still have to do, now or later."""
        return sum(running.provider.store.tasks() for running in self._running)

    def mark_seen(self, address: str, uid: int) -> None:
        r"""Do what a client does with ``STORE \Seen`` in the INBOX; evidence 60 follows. Raises ``KeyError``."""
        account = kep_address(address)
        for running in self._running:
            if running.provider.plan.serves(account):
                running.mailboxes.folder(account, INBOX).mark_seen(uid)
                return
        raise KeyError(address)

    def standing(self, address: str) -> Standing:
        """How an account stands with its provider. Raises ``KeyError``."""
        return self._standings(address).of(address)

    def change_standing(self, address: str, **changes: Any) -> Standing:
        """Set fields of ``Standing``. Raises ``KeyError``, and ``ValueError`` for impossible values."""
        return self._standings(address).change(address, **changes)

    def _standings(self, address: str) -> Standings:
        for running in self._running:
            if running.provider.plan.serves(address):
                return running.standings
        raise KeyError(address)

    async def aclose(self) -> None:
        """Stop listening, hang up, close the files."""
        await self._stack.aclose()


async def start_providers(
    plans: Sequence[KepProviderPlan],
    *,
    server_context: ssl.SSLContext,
    state_directory: Path,
    clock: Timeline,
    faults: FaultBoard,
    timing: Timing | None = None,
    soap_context: Callable[[], ssl.SSLContext] | None = None,
) -> RunningProviders:
    """Start every provider of ``plans``: submission, IMAP, SOAP service and relay port, and the work behind them.

    ``soap_context`` makes contexts like ``server_context``; without it the SOAP service uses that one, and the
    faults ``eyws.tls_*`` have no effect.

    Mails, evidence and unfinished work of an earlier run are taken up from ``state_directory``, where
    each provider has one SQLite file. Raises ``OSError`` if a port is taken.
    """
    faults.declare(FAULTS, SCOPES)
    # aiosmtpd warns about a deprecation of its own at each login.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    script = RecipientScript(plans)
    trusted = frozenset(sha256(plan.identity.certificate.public_bytes(Encoding.DER)).digest() for plan in plans)
    links: dict[str, PeerLink] = {}

    def link_to(address: str) -> PeerLink | None:
        return next((links[plan.name] for plan in plans if plan.serves(address)), None)

    running: list[_Running] = []
    ports: dict[str, ProviderPorts] = {}
    async with AsyncExitStack() as stack:
        for plan in plans:
            store = MailStore(state_directory / f"{plan.name}.sqlite3")
            stack.callback(store.close)
            standings = Standings(store)
            for account in plan.accounts:
                standings.open(account)
            provider = KepProvider(
                plan, store=store, script=script, clock=clock, faults=faults, timing=timing or Timing(),
                standings=standings, peers=link_to, trusted_peers=trusted,
            )  # fmt: skip
            mailboxes = Mailboxes(store, clock, provider.retrieved)
            for account in plan.accounts:
                with store.transaction():
                    for folder in (INBOX, SENT):
                        store.ensure_folder(ascii_lower(account.address), folder, clock.now())
            session = SubmissionSession(provider, faults)
            listener = ImapListener(plan, server_context, mailboxes, faults)
            soap_tls = server_context if soap_context is None else _steered(soap_context(), plan, faults)
            service = open_service(provider, mailboxes, standings, faults, clock, timing or Timing())
            running.append(_Running(provider, mailboxes, session, listener.login, standings, service))
            mail_ports = await _listen(stack, provider, session, listener, server_context, faults)
            ports[plan.name] = replace(mail_ports, soap=await _listen_for_calls(stack, plan, service, soap_tls))
            links[plan.name] = PeerLink(plan.name, plan.host, ports[plan.name].relay)
            stack.push_async_callback(links[plan.name].aclose)
        for one in running:
            runner = TaskRunner(one.provider.store, clock, one.provider.perform)
            stack.push_async_callback(runner.aclose, asyncio.create_task(runner.run()))
        return RunningProviders(running, ports, script, stack.pop_all())


async def _listen(
    stack: AsyncExitStack,
    provider: KepProvider,
    session: SubmissionSession,
    listener: ImapListener,
    context: ssl.SSLContext,
    faults: FaultBoard,
) -> ProviderPorts:
    plan, loop, live = provider.plan, asyncio.get_running_loop(), set[TrackedSmtp]()
    implicit = plan.smtp.tls == "implicit"
    smtp = await loop.create_server(
        lambda: submission_protocol(session, provider, faults, live, None if implicit else context),
        plan.host,
        plan.smtp.port,
        ssl=context if implicit else None,
    )
    relay = await loop.create_server(
        lambda: relay_protocol(provider.receive, f"relay.{plan.domain}", live), plan.host, plan.relay_port
    )
    imap = await listener.start()
    for server in (smtp, relay, imap):
        stack.callback(server.close)
    stack.push_async_callback(listener.aclose)
    stack.callback(_hang_up_all, live)
    return ProviderPorts(*(server.sockets[0].getsockname()[1] for server in (smtp, imap, relay)))


def _steered(context: ssl.SSLContext, plan: KepProviderPlan, faults: FaultBoard) -> ssl.SSLContext:
    return lying_context(
        context,
        plan.identity,
        refuses=lambda: faults.take("eyws.tls_refused", provider=plan.name),
        lies=lambda: faults.take("eyws.tls_untrusted", provider=plan.name),
    )


async def _listen_for_calls(
    stack: AsyncExitStack, plan: KepProviderPlan, service: SoapService, context: ssl.SSLContext
) -> int | None:
    if plan.soap is None:
        return None
    listener = SoapListener(
        build_app(service), lambda: service.faults.take("eyws.refuse_connection", provider=plan.name)
    )
    server = await listener.start(plan.host, plan.soap.port, context)
    stack.push_async_callback(listener.aclose)
    stack.callback(server.close)
    port: int = server.sockets[0].getsockname()[1]
    return port


def _hang_up_all(live: set[TrackedSmtp]) -> None:
    for connection in tuple(live):
        connection.hang_up()


def _shown(row: MailRow) -> StoredMail:
    return StoredMail(
        account=kep_address(row.account),
        folder=row.folder,
        uid=row.uid,
        message_id=row.message_id,
        sha256=row.sha256,
        size=row.size,
        seen="\\Seen" in row.flags,
        kind=row.kind,
        original_message_id=row.original_message_id,
        original_sha256=row.original_sha256,
        received_at=row.received_at,
    )
