"""What we send through our own WSDL is, canonical byte for canonical byte, what the full contract would send.

And what we expect in answers is what the full contract says: every element of every type, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pytest
from lxml import etree
from pydantic import SecretStr

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.codec import WSDL, SoapCodec
from services.sandbox.detsis.wire_contract import OPERATIONS
from services.sandbox.detsis.wire_wsdl import render_wsdl
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "DETSISServis.wsdl"
ACCOUNT = DetsisAccount(
    DetsisNumber(10000001), "10000001", SecretStr("p&<ş"), "https://detsis.invalid/DETSISServis.asmx"
)
CALLS = [
    wire.external_units_call(date(2020, 1, 31)),
    wire.own_units_call(None),
    wire.own_units_call(datetime(2026, 3, 1, 4, 5, 6)),  # noqa: DTZ001 - the service's times have no zone
    wire.Call(wire.Operation.MAIN_INSTITUTIONS),
    wire.Call(wire.Operation.MAIN_INSTITUTION_BUDGETS),
    wire.unit_call(10000002),
    wire.ancestors_call(10000002),
    wire.children_call(10000002),
    wire.units_by_name_call("ÇINAR & <ŞIK>", None),
    wire.units_by_name_call("ÇINAR", 10000001),
    wire.units_by_detail_call(1, 2, 3, 34),
    wire.numbers_of_former_call(["1.2.3", "4/5"]),
    wire.numbers_of_former_call([]),
    wire.Call(wire.Operation.ACTIVE_KEP_ADDRESSES),
    wire.kep_addresses_call([10000001, 10000002, 10000003]),
    wire.kep_addresses_call([]),
    wire.address_owner_call("kurum.a@hs91.kep.example"),
    wire.uets_numbers_call(10000002),
    wire.certificates_of_unit_call(10000002),
    wire.certificates_call(date(2010, 1, 1)),
    wire.certificate_owners_call(date(2026, 12, 31)),
    wire.eyp_versions_call(10000002),
    wire.Call(wire.Operation.EYP_VERSION_CHANGES),
    wire.correspondence_package_call(10000001, [10000002, 10000003]),
    wire.contacts_call(10000002),
    wire.Call(wire.Operation.MAIN_INSTITUTION_CONTACTS),
    wire.Call(wire.Operation.OWN_CONTACTS),
    wire.Call(wire.Operation.OFFICERS),
    wire.managers_call(10000002, None),
    wire.managers_call(10000002, date(2026, 3, 1)),
    wire.manager_history_call(10000002),
    wire.manager_posts_call(77),
    wire.Call(wire.Operation.CATEGORIES),
    wire.Call(wire.Operation.STATUSES),
    wire.Call(wire.Operation.PLACES),
    wire.file_plan_call(10000001),
]
LEFT_OUT = {"GetHizmetListesi", "GetBelgeListesi", "GetMevzuatListesi", "MevzuatSorgula"} | {
    "IYEMTCdenGorevListesiGetirWs"
}
"""What no letter needs, and posts by national identity number: nobody should be able to ask for those through us."""
S, W = "{http://www.w3.org/2001/XMLSchema}", "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = {
    "1.1": "{http://schemas.xmlsoap.org/wsdl/soap/}",
    "1.2": "{http://schemas.xmlsoap.org/wsdl/soap12/}",
}


@pytest.fixture(scope="module")
def reference() -> Path:
    if not REFERENCE.exists():
        pytest.skip("the published WSDL is not at hand")
    return REFERENCE


@pytest.fixture(scope="module")
def look_alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wsdl = tmp_path_factory.mktemp("wsdl") / "sandbox.wsdl"
    wsdl.write_text(render_wsdl("http://detsis.invalid/"), encoding="utf-8")
    return wsdl


def _same_requests(version: str, other: Path, names: set[str]) -> None:
    ours, theirs = SoapCodec(ACCOUNT, version), SoapCodec(ACCOUNT, version, other, names)
    for call in CALLS:
        if call.operation in names:
            one, two = ours.encode(call), theirs.encode(call)
            assert _canonical(one.body) == _canonical(two.body), call
            assert one.headers == two.headers


def _canonical(body: bytes) -> bytes:
    return etree.tostring(etree.fromstring(body), method="c14n")


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_requests_are_those_of_the_published_contract(version: str, reference: Path) -> None:
    _same_requests(version, reference, set(wire.Operation))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_requests_are_those_of_the_look_alikes_contract(version: str, look_alike: Path) -> None:
    _same_requests(version, look_alike, set(wire.Operation) & set(OPERATIONS))


def test_every_operation_is_covered() -> None:
    assert {call.operation for call in CALLS} == set(wire.Operation)


def test_our_contract_holds_what_we_send_and_nothing_else() -> None:
    operations = set(wire.Operation)
    port_type = etree.parse(WSDL).find(f"{W}portType")
    assert port_type is not None
    assert {operation.get("name") for operation in port_type.iter(f"{W}operation")} == operations
    assert not operations & LEFT_OUT


def test_the_published_contract_has_only_what_we_know_of_and_leave_out(reference: Path) -> None:
    """An operation published later shows up here, and is then either used or left out on purpose."""
    port_type = etree.parse(reference).find(f"{W}portType")
    assert port_type is not None
    published = {operation.get("name") for operation in port_type.iter(f"{W}operation")}
    assert published == set(wire.Operation) | LEFT_OUT


@dataclass(frozen=True)
class Contract:
    """The schema and bindings of one WSDL, read without zeep so that it judges zeep's users too."""

    elements: dict[str, etree._Element]
    types: dict[str, etree._Element]
    root: etree._Element

    @classmethod
    def of(cls, wsdl: Path) -> Contract:
        root = etree.parse(wsdl).getroot()
        schema = root.find(f"{W}types/{S}schema")
        assert schema is not None
        assert schema.get("elementFormDefault") == "qualified"
        assert schema.get("targetNamespace") == root.get("targetNamespace") == wire.NAMESPACE
        named = {kind: {str(found.get("name")): found for found in schema.findall(S + kind)} for kind in KINDS}
        return cls(named["element"], named["complexType"], root)

    def message(self, name: str) -> list[object]:
        """One message element with everything below it, as comparable data."""
        element = self.elements[name]
        if element.get("type") is not None:
            return [name, *self._named(str(element.get("type")), ())]
        inline = element.find(f"{S}complexType")
        assert inline is not None
        return [name, *self._shape(inline, ())]

    def _named(self, kind: str, above: tuple[str, ...]) -> Iterator[object]:
        prefix, _, name = kind.rpartition(":")
        yield name
        if prefix != "s" and name not in above:
            yield from self._shape(self.types[name], (*above, name))

    def _shape(self, found: etree._Element, above: tuple[str, ...]) -> Iterator[object]:
        yield found.get("abstract", "false")
        for extension in found.iter(f"{S}extension"):
            yield ["base", *self._named(str(extension.get("base")), above)]
        yield [child.tag for child in found.iter(f"{S}any", f"{S}anyAttribute", f"{S}choice", f"{S}all")]
        for child in found.iter(f"{S}element"):
            yield [
                child.get("name"),
                child.get("minOccurs", "1"),
                child.get("maxOccurs", "1"),
                child.get("nillable", "false"),
                *self._named(str(child.get("type")), above),
            ]

    def binding(self, version: str, operation: str) -> list[object]:
        """How one operation travels: action, style, use, header."""
        service = self.root.find(f"{W}service[@name='{wire.SERVICE}']")
        assert service is not None
        port = service.find(f"{W}port[@name='{wire.PORTS[version]}']")
        assert port is not None
        name = str(port.get("binding")).rpartition(":")[2]
        binding = self.root.find(f"{W}binding[@name='{name}']")
        assert binding is not None
        found = binding.find(f"{W}operation[@name='{operation}']")
        assert found is not None
        soap = SOAP[version]
        parts = [element for element in found.iter() if str(element.tag).startswith(soap)]
        assert {f"{soap}operation", f"{soap}body", f"{soap}header"} == {element.tag for element in parts}
        messages = {
            str(message.get("name")): [(part.get("name"), part.get("element")) for part in message]
            for message in self.root.iter(f"{W}message")
        }
        return [
            [
                element.tag,
                {
                    key: value
                    for key, value in sorted(element.attrib.items())
                    if key not in {"message", "soapActionRequired"}
                },
                messages.get(str(element.get("message")).rpartition(":")[2]),
            ]
            for element in parts
        ]


