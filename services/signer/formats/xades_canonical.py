"""Canonical XML: the octets that digests and time-stamps are over (C14N 1.0, 1.1 and exclusive, by libxml2)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from lxml import etree

from services.signer.formats.xml_layout import DS, hardened_parser
from services.signer.limits import malformed, too_much

_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
_COMMENTS = "#WithComments"
_METHODS = {
    _INCLUSIVE: (_INCLUSIVE, False),
    _INCLUSIVE + _COMMENTS: (_INCLUSIVE, True),
    _INCLUSIVE_11: (_INCLUSIVE_11, False),
    _INCLUSIVE_11 + _COMMENTS: (_INCLUSIVE_11, True),
    _EXCLUSIVE: (_EXCLUSIVE, False),
    _EXCLUSIVE.removesuffix("#") + _COMMENTS: (_EXCLUSIVE, True),
}
_XML = "{http://www.w3.org/XML/1998/namespace}"
_PREFIXES = 16


@dataclass(frozen=True)
class Canonicalisation:
    """One method of the short list."""

    kind: str
    comments: bool
    prefixes: tuple[str, ...] = ()
    """Namespaces that exclusive canonicalisation takes inclusively."""

    @property
    def exclusive(self) -> bool:
        """Whether only the namespaces in use are written."""
        return self.kind == _EXCLUSIVE


DEFAULT = Canonicalisation(_INCLUSIVE, comments=False)
"""What holds where none is named (XML Signature 4.4.3.2; EN 319 132-1, 4.5)."""


def is_canonicalisation(algorithm: str | None) -> bool:
    """Whether a URI is one of the short list."""
    return algorithm in _METHODS


def read_canonicalisation(element: Any | None) -> Canonicalisation:
    """What a CanonicalizationMethod or Transform names, ``DEFAULT`` without one.

    Raises ``CheckFailed`` (FORMAT_FAILURE) for any method outside the short list.
    """
    if element is None:
        return DEFAULT
    kind, comments = _METHODS.get(element.get("Algorithm"), (None, False))
    if kind is None:
        raise malformed("canonicalisation outside the short list")
    prefixes: tuple[str, ...] = ()
    for child in element:
        if kind != _EXCLUSIVE or child.tag != f"{{{_EXCLUSIVE}}}InclusiveNamespaces" or prefixes:
            raise malformed("canonicalisation with unknown parameters")
        prefixes = tuple((child.get("PrefixList") or "").split())
    if len(prefixes) > _PREFIXES:
        raise too_much("inclusive namespaces", _PREFIXES)
    return Canonicalisation(kind, comments, prefixes)


def canonical(element: Any, method: Canonicalisation, *, comments: bool | None = None) -> bytes:
    """The octets of one element where it stands.

    ``comments`` overrides the method: an element referred to by its Id has none (XML Signature 4.4.3.3). Raises
    ``CheckFailed`` (FORMAT_FAILURE) for what has no canonical form.
    """
    inherited = {} if method.exclusive else _inherited(element)
    if inherited:
        if method.kind == _INCLUSIVE_11:
            inherited.pop(f"{_XML}id", None)
            if f"{_XML}base" in inherited:
                raise malformed("xml:base around signed elements")
        try:
            element = etree.fromstring(etree.tostring(element, with_tail=False), hardened_parser())
        except (etree.LxmlError, ValueError) as error:
            raise malformed("XML without a canonical form") from error
        for name, value in inherited.items():
            element.set(name, value)
    return _written(element, method, comments=method.comments if comments is None else comments)


def _inherited(element: Any) -> dict[str, str]:
    """Attributes of the xml namespace that inclusive canonicalisation takes over from the elements around."""
    found: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for name, value in ancestor.attrib.items():
            if name.startswith(_XML) and name not in found:
                found[name] = value
    return {name: value for name, value in found.items() if name not in element.attrib}


def without_signatures(root: Any, signature: Any | None, method: Canonicalisation, *, whole: bool) -> bytes:
    """The octets of the document without one signature, or without any (None).

    ``whole``: with the processing instructions outside the root element, as for ``URI=""``; comments never count.
    """
    tree = copy.deepcopy(root.getroottree())
    top = tree.getroot()
    if signature is None:
        leaving = [
            item for item in top.iter(f"{DS}Signature") if next(item.iterancestors(f"{DS}Signature"), None) is None
        ]
    else:
        leaving = [_same_place(top, signature)]
    for item in leaving:
        _take_out(item)
    return _written(tree if whole else top, method, comments=False)


def _same_place(top: Any, element: Any) -> Any:
    steps = []
    while (parent := element.getparent()) is not None:
        steps.append(parent.index(element))
        element = parent
    for index in reversed(steps):
        top = top[index]
    return top


def _take_out(element: Any) -> None:
    """Remove an element and leave the text behind it."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        raise malformed("a document of nothing but its signature")
    if element.tail and before is not None:
        before.tail = (before.tail or "") + element.tail
    elif element.tail:
        parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _written(node: Any, method: Canonicalisation, *, comments: bool) -> bytes:
    try:
        octets: bytes = etree.tostring(
            node,
            method="c14n",
            exclusive=method.exclusive,
            with_comments=comments,
            inclusive_ns_prefixes=list(method.prefixes) or None,
        )
    except (etree.LxmlError, ValueError) as error:
        raise malformed("XML without a canonical form") from error
    return octets
