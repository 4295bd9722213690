"""The road between providers: SMTP over loopback, authenticated by the envelope's signature, not by TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.sandbox.kephs.smime import MailRejectedError
from services.sandbox.kephs.sockets import TrackedSmtp

RELAY_SIZE_LIMIT = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 10.0


class PeerUnreachableError(Exception):
    """The other provider could not be reached, or hung up; it may work later."""


class PeerRefusedError(Exception):
    """The other provider said no for good."""


class PeerLink:
    """One connection to another provider's relay port, kept open between letters."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self._host = host
        self._port = port
        self._lock = asyncio.Lock()
        self._client: aiosmtplib.SMTP | None = None

    async def send(self, sender_domain: str, recipient: str, content: bytes) -> None:
        """Hand over an envelope. Raises ``PeerUnreachableError`` or ``PeerRefusedError``."""
        async with self._lock:
            try:
                client = await self._connected(sender_domain)
                await client.sendmail(f"kephs@{sender_domain}", [recipient], content)
            except aiosmtplib.SMTPResponseException as exc:
                if exc.code >= 500:
                    raise PeerRefusedError(exc.message) from exc
                raise PeerUnreachableError(exc.message) from exc
            except (aiosmtplib.SMTPException, OSError) as exc:
                await self._drop()
                raise PeerUnreachableError(str(exc)) from exc

    async def aclose(self) -> None:
        """Say goodbye."""
        async with self._lock:
            await self._drop()

    async def _connected(self, sender_domain: str) -> aiosmtplib.SMTP:
        if self._client is None or not self._client.is_connected:
            self._client = aiosmtplib.SMTP(
                hostname=self._host, port=self._port, local_hostname=sender_domain,
                use_tls=False, start_tls=False, timeout=_TIMEOUT_SECONDS,
            )  # fmt: skip
            await self._client.connect()
        return self._client

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                client.close()


class RelaySession:
    """aiosmtpd's hooks for the relay port: whoever comes may deliver, the envelope's signature decides."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Take one envelope; 250 once it is stored."""
        content = envelope.content
        assert isinstance(content, bytes)
        try:
            self._receive(content)
        except MailRejectedError as exc:
            return f"554 5.6.0 {exc}"
        return "250 2.0.0 taken in"


def relay_protocol(receive: Callable[[bytes], None], hostname: str, live: set[TrackedSmtp]) -> TrackedSmtp:
    """A server-side connection of the relay port."""
    return TrackedSmtp(
        RelaySession(receive),
        live=live,
        data_size_limit=RELAY_SIZE_LIMIT,
        hostname=hostname,
        ident="KEPHS relay (sandbox)",
        loop=asyncio.get_running_loop(),
    )
