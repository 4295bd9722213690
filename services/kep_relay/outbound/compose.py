"""Builds the KEP message of one recipient: RFC 5322, signed as RFC 8551 says (kep.md 2.6 and 5).

The bytes depend on the arguments alone. The package is read once and never held whole in memory:
the part that is signed (``content``) is spooled, signed, and then written behind the headers.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import TypeAlias

from services.kep_relay.outbound import wire
from services.kep_relay.outbound.content import CRLF, base64_lines, signed_part
from shared.blobs import BlobRef, BlobStore
from shared.clock import ISTANBUL
from shared.domain.identifiers import KepAddress
from shared.files import pieces

MAX_SUBJECT = 200
_PLAIN_SUBJECT = 66
_IN_MEMORY = 1024 * 1024

Sign: TypeAlias = Callable[[AsyncIterable[bytes]], Awaitable[bytes]]
"""Detached CMS (DER) over exactly these bytes, with the digest that ``Letter.micalg`` names."""


@dataclass(frozen=True)
class Letter:
    """Everything that goes into the message besides the package's bytes and the signature."""

    sender: KepAddress
    recipient: KepAddress
    subject: str | None
    """None keeps the letter's own subject out of the headers, which the providers can read."""
    date: datetime
    message_id_header: str
    """With angle brackets."""
    rem_id: str
    filename: str | None
    """ASCII; see ``content.letter_filename``. None: what is carried is no package but a text in UTF-8."""
    micalg: str = "sha-256"
    """The digest the signature is made with, as RFC 8551, 3.5.3.2 spells it."""
    in_reply_to: str | None = None
    """Message-ID of the message that is answered, with angle brackets; visible ASCII, at most 900 characters."""


def printable_subject(subject: str) -> str:
    """One line without control, format or surrogate characters, at most ``MAX_SUBJECT`` characters."""
    visible = "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char for char in subject)
    return " ".join(visible.split())[:MAX_SUBJECT].rstrip()


def headers(letter: Letter) -> bytes:
    """The message's top: all headers, the empty line, and the line that opens the signed part."""
    subject = printable_subject(letter.subject or "") or wire.NEUTRAL_SUBJECT
    lines = [
        f"From: <{letter.sender}>",
        f"To: <{letter.recipient}>",
        f"Subject: {_encoded(subject)}",
        f"Date: {format_datetime(letter.date.astimezone(ISTANBUL))}",
        f"Message-ID: {letter.message_id_header}",
        "MIME-Version: 1.0",
        *_thread(letter),
        f"{wire.MESSAGE_TYPE_HEADER}: {_message_type(letter)}",
        f"{wire.MESSAGE_ID_HEADER}: {letter.rem_id}",
        'Content-Type: multipart/signed; protocol="application/x-pkcs7-signature";',
        f' micalg={letter.micalg}; boundary="{_boundary(letter)}"',
        "",
        f"--{_boundary(letter)}",
        "",
    ]
    return CRLF.join(lines).encode("ascii")


def closing(letter: Letter, signature: bytes) -> bytes:
    """What follows the signed part: its boundary (with the CRLF that belongs to it), the signature, the end."""
    boundary = _boundary(letter)
    top = [
        "",
        f"--{boundary}",
        'Content-Type: application/x-pkcs7-signature; name="smime.p7s"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7s"',
        "",
        "",
    ]
    return CRLF.join(top).encode("ascii") + base64_lines(signature) + f"--{boundary}--{CRLF}".encode("ascii")


async def compose(
    letter: Letter, package: AsyncIterable[bytes], *, sign: Sign, blobs: BlobStore, limit: int
) -> BlobRef:
    """Compose, sign and store the message; returns the stored bytes' digest and size.

    Raises ``DomainError``: whatever ``sign`` and the store raise, TOO_LARGE beyond ``limit`` bytes.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        async for chunk in signed_part(letter.filename, package):
            await asyncio.to_thread(spool.write, chunk)
        signature = await sign(pieces(spool))
        return await blobs.put(_joined(headers(letter), pieces(spool), closing(letter, signature)), limit=limit)


def _message_type(letter: Letter) -> str:
    return wire.MESSAGE_TYPE_STANDARD if letter.filename is None else wire.MESSAGE_TYPE_CORRESPONDENCE


def _thread(letter: Letter) -> list[str]:
    return (
        []
        if letter.in_reply_to is None
        else [f"{name}: {letter.in_reply_to}" for name in ("In-Reply-To", "References")]
    )


def _encoded(subject: str) -> str:
    """RFC 2047 unless it fits one line as it is."""
    if subject.isascii() and "=?" not in subject and len(subject) <= _PLAIN_SUBJECT:
        return subject
    return Header(subject, "utf-8", header_name="Subject", maxlinelen=76).encode(linesep=CRLF)


def _boundary(letter: Letter) -> str:
    """Cannot occur in the content: no line there starts with ``--=_s``."""
    digest = hashlib.sha256(f"signed:{letter.message_id_header}".encode()).hexdigest()
    return f"=_signed_{digest[:32]}"


async def _joined(top: bytes, middle: AsyncIterable[bytes], end: bytes) -> AsyncIterator[bytes]:
    yield top
    async for chunk in middle:
        yield chunk
    yield end
