"""Stands between the cleaned bytes of one answer and its parser, and keeps from it what need not be parsed."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.same import DIGEST_SIZE, KnownRows, translation_version

WireRow = TypeVar("WireRow")
_LONGEST_ROW = 1024 * 1024
"""Bytes held at most: a list without an end tag for so long is not cut into rows."""


@dataclass
class ReadRows(Generic[WireRow]):
    """Rows that were read from their bytes, each with its digest, if it has one."""

    rows: list[tuple[WireRow, bytes | None]] = field(default_factory=list)


Met = list[int] | ReadRows[WireRow] | bytes | None


class RowSieve(Generic[WireRow]):
    """Cuts an answer into rows and keeps two kinds of them from the parser: known ones, and plain ones.

    The very bytes of a known row have been parsed before and found well-formed; a plain row is well-formed by the
    rules it was read by (``wire.plain``). In their place the parser gets one empty row for each run of them: it still
    proves that a row may stand there, and everything else. Rows are cut at their end tags. Only where that is certain
    to cut where the parser would: a comment, CDATA section, processing instruction or empty row in between ends it,
    and the rest goes to the parser as it is.
    """

    def __init__(self, contract: wire.ListContract[WireRow], known: KnownRows | None) -> None:
        """With ``known``, rows have digests, and rows in it come as their numbers."""
        name = contract.item_tag.rpartition("}")[2].encode()
        self._known = known
        self._plain = contract.plain
        self._start, self._end, self._empty = b"<" + name, b"</" + name + b">", b"<" + name + b"/>"
        self._fresh = hashlib.blake2b(digest_size=DIGEST_SIZE, person=translation_version())
        self._rest = b""
        self._met: deque[Met[WireRow]] = deque()
        self._certain = True
        self._first = True

    def feed(self, piece: bytes) -> bytes:
        """Return what the parser is to read; the beginning of a row is held until its end is there."""
        if not self._certain:
            return piece
        *rows, rest = (self._rest + piece).split(self._end)
        out: list[bytes] = []
        run: list[int] | None = None
        read: ReadRows[WireRow] | None = None
        for position, row in enumerate(rows):
            begin = row.find(self._start)
            # The first row comes with the head of the answer: a byte order mark, perhaps, and an XML declaration.
            strange = row.find(b"<?", 4 if self._first else 0) >= 0 or b"<!" in row
            if strange or begin < 0 or row.find(self._start, begin + 1) >= 0:
                self._certain = False
                return b"".join([*out, self._end.join([*rows[position:], rest])])
            self._first = False
            content = row[begin:] if begin else row
            digest, number = self._recognised(content)
            if number is not None:
                read = None
                if run is None or begin:
                    run = []
                    self._met.append(run)
                    out += (row[:begin], self._empty)
                run.append(number)
            elif (plain := self._plain(content)) is not None:
                run = None
                if read is None or begin:
                    read = ReadRows()
                    self._met.append(read)
                    out += (row[:begin], self._empty)
                read.rows.append((plain, digest))
            else:
                run = read = None
                self._met.append(digest)
                out += (row, self._end)
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

    def next(self) -> Met[WireRow]:
        """Of the row that the parser has just ended: the rows it stands for, else its own digest, if it has one."""
        return self._met.popleft() if self._met else None

    @property
    def waiting(self) -> bool:
        """Whether the parser has still to come across a row it was given; true at the end means it never will."""
        return bool(self._met)

    def _recognised(self, content: bytes) -> tuple[bytes | None, int | None]:
        if self._known is None:
            return None, None
        hashed = self._fresh.copy()
        hashed.update(content)
        digest = hashed.digest()
        return digest, self._known.number(digest)
