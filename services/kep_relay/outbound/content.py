"""The part of a KEP message that is signed: a text and the package (RFC 8551, 3.5; kep.md 2.6 and 5).

It follows from the package's bytes and its file name alone, so that it can be signed before anybody knows when, by
which Message-ID and to whom the message goes. The package is read once and never held whole in memory.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from email.quoprimime import body_encode

from services.kep_relay.outbound import wire
from shared.contracts.outbound import LONGEST_DOCUMENT_ID, LetterConfidentiality, LetterEncryption

CRLF = "\r\n"
_BASE64_LINE = 57
_LONGEST_STEM = 100
_UNSAFE_IN_FILENAME = re.compile(r"[^A-Za-z0-9._-]+")
_BODY = body_encode(wire.BODY.encode().decode("latin-1"), eol=CRLF)
_TEXT_ONLY = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]


def package_filename(document_id: str | None, given: str, *, fallback: str) -> str:
    """``{document id}.eyp``, with the extension of the given name if that is one of a package."""
    extension = next((known for known in wire.PACKAGE_EXTENSIONS if given.lower().endswith(known)), ".eyp")
    stem = _UNSAFE_IN_FILENAME.sub("-", (document_id or "")[:LONGEST_DOCUMENT_ID]).strip("-.")[:_LONGEST_STEM]
    return f"{stem or fallback}{extension}"


def letter_filename(
    document_id: str | None, confidentiality: LetterConfidentiality | None, given: str, package_sha256: str
) -> str:
    """The package's name in the message; around one that the gateway encrypted, providers do not read the document's id."""
    hidden = confidentiality is not None and confidentiality.encryption is LetterEncryption.GATEWAY
    return package_filename(None if hidden else document_id, given, fallback=package_sha256[:32])


async def signed_part(filename: str | None, package: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The part the signature covers, from its first header to its last CRLF.

    ``filename``: see ``letter_filename``. None: what is carried is no package but a text in UTF-8.
    """
    # Cannot occur in the content: every line there is base64 or our own text, and neither starts with ``--=_``.
    boundary = f"=_content_{hashlib.sha256((filename or '').encode()).hexdigest()[:32]}"
    lines = [
        "Content-Type: multipart/mixed;",
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        *(_TEXT_ONLY if filename is None else _with_package(filename, boundary)),
        "",
        "",
    ]
    yield CRLF.join(lines).encode("ascii")
    async for chunk in _base64_lines(package):
        yield chunk
    yield f"--{boundary}--{CRLF}".encode("ascii")


def size_limit(package_bytes: int) -> int:
    """An upper bound for the size of a message with a package of so many bytes."""
    return package_bytes * 78 // _BASE64_LINE + 512 * 1024


def base64_lines(content: bytes) -> bytes:
    """RFC 2045, 6.8: lines of 76 characters, each with its CRLF."""
    return b"".join(
        binascii.b2a_base64(content[start : start + _BASE64_LINE], newline=False) + b"\r\n"
        for start in range(0, len(content), _BASE64_LINE)
    )


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


async def _base64_lines(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    held = b""
    async for chunk in content:
        held += chunk
        whole = len(held) - len(held) % _BASE64_LINE
        if whole:
            yield base64_lines(held[:whole])
            held = held[whole:]
    if held:
        yield base64_lines(held)
