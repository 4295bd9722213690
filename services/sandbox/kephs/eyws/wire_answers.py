"""Writing answers by the tables: values by name become elements, binaries become parts beside the XML or base64 in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from services.sandbox.detsis.calendar import TURKISH_TIME
from services.sandbox.kephs.eyws.related import Attachment, put_together
from services.sandbox.kephs.eyws.wire_contract import BINARY, MIME, OPERATIONS, SHAPES, TYPES, WRAPPERS, Field
from services.sandbox.kephs.eyws.wire_requests import SOAP, Binary

XML = "text/xml; charset=utf-8"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XOP = "http://www.w3.org/2004/08/xop/include"
_START = (
    f'<?xml version="1.0" encoding="utf-8"?>\n<soapenv:Envelope xmlns:soapenv="{SOAP}"><soapenv:Body>'
)  # fmt: skip
_END = "</soapenv:Body></soapenv:Envelope>"


@dataclass(frozen=True)
class Answer:
    """What goes over the wire."""

    content_type: str
    body: bytes = field(repr=False)
    status: int = 200


@dataclass
class _Writer:
    inline: bool
    attachments: list[Attachment] = field(default_factory=list)

    def elements(self, fields: tuple[Field, ...], values: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for one in fields:
            value = values.get(one.name)
            items = (value or []) if one.many else [value]
            for item in items:
                if item is not None:
                    yield from self.element(one, item, prefix)
                elif one.nillable and (one.many or one.least):
                    yield f'<{prefix}:{one.name} xsi:nil="true"/>'

    def element(self, one: Field, value: Any, prefix: str) -> Iterator[str]:
        name = f"{prefix}:{one.name}"
        if one.type in SHAPES:
            yield f"<{name}>"
            yield from self.elements(SHAPES[one.type], value, "ax")
            yield f"</{name}>"
        elif one.type == BINARY:
            yield self.binary(name, value)
        else:
            yield f"<{name}>{escape(_text(value))}</{name}>"

    def binary(self, name: str, value: Binary) -> str:
        attributes = f" xmime:contentType={quoteattr(value.media_type)}"
        if value.file_name:
            attributes += f" xmime:fileName={quoteattr(value.file_name)}"
        if self.inline or not value.content:
            return f"<{name}{attributes}>{base64.b64encode(value.content).decode()}</{name}>"
        content_id = f"{len(self.attachments) + 1}.part@sandbox.invalid"
        self.attachments.append(Attachment(content_id, value.media_type, value.content))
        return f'<{name}{attributes}><xop:Include xmlns:xop="{_XOP}" href="cid:{content_id}"/></{name}>'


def write_answer(operation: str, values: Mapping[str, Any], *, inline: bool = False) -> Answer:
    """The answer of an operation: ``values`` are the children of its wrapper, None in a list means nil."""
    contract, writer = OPERATIONS[operation], _Writer(inline)
    root = f'<ns:{contract.response} xmlns:ns="{WRAPPERS}" xmlns:ax="{TYPES}" xmlns:xmime="{MIME}" xmlns:xsi="{_XSI}">'
    content = "".join(writer.elements(contract.answer, values, "ns"))
    document = f"{_START}{root}{content}</ns:{contract.response}>{_END}".encode()
    if not writer.attachments:
        return Answer(XML, document)
    return Answer(*put_together(document, writer.attachments))


def write_fault(reason: str, *, caller: bool) -> Answer:
    """A SOAP Fault, which HTTP carries with status 500."""
    code = "Client" if caller else "Server"
    text = f"<faultcode>soapenv:{code}</faultcode><faultstring>{escape(reason)}</faultstring>"
    return Answer(XML, f"{_START}<soapenv:Fault>{text}</soapenv:Fault>{_END}".encode(), 500)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        # without a zone, as the service's own times are (kep.md 2.9)
        return value.astimezone(TURKISH_TIME).replace(tzinfo=None).isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "".join(sign for sign in str(value) if sign.isprintable() or sign in "\t\r\n")