KINDS = ("element", "complexType")


@pytest.fixture(scope="module")
def ours() -> Contract:
    return Contract.of(WSDL)


def _same_contract(ours: Contract, theirs: Contract, operation: str) -> None:
    for name in (operation, f"{operation}Response", "BbServiceAuthentication"):
        assert ours.message(name) == theirs.message(name)
    for version in SOAP:
        assert ours.binding(version, operation) == theirs.binding(version, operation)


@pytest.mark.parametrize("operation", wire.Operation, ids=lambda operation: operation.name)
def test_types_and_bindings_are_those_of_the_published_contract(
    operation: wire.Operation, ours: Contract, reference: Path
) -> None:
    _same_contract(ours, Contract.of(reference), operation)


@pytest.mark.parametrize("operation", wire.Operation, ids=lambda operation: operation.name)
def test_types_and_bindings_are_those_of_the_look_alike(
    operation: wire.Operation, ours: Contract, look_alike: Path
) -> None:
    if operation not in OPERATIONS:
        pytest.skip("the look-alike does not have it")
    _same_contract(ours, Contract.of(look_alike), operation)


@pytest.mark.parametrize("change", ['minOccurs="0"', 'nillable="true"', 'type="s:string"', 'name="Kod"'])
def test_a_planted_difference_is_found(ours: Contract, tmp_path: Path, change: str) -> None:
    attribute = change.partition("=")[0]
    root = etree.parse(WSDL).getroot()
    (number,) = root.iterfind(f".//{S}complexType[@name='KurumBirimTip3WS']//{S}element[@name='DETSISNo']")
    number.set(attribute, change.partition("=")[2].strip('"'))
    file = tmp_path / "changed.wsdl"
    file.write_bytes(etree.tostring(root))
    with pytest.raises(AssertionError):
        _same_contract(ours, Contract.of(file), wire.Operation.UNIT)


