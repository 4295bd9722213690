"""zeep as a writer of requests on the bundled contract (``shared.soap``); it reads no answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree
from zeep.exceptions import Error as ZeepError

from services.kep_relay.drivers.eyws import wire
from shared.errors import DomainError, ErrorCode
from shared.soap import bundled_contract

WSDL = Path(__file__).parent / "wsdl" / "eyws.wsdl"
PLACEHOLDER = b"--content-goes-here--"
_MARK = base64.b64encode(PLACEHOLDER)


@dataclass(frozen=True)
class EncodedRequest:
    """One request, ready to send. With ``after`` base64 of a message goes between the two."""

    operation: wire.Operation
    body: bytes = field(repr=False)
    after: bytes | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """SOAP 1.1."""
        return {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{wire.action(self.operation)}"',
            "Accept": "text/xml, multipart/related, application/xop+xml",
            "Accept-Encoding": "identity",
        }


@lru_cache(maxsize=1)
def contract() -> Any:
    """The bundled contract, loaded once."""
    client = bundled_contract(WSDL, service=wire.SERVICE, port=wire.PORT)
    for operation in wire.Operation:  # zeep makes its types when they are first used: now, in one thread
        client.get_element(f"{{{wire.WRAPPERS}}}{operation}")
        client.get_element(f"{{{wire.WRAPPERS}}}{wire.response_tag(operation)}")
    return client


def encode(call: wire.Call) -> EncodedRequest:
    """The envelope. Raises VALIDATION_FAILED for a text with characters that XML cannot carry."""
    client = contract()
    try:
        envelope = client.create_message(client.service, str(call.operation), param0=dict(call.parameter))
    except (ValueError, ZeepError):
        # Not "from": the error may quote the text, and the text may be a password.
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, f"{call.operation}: a text holds characters that XML cannot carry"
        ) from None
    body: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    before, mark, after = body.partition(_MARK)
    return EncodedRequest(call.operation, before, after if mark else None)
