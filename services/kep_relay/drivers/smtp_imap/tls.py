"""TLS towards providers: always verified; there is no switch to turn that off (kep.md 7.24)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection

from shared.contracts.mailboxes import ServerAddress
from shared.errors import DomainError, ErrorCode

_LEGACY_CIPHERS = "DEFAULT:@SECLEVEL=1"
_LEGACY_SERVER_CONNECT = 0x4
"""OpenSSL's SSL_OP_LEGACY_SERVER_CONNECT, which Python 3.11 has no name for."""


async def client_context(address: ServerAddress, legacy: Collection[str] = ()) -> ssl.SSLContext:
    """A context that trusts ``address.ca_file`` alone, or the system's authorities when there is none.

    Built anew for every connection, so a replaced bundle counts at once. ``legacy``: endpoints (``host:port``)
    that get the profile for old servers (kep.md 7.25): ciphers without forward secrecy, keys of 80 bits and
    servers without secure renegotiation are taken; still TLS 1.2 at least, and the certificate is verified all
    the same. Raises MAILBOX_NOT_READY when the bundle cannot be used.
    """
    return await asyncio.to_thread(_context, address.ca_file, f"{address.host}:{address.port}".lower() in legacy)


def _context(ca_file: str | None, legacy: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise DomainError(
            ErrorCode.MAILBOX_NOT_READY, f"the file of trusted authorities cannot be used ({type(error).__name__})"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if legacy:
        context.set_ciphers(_LEGACY_CIPHERS)
        context.options |= _LEGACY_SERVER_CONNECT
    return context