def test_a_whole_request_letter_by_letter() -> None:
    request = SoapCodec(ACCOUNT, "1.1").encode(wire.kep_addresses_call([10000001, 10000002]))
    assert request.headers == {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": '"http://kaysis.gov.tr/KEPAdresleriniGetir"',
    }
    expected = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
        '<k:BbServiceAuthentication xmlns:k="http://kaysis.gov.tr/"><k:KurumID>10000001</k:KurumID>'
        "<k:Password>p&amp;&lt;ş</k:Password></k:BbServiceAuthentication></e:Header><e:Body>"
        '<k:KEPAdresleriniGetir xmlns:k="http://kaysis.gov.tr/"><k:DetsisIDs><k:int>10000001</k:int>'
        "<k:int>10000002</k:int></k:DetsisIDs></k:KEPAdresleriniGetir></e:Body></e:Envelope>"
    )
    assert _shape(etree.fromstring(request.body)) == _shape(etree.fromstring(expected))


def _shape(element: etree._Element) -> tuple[object, ...]:
    return (element.tag, dict(element.attrib), element.text, [_shape(child) for child in element])


def _parameters(call: wire.Call) -> dict[str, list[str | None]]:
    """The parameters as sent, by local name; a list shows its items."""
    root = etree.fromstring(SoapCodec(ACCOUNT, "1.1").encode(call).body)
    (sent,) = root.iterfind(f".//{{{wire.NAMESPACE}}}{call.operation}")
    return {wire.local_name(parameter.tag): [item.text for item in parameter] or [parameter.text] for parameter in sent}


def test_a_list_goes_out_whole() -> None:
    """A bare Python list would send its first item only, without an error."""
    numbers = [10000001, 10000002, 10000003]
    assert _parameters(wire.kep_addresses_call(numbers)) == {"DetsisIDs": [str(number) for number in numbers]}
    assert _parameters(wire.numbers_of_former_call(["1", "2"])) == {"kutukNoList": ["1", "2"]}
    assert _parameters(wire.correspondence_package_call(10000001, numbers)) == {
        "gonderenDetsisID": ["10000001"],
        "muhatapDetsisIDs": [str(number) for number in numbers],
    }


def test_values_go_where_they_belong() -> None:
    """Four numbers of one type: a mix-up would pass every other test."""
    assert _parameters(wire.units_by_detail_call(1, 2, 3, 34)) == {
        "yerKodu": ["1"],
        "kategoriID": ["2"],
        "statuID": ["3"],
        "IlKodu": ["34"],
    }
    assert _parameters(wire.external_units_call(date(2020, 1, 31))) == {"pGun": ["31"], "pAy": ["1"], "pYil": ["2020"]}
    assert _parameters(wire.certificates_call(date(2020, 1, 31))) == {"baslangicTarihi": ["2020-01-31T00:00:00"]}
    assert _parameters(wire.units_by_name_call("ÇINAR", None)) == {"ad": ["ÇINAR"], "anaKurumIdareKimlikKodu": ["0"]}


@pytest.mark.parametrize(
    ("call", "name"),
    [(wire.own_units_call(None), "degisiklikTarihiBaslangic"), (wire.managers_call(10000001, None), "Tarih")],
)
def test_a_date_left_out_is_an_explicit_nil(call: wire.Call, name: str) -> None:
    body = SoapCodec(ACCOUNT, "1.1").encode(call).body
    (parameter,) = etree.fromstring(body).iter(f"{{http://kaysis.gov.tr/}}{name}")
    assert parameter.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"


@pytest.mark.parametrize("text", ["a\x00b", "a\x0bb", "\ud800", "\ufffe"])
def test_characters_xml_cannot_carry_are_refused_before_anything_is_sent(text: str) -> None:
    with pytest.raises(DomainError) as caught:
        SoapCodec(ACCOUNT, "1.1").encode(wire.units_by_name_call(text, None))
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://detsis.invalid/", "https://", "https://u:p@detsis.invalid/", "file:///etc"]
)
def test_only_https_endpoints_are_accepted(endpoint: str) -> None:
    with pytest.raises(DomainError) as caught:
        DetsisAccount(DetsisNumber(10000001), "1", SecretStr("x"), endpoint)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_the_password_shows_in_no_representation() -> None:
    request = SoapCodec(ACCOUNT, "1.1").encode(wire.unit_call(10000001))
    assert "p&" not in repr(ACCOUNT) + repr(request)
