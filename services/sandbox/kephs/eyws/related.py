"""``multipart/related`` with XOP (MTOM): taking a request apart by its bytes, putting an answer together."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from urllib.parse import unquote

ROOT = "0.root@sandbox.invalid"
_MOST_PARTS = 1000
_LARGEST_HEAD = 16 * 1024


class BrokenMultipartError(ValueError):
    """The body is not what its Content-Type says."""


@dataclass(frozen=True)
class Attachment:
    """One binary part of an answer: its Content-ID without brackets, its media type and bytes."""

    content_id: str
    media_type: str
    content: bytes


def media_type_of(content_type: str) -> Message:
    """The header parsed: ``get_content_type``, ``get_param`` and ``get_boundary``."""
    header = Message()
    header["Content-Type"] = content_type
    return header


def take_apart(body: bytes, header: Message) -> tuple[bytes, Mapping[str, bytes]]:
    """The root part, and the others by Content-ID. The line break before a boundary is not content (RFC 2046 5.1.1).

    Raises ``BrokenMultipartError`` when there is no boundary, the last one is missing, or there are too many parts.
    """
    boundary = header.get_boundary()
    if not boundary:
        raise BrokenMultipartError("multipart/related without a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("ascii", "replace"), _MOST_PARTS + 2)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BrokenMultipartError("the closing boundary is missing")
    parts: dict[str, bytes] = {}
    first = ""
    for number, piece in enumerate(pieces[1:-1]):
        head, gap, content = piece.partition(b"\r\n\r\n")
        if not gap or len(head) > _LARGEST_HEAD:
            raise BrokenMultipartError("a part has no headers, or too many")
        fields = BytesHeaderParser().parsebytes(head.lstrip() + b"\r\n\r\n")
        if str(fields.get("Content-Transfer-Encoding", "binary")).strip().lower() not in {"binary", "8bit", "7bit"}:
            raise BrokenMultipartError("a part is not in a binary transfer encoding")
        content_id = str(fields.get("Content-ID", f"part-{number}")).strip().strip("<>")
        first = first or content_id
        parts[content_id] = content
    start = str(header.get_param("start") or "").strip().strip("<>") or first
    if start not in parts:
        raise BrokenMultipartError("the root part is missing")
    return parts.pop(start), parts


def referenced(parts: Mapping[str, bytes], reference: str) -> bytes | None:
    """The part that ``cid:`` points at (RFC 2392); None if there is none."""
    if not reference.startswith("cid:"):
        return None
    return parts.get(unquote(reference[4:]), parts.get(reference[4:]))


def put_together(root: bytes, attachments: Sequence[Attachment]) -> tuple[str, bytes]:
    """Content-Type and body of an answer whose binaries stand beside the XML."""
    boundary = f"MIMEBoundary{secrets.token_hex(16)}"
    pieces = [_part('application/xop+xml; charset=utf-8; type="text/xml"', ROOT, root)]
    pieces += [_part(one.media_type, one.content_id, one.content) for one in attachments]
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + piece + b"\r\n" for piece in pieces)
    content_type = (
        f'multipart/related; boundary={boundary}; type="application/xop+xml"; start="<{ROOT}>"; start-info="text/xml"'
    )
    return content_type, body + b"--" + boundary.encode() + b"--\r\n"


def _part(media_type: str, content_id: str, content: bytes) -> bytes:
    head = f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
    return head.encode() + content
