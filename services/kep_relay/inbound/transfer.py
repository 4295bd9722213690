"""A part's bytes without their transfer encoding, piece by piece: a package of 20 MB is never held whole.

Nothing here raises for bad content: what is damaged is decoded as far as it goes, and named.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PIECE = 256 * 1024
_LONGEST_LINE = 1024 * 1024
DAMAGED = "transfer-encoding-damaged"
UNKNOWN = "transfer-encoding-unknown"
_WHITESPACE = b" \t\n\r\x0b\x0c"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")

_Decoder = Callable[[memoryview], Iterator[bytes]]


@dataclass(frozen=True)
class Content:
    """The content of one part; decoded anew each time it is asked for."""

    body: memoryview
    defect: str | None
    """What was wrong with the encoding: ``DAMAGED``, ``UNKNOWN`` or None."""
    decode: _Decoder

    def pieces(self) -> Iterator[bytes]:
        """The content in order, in pieces of a bounded size."""
        return self.decode(self.body)

    def read(self) -> bytes:
        """All of it at once."""
        return b"".join(self.pieces())

    def starts_with(self, mark: bytes) -> bool:
        """Whether the content begins with ``mark``, which must be short."""
        return next((piece for piece in self.pieces() if piece), b"").startswith(mark)


def plain(body: memoryview) -> Content:
    """Content that is not encoded."""
    return Content(body, None, _as_it_is)


def decoded(body: memoryview, encoding: str) -> Content:
    """What ``body`` holds; ``encoding`` is the word of its Content-Transfer-Encoding in lower case."""
    if encoding == "base64":
        return Content(body, None, _strict_base64) if _is_strict_base64(body) else Content(body, DAMAGED, _any_base64)
    if encoding == "quoted-printable":
        return Content(body, None, _quoted_printable)
    return Content(body, None if encoding in {"7bit", "8bit", "binary"} else UNKNOWN, _as_it_is)


def _as_it_is(body: memoryview) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield bytes(body[start : start + PIECE])


def _quoted_printable(body: memoryview) -> Iterator[bytes]:
    """Cut behind line ends, over which no escape reaches; inside a line only if it is endless."""
    held = b""
    for piece in _as_it_is(body):
        held += piece
        end = held.rfind(b"\n") + 1
        if not end and len(held) > _LONGEST_LINE:
            escape = held.rfind(b"=", len(held) - 2)
            end = len(held) if escape < 0 else escape
        yield binascii.a2b_qp(held[:end])
        held = held[end:]
    yield binascii.a2b_qp(held)


def _is_strict_base64(body: memoryview) -> bool:
    try:
        for _ in _strict_base64(body):
            pass
    except binascii.Error:
        return False
    return True


def _strict_base64(body: memoryview) -> Iterator[bytes]:
    """As RFC 4648 wants it, except for white space. Raises ``binascii.Error``."""
    held, padded = b"", False
    for piece in _as_it_is(body):
        held += piece.translate(None, _WHITESPACE)
        if held and padded:
            raise binascii.Error("something stands behind the padding")
        whole = len(held) - len(held) % 4
        yield binascii.a2b_base64(held[:whole], strict_mode=True)
        padded = padded or held[:whole].endswith(b"=")
        held = held[whole:]
        if held and padded:
            raise binascii.Error("something stands behind the padding")
    if held:
        raise binascii.Error("the last group is incomplete")


def _any_base64(body: memoryview) -> Iterator[bytes]:
    """Whatever of the alphabet stands before the first padding."""
    held = b""
    for piece in _as_it_is(body):
        text, padding, _rest = piece.partition(b"=")
        held += _NOT_BASE64.sub(b"", text)
        whole = len(held) - len(held) % 4
        yield binascii.a2b_base64(held[:whole])
        held = held[whole:]
        if padding:
            break
    if len(held) > 1:  # a single character holds no whole byte
        yield binascii.a2b_base64(held + b"=" * (4 - len(held)))
