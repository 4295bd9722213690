"""How our XML parts are put into bytes."""

from __future__ import annotations

from typing import Any

from lxml import etree


def prefixes(default: str, **others: str) -> Any:
    """Namespace prefixes for a root element; untyped because lxml's stubs know no default namespace."""
    return {None: default, **others}


def serialise(root: etree._Element) -> bytes:
    """The bytes that are digested and signed: UTF-8 with a declaration, indented for people.

    No byte order mark, unlike the official library's: the declaration says the same, and some
    readers take a mark before it for content (decision 0020).
    """
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
