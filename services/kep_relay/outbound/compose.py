"""Builds the KEP message of one recipient: RFC 5322, signed as RFC 8551 says (kep.md 2.6 and 5).

The bytes depend on the arguments alone. The package is read once and never held whole in memory:
the part that is signed is spooled, signed, and then written behind the headers.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import re
import tempfile
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.quoprimime import body_encode
from email.utils import format_datetime
from typing import IO, TypeAlias

from services.kep_relay.outbound import wire
from shared.blobs import CHUNK, BlobRef, BlobStore
from shared.clock import ISTANBUL
from shared.domain.identifiers import KepAddress

MAX_SUBJECT = 200
_BASE64_LINE = 57
_PLAIN_SUBJECT = 66
_IN_MEMORY = 1024 * 1024
_UNSAFE_IN_FILENAME = re.compile(r"[^A-Za-z0-9._-]+")

Sign: TypeAlias = Callable[[AsyncIterable[bytes]], Awaitable[bytes]]
"""Detached CMS (DER) over exactly these bytes, with SHA-256."""


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
    """ASCII; see ``package_filename``. None: what is carried is no package but a text in UTF-8."""
    in_reply_to: str | None = None
    """Message-ID of the message that is answered, with angle brackets; visible ASCII, at most 900 characters."""


def package_filename(document_id: str | None, given: str, *, fallback: str) -> str:
    """``{document id}.eyp``, with the extension of the given name if that is one of a package."""
    extension = next((known for known in wire.PACKAGE_EXTENSIONS if given.lower().endswith(known)), ".eyp")
    stem = _UNSAFE_IN_FILENAME.sub("-", document_id or "").strip("-.")[:100]
    return f"{stem or fallback}{extension}"


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
        f' micalg=sha-256; boundary="{_boundary(letter, "signed")}"',
        "",
        f"--{_boundary(letter, 'signed')}",
        "",
    ]
    return CRLF.join(lines).encode("ascii")


async def signed_part(letter: Letter, package: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The part the signature covers, from its first header to its last CRLF."""
    boundary = _boundary(letter, "content")
    lines = [
        "Content-Type: multipart/mixed;",
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        *(_TEXT_ONLY if letter.filename is None else _with_package(letter.filename, boundary)),
        "",
        "",
    ]
    yield CRLF.join(lines).encode("ascii")
    async for chunk in _base64_lines(package):
        yield chunk
    yield f"--{boundary}--{CRLF}".encode("ascii")


def closing(letter: Letter, signature: bytes) -> bytes:
    """What follows the signed part: its boundary (with the CRLF that belongs to it), the signature, the end."""
    boundary = _boundary(letter, "signed")
    top = [
        "",
        f"--{boundary}",
        'Content-Type: application/x-pkcs7-signature; name="smime.p7s"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7s"',
        "",
        "",
    ]
    return CRLF.join(top).encode("ascii") + _lines(signature) + f"--{boundary}--{CRLF}".encode("ascii")


async def compose(
    letter: Letter, package: AsyncIterable[bytes], *, sign: Sign, blobs: BlobStore, limit: int
) -> BlobRef:
    """Compose, sign and store the message; returns the stored bytes' digest and size.

    Raises ``DomainError``: whatever ``sign`` and the store raise, TOO_LARGE beyond ``limit`` bytes.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        async for chunk in signed_part(letter, package):
            await asyncio.to_thread(spool.write, chunk)
        signature = await sign(_read(spool))
        return await blobs.put(_joined(headers(letter), _read(spool), closing(letter, signature)), limit=limit)


def size_limit(package_bytes: int) -> int:
    """An upper bound for the size of a message with a package of so many bytes."""
    return package_bytes * 78 // _BASE64_LINE + 256 * 1024


CRLF = "\r\n"
_BODY = body_encode(wire.BODY.encode().decode("latin-1"), eol=CRLF)
_TEXT_ONLY = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]


def _with_package(filename: str, boundary: str) -> list[str]:
    return [
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        f"{_BODY}--{boundary}",
        f"Content-Type: {wire.PACKAGE_MEDIA_TYPE};",
        f' name="{filename}"',
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{filename}"',
    ]


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


def _boundary(letter: Letter, which: str) -> str:
    """Cannot occur in the content: every line there is base64 or our own text, and neither starts with ``--=_``."""
    digest = hashlib.sha256(f"{which}:{letter.message_id_header}".encode()).hexdigest()
    return f"=_{which}_{digest[:32]}"


def _lines(content: bytes) -> bytes:
    return b"".join(
        binascii.b2a_base64(content[start : start + _BASE64_LINE], newline=False) + b"\r\n"
        for start in range(0, len(content), _BASE64_LINE)
    )


async def _base64_lines(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    held = b""
    async for chunk in content:
        held += chunk
        whole = len(held) - len(held) % _BASE64_LINE
        if whole:
            yield _lines(held[:whole])
            held = held[whole:]
    if held:
        yield _lines(held)


async def _read(spool: IO[bytes]) -> AsyncIterator[bytes]:
    await asyncio.to_thread(spool.seek, 0)
    while chunk := await asyncio.to_thread(spool.read, CHUNK):
        yield chunk


async def _joined(top: bytes, middle: AsyncIterable[bytes], end: bytes) -> AsyncIterator[bytes]:
    yield top
    async for chunk in middle:
        yield chunk
    yield end
