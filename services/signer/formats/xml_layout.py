"""The shape of signed XML: plain, small documents, Ids that name one element, and the parts of a signature.

Checked before any mathematics. Whoever refers to an element by Id can be made to mean another one, so an Id counts
when one element of the document has it, and what a signature may refer to is known beforehand (signatures.md 8.4).
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from dataclasses import dataclass
from typing import Any

from lxml import etree

from services.signer.limits import Limits, malformed, too_much

DS = "{http://www.w3.org/2000/09/xmldsig#}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
XADES_141 = "{http://uri.etsi.org/01903/v1.4.1#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_ID_ATTRIBUTES = ("Id", "ID", "id", f"{_XML}id")
_ID_NAMES = frozenset({"Id", "ID", "id"})
_NAMESPACES = 64
"""Declared on the way from the root to an element: canonicalisation compares each with every other, for each element."""
_ENCODINGS = frozenset(
    {"UTF-8", "US-ASCII", "ASCII", "UTF-16", "UTF-16LE", "UTF-16BE"}
    | {"ISO-8859-1", "ISO-8859-9", "WINDOWS-1252", "WINDOWS-1254"}
)
"""In each of them an ASCII character is the same byte, if with zeros beside it; not so in UTF-7 and EBCDIC."""


def hardened_parser() -> etree.XMLParser:
    """No DTD, no entities, no network; depth and text size stay at libxml2's limits."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )


def parse_xml(data: bytes, limits: Limits) -> Any:
    """The root element; raises ``CheckFailed`` (FORMAT_FAILURE) on anything but plain, small XML."""
    if len(data) > limits.xml_bytes:
        raise too_much("XML bytes", limits.xml_bytes)
    _bound_marks(data, limits)
    try:
        root = etree.fromstring(data, hardened_parser())
    except (etree.LxmlError, ValueError) as error:
        raise malformed("not well-formed XML") from error
    info: Any = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None:
        raise malformed("XML with a DTD")
    if str(info.encoding or "UTF-8").upper() not in _ENCODINGS:
        raise malformed("XML in an unusual encoding")
    _bound_namespaces(root)
    return root


def _bound_marks(data: bytes, limits: Limits) -> None:
    """Counted on the bytes, before they take memory; that is why only encodings that keep ASCII are read."""
    if data.count(b"<") > 2 * limits.xml_elements:
        raise too_much("XML elements", limits.xml_elements)
    if data.count(b"=") > limits.xml_attributes:
        raise too_much("XML attributes", limits.xml_attributes)


def _bound_namespaces(root: Any) -> None:
    declared = 0
    for event, _declaration in etree.iterwalk(root, events=("start-ns", "end-ns")):
        declared += 1 if event == "start-ns" else -1
        if declared > _NAMESPACES:
            raise too_much("namespaces in scope", _NAMESPACES)


def text_of(element: Any | None) -> str:
    """The text of an element that holds nothing else.

    Raises ``CheckFailed`` (FORMAT_FAILURE) when it is missing or holds an element, a comment or a processing
    instruction: what follows a comment is signed, and readers overlook it.
    """
    if element is None:
        raise malformed("an element of the signature is missing")
    if len(element):
        raise malformed("text of the signature with something else inside")
    return element.text or ""


def octets_of(element: Any | None) -> bytes:
    """The same for base64; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    try:
        return base64.b64decode("".join(text_of(element).split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed("not base64") from error


def only_child(element: Any, name: str) -> Any | None:
    """The child of that name, None without one; raises ``CheckFailed`` (FORMAT_FAILURE) when there are several."""
    found = element.findall(name)
    if len(found) > 1:
        raise malformed(f"several {etree.QName(name).localname}")
    return found[0] if found else None


def children_of(element: Any) -> list[Any]:
    """The child elements, without comments and processing instructions."""
    return [item for item in element if isinstance(item.tag, str)]


class Identifiers:
    """Which element an Id names."""

    def __init__(self, root: Any) -> None:
        self._owners: Counter[str] = Counter()
        for element in root.iter(etree.Element):
            values = {value for name, value in element.attrib.items() if etree.QName(name).localname in _ID_NAMES}
            self._owners.update(values)

    def points_at(self, element: Any | None, uri: str | None) -> bool:
        """Whether ``uri`` is this element's Id.

        Raises ``CheckFailed`` (FORMAT_FAILURE) when the Id is another element's too, in whatever attribute.
        """
        if element is None or not uri:
            return False
        value = next((element.get(name) for name in _ID_ATTRIBUTES if element.get(name)), None)
        if value is None or uri != f"#{value}":
            return False
        if self._owners[value] != 1:
            raise malformed("the same Id on several elements")
        return True


@dataclass(frozen=True)
class Layout:
    """Where the parts of one signature are."""

    signature: Any
    signed_info: Any
    value: Any
    key_info: Any | None
    objects: tuple[Any, ...]
    """Without the one that holds the qualifying properties."""
    qualifying: Any | None
    signed_properties: Any | None
    unsigned: tuple[Any, ...]
    """The unsigned signature properties, in their order."""


def layout_of(signature: Any) -> Layout:
    """Take one ``ds:Signature`` apart; raises ``CheckFailed`` (FORMAT_FAILURE) for any other shape than the schema's."""
    parts = children_of(signature)
    names = [item.tag for item in parts]
    if names[:2] != [f"{DS}SignedInfo", f"{DS}SignatureValue"]:
        raise malformed("signature without its parts in order")
    key_info = parts[2] if names[2:3] == [f"{DS}KeyInfo"] else None
    objects = parts[2 if key_info is None else 3 :]
    if any(item.tag != f"{DS}Object" for item in objects):
        raise malformed("signature with something else inside")
    holders = [item for item in objects if item.find(f"{XADES}QualifyingProperties") is not None]
    qualifying = None
    if holders:
        qualifying = _only_one([item for holder in holders for item in children_of(holder)])
        identifier = signature.get("Id")
        if not identifier or qualifying.get("Target") != f"#{identifier}":
            raise malformed("qualifying properties of another signature")
    elif any(item.find(f"{XADES}QualifyingPropertiesReference") is not None for item in objects):
        raise malformed("qualifying properties in another place")
    signed = unsigned = None
    if qualifying is not None:
        signed = only_child(qualifying, f"{XADES}SignedProperties")
        unsigned = only_child(qualifying, f"{XADES}UnsignedProperties")
    unsigned = None if unsigned is None else only_child(unsigned, f"{XADES}UnsignedSignatureProperties")
    return Layout(
        signature,
        parts[0],
        parts[1],
        key_info,
        tuple(item for item in objects if item not in holders),
        qualifying,
        signed,
        () if unsigned is None else tuple(children_of(unsigned)),
    )


def _only_one(elements: list[Any]) -> Any:
    """EN 319 132-1, 4.4.2: one QualifyingProperties, and nothing beside it in its object."""
    if len(elements) != 1:
        raise malformed("qualifying properties not by themselves")
    return elements[0]
