"""How rows look on the wire: read from lxml elements (bulk lists) and from zeep's objects (small answers)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lxml import etree

from services.detsis_sync.soap.wire.operations import local_name, tag
from services.detsis_sync.soap.wire.plain import PlainRow
from services.detsis_sync.soap.wire.result import items

WireRow = TypeVar("WireRow")
WireRow_co = TypeVar("WireRow_co", covariant=True)


class WireRowError(ValueError):
    """A row that breaks the contract so that its fields cannot be trusted."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field = field_name
        self.reason = reason


@dataclass(frozen=True)
class ListContract(Generic[WireRow_co]):
    """How the items of a bulk list look: their element and how one becomes a wire row.

    ``read`` raises ``WireRowError`` and counts unknown elements by local name. ``plain`` reads a row from its bytes,
    without its end tag, and gives None for one that has to be parsed.
    """

    item_tag: str
    read: Callable[[etree._Element, Counter[str]], WireRow_co]
    plain: Callable[[bytes], WireRow_co | None]


class RowShape(Generic[WireRow]):
    """One kind of flat row: its element, and the children that become the fields of ``row``, in their order.

    ``unread`` are children the contract knows and nobody here needs. They are not unknown, and their
    content goes no further.
    """

    def __init__(
        self, item: str, row: Callable[..., WireRow], elements: tuple[str, ...], unread: Iterable[str] = ()
    ) -> None:
        self.item = item
        self._row = row
        self.elements = elements
        self._tags = tuple(map(tag, elements))
        unread = tuple(unread)
        self._known = frozenset({*self._tags, *map(tag, unread)})
        self._plain = PlainRow(item, elements, unread)

    @property
    def contract(self) -> ListContract[WireRow]:
        """For the bulk list of such rows."""
        return ListContract(tag(self.item), self.from_element, self.from_bytes)

    def from_element(self, element: etree._Element, unknown: Counter[str]) -> WireRow:
        """One row of a bulk list. Raises ``WireRowError`` when a child stands twice."""
        return self._row(*map(texts(element, self._known, unknown).get, self._tags))

    def from_bytes(self, row: bytes) -> WireRow | None:
        """One plain row of a bulk list; None for any other."""
        texts_found = self._plain.texts(row)
        return None if texts_found is None else self._row(*texts_found)

    def from_object(self, item: Any) -> WireRow:
        """One row of a small answer."""
        return self._row(*(item[element] for element in self.elements))

    def from_reply(self, content: Any) -> list[WireRow]:
        """The rows of a small answer; empty when there is no list."""
        return [self.from_object(item) for item in items(content, self.item)]


def texts(element: etree._Element, known: AbstractSet[str], unknown: Counter[str]) -> dict[str, str | None]:
    """The texts of a row by tag. Hundreds of thousands of rows go through here: every step is one C call."""
    found: dict[str, str | None] = {child.tag: child.text for child in element}
    if len(found) != len(element):
        raise WireRowError("row", "an element stands twice")
    if not found.keys() <= known:
        for name in found.keys() - known:
            unknown[local_name(name)] += 1
    return found
