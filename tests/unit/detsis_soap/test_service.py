"""The look-alike itself, called with a plain HTTP client: as particular as ASMX, and no more."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lxml import etree
from zeep import Client

from services.sandbox.detsis.app import PATH
from services.sandbox.detsis.wire_contract import OPERATIONS
from services.sandbox.detsis.wire_requests import SOAP_11, SOAP_12
from tests.unit.detsis_soap.conftest import PASSWORD, A, B, Detsis

K = "{http://kaysis.gov.tr/}"


@pytest.fixture
def http(detsis: Detsis) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(detsis.authority.ca_file))
    with httpx.Client(verify=context, base_url=f"https://localhost:{detsis.port}", trust_env=False) as client:
        yield client


def envelope(content: str, *, soap: str = SOAP_11, password: str = PASSWORD) -> bytes:
    password = password.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns="http://kaysis.gov.tr/"><s:Header><BbServiceAuthentication>'
        f"<KurumID>10000001</KurumID><Password>{password}</Password></BbServiceAuthentication></s:Header>"
        f"<s:Body>{content}</s:Body></s:Envelope>"
    ).encode()


def call(http: httpx.Client, operation: str, parameters: str = "", *, action: str | None = None) -> httpx.Response:
    return http.post(
        PATH,
        content=envelope(f"<{operation}>{parameters}</{operation}>"),
        headers={
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"http://kaysis.gov.tr/{operation}"' if action is None else action,
        },
    )


@pytest.mark.parametrize(
    "action", ["", '""', "DETSISNoKurumBirimWs", '"http://kaysis.gov.tr/detsisnokurumbirimws"', '"http://kaysis.gov.tr/KEPAdresiKontrolEt"', '"http://kaysis.gov.tr/Yok"']
)  # fmt: skip
def test_the_action_must_match_exactly(http: httpx.Client, action: str) -> None:
    response = call(http, "DETSISNoKurumBirimWs", f"<DETSISNo>{B}</DETSISNo>", action=action)
    assert response.status_code == 500
    assert "did not recognize the value of HTTP Header SOAPAction" in response.text
    assert "soap:Client" in response.text


def test_soap_12_has_its_action_in_the_content_type(http: httpx.Client) -> None:
    body = envelope(f"<DETSISNoKurumBirimWs><DETSISNo>{B}</DETSISNo></DETSISNoKurumBirimWs>", soap=SOAP_12)
    media = 'application/soap+xml; charset=utf-8; action="http://kaysis.gov.tr/DETSISNoKurumBirimWs"'
    response = http.post(PATH, content=body, headers={"Content-Type": media})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/soap+xml")
    refused = http.post(PATH, content=body, headers={"Content-Type": "application/soap+xml"})
    assert refused.status_code == 500
    assert "soap:Sender" in refused.text


def test_a_misspelt_parameter_reads_as_zero(http: httpx.Client) -> None:
    response = call(http, "DETSISNoKurumBirimWs", f"<detsisId>{B}</detsisId>")
    root = etree.fromstring(response.content)
    assert root.findtext(f".//{K}SonucHatali") == "false"
    assert root.find(f".//{K}KurumBirimWS") is None


@pytest.mark.parametrize("number", ["", "abc", "99999999999999", "1 2"])
def test_an_impossible_number_is_a_fault(http: httpx.Client, number: str) -> None:
    response = call(http, "DETSISNoKurumBirimWs", f"<DETSISNo>{number}</DETSISNo>")
    assert response.status_code == 500
    assert "unable to read request" in response.text


@pytest.mark.parametrize("body", [b"", b"<a", b"<a/>", b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'])
def test_a_broken_request_is_a_fault(http: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "text/xml", "SOAPAction": '"http://kaysis.gov.tr/KEPAdresiKontrolEt"'}
    response = http.post(PATH, content=body, headers=headers)
    assert response.status_code == 500
    assert etree.fromstring(response.content).find(f".//{{{SOAP_11}}}Fault") is not None


def test_an_oversized_request_is_refused(http: httpx.Client) -> None:
    assert http.post(PATH, content=b" " * 1_100_000, headers={"Content-Type": "text/xml"}).status_code == 413


def test_a_wrong_password_is_an_in_band_failure_with_status_200(http: httpx.Client) -> None:
    headers = {"Content-Type": "text/xml", "SOAPAction": '"http://kaysis.gov.tr/KEPAdresiKontrolEt"'}
    for wrong in ("", "x"):
        body = envelope("<KEPAdresiKontrolEt/>", password=wrong)
        response = http.post(PATH, content=body, headers=headers)
        assert response.status_code == 200
        root = etree.fromstring(response.content)
        assert root.findtext(f".//{K}SonucHatali") == "true"
        assert root.findtext(f".//{K}HataMsj")
        assert root.findtext(f".//{K}KurumDetsisNo") == "0"


def test_the_wsdl_advertises_an_unencrypted_address(http: httpx.Client, tmp_path: Path) -> None:
    response = http.get(f"{PATH}?WSDL")
    assert 'location="http://' in response.text
    file = tmp_path / "found.wsdl"
    file.write_bytes(response.content)
    for port in ("BBDETSISWS", "BBDETSISWS1"):
        binding = Client(str(file), port_name=port).wsdl.services["DETSISServis"].ports[port].binding
        assert set(binding.all()) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_fits_its_contract(http: httpx.Client, operation: str, tmp_path: Path) -> None:
    """zeep, strict, reads each answer through the look-alike's own WSDL."""
    file = tmp_path / "found.wsdl"
    file.write_bytes(http.get(f"{PATH}?WSDL").content)
    samples = {
        "pGun": "1", "pAy": "1", "pYil": "2020", "ad": "BELEDİYE", "yerKodu": "1", "KepAdresi": "kurum.a@hs91.kep.example",
        "degisiklikTarihiBaslangic": "2020-01-01T00:00:00", "baslangicTarihi": "2020-01-01T00:00:00",
        "Tarih": "2026-01-01T00:00:00", "kategoriID": "0", "statuID": "0", "IlKodu": "0", "anaKurumIdareKimlikKodu": "0", "gonderenDetsisID": str(A),
    }  # fmt: skip
    parameters = "".join(
        f"<{p.name}><int>{A}</int><int>{B}</int></{p.name}>"
        if p.type == "ArrayOfInt"
        else f"<{p.name}><string>10.00.00.02.00.01</string></{p.name}>"
        if p.type == "ArrayOfString"
        else f"<{p.name}>{samples.get(p.name, str(B))}</{p.name}>"
        for p in OPERATIONS[operation].parameters
    )
    response = call(http, operation, parameters)
    assert response.status_code == 200
    binding = Client(str(file)).service._binding
    result = binding.get(operation).process_reply(etree.fromstring(response.content))
    assert result["SonucHatali"] is False
    assert "<Sonuclar>" in response.text


def test_a_name_search_wants_five_letters(http: httpx.Client) -> None:
    parameters = "<ad>BELE</ad><anaKurumIdareKimlikKodu>0</anaKurumIdareKimlikKodu>"
    assert "<SonucHatali>true<" in call(http, "AdaGoreKurumBirimSorgulaWs", parameters).text


def test_an_impossible_date_is_an_in_band_failure(http: httpx.Client) -> None:
    parameters = "<pGun>31</pGun><pAy>2</pAy><pYil>2020</pYil>"
    assert "<SonucHatali>true<" in call(http, "YeniDisYazismaYapanlariGetirWs", parameters).text


def test_answers_are_compressed_only_when_asked(http: httpx.Client) -> None:
    plain = http.build_request(
        "POST",
        PATH,
        content=envelope("<KEPAdresiKontrolEt/>"),
        headers={"Content-Type": "text/xml", "SOAPAction": "http://kaysis.gov.tr/KEPAdresiKontrolEt"},
    )
    assert http.send(plain).headers["content-encoding"] == "gzip"
    plain.headers["accept-encoding"] = "identity"
    assert "content-encoding" not in http.send(plain).headers
