"""Submission over SMTP (RFC 6409): pooled sessions, and an exact answer to "may it have been taken?".

Everything up to the last content byte is certainly not taken when it fails. Once the final dot is on
its way only a proper reply tells; without one the outcome is unknown (kep.md 7.1).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

import aiosmtplib
import structlog
from aiosmtplib.protocol import SMTPProtocol

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    Envelope,
    MailboxAccount,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from services.kep_relay.drivers.smtp_imap.smtp_replies import Stage, on_failure, on_reply, one_line
from services.kep_relay.drivers.smtp_imap.tls import client_context
from shared.contracts.mailboxes import ServerAddress
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SmtpTimes:
    """Seconds. ``data`` is the time for the answer after the last byte, ``idle`` how long a session is kept unused."""

    connect: float = 10.0
    command: float = 60.0
    data: float = 300.0
    idle: float = 20.0


@dataclass
class _Session:
    client: aiosmtplib.SMTP
    used: bool = False
    idle_since: float = 0.0


@dataclass
class _Pool:
    revision: int
    idle: list[_Session] = field(default_factory=list)
    login: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused: Blocked | None = None
    """A refused login is not tried again until the configuration changes: repeating it locks the account."""


class SmtpSubmission:
    """Submits messages. How many at a time is the caller's choice; each takes a session of its own."""

    def __init__(
        self, times: SmtpTimes, *, client_name: str, credit_words: Sequence[str] = (), legacy_tls: Collection[str] = ()
    ) -> None:
        self._times = times
        self._legacy_tls = frozenset(legacy_tls)
        self._credit_words = tuple(credit_words)
        self._client_name = client_name
        self._pools: dict[str, _Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def submit(
        self, mailbox: MailboxAccount, envelope: Envelope, content: AsyncIterable[bytes], *, size: int
    ) -> SubmissionOutcome:
        """See ``KepDriver.submit``."""
        pool = self._pool(mailbox)
        if pool.revision > mailbox.revision:
            # With the old password a refused login would be held against the new configuration.
            return TemporaryFailure(
                ErrorCode.MAILBOX_NOT_READY, "the mailbox was changed meanwhile; the next try goes by its new settings"
            )
        while True:
            session = self._take_idle(pool)
            if session is None:
                opened = await self._open(mailbox, pool)
                if not isinstance(opened, _Session):
                    return opened
                session = opened
            outcome = await self._transfer(session, envelope, content, size)
            if outcome is not None:
                break
        if isinstance(outcome, Accepted) and pool is self._pools.get(mailbox.mailbox_id):
            session.used, session.idle_since = True, _now()
            pool.idle.append(session)
        else:
            self._part(session)
        return outcome

    async def probe(self, mailbox: MailboxAccount) -> None:
        """See ``KepDriver.probe``."""
        client = await self._client(mailbox.smtp_server)
        try:
            await client.connect()
            await client.ehlo()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DomainError(ErrorCode.PROVIDER_UNAVAILABLE, _describe(mailbox.smtp_server, error)) from error
        finally:
            client.close()

    async def aclose(self) -> None:
        """Say goodbye on every idle session."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            for session in pool.idle:
                self._part(session)
        if self._closing:
            await asyncio.wait(self._closing, timeout=2)

    def _pool(self, mailbox: MailboxAccount) -> _Pool:
        pool = self._pools.get(mailbox.mailbox_id)
        if pool is None or pool.revision < mailbox.revision:
            if pool is not None:
                for session in pool.idle:
                    self._part(session)
            pool = self._pools[mailbox.mailbox_id] = _Pool(mailbox.revision)
        return pool

    def _take_idle(self, pool: _Pool) -> _Session | None:
        while pool.idle:
            session = pool.idle.pop()
            if session.client.is_connected and _now() - session.idle_since < self._times.idle:
                return session
            self._part(session)
        return None

    async def _client(self, server: ServerAddress) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=await client_context(server, self._legacy_tls),
            local_hostname=self._client_name,
            timeout=self._times.connect,
        )

    async def _open(self, mailbox: MailboxAccount, pool: _Pool) -> _Session | SubmissionOutcome:
        """Connect and log in, one login at a time so that a wrong password is tried once."""
        async with pool.login:
            if pool.refused is not None:
                return pool.refused
            try:
                client = await self._client(mailbox.smtp_server)
            except (DomainError, ValueError) as error:
                return Blocked(ErrorCode.MAILBOX_NOT_READY, one_line(str(error)))
            try:
                await client.connect()
                client.timeout = self._times.command
                await _log_in(client, mailbox)
            except aiosmtplib.SMTPAuthenticationError as error:
                client.close()
                outcome = on_reply(Stage.LOGIN, error.code, error.message)
                if isinstance(outcome, Blocked):
                    pool.refused = outcome
                    log.warning("login_refused", mailbox=mailbox.mailbox_id, reply=outcome.reason)
                return outcome
            except aiosmtplib.SMTPResponseException as error:
                client.close()
                return on_reply(Stage.CONNECT, error.code, f"{mailbox.smtp_server.host}: {error.message}")
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                client.close()
                return on_failure(Stage.CONNECT, _describe(mailbox.smtp_server, error))
            except BaseException:
                client.close()
                raise
            return _Session(client)

    async def _transfer(
        self, session: _Session, envelope: Envelope, content: AsyncIterable[bytes], size: int
    ) -> SubmissionOutcome | None:
        """One mail transaction; None if a kept session turned out dead before anything was sent on it."""
        client, stage = session.client, Stage.SENDER
        try:
            await client._ehlo_or_helo_if_needed()  # noqa: SLF001 - no public name for "once per session"
            options = [f"SIZE={size}"] if client.supports_extension("size") else []
            await client.mail(envelope.sender, options=options)
            stage = Stage.RECIPIENT
            await client.rcpt(envelope.recipient)
            stage = Stage.DATA
            reply = await client.execute_command(b"DATA")
            if reply.code != aiosmtplib.SMTPStatus.start_input:
                return self._said(Stage.DATA, reply.code, reply.message)
            protocol = client.protocol
            if protocol is None:
                return on_failure(Stage.DATA, "the connection was lost")
            stage = Stage.CONTENT
            await self._send(protocol, content, size)
            protocol.write(b".\r\n")  # raises if the link is gone: then the dot never left
            stage = Stage.ANSWER
            reply = await protocol.read_response(timeout=self._times.data)
            return self._said(Stage.ANSWER, reply.code, reply.message)
        except aiosmtplib.SMTPResponseException as error:
            if stage is Stage.SENDER and session.used and error.code == aiosmtplib.SMTPStatus.domain_unavailable:
                client.close()  # 421: the server's farewell to a session that was idle too long for it
                return None
            return self._said(stage, error.code, error.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            if stage is Stage.SENDER and session.used and not isinstance(error, TimeoutError):
                return None
            return on_failure(stage, _plain(error))
        except DomainError as error:
            # Our own store failed while the content was read; the unfinished transaction dies with the session.
            client.close()
            return TemporaryFailure(error.code, error.detail)
        except ValueError as error:
            client.close()
            return PermanentFailure(ErrorCode.VALIDATION_FAILED, one_line(str(error)))
        except BaseException:
            client.close()
            raise

    def _said(self, stage: Stage, code: int, text: str) -> SubmissionOutcome:
        return on_reply(stage, code, text, credit_words=self._credit_words)

    async def _send(self, protocol: SMTPProtocol, content: AsyncIterable[bytes], size: int) -> None:
        """Write the content with its dots doubled, never more ahead of the network than its buffer."""
        sent = 0
        async for chunk in dots_doubled(_counted(content, size)):
            protocol.write(chunk)
            sent += len(chunk)
            async with asyncio.timeout(self._times.command):
                await protocol._drain_helper()  # noqa: SLF001 - what asyncio's StreamWriter.drain() calls
            if sent >= _YIELD_EVERY:
                sent = 0
                await asyncio.sleep(0)

    def _part(self, session: _Session) -> None:
        """Say goodbye in the background; nobody waits for the answer."""
        task = asyncio.create_task(_quit(session.client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


_YIELD_EVERY = 1024 * 1024


class _ContentError(DomainError):
    """What was read is not what was announced; the message must not be completed."""


async def _counted(content: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    seen = 0
    async for chunk in content:
        seen += len(chunk)
        yield chunk
    if seen != size:
        raise _ContentError(
            ErrorCode.DURABILITY_UNAVAILABLE, f"the composed message has {seen} bytes in the store instead of {size}"
        )


async def dots_doubled(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """``content`` with a second dot before every line that begins with one (RFC 5321, 4.5.2).

    Lines end with CRLF; chunks may be cut anywhere.
    """
    held = b"\r\n"  # as if a line had just ended, so that a dot at the very start is doubled
    first = True
    async for chunk in content:
        whole = held + chunk
        keep = 2 if whole.endswith(b"\r\n") else 1 if whole.endswith(b"\r") else 0
        ready, held = whole[: len(whole) - keep], whole[len(whole) - keep :]
        ready = ready.replace(b"\r\n.", b"\r\n..")
        if first and ready:
            ready, first = ready[2:], False
        if ready:
            yield ready
    yield held[2:] if first else held


async def _log_in(client: aiosmtplib.SMTP, mailbox: MailboxAccount) -> None:
    """Log in with one mechanism. aiosmtplib's own ``login`` would try a refused password with each."""
    await client._ehlo_or_helo_if_needed()  # noqa: SLF001
    methods = client.server_auth_methods
    password = mailbox.password.get_secret_value()
    if "plain" in methods:
        await client.auth_plain(mailbox.username, password)
    elif "login" in methods:
        await client.auth_login(mailbox.username, password)
    else:
        raise aiosmtplib.SMTPException("the server offers neither AUTH PLAIN nor AUTH LOGIN")


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        if client.is_connected:
            await client.quit(timeout=1)
    except (aiosmtplib.SMTPException, OSError):
        pass
    finally:
        client.close()


def _describe(server: ServerAddress, error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{server.host}:{server.port}: the server's certificate is not trusted ({cause.verify_message})"
    return f"{server.host}:{server.port}: {_plain(error)}"


def _plain(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()
