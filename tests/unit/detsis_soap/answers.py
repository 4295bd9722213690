"""Answers written here, byte by byte, for every operation: what no look-alike would send."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from lxml import etree
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from services.detsis_sync.rows import BulkOutcome
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.bulk import BulkAnswer
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.wire import Operation
from services.sandbox.detsis.wire_contract import OPERATIONS, all_fields, is_complex
from shared.clock import FixedClock
from shared.domain.identifiers import DetsisNumber, KepAddress
from tests.unit.detsis_soap.conftest import NOW, Authority, served

SOAP_11, SOAP_12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
N, M = DetsisNumber(10000001), DetsisNumber(10000002)
K = f"{{{wire.NAMESPACE}}}"
_MOMENT = "2026-03-01T04:05:06.1234567"
_TEXTS = {"Aktifmi": "True", "KepAdresi": "kurum.a@hs91.kep.example", "MuhatapKepAdresi": "kurum.b@hs92.kep.example"}
_NUMBERS = {
    "DETSISNo",
    "DetsisNo",
    "DetsisId",
    "KurumBirimId",
    "SertifikaSahibiKurumId",
    "KurumDetsisNo",
    "KurumID",
    "int",
}


@dataclass(frozen=True)
class Found:
    """What one operation gave: rows, and for streams what was seen besides."""

    rows: list[Any]
    outcome: BulkOutcome | None = None


async def _small(answer: Awaitable[Any]) -> Found:
    rows = await answer
    return Found(rows if isinstance(rows, list) else [] if rows is None else [rows])


async def _streamed(answer: BulkAnswer[Any, Any]) -> Found:
    async with answer:
        rows = [row async for batch in answer for row in batch]
    return Found(rows, answer.outcome)


INVOKE: dict[Operation, Callable[[DetsisClient], Awaitable[Found]]] = {
    Operation.EXTERNAL_UNITS: lambda c: _streamed(c.external_units(date(2010, 1, 1))),
    Operation.OWN_UNITS: lambda c: _streamed(c.own_units(None)),
    Operation.MAIN_INSTITUTIONS: lambda c: _streamed(c.main_institutions()),
    Operation.MAIN_INSTITUTION_BUDGETS: lambda c: _streamed(c.main_institution_budgets()),
    Operation.UNIT: lambda c: _small(c.unit(N)),
    Operation.ANCESTORS: lambda c: _small(c.ancestors(N)),
    Operation.CHILDREN: lambda c: _streamed(c.children(N)),
    Operation.UNITS_BY_NAME: lambda c: _small(c.units_by_name("BAŞKANLIĞI")),
    Operation.UNITS_BY_DETAIL: lambda c: _small(c.units_by_detail(province_code=6)),
    Operation.NUMBERS_OF_FORMER: lambda c: _small(c.numbers_of_former(["1.2.3"])),
    Operation.ACTIVE_KEP_ADDRESSES: lambda c: _streamed(c.active_kep_addresses()),
    Operation.KEP_ADDRESSES: lambda c: _small(c.kep_addresses([N, M])),
    Operation.ADDRESS_OWNER: lambda c: _small(c.address_owner(KepAddress("kurum.a@hs91.kep.example"))),
    Operation.UETS_NUMBERS: lambda c: _small(c.uets_numbers(N)),
    Operation.CERTIFICATES_OF_UNIT: lambda c: _small(c.certificates_of(N)),
    Operation.CERTIFICATES: lambda c: _streamed(c.certificates(date(2010, 1, 1))),
    Operation.CERTIFICATE_OWNERS: lambda c: _streamed(c.certificate_owners(date(2010, 1, 1))),
    Operation.EYP_VERSIONS: lambda c: _small(c.eyp_versions(N)),
    Operation.EYP_VERSION_CHANGES: lambda c: _small(c.eyp_version_changes()),
    Operation.CORRESPONDENCE_PACKAGE: lambda c: _small(c.correspondence_package(N, [M])),
    Operation.CONTACTS: lambda c: _small(c.contacts(N)),
    Operation.MAIN_INSTITUTION_CONTACTS: lambda c: _streamed(c.main_institution_contacts()),
    Operation.OWN_CONTACTS: lambda c: _streamed(c.own_contacts()),
    Operation.OFFICERS: lambda c: _small(c.officers()),
    Operation.MANAGERS: lambda c: _small(c.managers(N, date(2026, 3, 1))),
    Operation.MANAGER_HISTORY: lambda c: _small(c.manager_history(N)),
    Operation.MANAGER_POSTS: lambda c: _small(c.manager_posts(7)),
    Operation.CATEGORIES: lambda c: _streamed(c.categories()),
    Operation.STATUSES: lambda c: _streamed(c.statuses()),
    Operation.PLACES: lambda c: _streamed(c.places()),
    Operation.FILE_PLAN: lambda c: _small(c.file_plan(N)),
}
"""How each operation is called through the client."""
ZEEP_READS = frozenset(
    {
        Operation.UNIT, Operation.ANCESTORS, Operation.NUMBERS_OF_FORMER, Operation.KEP_ADDRESSES,
        Operation.ADDRESS_OWNER, Operation.UETS_NUMBERS, Operation.CERTIFICATES_OF_UNIT, Operation.EYP_VERSIONS,
        Operation.EYP_VERSION_CHANGES, Operation.CORRESPONDENCE_PACKAGE, Operation.CONTACTS, Operation.OFFICERS,
        Operation.MANAGERS, Operation.MANAGER_HISTORY, Operation.MANAGER_POSTS,
    }
)  # fmt: skip
"""Answers that zeep checks against the contract as a whole; the others are read row by row."""
SINGLE = frozenset({Operation.ADDRESS_OWNER, Operation.CORRESPONDENCE_PACKAGE})
"""Answers that hold one record, not a list."""


def answer(operation: str, *, soap: str = SOAP_11, rows: int = 2) -> etree._Element:
    """A whole good answer with every field filled, as a tree to be damaged."""
    root = etree.Element(f"{{{soap}}}Envelope", nsmap={"soap": soap, "xsi": XSI})
    response = etree.SubElement(
        etree.SubElement(root, f"{{{soap}}}Body"), f"{K}{operation}Response", nsmap={None: wire.NAMESPACE}
    )
    result = etree.SubElement(response, f"{K}{operation}Result")
    etree.SubElement(result, wire.RESULT_FAILED).text = "false"
    wanted = next(found for found in all_fields(OPERATIONS[operation].result) if found.name == "Sonuclar")
    _fill(etree.SubElement(result, wire.RESULT_ITEMS), wanted.type, rows)
    return root


def _fill(element: etree._Element, kind: str, rows: int, number: int = N) -> None:
    for found in all_fields(kind):
        for turn in range(rows if found.repeated else 1):
            child = etree.SubElement(element, K + found.name)
            own = number + turn
            if is_complex(found.type):
                _fill(child, found.type, rows, own)
            elif found.type == "int":
                child.text = str(own if found.name in _NUMBERS else own % 1000)
            else:
                child.text = {
                    "boolean": "true",
                    "dateTime": _MOMENT,
                    "base64Binary": base64.b64encode(f"DER of {own}".encode()).decode(),
                }.get(found.type, _TEXTS.get(found.name, f"METİN {found.name}"))


def whole(root: etree._Element) -> bytes:
    """The bytes of a tree."""
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def good(operation: str) -> bytes:
    """The bytes of a good answer."""
    return whole(answer(operation))


def changed(change: Callable[[etree._Element, str], None]) -> Callable[[str], bytes]:
    """Answers whose tree was changed; ``change`` gets the result element and the operation."""

    def made(operation: str) -> bytes:
        root = answer(operation)
        (result,) = root.iter(wire.result_tag(Operation(operation)))
        change(result, operation)
        return whole(root)

    return made


def records(result: etree._Element, operation: str) -> list[etree._Element]:
    """The items of the list, or the one record."""
    content = result.find(wire.RESULT_ITEMS)
    assert content is not None
    return [content] if operation in SINGLE else list(content)


def fault(code: str, text: str, soap: str = SOAP_11) -> bytes:
    """A soap:Fault of either version."""
    inside = (
        f"<faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring>"
        if soap == SOAP_11
        else f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code><soap:Reason><soap:Text>{text}</soap:Text></soap:Reason>"
    )
    return (
        f'<soap:Envelope xmlns:soap="{soap}"><soap:Body><soap:Fault>{inside}</soap:Fault></soap:Body></soap:Envelope>'
    ).encode()


@dataclass
class Canned:
    """A server that gives the answers it was told to, whatever is asked."""

    body: Callable[[str], bytes] = good
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/xml; charset=utf-8"})
    delay: float = 0
    """Seconds until the answer starts."""
    asked: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """Bodies of the requests."""
    received: list[dict[bytes, bytes]] = field(default_factory=list)
    """Headers of the requests."""
    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        request = b""
        more = True
        while more:
            message = await receive()
            request += message.get("body", b"")
            more = message.get("more_body", False)
        headers = dict(scope["headers"])
        action = headers.get(b"soapaction") or headers[b"content-type"].partition(b"action=")[2]
        operation = action.decode().strip('"').rpartition("/")[2]
        self.asked.append(operation)
        self.sent.append(request)
        self.received.append(headers)
        self.paths.append(scope["path"])
        await asyncio.sleep(self.delay)
        body = self.body(operation)
        sent = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        sent.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": sent})
        await send({"type": "http.response.body", "body": body})


@dataclass
class CannedServer:
    """The running server and how it is called."""

    canned: Canned
    port: int
    settings: DetsisHttpSettings
    account_id: str = "90000009"
    password: str = "Parola&<42>  çğı"
    path: str = "/DETSISServis.asmx"

    @property
    def account(self) -> DetsisAccount:
        """An account whose two secrets are distinct from anything an answer holds."""
        endpoint = f"https://localhost:{self.port}{self.path}"
        return DetsisAccount(N, self.account_id, SecretStr(self.password), endpoint)

    @asynccontextmanager
    async def client(self, **settings: Any) -> Any:
        """A client for it."""
        async with DetsisClient(self.account, replace(self.settings, **settings), FixedClock(NOW)) as client:
            yield client


@contextmanager
def canned_server(authority: Authority) -> Iterator[CannedServer]:
    """Serve canned answers over TLS."""
    canned = Canned()
    settings = DetsisHttpSettings(
        ca_file=authority.ca_file, connect_seconds=10, call_seconds=30, bulk_idle_seconds=30, bulk_total_seconds=60
    )
    with served(canned, authority) as port:
        yield CannedServer(canned, port, settings)
