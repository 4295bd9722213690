"""Just enough BER to find the content of a CMS file, with work bounded by a budget.

A general ASN.1 library parses more than is needed here and lets hostile lengths and tags cost
time without bound; full parsing and cryptography are signer's business.
"""

from __future__ import annotations

from dataclasses import dataclass

_BUDGET = 200_000
_CONSTRUCTED = 0x20
_INDEFINITE = 0x80


class BerError(ValueError):
    """The bytes are not the structure that was expected."""


@dataclass(frozen=True)
class Element:
    """One element: its identifier octet and where its content lies."""

    identifier: int
    start: int
    content_end: int
    end: int

    @property
    def constructed(self) -> bool:
        """Whether the content consists of elements."""
        return bool(self.identifier & _CONSTRUCTED)


def read_element(data: bytes, position: int, limit: int) -> Element:
    """The element at ``position``, which must end at or before ``limit``. Raise ``BerError``."""
    identifier, start, length = read_header(data, position, limit)
    if length is not None:
        return Element(identifier, start, start + length, start + length)
    end = _end_of_contents(data, start, limit)
    return Element(identifier, start, end - 2, end)


def children(data: bytes, parent: Element, most: int) -> list[Element]:
    """The first elements inside ``parent``, at most ``most``. Raise ``BerError``."""
    found: list[Element] = []
    position = parent.start
    while position < parent.content_end and len(found) < most:
        found.append(read_element(data, position, parent.content_end))
        position = found[-1].end
    return found


def read_header(data: bytes, position: int, limit: int) -> tuple[int, int, int | None]:
    """Identifier octet, start of content and length (None: indefinite) of the element at ``position``.

    ``limit`` is where its surroundings end; ``data`` may be only their beginning. Raise ``BerError``.
    """
    if position + 2 > min(limit, len(data)):
        raise BerError("ends too early")
    identifier, first = data[position], data[position + 1]
    start = position + 2
    if identifier & 0x1F == 0x1F:
        raise BerError("high tag numbers are not used in CMS")
    if first == _INDEFINITE:
        if not identifier & _CONSTRUCTED:
            raise BerError("only constructed elements may have no length")
        return identifier, start, None
    length = first
    if first & 0x80:
        octets = first & 0x7F
        if octets > 4 or start + octets > min(limit, len(data)):
            raise BerError("length of a length")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    if start + length > limit:
        raise BerError("longer than its surroundings")
    return identifier, start, length


def _end_of_contents(data: bytes, position: int, limit: int) -> int:
    open_elements = 1
    for _ in range(_BUDGET):
        identifier, start, length = read_header(data, position, limit)
        if identifier == 0 and length == 0:
            open_elements -= 1
            position = start
            if not open_elements:
                return position
        elif length is None:
            open_elements += 1
            position = start
        else:
            position = start + length
    raise BerError("too many elements")
