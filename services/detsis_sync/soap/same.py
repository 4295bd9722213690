"""Telling rows that came the same before from those that need a look, by the bytes they came in.

A row's bytes are cut out of the cleaned answer beside the parser, which still reads every byte: what is
spared is making a typed row out of an element that says what it said last night.
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


class RowDigests:
    """The digests of the rows of one answer, in the order in which the parser meets them.

    Only where cutting at the end tags is certain to cut where the parser does: a comment, CDATA section,
    processing instruction or empty-element tag in between ends it, and the rest has no digests.
    """

    def __init__(self, item_tag: str) -> None:
        name = item_tag.rpartition("}")[2].encode()
        self._start, self._end = b"<" + name, b"</" + name + b">"
        self._fresh = hashlib.blake2b(digest_size=DIGEST_SIZE, person=translation_version())
        self._rest = b""
        self._found: deque[bytes] = deque()
        self._certain = True
        self._first = True

    def feed(self, piece: bytes) -> None:
        """Take the bytes the parser is about to be given."""
        if not self._certain:
            return
        *rows, self._rest = (self._rest + piece).split(self._end)
        for row in rows:
            begin = row.find(self._start)
            # The first row comes with the head of the answer, which has an XML declaration.
            strange = row.find(b"<?", 2 if self._first else 0) >= 0 or b"<!" in row
            if strange or begin < 0 or row.find(self._start, begin + 1) >= 0:
                self._certain = False
                self._rest = b""
                return
            self._first = False
            digest = self._fresh.copy()
            digest.update(row[begin:] if begin else row)
            self._found.append(digest.digest())

    def next(self) -> bytes | None:
        """The digest of the row that the parser has just ended; None where there is none."""
        return self._found.popleft() if self._found else None


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
