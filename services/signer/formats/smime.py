"""Signed mail (RFC 8551): the signed part is cut out of the raw message, byte for byte.

No e-mail parser keeps the bytes, so headers are only looked at for their Content-Type and the
body is sliced here. The line break before a boundary belongs to the boundary (RFC 2046, 5.1.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

from services.signer.certificates import Certificate
from services.signer.facts import BytesContent, Content, SignatureFacts
from services.signer.findings import CheckFailed, Step, warned
from services.signer.formats.cades import read_cades
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import SubIndication

SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
OPAQUE_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = 1024 * 1024
_LINE_FEED, _CARRIAGE_RETURN = 0x0A, 0x0D
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_LOOKALIKES = 10_000
"""Lines that start like a delimiter; a nested boundary may begin with the outer one."""


class NoSignature(Exception):  # noqa: N818 - an outcome, not a fault
    """The file is sound but carries no signature at all."""


@dataclass(frozen=True)
class SignedMail:
    """The two halves of a signed message; ``content`` is None when it is inside the CMS."""

    content: memoryview | None
    cms: bytes


class CrlfContent:
    """The same content with every line ended by CRLF, for mail that was stored with bare LF."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._digests: dict[str, bytes] = {}

    def digest(self, algorithm: str) -> bytes:
        """Digest of the normalised bytes; they are never held as a whole."""
        if algorithm not in self._digests:
            hashed = hashlib.new(algorithm)
            for chunk in self._chunks():
                hashed.update(chunk)
            self._digests[algorithm] = hashed.digest()
        return self._digests[algorithm]

    def _chunks(self) -> Iterator[bytes]:
        position, size = 0, len(self._data)
        while position < size:
            end = min(position + _CHUNK, size)
            if end < size and self._data[end - 1] == 0x0D:
                end += 1
            yield re.sub(rb"\r\n|\n|\r", b"\r\n", self._data[position:end])
            position = end


def read_smime(
    message: bytes, expected: Content | None, limits: Limits, *, known: Sequence[Certificate] = ()
) -> SignatureFacts:
    """Facts about a signed message.

    ``expected``, when given, must be the very content that was signed. Raises ``CheckFailed``
    (FORMAT_FAILURE) and ``NoSignature``.
    """
    mail = split(message, limits)
    if mail.content is None:
        candidates: list[Content] = [] if expected is None else [expected]
        return read_cades(mail.cms, candidates, limits, known=known, signature_format=SignatureFormat.SMIME)
    as_sent, normalised = BytesContent(mail.content), CrlfContent(mail.content)
    if expected is not None and expected.digest("sha256") not in {
        as_sent.digest("sha256"),
        normalised.digest("sha256"),
    }:
        raise CheckFailed(SubIndication.HASH_FAILURE, say("content.other"))
    facts = read_cades(mail.cms, (as_sent, normalised), limits, known=known, signature_format=SignatureFormat.SMIME)
    if facts.attached_content is not None:
        raise malformed("signature of multipart/signed carries its own content")
    if facts.content_sha256 not in {None, as_sent.digest("sha256").hex()}:
        return facts.with_finding(warned(Step.CONTENT, say("content.line-ends"), rule="line-ends"))
    return facts


def split(message: bytes, limits: Limits) -> SignedMail:
    """Find the signed bytes and the CMS in a raw message; raises ``CheckFailed`` and ``NoSignature``."""
    view = memoryview(message)
    headers, body_start = _headers(view, limits)
    _bound_content_type(headers, limits)
    kind = headers.get_content_type()
    if kind in OPAQUE_TYPES:
        if str(headers.get_param("smime-type") or "signed-data").lower() != "signed-data":
            raise NoSignature
        return SignedMail(None, _decoded(headers, view[body_start:], limits))
    if kind != "multipart/signed":
        raise NoSignature
    boundary = headers.get_boundary()
    if not boundary or len(boundary) > 200:
        raise malformed("multipart/signed without a boundary")
    parts = _parts(message, body_start, boundary.encode("utf-8", "surrogateescape"))
    if len(parts) != 2:
        raise malformed(f"multipart/signed with {len(parts)} parts")
    signature_headers, start = _headers(parts[1], limits)
    _bound_content_type(signature_headers, limits)
    if signature_headers.get_content_type() not in SIGNATURE_TYPES:
        raise malformed("second part of multipart/signed is not a CMS signature")
    return SignedMail(parts[0], _decoded(signature_headers, parts[1][start:], limits))


def _headers(part: memoryview, limits: Limits) -> tuple[Message, int]:
    """The parsed headers of a message or part, and where its body starts."""
    head = bytes(part[: limits.mail_header_bytes])
    if head.startswith((b"\r\n", b"\n")):
        return Message(), 2 if head.startswith(b"\r\n") else 1
    end = _HEADER_END.search(head)
    if end is None:
        if len(part) > limits.mail_header_bytes:
            raise too_much("header bytes", limits.mail_header_bytes)
        raise malformed("headers without a body")
    try:
        return BytesHeaderParser(policy=compat32).parsebytes(head[: end.start()] + b"\r\n\r\n"), end.end()
    except (ValueError, TypeError, IndexError, LookupError, AttributeError, RecursionError) as error:
        raise malformed("unreadable mail headers") from error


def _bound_content_type(headers: Message, limits: Limits) -> None:
    """The library's parameter parser takes quadratic time: a long header would cost minutes."""
    values = headers.get_all("content-type", [])
    if sum(len(str(value)) for value in values) > limits.content_type_characters:
        raise too_much("Content-Type characters", limits.content_type_characters)


def _parts(message: bytes, body_start: int, boundary: bytes) -> list[memoryview]:
    """The parts between the delimiters, without the line break that belongs to each delimiter."""
    view = memoryview(message)
    delimiter = b"--" + boundary
    parts: list[memoryview] = []
    start: int | None = None
    # The line break before the body may open the first delimiter, the end of one the next.
    position = body_start - 1
    for _ in range(_LOOKALIKES):
        found = message.find(b"\n" + delimiter, position)
        if found < 0:
            raise malformed("multipart/signed without its closing boundary")
        end = _DELIMITER_END.match(message, found + 1 + len(delimiter))
        if end is None:
            position = found + 1
            continue
        if start is not None:
            stop = found - 1 if found > start and message[found - 1] == _CARRIAGE_RETURN else found
            parts.append(view[start : max(start, stop)])
        if end.group(1) or len(parts) > 2:
            return parts
        start = end.end()
        position = start - 1 if message[start - 1] == _LINE_FEED else start
    raise too_much("lines that look like a boundary", _LOOKALIKES)


def _decoded(headers: Message, body: memoryview, limits: Limits) -> bytes:
    if len(body) > limits.asn1_bytes * 3 // 2:
        raise too_much("bytes", limits.asn1_bytes)
    encoding = str(headers.get("content-transfer-encoding", "7bit")).strip().lower()
    data = bytes(body)
    try:
        if encoding == "base64":
            return base64.b64decode(re.sub(rb"[\s]+", b"", data), validate=True)
        if encoding == "quoted-printable":
            return quopri.decodestring(data)
    except (binascii.Error, ValueError) as error:
        raise malformed("signature part is not valid base64") from error
    return data
