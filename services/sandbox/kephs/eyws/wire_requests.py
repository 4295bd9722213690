"""Reading a call strictly by the tables: namespaces, order, enum case and number ranges, with bounds on everything."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from services.sandbox.detsis.calendar import TURKISH_TIME
from services.sandbox.kephs.eyws.related import BrokenMultipartError, media_type_of, referenced, take_apart
from services.sandbox.kephs.eyws.wire_contract import (
    BINARY,
    ENUMS,
    MIME,
    NOT_OFFERED,
    OPERATIONS,
    SHAPES,
    TYPES,
    WRAPPERS,
    Field,
)

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_XOP_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_LARGEST_XML = 4 * 1024 * 1024
"""Octets, once the binaries are cut out."""
_DEEPEST = 16
_MOST_ELEMENTS = 10_000
_LARGE_TEXT = re.compile(rb">([A-Za-z0-9+/=\s]{4096,})<")
_INT_RANGE = 2**31


class RejectedCall(Exception):  # noqa: N818 - named for what happened, and answered rather than handled
    """A call that gets a SOAP Fault with the code for the caller's mistakes."""


@dataclass(frozen=True)
class Binary:
    """A binary with the media type and file name that came with it."""

    content: bytes = field(repr=False)
    media_type: str = ""
    file_name: str = ""


@dataclass(frozen=True)
class Call:
    """One call. ``values`` holds the children of ``param0`` by name; what was left out is None or its default."""

    operation: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Beside:
    """What stands outside the XML: parts of a multipart request, and large texts that were cut out of it."""

    parts: Mapping[str, bytes]
    texts: Mapping[str, bytes]


def read_request(body: bytes, content_type: str) -> Call:
    """Parse one request. The SOAPAction does not count: the body names the operation. Raises ``RejectedCall``."""
    header = media_type_of(content_type)
    parts: Mapping[str, bytes] = {}
    if header.get_content_type() == "multipart/related":
        try:
            body, parts = take_apart(body, header)
        except BrokenMultipartError as error:
            raise RejectedCall(str(error)) from error
    elif header.get_content_type() != "text/xml":
        raise RejectedCall(f"{header.get_content_type()} is not SOAP 1.1")
    document, texts = _without_large_texts(body)
    return _read_call(_parse(document), _Beside(parts, texts))


def _without_large_texts(document: bytes) -> tuple[bytes, Mapping[str, bytes]]:
    """Cut long runs of base64 out, because the parser's own limit on a text is below the size of a message."""
    texts: dict[str, bytes] = {}
    token = secrets.token_hex(16)

    def cut(found: re.Match[bytes]) -> bytes:
        name = f"{token}:{len(texts)}"
        texts[name] = found[1]
        return b">" + name.encode() + b"<"

    return _LARGE_TEXT.sub(cut, document), texts


def _parse(document: bytes) -> etree._Element:
    if len(document) > _LARGEST_XML:
        raise RejectedCall("the XML is too large")
    if b"<!DOCTYPE" in document:
        raise RejectedCall("a document type declaration is not allowed")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise RejectedCall("the XML is not well formed") from error
    information: Any = root.getroottree().docinfo
    if information.doctype:
        raise RejectedCall("a document type declaration is not allowed")
    open_elements = 0
    elements = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        open_elements += 1 if event == "start" else -1
        elements += event == "start"
        if open_elements > _DEEPEST or elements > _MOST_ELEMENTS:
            raise RejectedCall("the XML is too deep or has too many elements")
    return root


def _read_call(root: etree._Element, beside: _Beside) -> Call:
    body = root.find(f"{{{SOAP}}}Body")
    calls = [] if body is None else [child for child in body if isinstance(child.tag, str)]
    if root.tag != f"{{{SOAP}}}Envelope" or len(calls) != 1:
        raise RejectedCall("not a SOAP 1.1 envelope with one call in its body")
    name = etree.QName(calls[0])
    if name.localname in NOT_OFFERED:
        raise RejectedCall(f"{name.localname} is not offered here")
    operation = OPERATIONS.get(name.localname)
    if name.namespace != WRAPPERS or operation is None:
        raise RejectedCall(f"no operation is called {calls[0].tag}")
    wrapper = Field("param0", operation.parameter, nillable=operation.nillable)
    values = _children(calls[0], (wrapper,), WRAPPERS, beside)["param0"]
    return Call(operation.name, values or {})


def _children(element: etree._Element, fields: tuple[Field, ...], namespace: str, beside: _Beside) -> dict[str, Any]:
    """The children by name, in the order of the sequence and no others."""
    children = [child for child in element if isinstance(child.tag, str)]
    found: dict[str, Any] = {}
    position = 0
    for one in fields:
        values = []
        while position < len(children) and children[position].tag == f"{{{namespace}}}{one.name}":
            values.append(_value(children[position], one, beside))
            position += 1
            if not one.many:
                break
        found[one.name] = values if one.many else (values[0] if values else None)
        if one.default and not found[one.name]:
            found[one.name] = one.default
    if position < len(children):
        raise RejectedCall(f"{children[position].tag} is not expected in {etree.QName(element).localname} there")
    return found


def _value(element: etree._Element, one: Field, beside: _Beside) -> Any:
    if element.get(_NIL) in {"true", "1"}:
        return None
    if one.type in SHAPES:
        return _children(element, SHAPES[one.type], TYPES, beside)
    if one.type == BINARY:
        return _binary(element, beside)
    if len(element):
        raise RejectedCall(f"{one.name} has child elements")
    text = _text(element, beside)
    if one.type in ENUMS:
        if text not in ENUMS[one.type]:
            raise RejectedCall(f"{text[:40]!r} is not one of {', '.join(ENUMS[one.type])} ({one.name})")
        return text
    return _converted(text, one)


def _text(element: etree._Element, beside: _Beside) -> str:
    text = element.text or ""
    cut = beside.texts.get(text)
    return text if cut is None else cut.decode("ascii")


def _converted(text: str, one: Field) -> Any:
    try:
        if one.type == "int":
            number = int(text)
            if not -_INT_RANGE <= number < _INT_RANGE:
                raise RejectedCall(f"{one.name} is out of range")
            return number
        if one.type == "dateTime":
            moment = datetime.fromisoformat(text.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=TURKISH_TIME)).astimezone(UTC)
        if one.type == "boolean":
            return {"true": True, "1": True, "false": False, "0": False}[text.strip()]
    except (ValueError, KeyError, OverflowError) as error:
        raise RejectedCall(f"{one.name} is not of type {one.type}") from error
    return text


def _binary(element: etree._Element, beside: _Beside) -> Binary:
    includes = [child for child in element if child.tag == _XOP_INCLUDE]
    if len(includes) > 1 or len(includes) != len(element):
        raise RejectedCall("a binary holds one xop:Include or text")
    if includes:
        content = referenced(beside.parts, includes[0].get("href", ""))
        if content is None:
            raise RejectedCall("xop:Include points at no part")
    else:
        text = _raw_text(element, beside)
        try:
            content = base64.b64decode(b"".join(_words(text)), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RejectedCall("a binary is not base64") from error
    return Binary(content, element.get(f"{{{MIME}}}contentType", ""), element.get(f"{{{MIME}}}fileName", ""))


def _raw_text(element: etree._Element, beside: _Beside) -> bytes:
    text = element.text or ""
    cut = beside.texts.get(text)
    return text.encode() if cut is None else cut


def _words(text: bytes) -> Iterator[bytes]:
    yield from text.split()
