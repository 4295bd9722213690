"""Answer bodies as bounded bytes: decompression with a limit, and telling a web page from an answer."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason

_STEP = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HTML_STARTS = (b"<!doctype html", b"<html")


class BodyDecoder:
    """Undoes the content encoding piece by piece; never makes more than 64 KiB at a time.

    Raises ``DirectoryCallError``: too-large past ``limit`` bytes, malformed for an unknown encoding
    or bad compressed bytes, truncated when they end too early.
    """

    def __init__(self, encoding: str, limit: int, operation: str) -> None:
        self._operation = operation
        self._limit = limit
        self._unpacker = zlib.decompressobj(wbits=31) if encoding in {"gzip", "x-gzip"} else None
        self.size = 0
        """Bytes given out so far."""
        if self._unpacker is None and encoding not in {"", "identity"}:
            raise self._malformed(f"unknown content encoding {encoding[:40]!r}")

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """Yield decoded pieces of ``raw``."""
        if self._unpacker is None:
            for start in range(0, len(raw), _STEP):
                yield self._counted(raw[start : start + _STEP])
            return
        while raw:
            if self._unpacker.eof:
                raise self._malformed("bytes follow the end of the compressed answer")
            try:
                piece = self._unpacker.decompress(raw, _STEP)
            except zlib.error as error:
                raise self._malformed("the compressed answer is damaged") from error
            raw = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if piece:
                yield self._counted(piece)

    def close(self) -> None:
        """Check that the compressed bytes came to their end."""
        if self._unpacker is not None and self.size and not self._unpacker.eof:
            raise DirectoryCallError(FailureReason.TRUNCATED, self._operation, "the compressed answer ends too early")

    def _counted(self, piece: bytes) -> bytes:
        self.size += len(piece)
        if self.size > self._limit:
            raise DirectoryCallError(
                FailureReason.TOO_LARGE, self._operation, f"the answer is larger than {self._limit} bytes"
            )
        return piece

    def _malformed(self, detail: str) -> DirectoryCallError:
        return DirectoryCallError(FailureReason.MALFORMED, self._operation, detail)


def is_web_page(content_type: str, start: bytes) -> bool:
    """Whether an answer that begins with ``start`` is HTML, or text of another kind, rather than SOAP."""
    if content_type.lower().startswith("text/html"):
        return True
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not text or _BYTE_ORDER_MARK.startswith(text):
        return False
    return not text.startswith(b"<") or text[:32].lower().startswith(_HTML_STARTS)
