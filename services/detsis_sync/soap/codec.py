"""zeep as a codec on the bundled contract (``shared.soap``): it writes requests and reads small answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree
from zeep import xsd
from zeep.exceptions import Error as ZeepError

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.failures import (
    DirectoryCallError,
    FailureReason,
    Secrets,
    fault_failure,
    in_band_failure,
    quoted,
)
from shared.errors import DomainError, ErrorCode
from shared.soap import bundled_contract

WSDL = Path(__file__).parent / "wsdl" / "detsis.wsdl"
ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
_MOST_UNKNOWN_NAMES = 50
_XSI_TYPE, _XSI_NIL = (f"{{http://www.w3.org/2001/XMLSchema-instance}}{name}" for name in ("type", "nil"))


@dataclass(frozen=True)
class EncodedRequest:
    """One request, ready to send."""

    operation: wire.Operation
    body: bytes = field(repr=False)
    headers: dict[str, str]


@dataclass(frozen=True)
class DecodedAnswer:
    """What a small answer held besides its wrapper."""

    content: Any
    unknown_elements: Counter[str]


@dataclass(frozen=True)
class _Contract:
    """A loaded WSDL: several hundred types, the same for every account."""

    client: Any
    responses: Mapping[wire.Operation, Any]


@lru_cache(maxsize=8)
def _contract(soap_version: str, wsdl: Path, operations: tuple[str, ...]) -> _Contract:
    client = bundled_contract(wsdl, service=wire.SERVICE, port=wire.PORTS[soap_version])
    # zeep builds its types lazily; doing it here keeps later calls short and free of shared mutation.
    responses = {op: client.get_element(wire.response_tag(op)) for op in map(wire.Operation, operations)}
    seen: set[int] = set()
    for element in responses.values():
        _read_leaves_as_text(element.type, seen)
    return _Contract(client, responses)


def load_contract(soap_version: str) -> None:
    """Load the contract now: it takes a while, and no letter shall wait for it."""
    _contract(soap_version, WSDL, tuple(wire.Operation))


class SoapCodec:
    """Requests and small answers of one SOAP version, for one account. Safe to use from several threads."""

    def __init__(
        self,
        account: DetsisAccount,
        soap_version: str,
        wsdl: Path = WSDL,
        operations: Iterable[str] = tuple(wire.Operation),
    ) -> None:
        """``operations`` names those ``wsdl`` holds; answers of others cannot be decoded."""
        self._account = account
        self._soap = ENVELOPES[soap_version]
        self._version = soap_version
        contract = _contract(soap_version, wsdl, tuple(operations))
        self._client = contract.client
        self._responses = contract.responses

    def encode(self, call: wire.Call) -> EncodedRequest:
        """The envelope with the account's header, and the HTTP headers.

        Raises ``DomainError`` (validation-failed) for a text with characters that XML cannot carry.
        """
        try:
            envelope = self._client.create_message(
                self._client.service,
                str(call.operation),
                _soapheaders=wire.authentication(self._account.account_id, self._account.password.get_secret_value()),
                **call.parameters,
            )
        except ValueError:
            # not "from": lxml's own error may quote the text, and the text may be the password
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, f"{call.operation.name}: a text holds characters that XML cannot carry"
            ) from None
        action = wire.soap_action(call.operation)
        if self._version == "1.1":
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        else:
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        body: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return EncodedRequest(call.operation, body, headers)

    def decode(self, operation: wire.Operation, body: bytes) -> DecodedAnswer:
        """Read a complete, already cleaned answer.

        Elements the contract does not know are taken out and counted before zeep sees them: it would
        refuse the whole answer. Raises ``DirectoryCallError``.
        """
        root = parse(operation, body)
        secrets = self._account.secrets
        if root.tag != f"{{{self._soap}}}Envelope":
            raise DirectoryCallError(FailureReason.NOT_SOAP, operation, "the answer is not a SOAP envelope")
        if (failure := fault_in(operation, root, secrets)) is not None:
            raise failure
        response = root.find(f"{{{self._soap}}}Body/{wire.response_tag(operation)}")
        if response is None:
            raise _malformed(operation, "the answer belongs to another operation")
        unknown: Counter[str] = Counter()
        _fit(response, self._responses[operation].type, unknown)
        result = response.find(wire.result_tag(operation))
        if result is None:
            raise _malformed(operation, "the answer holds no result")
        # Judged before zeep looks: what DETSİS says went wrong counts for more than a result that fits the contract.
        self._judge(operation, wire.reply(result))
        try:
            found = self._client.service._binding.get(str(operation)).process_reply(root)  # noqa: SLF001
        except ZeepError as error:
            raise _malformed(operation, f"the answer breaks the contract ({quoted(str(error), secrets)})") from error
        return DecodedAnswer(wire.content(found), unknown)

    def _judge(self, operation: wire.Operation, reply: wire.Reply) -> None:
        message = quoted(reply.message, self._account.secrets)
        if reply.failed is None:
            raise _malformed(operation, "the result does not say whether the call failed")
        if reply.failed:
            raise in_band_failure(operation, message)
        if not reply.has_items and reply.message:
            raise DirectoryCallError(FailureReason.CONTRADICTORY, operation, f"success without a result: {message}")


def parse(operation: str, body: bytes) -> etree._Element:
    """Parse one whole document strictly. Raises ``DirectoryCallError``: truncated, malformed."""
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        if not body.rstrip().endswith(b"Envelope>"):
            raise DirectoryCallError(FailureReason.TRUNCATED, operation, "the answer ends too early") from error
        raise _malformed(operation, "the answer is not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise _malformed(operation, "the answer carries a document type declaration")
    return root


def fault_in(operation: str, root: etree._Element, secrets: Secrets) -> DirectoryCallError | None:
    """The failure for a soap:Fault of either version, if there is one."""
    for soap in ENVELOPES.values():
        found = root.find(f"{{{soap}}}Body/{{{soap}}}Fault")
        if found is not None:
            code = found.findtext("faultcode") or found.findtext(f"{{{soap}}}Code/{{{soap}}}Value")
            text = found.findtext("faultstring") or found.findtext(f"{{{soap}}}Reason/{{{soap}}}Text")
            return fault_failure(operation, code, quoted(text, secrets))
    return None


def count_unknown(unknown: Counter[str], name: str) -> None:
    """Count an unknown element, without letting an answer grow the table for ever."""
    if name in unknown or len(unknown) < _MOST_UNKNOWN_NAMES:
        unknown[name] += 1


@lru_cache(maxsize=256)
def _known_children(xsd_type: Any) -> dict[str, Any]:
    return {element.qname.text: element for _, element in getattr(xsd_type, "elements", ())}


def _read_leaves_as_text(xsd_type: Any, seen: set[int]) -> None:
    """Make zeep hand out the text of every leaf untouched.

    Left alone it turns an unreadable number, truth, moment or certificate into None, and logs its text.
    """
    if id(xsd_type) in seen:
        return
    seen.add(id(xsd_type))
    for _, element in xsd_type.elements:
        if hasattr(element.type, "elements"):
            _read_leaves_as_text(element.type, seen)
        else:
            element.type = xsd.String()  # type: ignore[no-untyped-call]


def _fit(node: etree._Element, xsd_type: Any, unknown: Counter[str]) -> None:
    """Make an answer fit the contract without inventing anything: zeep refuses a whole answer for one odd row.

    What is not known is counted and taken out, nil rows are taken out (zeep would make records full of None
    of them). A required leaf that is missing is put in empty, so that
    the row's own reader says which field it was (zeep does not notice when it was the last one).
    """
    known = _known_children(xsd_type)
    node.attrib.pop(_XSI_TYPE, "")  # zeep would read the element as whatever type the answer names
    for child in list(node):
        found = known.get(child.tag)
        if found is None:
            count_unknown(unknown, wire.local_name(child.tag))
            node.remove(child)
        elif not hasattr(found.type, "elements"):
            child.attrib.pop(_XSI_TYPE, "")
        elif child.get(_XSI_NIL) in {"true", "1"}:
            node.remove(child)
        else:
            _fit(child, found.type, unknown)
    position = 0
    for tag, element in known.items():
        last = next((child for child in reversed(node) if child.tag == tag), None)
        if last is not None:
            position = node.index(last) + 1
        elif element.min_occurs and not hasattr(element.type, "elements"):
            node.insert(position, etree.Element(tag))
            position += 1


def _malformed(operation: str, detail: str) -> DirectoryCallError:
    return DirectoryCallError(FailureReason.MALFORMED, operation, detail)
