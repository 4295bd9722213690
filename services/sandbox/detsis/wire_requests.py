"""Reading a SOAP request the way ASMX does: strict about the action, deaf to elements it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

from lxml import etree

from services.sandbox.detsis.wire_contract import HEADER, NAMESPACE, OPERATIONS

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_INT_MAX = 2**31


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


def read_request(body: bytes, content_type: str, soap_action: str | None) -> SoapRequest:
    """Parse one request. Raises ``RejectedRequest`` with the text ASMX would answer."""
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
    if not action.startswith(NAMESPACE) or operation not in OPERATIONS:
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
    numbers, lists, texts = _parameters(call, operation, soap)
    return SoapRequest(
        operation=operation,
        soap=soap,
        account_id=root.findtext(auth + "KurumID") or "",
        password=root.findtext(auth + "Password") or "",
        numbers=numbers,
        number_lists=lists,
        texts=texts,
    )


def _parameters(
    call: etree._Element, operation: str, soap: str
) -> tuple[dict[str, int], dict[str, tuple[int, ...]], dict[str, str | None]]:
    numbers: dict[str, int] = {}
    lists: dict[str, tuple[int, ...]] = {}
    texts: dict[str, str | None] = {}
    for parameter in OPERATIONS[operation].parameters:
        element = call.find(f"{{{NAMESPACE}}}{parameter.name}")
        if parameter.type == "ArrayOfInt":
            items = [] if element is None else element.findall(f"{{{NAMESPACE}}}int")
            lists[parameter.name] = tuple(_number(item.text, soap) for item in items)
        elif parameter.type == "int":
            numbers[parameter.name] = 0 if element is None else _number(element.text, soap)
        else:
            texts[parameter.name] = None if element is None else element.text
    return numbers, lists, texts


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
