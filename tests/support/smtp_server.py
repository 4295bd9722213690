"""A submission server (aiosmtpd) with TLS and AUTH that fails where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.pki import usage

Fault = Literal["before_data", "in_data", "after_data", "after_data_silent", "at_mail", "greeting_554"]


@lru_cache
def tls_files_content() -> tuple[bytes, bytes]:
    """A self-signed certificate for 127.0.0.1 and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
    now = datetime.now(UTC)  # noqa: TID251 - the TLS library judges it by the machine's clock
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(digital_signature=True, key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


@dataclass
class SubmissionServer:
    """What the server was told to do and what it saw."""

    port: int = 0
    ca_file: Path = Path()
    username: str = "kurum.a"
    password: str = "right"
    faults: deque[Fault] = field(default_factory=deque)
    replies: deque[str] = field(default_factory=deque)
    """Given after the final dot instead of 250."""
    sender_replies: deque[str] = field(default_factory=deque)
    recipient_replies: deque[str] = field(default_factory=deque)
    received: list[bytes] = field(default_factory=list)
    sizes: list[str | None] = field(default_factory=list)
    connections: int = 0
    logins: int = 0
    live: set[Any] = field(default_factory=set)

    def take(self, fault: Fault) -> bool:
        if self.faults and self.faults[0] == fault:
            self.faults.popleft()
            return True
        return False

    def hang_up_all(self) -> None:
        for connection in list(self.live):
            connection.transport.abort()


class _Connection(SMTP):
    def __init__(self, script: SubmissionServer, **arguments: Any) -> None:
        super().__init__(_Handler(script), **arguments)
        self._script = script
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._script.live.add(self)
        if not self._counted:
            self._counted = True
            self._script.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._script.live.discard(self)
        super().connection_lost(error)

    async def push(self, status: Any) -> None:
        if str(status).startswith("220 ") and self._script.take("greeting_554"):
            status = "554 not today"
        if str(status).startswith("354 "):
            if self._script.take("before_data"):
                self.transport.abort()
                return
            if self._script.take("in_data"):
                await super().push(status)
                await asyncio.sleep(0.02)
                self.transport.abort()
                return
        await super().push(status)


class _Handler:
    def __init__(self, script: SubmissionServer) -> None:
        self._script = script

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._script.take("at_mail"):
            server.transport.abort()
        if self._script.sender_replies:
            return self._script.sender_replies.popleft()
        self._script.sizes.append(next((item[5:] for item in options if item.upper().startswith("SIZE=")), None))
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._script.recipient_replies:
            return self._script.recipient_replies.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._script.replies:
            reply = self._script.replies.popleft()
            if reply.startswith("250"):
                self._script.received.append(envelope.original_content)
            return reply
        self._script.received.append(envelope.original_content)
        if self._script.take("after_data"):
            server.transport.abort()
        if self._script.take("after_data_silent"):
            await asyncio.sleep(30)
        return "250 queued"


@asynccontextmanager
async def submission_server(
    directory: Path, *, tls: Literal["implicit", "starttls"] = "implicit"
) -> AsyncIterator[SubmissionServer]:
    """A server on a free port of 127.0.0.1, in this event loop."""
    certificate, key = tls_files_content()
    script = SubmissionServer(ca_file=directory / "ca.pem")
    script.ca_file.write_bytes(certificate)
    (directory / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(script.ca_file, directory / "key.pem")

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        script.logins += 1
        assert isinstance(data, LoginPassword)
        good = data.login.decode() == script.username and data.password.decode() == script.password
        return AuthResult(success=good, handled=False) if not good else AuthResult(success=True)

    def connection() -> _Connection:
        return _Connection(
            script,
            hostname="mail.test",
            data_size_limit=64 * 1024 * 1024,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=tls == "starttls",
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if tls == "implicit" else None)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        script.hang_up_all()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 2)


@asynccontextmanager
async def listening(
    directory: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[dict[str, Any]]:
    """A server with TLS on a free port of 127.0.0.1: its address as mailboxes are configured. Connections end with it."""
    certificate, key = tls_files_content()
    files = directory / "server.pem", directory / "server.key"
    files[0].write_bytes(certificate)
    files[1].write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await serve(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "ca_file": str(files[0])}
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
