"""The look-alike in this process, asked without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import httpx
from lxml import etree

from services.sandbox.detsis.app import PATH, build_detsis_app
from services.sandbox.detsis.calendar import RegisterCalendar
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from services.sandbox.detsis.rendered import RenderedAnswers
from services.sandbox.detsis.wire_contract import OPERATIONS
from services.sandbox.faults import Fault, FaultBoard
from services.sandbox.world import DetsisAccount
from shared.clock import FixedClock

A, A_UNIT, B = 10000001, 10000011, 10000002
PASSWORD = "p"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FIRST_DAY = date(2026, 3, 2)
PINNED = (
    PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example"),
    PinnedUnit(A_UNIT, "YAZI İŞLERİ MÜDÜRLÜĞÜ", parent_no=A),
    PinnedUnit(B, "ÇINARALTI REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example", encryption_certificate=b"DER"),
)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))

    def rows(self, name: str) -> list[etree._Element]:
        """Every element of that name."""
        return list(self.root.iter("{http://kaysis.gov.tr/}" + name))

    def values(self, row: str, field: str) -> list[str | None]:
        """One child's text of every row."""
        return [element.findtext("{http://kaysis.gov.tr/}" + field) for element in self.rows(row)]

    def numbers(self, row: str = "KurumBirimWS", field: str = "DETSISNo") -> list[int]:
        """One child of every row, as numbers."""
        return [int(text or "") for text in self.values(row, field)]

    @property
    def failed(self) -> str | None:
        """The text of the in-band flag."""
        return self.root.findtext(".//{http://kaysis.gov.tr/}SonucHatali")


class Service:
    """One register with its calendar and its service."""

    def __init__(
        self,
        register: Register | None = None,
        *,
        pinned: Sequence[PinnedUnit] = PINNED,
        size: int = 400,
        daily_share: float = 0,
        rendered: RenderedAnswers | None = None,
    ) -> None:
        self.register = register or generate_register(size, 7, pinned, first_day=FIRST_DAY)
        self.faults = FaultBoard()
        self.clock = FixedClock(NOW)
        self.calendar = RegisterCalendar(self.register, self.clock, seed=3, daily_share=daily_share)
        accounts = [DetsisAccount(number, str(number), PASSWORD) for number in (A, B)]
        self.app = build_detsis_app(
            self.register, accounts, self.faults, self.clock, calendar=self.calendar, rendered=rendered
        )

    def order(self, name: str, value: float | None = None, **order: Any) -> None:
        self.faults.order(Fault(f"detsis.{name}", value=value, **order))

    async def ask(
        self, operation: str, path: str = PATH, institution: int = A, encoding: str = "identity", **parameters: Any
    ) -> Answer:
        """Call an operation; what it needs and is not given gets a harmless value."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="https://detsis.invalid"
        ) as http:
            response = await http.post(
                path,
                content=envelope(operation, institution, parameters),
                headers={
                    "Content-Type": "text/xml; charset=utf-8",
                    "SOAPAction": f'"http://kaysis.gov.tr/{operation}"',
                    "Accept-Encoding": encoding,
                },
            )
        return Answer(response.status_code, response.headers, response.content)

    async def external(self, since: date = date(2010, 1, 1), **arguments: Any) -> Answer:
        """The external list."""
        return await self.ask(
            "YeniDisYazismaYapanlariGetirWs", pGun=since.day, pAy=since.month, pYil=since.year, **arguments
        )


def envelope(operation: str, institution: int, parameters: dict[str, Any]) -> bytes:
    """A request."""
    inside = ""
    for field in OPERATIONS[operation].parameters:
        value = parameters.get(field.name)
        if field.type in {"ArrayOfInt", "ArrayOfString"}:
            item = "int" if field.type == "ArrayOfInt" else "string"
            value = "".join(f"<{item}>{one}</{item}>" for one in value or ())
        elif value is None:
            if field.nillable:
                continue
            value = {"int": "0", "dateTime": "2010-01-01T00:00:00"}.get(field.type, "")
        inside += f"<{field.name}>{value}</{field.name}>"
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns="http://kaysis.gov.tr/"><s:Header>'
        f"<BbServiceAuthentication><KurumID>{institution}</KurumID><Password>{PASSWORD}</Password>"
        f"</BbServiceAuthentication></s:Header><s:Body><{operation}>{inside}</{operation}></s:Body></s:Envelope>"
    ).encode()
