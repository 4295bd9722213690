"""Rows read from their bytes alone, where they are so plain that any XML parser would read the same in them.

That is nearly every row of a list, and it takes a third of the time that building elements takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, TypeVar

WireRow = TypeVar("WireRow")

_NO_ANGLES = bytes(set(range(256)) - set(b"<>"))
_OTHER_REFERENCE = re.compile(rb"&(?!(?:lt|gt|amp|quot|apos);)")
"""Any but to the five names that XML itself has."""
_MOST_SHAPES = 256
_Shape = tuple[list[str], bytes, Callable[[list[str | None]], tuple[str | None, ...]]]


class PlainRow:
    """One kind of flat element whose children hold texts: ``elements`` are read, in this order, ``unread`` may stand.

    Element names are local: a row without attributes and prefixes is in the namespace of its list.
    """

    def __init__(self, item: str, elements: tuple[str, ...], unread: Iterable[str] = ()) -> None:
        self._item = item
        self._elements = elements
        self._known = frozenset({*elements, *unread})
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def texts(self, row: bytes) -> tuple[str | None, ...] | None:
        """The texts of a row (clean UTF-8 from its start tag up to its end tag), None for an element that is not there.

        None as a whole when the row is not plain: attributes, other elements, one twice, an empty-element tag,
        text between the elements, a carriage return, a reference to anything but XML's own five names.
        """
        escaped = b"&" in row
        if b"\r" in row or (escaped and _OTHER_REFERENCE.search(row)):
            return None
        # With every angle bracket a border: "", item, text, child, its text, /child, text, child, …
        pieces: list[Any] = row.decode().replace(">", "<").split("<")
        names = tuple(pieces[3::4])
        shape = self._shapes.get(names) or self._shape(names)
        if shape is None:
            return None
        ends, angles, pick = shape
        if pieces[1] != self._item or pieces[5::4] != ends or row.translate(None, _NO_ANGLES) != angles:
            return None
        between = "".join(pieces[2::4])
        if between and not between.isspace():
            return None
        pieces.append(None)
        found = pick(pieces)
        if escaped:
            found = tuple([unescaped(text) if text and "&" in text else text for text in found])
        return tuple([text or None for text in found]) if "" in found else found

    def _shape(self, names: tuple[str, ...]) -> _Shape | None:
        if len(set(names)) != len(names) or not self._known.issuperset(names) or len(self._shapes) >= _MOST_SHAPES:
            return None
        places = {name: 4 * position + 4 for position, name in enumerate(names)}
        pick: Any = itemgetter(*(places.get(element, -1) for element in self._elements))
        shape = [f"/{name}" for name in names], b"<>" * (1 + 2 * len(names)), pick
        self._shapes[names] = shape
        return shape


def unescaped(text: str) -> str:
    """A text with XML's own five names resolved."""
    for name, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'")):
        text = text.replace(name, letter)
    return text.replace("&amp;", "&")
