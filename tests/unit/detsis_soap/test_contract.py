"""What we send through our own WSDL is, canonical byte for canonical byte, what the full contract would send."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest
from lxml import etree
from pydantic import SecretStr

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.codec import SoapCodec
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
    wire.Call(wire.Operation.ACTIVE_KEP_ADDRESSES),
    wire.unit_call(10000002),
    wire.ancestors_call(10000002),
    wire.kep_addresses_call([10000001, 10000002, 10000003]),
    wire.address_owner_call("kurum.a@hs91.kep.example"),
    wire.correspondence_package_call(10000001, [10000002, 10000003]),
]


def _same_requests(version: str, other: Path) -> None:
    ours, theirs = SoapCodec(ACCOUNT, version), SoapCodec(ACCOUNT, version, other)
    for call in CALLS:
        one, two = ours.encode(call), theirs.encode(call)
        assert _canonical(one.body) == _canonical(two.body)
        assert one.headers == two.headers


def _canonical(body: bytes) -> bytes:
    return etree.tostring(etree.fromstring(body), method="c14n")


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_requests_are_those_of_the_published_contract(version: str) -> None:
    if not REFERENCE.exists():
        pytest.skip("the published WSDL is not at hand")
    _same_requests(version, REFERENCE)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_requests_are_those_of_the_look_alikes_contract(version: str, tmp_path: Path) -> None:
    wsdl = tmp_path / "sandbox.wsdl"
    wsdl.write_text(render_wsdl("http://detsis.invalid/"), encoding="utf-8")
    _same_requests(version, wsdl)


def test_every_operation_is_covered() -> None:
    assert {call.operation for call in CALLS} == set(wire.Operation)


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


def test_a_date_left_out_is_an_explicit_nil() -> None:
    body = SoapCodec(ACCOUNT, "1.1").encode(wire.own_units_call(None)).body
    (parameter,) = etree.fromstring(body).iter("{http://kaysis.gov.tr/}degisiklikTarihiBaslangic")
    assert parameter.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"


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
