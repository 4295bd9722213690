"""Takes a ``multipart/related`` answer apart while it arrives, each part into its own spool (kep.md 2.1, 6.8)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from typing import IO

from services.kep_relay.drivers.eyws.answer import spool
from services.kep_relay.drivers.eyws.failures import MalformedError, TruncatedError

_MOST_PARTS = 64
_MOST_HEADERS = 16 * 1024
_AS_IT_IS = {"", "binary", "8bit", "7bit"}


@dataclass
class Part:
    """One part, complete."""

    content_id: str
    """Without angle brackets."""
    content: IO[bytes] = field(repr=False)


class RelatedReader:
    """Feed it the body as it comes; ``close`` gives the parts. Raises ``TruncatedError`` and ``MalformedError``.

    The CRLF before a boundary belongs to the boundary; a body whose closing boundary is missing is cut off.
    """

    def __init__(self, content_type: str) -> None:
        kind = Message()
        kind["Content-Type"] = content_type
        boundary = kind.get_param("boundary")
        if not isinstance(boundary, str) or not 0 < len(boundary) <= 70 or not boundary.isascii():
            raise MalformedError("the answer of several parts names no boundary")
        start = kind.get_param("start")
        self._root = start.strip().strip("<>") if isinstance(start, str) else None
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._buffer = bytearray(b"\r\n")
        self._in_preamble = True
        self._headers: Message | None = None
        self._content: IO[bytes] | None = None
        self._ended = self._fresh = False
        self.parts: list[Part] = []

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        if self._ended:
            return
        self._buffer += piece
        while not self._ended and self._step():
            pass

    def close(self) -> tuple[IO[bytes], dict[str, IO[bytes]]]:
        """The XML, and the other parts by Content-ID."""
        if not self._ended:
            raise TruncatedError("the answer of several parts ends before its last boundary")
        if not self.parts:
            raise MalformedError("the answer of several parts has none")
        root = next((part for part in self.parts if part.content_id == self._root), self.parts[0])
        return root.content, {part.content_id: part.content for part in self.parts if part is not root}

    def discard(self) -> None:
        """Give back what was spooled."""
        for part in self.parts:
            part.content.close()
        if self._content is not None:
            self._content.close()

    def _step(self) -> bool:
        """Use up some of the buffer; False when more bytes are needed first."""
        if self._headers is None and not self._in_preamble:
            return self._read_headers()
        if self._fresh and not self._begin_content():
            return False
        at = self._buffer.find(self._delimiter)
        if at < 0:
            self._take(max(0, len(self._buffer) - len(self._delimiter) - 2))
            return False
        behind = at + len(self._delimiter)
        if len(self._buffer) < behind + 2:
            return False
        following = bytes(self._buffer[behind : behind + 2])
        if following not in {b"\r\n", b"--"} and not following.startswith((b" ", b"\t")):
            self._take(behind)  # a longer word that merely begins like the boundary
            return True
        line_end = self._buffer.find(b"\r\n", behind)
        if line_end < 0 and following != b"--":
            if len(self._buffer) > behind + _MOST_HEADERS:
                raise MalformedError("a boundary of the answer has no end")
            return False
        self._take(at)
        self._finish_part()
        if following == b"--":
            self._ended = True
            return False
        del self._buffer[: line_end + 2 - at]
        self._in_preamble = False
        return True

    def _read_headers(self) -> bool:
        end = 0 if self._buffer.startswith(b"\r\n") else self._buffer.find(b"\r\n\r\n")
        if end < 0 or len(self._buffer) < 2:
            if len(self._buffer) > _MOST_HEADERS:
                raise MalformedError("a part of the answer has too many headers")
            return False
        if len(self.parts) >= _MOST_PARTS:
            raise MalformedError("the answer has too many parts")
        self._headers = BytesHeaderParser().parsebytes(bytes(self._buffer[:end]))
        del self._buffer[: end + (4 if end else 2)]
        self._content, self._fresh = spool(), True
        return True

    def _begin_content(self) -> bool:
        """Some leave out the CRLF of the boundary behind a part without content."""
        boundary = self._delimiter[2:]
        if len(self._buffer) < len(boundary) and boundary.startswith(self._buffer):
            return False
        if self._buffer.startswith(boundary):
            self._buffer[:0] = b"\r\n"
        self._fresh = False
        return True

    def _take(self, count: int) -> None:
        if count and self._content is not None:
            self._content.write(self._buffer[:count])
        del self._buffer[:count]

    def _finish_part(self) -> None:
        if self._content is None or self._headers is None:
            return
        content = self._content
        encoding = str(self._headers.get("Content-Transfer-Encoding", "")).strip().lower()
        if encoding == "base64":
            content = _decoded(content)
        elif encoding not in _AS_IT_IS:
            raise MalformedError("a part of the answer is encoded in an unknown way")
        content.seek(0)
        self.parts.append(Part(str(self._headers.get("Content-ID", "")).strip().strip("<>"), content))
        self._content = self._headers = None


def _decoded(source: IO[bytes]) -> IO[bytes]:
    target, held = spool(), b""
    source.seek(0)
    try:
        while piece := source.read(64 * 1024):
            held += b"".join(piece.split())
            ready = len(held) - len(held) % 4
            target.write(base64.b64decode(held[:ready], validate=True))
            held = held[ready:]
    except binascii.Error as error:
        target.close()
        raise MalformedError("a part of the answer is not base64") from error
    finally:
        source.close()
    if held:
        target.close()
        raise TruncatedError("a part of the answer ends too early")
    return target
