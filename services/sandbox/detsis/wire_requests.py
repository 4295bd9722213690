"""Reading a SOAP request the way ASMX does: strict about the action, deaf to elements it does not know."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.message import Message

from lxml import etree

from services.sandbox.detsis.wire_contract import HEADER, NAMESPACE, OPERATIONS

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_INT_MAX = 2**31
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class RejectedRequest(Exception):  # noqa: N818 - named for what happened, and answered rather than handled
    """A request that gets a soap:Fault with the code for the sender's mistakes."""

    def __init__(self, reason: str, *, soap: str = SOAP_11) -> None:
        super().__init__(reason)
        self.reason = reason
        self.soap = soap


@dataclass(frozen=True)
class SoapRequest:
    """One call. Numbers that were left out are 0, as a .NET value type would be."""

    operation: str
    soap: str
    """Namespace of the envelope."""
    account_id: str
    password: str = field(repr=False)
    numbers: Mapping[str, int]
    number_lists: Mapping[str, tuple[int, ...]]
    texts: Mapping[str, str | None]
    text_lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    moments: Mapping[str, datetime | None] = field(default_factory=dict)
    """Turkish local time without a zone. None where nil was sent; the year 1 where a required one was left out."""


def read_request(
    body: bytes, content_type: str, soap_action: str | None, operations: Container[str] = OPERATIONS
) -> SoapRequest:
    """Parse one request to a service with these operations. Raises ``RejectedRequest`` with the text ASMX would answer."""
    header = Message()
    header["Content-Type"] = content_type
    media_type = header.get_content_type()
    if media_type == "text/xml":
        soap, action = SOAP_11, (soap_action or "").strip().strip('"')
    elif media_type == "application/soap+xml":
        soap, action = SOAP_12, str(header.get_param("action") or "")
    else:
        raise RejectedRequest("Client found request content type that is not expected.")
    operation = action.removeprefix(NAMESPACE)
    if not action.startswith(NAMESPACE) or operation not in operations:
        raise RejectedRequest(f"Server did not recognize the value of HTTP Header SOAPAction: {action}.", soap=soap)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise RejectedRequest(
            "Server was unable to read request. ---> There is an error in XML document.", soap=soap
        ) from error
    call = root.find(f"{{{soap}}}Body/{{{NAMESPACE}}}{operation}")
    if root.tag != f"{{{soap}}}Envelope" or call is None:
        raise RejectedRequest(f"Server did not recognize the value of HTTP Header SOAPAction: {action}.", soap=soap)
    auth = f"{{{soap}}}Header/{{{NAMESPACE}}}{HEADER}/{{{NAMESPACE}}}"
    return _with_parameters(
        SoapRequest(
            operation=operation,
            soap=soap,
            account_id=root.findtext(auth + "KurumID") or "",
            password=root.findtext(auth + "Password") or "",
            numbers={},
            number_lists={},
            texts={},
        ),
        call,
    )


def _with_parameters(request: SoapRequest, call: etree._Element) -> SoapRequest:
    numbers: dict[str, int] = {}
    lists: dict[str, tuple[int, ...]] = {}
    texts: dict[str, str | None] = {}
    text_lists: dict[str, tuple[str, ...]] = {}
    moments: dict[str, datetime | None] = {}
    for parameter in OPERATIONS[request.operation].parameters:
        element = call.find(f"{{{NAMESPACE}}}{parameter.name}")
        if parameter.type == "ArrayOfInt":
            items = [] if element is None else element.findall(f"{{{NAMESPACE}}}int")
            lists[parameter.name] = tuple(_number(item.text, request.soap) for item in items)
        elif parameter.type == "ArrayOfString":
            items = [] if element is None else element.findall(f"{{{NAMESPACE}}}string")
            text_lists[parameter.name] = tuple(item.text or "" for item in items)
        elif parameter.type == "int":
            numbers[parameter.name] = 0 if element is None else _number(element.text, request.soap)
        elif parameter.type == "dateTime":
            moments[parameter.name] = _moment(element, request.soap, nillable=parameter.nillable)
        else:
            texts[parameter.name] = None if element is None else element.text
    return replace(request, numbers=numbers, number_lists=lists, texts=texts, text_lists=text_lists, moments=moments)


def _moment(element: etree._Element | None, soap: str, *, nillable: bool) -> datetime | None:
    if element is None:
        return None if nillable else datetime.min  # noqa: DTZ901 - the service's times have no zone
    if nillable and element.get(_NIL) in {"true", "1"}:
        return None
    try:
        return datetime.fromisoformat((element.text or "").strip()).replace(tzinfo=None)
    except ValueError as error:
        raise RejectedRequest(
            "Server was unable to read request. ---> The string is not a valid AllXsd value.", soap=soap
        ) from error


def _number(text: str | None, soap: str) -> int:
    try:
        number = int(text or "")
    except ValueError as error:
        raise RejectedRequest(
            "Server was unable to read request. ---> Input string was not in a correct format.", soap=soap
        ) from error
    if not -_INT_MAX <= number < _INT_MAX:
        raise RejectedRequest("Server was unable to read request. ---> Value was too large for an Int32.", soap=soap)
    return number
