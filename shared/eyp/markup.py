"""Parsing XML that an enemy may have written: no DTD, no entities, no network, bounded everything."""

from __future__ import annotations

from lxml import etree

from shared.eyp.limits import Limits


class MarkupError(ValueError):
    """The bytes are not XML we accept; the text says why."""


def parse(content: bytes, limits: Limits) -> etree._Element:
    """Parse UTF-8 (or marked UTF-16) XML and return its root. Raise ``MarkupError``.

    The prolog's encoding is ignored: OPC allows only UTF-8 and UTF-16. A document type is refused
    as such, which settles entity expansion and external entities before the parser starts.
    """
    if len(content) > limits.xml_size:
        raise MarkupError(f"larger than {limits.xml_size} bytes")
    try:
        marked_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if marked_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise MarkupError("not UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise MarkupError("has a document type declaration")
    if text.count("<") + text.count("=") > limits.xml_marks:
        raise MarkupError("has too many elements or attributes")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MarkupError("not well-formed") from error
    _bound_depth(root, limits.xml_depth)
    return root


def _bound_depth(root: etree._Element, deepest: int) -> None:
    level = [root]
    for _ in range(deepest):
        level = [child for element in level for child in element]
        if not level:
            return
    raise MarkupError(f"nested deeper than {deepest} levels")
