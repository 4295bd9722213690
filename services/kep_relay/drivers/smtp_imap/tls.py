"""TLS towards providers: always verified; there is no switch to turn that off (kep.md 7.24)."""

from __future__ import annotations

import asyncio
import ssl

from shared.contracts.mailboxes import ServerAddress
from shared.errors import DomainError, ErrorCode


async def client_context(address: ServerAddress) -> ssl.SSLContext:
    """A context that trusts ``address.ca_file`` alone, or the system's authorities when there is none.

    Built anew for every connection, so a replaced bundle counts at once. Raises
    MAILBOX_NOT_READY when the bundle cannot be used.
    """
    return await asyncio.to_thread(_context, address.ca_file)


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise DomainError(
            ErrorCode.MAILBOX_NOT_READY, f"the file of trusted authorities cannot be used ({type(error).__name__})"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
