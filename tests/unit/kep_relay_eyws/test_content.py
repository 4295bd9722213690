"""What a message calls itself, and whether the offered contract is still ours."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from services.kep_relay.drivers.eyws.codec import WSDL, encode
from services.kep_relay.drivers.eyws.content import Peeked, names_itself, package_type
from services.kep_relay.drivers.eyws.contract import drift
from services.kep_relay.drivers.eyws.wire import Call, Operation
from services.kep_relay.drivers.protocol import Envelope
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode

ENVELOPE = Envelope(KepAddress("a@hs98.kep.tr"), KepAddress("b@hs99.kep.tr"), "<m@x>")
MAIL = (
    b"Message-ID:\r\n <outer@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    b"Message-ID: <quoted@x>\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n"
    b"Subject: x\r\nmessage-id: <inner@x>\r\n\r\nMessage-ID: <body@x>\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("name", "is_it"),
    [("<outer@x>", True), ("<inner@x>", True), ("inner@x", True), ("<quoted@x>", False), ("<body@x>", False),
     ("<INNER@x>", False), ("<outer@x", True), ("<other@x>", False)],
)  # fmt: skip
def test_only_headers_name_a_message(name: str, is_it: bool) -> None:
    source = io.BytesIO(MAIL)
    assert names_itself(source, frozenset({name})) is is_it
    assert source.tell() == 0


def test_a_part_far_behind_is_found() -> None:
    far = b"Subject: x\r\n\r\n" + b"x" * 3_000_000 + MAIL[MAIL.index(b"\r\n--b\r\nContent-Type: message") :]
    assert names_itself(io.BytesIO(far), frozenset({"<inner@x>"}))


async def whole(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("size", [1, 10, 10_000])
async def test_reading_ahead_loses_nothing(size: int) -> None:
    content = b"X-TR-REM-iletiTip: eYazisma\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n"
    peeked = Peeked(whole(content, size))
    assert package_type(await peeked.headers(), ENVELOPE) == "EYazisma"
    assert b"".join([piece async for piece in peeked]) == content


async def test_headers_without_end_are_bounded() -> None:
    with pytest.raises(DomainError) as caught:
        await Peeked(whole(b"X: y\r\n" * 200_000, 10_000)).headers()
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


@pytest.mark.parametrize(
    "headers",
    [
        b"Message-ID: <m@x>", b"X-TR-REM-iletiTip: mektup\r\nMessage-ID: <m@x>",
        b"X-TR-REM-iletiTip: standart\r\nX-TR-REM-iletiTip: eYazisma\r\nMessage-ID: <m@x>",
        b"X-TR-REM-iletiTip: standart", b"X-TR-REM-iletiTip: standart\r\nMessage-ID: <other@x>",
        b"X-TR-REM-iletiTip: standart\r\nMessage-ID: <m@x>\r\nMessage-ID: <n@x>",
    ],
)  # fmt: skip
async def test_a_type_or_name_that_is_not_certain_is_refused(headers: bytes) -> None:
    with pytest.raises(DomainError):
        package_type(await Peeked(whole(headers + b"\r\n\r\n", 7)).headers(), ENVELOPE)


def test_requests_have_the_namespaces_of_the_service() -> None:
    account = {"kepHesap": "a@hs98.kep.tr", "tcno": "1", "parola": "p", "sifre": "s"}
    request = encode(Call(Operation.CONFIRM, {"kepHesap": account, "kepId": "<a&b@x>", "dizin": "INBOX"}))
    text = request.body.decode()
    assert '<ns0:AlindiOnay xmlns:ns0="http://ws.apache.org/axis2"><ns0:param0>' in text
    assert 'xmlns:ns1="http://ws.apache.org/axis2/xsd"><ns1:kepHesap>a@hs98.kep.tr</ns1:kepHesap><ns1:tcno>' in text
    assert "&lt;a&amp;b@x&gt;" in text
    assert request.headers["SOAPAction"] == '"urn:AlindiOnay"'


def test_a_secret_that_xml_cannot_carry_is_not_quoted() -> None:
    account = {"kepHesap": "a@hs98.kep.tr", "tcno": "1", "parola": "pass\x00word", "sifre": "s"}
    with pytest.raises(DomainError) as caught:
        encode(Call(Operation.QUOTA, account))
    assert "word" not in str(caught.value)
    assert caught.value.__cause__ is None


OURS = WSDL.read_bytes()


def test_the_bundled_contract_is_its_own() -> None:
    assert list(drift(OURS)) == []
    assert list(drift(OURS.replace(b'"kepSiraNo"', b'"kepNo"', 1)))
    assert any("EYazisma" in line for line in drift(OURS.replace(b'<xs:enumeration value="EYazisma"/>', b"")))
    assert "operation Indir is gone" in drift(
        OURS.replace(b'<wsdl:operation name="Indir">', b'<wsdl:operation name="Al">')
    )


def test_what_is_added_behind_is_no_drift() -> None:
    more = OURS.replace(
        b'<xs:element name="sontarih" type="xs:dateTime" minOccurs="0"/>',
        b'<xs:element name="sontarih" type="xs:dateTime" minOccurs="0"/>',
    ).replace(b"</xs:schema>\n  </wsdl:types>", b'<xs:complexType name="eyYeni"/></xs:schema>\n  </wsdl:types>')
    assert list(drift(more)) == []


@pytest.mark.parametrize("text", [b"", b"<html/>", b"<!DOCTYPE a><a/>", OURS[:500]])
def test_what_is_no_contract_is_told(text: bytes) -> None:
    with pytest.raises(ValueError, match="contract"):
        drift(text)
