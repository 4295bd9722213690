"""The shape of an enveloped XML signature: one signature, over the whole document, with known transforms.

Checked before any mathematics. With partial references a moved element would still verify, and
who reads the document by path would read the attacker's (signatures.md 8.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from services.signer.formats.smime import NoSignature
from services.signer.limits import Limits, malformed, too_much

DS = "{http://www.w3.org/2000/09/xmldsig#}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_CANONICAL = frozenset(
    {
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2006/12/xml-c14n11#WithComments",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
)
_ID_ATTRIBUTES = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_REFERENCES = 4
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
    return root


def _bound_marks(data: bytes, limits: Limits) -> None:
    """Counted on the bytes, before they take memory; that is why only encodings that keep ASCII are read."""
    if data.count(b"<") > 2 * limits.xml_elements:
        raise too_much("XML elements", limits.xml_elements)
    if data.count(b"=") > limits.xml_attributes:
        raise too_much("XML attributes", limits.xml_attributes)


@dataclass(frozen=True)
class Layout:
    """Where the parts of the one signature are."""

    signature: Any
    properties: Any | None
    document_reference: int
    properties_reference: int | None


def find_layout(root: Any) -> Layout:
    """Find the one signature and what it refers to.

    Raises ``CheckFailed`` (FORMAT_FAILURE) for any other shape, and ``NoSignature``.
    """
    outermost = [
        element
        for element in root.iter(f"{DS}Signature")
        if next(element.iterancestors(f"{DS}Signature"), None) is None
    ]
    if not outermost:
        raise NoSignature
    if len(outermost) > 1:
        raise malformed("several XML signatures in one document")
    signature = outermost[0]
    if signature is root:
        raise malformed("the signature is not inside the document it signs")
    properties = signature.find(f"{DS}Object/{XADES}QualifyingProperties/{XADES}SignedProperties")
    key_info = signature.find(f"{DS}KeyInfo")
    document_reference = properties_reference = None
    references = signature.findall(f"{DS}SignedInfo/{DS}Reference")
    if len(references) > _REFERENCES:
        raise too_much("references", _REFERENCES)
    for index, reference in enumerate(references):
        transforms = [item.get("Algorithm") for item in reference.iter(f"{DS}Transform")]
        target = reference.get("URI")
        if _is_whole(root, target) and document_reference is None:
            if not set(transforms) <= {_ENVELOPED, *_CANONICAL} or _ENVELOPED not in transforms:
                raise malformed("unexpected transforms of the document reference")
            document_reference = index
            continue
        if not set(transforms) <= _CANONICAL:
            raise malformed("unexpected transforms of a reference")
        if _points_at(root, properties, target) and properties_reference is None:
            properties_reference = index
        elif not _points_at(root, key_info, target):
            raise malformed("reference to something else than the document, signed properties and key")
    if document_reference is None:
        raise malformed("the signature does not cover the whole document")
    return Layout(signature, properties, document_reference, properties_reference)


def _is_whole(root: Any, target: str | None) -> bool:
    return target == "" or _points_at(root, root, target)


def _points_at(root: Any, element: Any | None, target: str | None) -> bool:
    return element is not None and bool(target) and target == f"#{_unique_id(root, element)}"


def _unique_id(root: Any, element: Any) -> str | None:
    """The element's Id, or None when it has none or shares it with another element."""
    value = next((element.get(name) for name in _ID_ATTRIBUTES if element.get(name)), None)
    if value is None:
        return None
    owners = [item for item in root.iter(etree.Element) if value in {item.get(name) for name in _ID_ATTRIBUTES}]
    if len(owners) != 1:
        raise malformed("the same Id on several elements")
    return str(value)
