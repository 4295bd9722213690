"""Telling rows that came the same before from those that need a look, by the bytes they came in.

Nearly every row of a night says what it said the night before. Such a row is neither parsed nor translated again.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import deque
from functools import lru_cache
from pathlib import Path

import services.detsis_sync.soap.wire as wire_package
import services.detsis_sync.translate as translate_package

DIGEST_SIZE = 16
_LONGEST_ROW = 1024 * 1024
"""Bytes held at most: a list without an end tag for so long is not cut into rows."""


class KnownRows:
    """Rows by the digest of their bytes, in 20 bytes each: three parallel arrays, sorted by digest.

    ``heads`` and ``tails`` are the two halves of each digest as big-endian numbers, ``numbers`` what
    identifies the row.
    """

    def __init__(self, heads: array[int], tails: array[int], numbers: array[int]) -> None:
        self._heads = heads
        self._tails = tails
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, digest: bytes) -> int | None:
        """What identifies the row with this digest; None for one that was never seen."""
        head = int.from_bytes(digest[:8], "big")
        place = bisect_left(self._heads, head)
        if place == len(self._heads) or self._heads[place] != head:
            return None
        return self._numbers[place] if self._tails[place] == int.from_bytes(digest[8:], "big") else None


NOTHING_KNOWN = KnownRows(array("Q"), array("Q"), array("I"))


class RowSieve:
    """Stands between the cleaned bytes of one answer and its parser, and keeps known rows from it.

    The very bytes of a known row have been parsed before and found well-formed, so in their place the parser
    gets one empty row for each run of them: it still proves that a row may stand there, and everything else.
    Rows are cut at their end tags. Only where that is certain to cut where the parser would: a comment, CDATA
    section, processing instruction or empty row in between ends it, and the rest goes to the parser as it is.
    """

    def __init__(self, item_tag: str, known: KnownRows) -> None:
        name = item_tag.rpartition("}")[2].encode()
        self._known = known
        self._start, self._end, self._empty = b"<" + name, b"</" + name + b">", b"<" + name + b"/>"
        self._fresh = hashlib.blake2b(digest_size=DIGEST_SIZE, person=translation_version())
        self._rest = b""
        self._met: deque[list[int] | bytes] = deque()
        self._certain = True
        self._first = True

    def feed(self, piece: bytes) -> bytes:
        """Return what the parser is to read; the beginning of a row is held until its end is there."""
        if not self._certain:
            return piece
        *rows, rest = (self._rest + piece).split(self._end)
        out: list[bytes] = []
        run: list[int] | None = None
        for position, row in enumerate(rows):
            begin = row.find(self._start)
            # The first row comes with the head of the answer: a byte order mark, perhaps, and an XML declaration.
            strange = row.find(b"<?", 4 if self._first else 0) >= 0 or b"<!" in row
            if strange or begin < 0 or row.find(self._start, begin + 1) >= 0:
                self._certain = False
                return b"".join([*out, self._end.join([*rows[position:], rest])])
            self._first = False
            hashed = self._fresh.copy()
            hashed.update(row[begin:] if begin else row)
            digest = hashed.digest()
            number = self._known.number(digest)
            if number is None:
                run = None
                self._met.append(digest)
                out += (row, self._end)
            elif run is None or begin:
                run = [number]
                self._met.append(run)
                out += (row[:begin], self._empty)
            else:
                run.append(number)
        if len(rest) > _LONGEST_ROW:
            self._certain = False
            out.append(rest)
            rest = b""
        self._rest = rest
        return b"".join(out)

    def close(self) -> bytes:
        """Return what was held."""
        rest, self._rest = (self._rest if self._certain else b""), b""
        return rest

    def next(self) -> list[int] | bytes | None:
        """Of the row that the parser has just ended: the known ones it stands for, else its digest, if it has one."""
        return self._met.popleft() if self._met else None

    @property
    def waiting(self) -> bool:
        """Whether the parser has still to come across a row it was given; true at the end means it never will."""
        return bool(self._met)


@lru_cache(maxsize=1)
def translation_version() -> bytes:
    """Sixteen bytes that change with the code that turns bytes into rows: digests of other code are no longer known.

    Taken from the code itself, because nobody would think of raising a number when a rule is mended.
    """
    digest = hashlib.blake2b(digest_size=16)
    for package in (wire_package, translate_package):
        for file in sorted(Path(next(iter(package.__path__))).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.digest()
