"""A reader of PDF files whose work is measured: whoever made the file decides how often everything in it is read.

pyHanko follows every path from one object to another when it compares revisions, reads an object stream from its
beginning for each object in it, and parses overlapping objects as often as they are named; a few kilobytes can keep
it busy for hours. All of that passes through the places counted here.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.decode_limits import (
    DEFAULT_PURPOSE_LIMITS,
    DecodeLimits,
    DecodePurpose,
    DocumentDecodeBudget,
    StreamDecodeLimits,
)
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader

# It logs each oddity of a stranger's file with the words of the file.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)

_MIB = 1024 * 1024
_OBJECT_STREAM_MEMBERS = 10_000
_PER_REFERENCE = 20
"""Steps for one reference that is followed while revisions are compared: it takes as long as so many reads."""
_DECODING = DecodeLimits(
    per_stream=StreamDecodeLimits(max_output_size=64 * _MIB),
    per_purpose={
        **DEFAULT_PURPOSE_LIMITS,
        DecodePurpose.OBJECT_STREAM: StreamDecodeLimits(max_ratio=100, max_output_size=4 * _MIB),
    },
    document_budget=DocumentDecodeBudget(base_allowance=128 * _MIB, max_ratio=4),
)


class Exhausted(Exception):  # noqa: N818 - what happened; pyHanko must not take it for a fault it can pass over
    """The file asks for more work than it is given."""


@dataclass
class Meter:
    """Steps that may still be taken."""

    left: int

    def spend(self, steps: int) -> None:
        """Raise ``Exhausted`` when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise Exhausted


class _MeteredBytes(io.BytesIO):
    """The file; the parser reads it token by token, so the number of reads is its work."""

    def __init__(self, data: bytes, meter: Meter) -> None:
        super().__init__(data)
        self._meter = meter

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes; raises ``Exhausted``."""
        self._meter.left -= 1
        if self._meter.left < 0:
            raise Exhausted
        return super().read(size)


class _MeteredResolver(HistoricalResolver):
    """One revision of the file, with every step along a reference counted by the size of what it leads to."""

    def __init__(self, reader: MeteredReader, revision: int) -> None:
        self._meter = reader.meter
        self._sizes: dict[Any, int] = {}
        super().__init__(reader, revision)

    def get_object(self, ref: Any, as_metadata_stream: bool = False) -> Any:
        """The object as of this revision; raises ``Exhausted``."""
        found = super().get_object(ref, as_metadata_stream)
        size = self._sizes.get(ref)
        if size is None:
            size = self._sizes[ref] = _PER_REFERENCE + _size(found)
        self._meter.spend(size)
        return found


class MeteredReader(PdfFileReader):
    """A strict reader that stops after so many steps.

    Args:
        data: the whole file.
        steps: reads, parsed values and followed references that are allowed.

    Raises ``Exhausted`` then, and whatever pyHanko raises on malformed files, here and from every method.
    """

    def __init__(self, data: bytes, steps: int) -> None:
        self.meter = Meter(steps)
        super().__init__(_MeteredBytes(data, self.meter), strict=True, decode_limits=_DECODING)

    def get_object(self, ref: Any, *args: Any, **options: Any) -> Any:
        """The object a reference leads to; raises ``Exhausted``."""
        self.meter.spend(1)
        return super().get_object(ref, *args, **options)  # type: ignore[no-untyped-call]  # untyped library

    def get_historical_resolver(self, revision: int) -> HistoricalResolver:
        """The file as of one revision, from 0."""
        cache = self._historical_resolver_cache
        if revision not in cache:
            cache[revision] = _MeteredResolver(self, revision)
        return cache[revision]

    def _get_object_from_stream(self, idnum: int, stmnum: int, idx: int) -> Any:
        stream = generic.Reference(stmnum, 0, self).get_object()
        if not isinstance(stream, generic.StreamObject) or entry_of(stream, "/Type") != "/ObjStm":
            raise PdfReadError("not an object stream")
        members = stream["/N"]
        if not isinstance(members, int) or not 0 <= members <= _OBJECT_STREAM_MEMBERS:
            raise PdfReadError("bad number of objects in an object stream")
        self.meter.spend(members)
        found = super()._get_object_from_stream(idnum, stmnum, idx)  # type: ignore[no-untyped-call]  # untyped library
        self.meter.spend(_size(found))
        return found


def entry_of(dictionary: Any, key: str, default: Any = None) -> Any:
    """One entry of a dictionary, references followed: the library's ``get`` does not. Raises ``Exhausted``."""
    return dictionary[key] if key in dictionary else default  # noqa: SIM401 - that is what this is for


def _size(value: Any) -> int:
    """How many values there are in an object, without following references."""
    size, open_values = 0, [value]
    while open_values:
        item = open_values.pop()
        size += 1
        if isinstance(item, generic.DictionaryObject):
            open_values.extend(item.values())
        elif isinstance(item, generic.ArrayObject):
            open_values.extend(item)
    return size
