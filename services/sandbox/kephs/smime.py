"""Multipart mail as raw bytes: cutting it apart without changing a byte, and ``multipart/signed`` (RFC 8551)."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.header import Header, decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

from services.sandbox.kephs.cms import CmsRejectedError, verify_detached

CRLF = b"\r\n"
_SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_SIZE_LIMIT_OF_HEADERS = 256 * 1024


class MailRejectedError(ValueError):
    """A mail is not built the way it must be; the text says how."""


@dataclass(frozen=True)
class Entity:
    """A MIME entity: its parsed headers and the bytes of its body, as they came."""

    headers: Message
    body: bytes

    @property
    def content_type(self) -> str:
        """Media type in lower case, ``text/plain`` where none is given."""
        return self.headers.get_content_type()

    def text(self, name: str) -> str:
        """The header ``name`` decoded (RFC 2047), or an empty string."""
        value = self.headers.get(name)
        if value is None:
            return ""
        try:
            return str(make_header(decode_header(str(value)))).strip()
        except (LookupError, UnicodeError, ValueError):
            return str(value).strip()

    def addresses(self, name: str) -> list[str]:
        """The bare addresses of all headers called ``name``."""
        return [address for _, address in getaddresses([str(value) for value in self.headers.get_all(name, [])])]

    def decoded(self) -> bytes:
        """The body without its transfer encoding (base64, or none). Raises ``MailRejectedError``."""
        encoding = str(self.headers.get("Content-Transfer-Encoding", "7bit")).strip().lower()
        if encoding == "base64":
            try:
                return base64.b64decode(self.body, validate=False)
            except (binascii.Error, ValueError) as exc:
                raise MailRejectedError("broken base64") from exc
        if encoding in {"7bit", "8bit", "binary"}:
            return self.body
        raise MailRejectedError(f"transfer encoding {encoding} is not accepted here")


@dataclass(frozen=True)
class SignedMail:
    """A ``multipart/signed`` mail: its own headers, the exact signed bytes and the signature as DER."""

    headers: Entity
    content: bytes
    signature: bytes


def parse_entity(raw: bytes) -> Entity:
    """Cut ``raw`` at its first empty line. Raises ``MailRejectedError`` if the headers are oversized."""
    if raw.startswith(CRLF):
        head, body = b"", raw[2:]
    else:
        end = raw.find(CRLF + CRLF)
        head, body = (raw, b"") if end < 0 else (raw[: end + 2], raw[end + 4 :])
    if len(head) > _SIZE_LIMIT_OF_HEADERS:
        raise MailRejectedError("the headers are too large")
    return Entity(BytesHeaderParser().parsebytes(head), body)


def split_parts(entity: Entity) -> list[bytes]:
    """The raw parts of a multipart entity; the line break before a boundary belongs to the boundary (RFC 2046 5.1.1).

    Raises ``MailRejectedError`` if there is no boundary or the last one is missing.
    """
    boundary = entity.headers.get_boundary()
    if entity.headers.get_content_maintype() != "multipart" or not boundary:
        raise MailRejectedError("not a multipart entity")
    delimiter = b"--" + boundary.encode("ascii", "replace")
    parts: list[bytes] = []
    start: int | None = None
    position = entity.body.find(delimiter)
    while position >= 0:
        line_end = entity.body.find(CRLF, position)
        line = entity.body[position : line_end if line_end >= 0 else None]
        rest = line.removeprefix(delimiter).rstrip(b" \t")
        if rest in {b"", b"--"} and (position == 0 or entity.body[position - 2 : position] == CRLF):
            if start is not None:
                parts.append(entity.body[start : max(start, position - 2)])
            if rest:
                return parts
            start = position + len(line) + 2
        position = entity.body.find(delimiter, position + len(delimiter))
    raise MailRejectedError("the closing boundary is missing")


def parse_signed(raw: bytes) -> SignedMail:
    """Take a ``multipart/signed`` mail apart. Raises ``MailRejectedError``."""
    outer = parse_entity(raw)
    if outer.content_type != "multipart/signed":
        raise MailRejectedError("the message is not multipart/signed")
    parts = split_parts(outer)
    if len(parts) != 2:
        raise MailRejectedError("multipart/signed has exactly two parts")
    signature = parse_entity(parts[1])
    if signature.content_type not in _SIGNATURE_TYPES:
        raise MailRejectedError("the second part is not a PKCS #7 signature")
    return SignedMail(outer, parts[0], signature.decoded())


def signature_fault(mail: SignedMail) -> str | None:
    """What is wrong with the signature over the mail's content, or None when it holds."""
    try:
        verify_detached(mail.content, mail.signature)
    except CmsRejectedError as exc:
        return str(exc)
    return None


def compose_headers(fields: Sequence[tuple[str, str]]) -> bytes:
    """Header lines; a value outside ASCII becomes an RFC 2047 word."""
    lines = []
    for name, value in fields:
        clean = " ".join(value.split())
        encoded = clean if clean.isascii() else Header(clean, "utf-8", header_name=name, maxlinelen=76).encode()
        lines.append(f"{name}: {encoded}".replace("\n", "\r\n").replace("\r\r\n", "\r\n").encode("ascii"))
    return b"".join(line + CRLF for line in lines)


def compose_part(fields: Sequence[tuple[str, str]], body: bytes, *, encode: bool = True) -> bytes:
    """One part: base64 in lines of 76, or with ``encode`` off the body's own bytes."""
    if encode:
        fields = [*fields, ("Content-Transfer-Encoding", "base64")]
        body = base64.encodebytes(body).replace(b"\n", CRLF).removesuffix(CRLF)
    return compose_headers(fields) + CRLF + body


def compose_multipart(subtype: str, parts: Sequence[bytes], parameters: str = "") -> tuple[str, bytes]:
    """Return the Content-Type value and the body of a multipart entity over ``parts``."""
    boundary = f"=_{secrets.token_hex(16)}"
    body = b"".join(b"--" + boundary.encode() + CRLF + part + CRLF for part in parts)
    return f'multipart/{subtype}; {parameters}boundary="{boundary}"', body + b"--" + boundary.encode() + b"--" + CRLF


def compose_signed(fields: Sequence[tuple[str, str]], content: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A whole ``multipart/signed`` mail with the headers ``fields`` over the entity ``content``."""
    signature = compose_part(
        [
            ("Content-Type", 'application/pkcs7-signature; name="smime.p7s"'),
            ("Content-Disposition", 'attachment; filename="smime.p7s"'),
        ],
        sign(content),
    )
    content_type, body = compose_multipart(
        "signed", [content, signature], 'protocol="application/pkcs7-signature"; micalg=sha-256; '
    )
    return compose_headers([*fields, ("MIME-Version", "1.0"), ("Content-Type", content_type)]) + CRLF + body
