"""Answers no look-alike would give, and bodies made to exhaust us."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace

import pytest
from pydantic import SecretStr

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.body import BodyDecoder, is_web_page
from services.detsis_sync.soap.codec import SoapCodec
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from services.sandbox.detsis.register import generate_register
from services.sandbox.detsis.wire_answers import envelope, unit_element
from services.sandbox.detsis.wire_requests import SOAP_11
from shared.domain.identifiers import DetsisNumber

ACCOUNT = DetsisAccount(DetsisNumber(10000001), "1", SecretStr("secret"), "https://detsis.invalid/")
CODEC = SoapCodec(ACCOUNT, "1.1")
UNIT = unit_element(next(generate_register(10, 1).units()))


def answer(content: str) -> str:
    return "".join(envelope("DETSISNoKurumBirimWs", SOAP_11, (content,)))


def decode(body: str) -> list[wire.WireUnit]:
    return wire.units_from_reply(CODEC.decode(wire.Operation.UNIT, body.encode()).content)


def test_nil_items_and_missing_lists_are_no_units() -> None:
    assert decode(answer('<KurumBirimWS xsi:nil="true" />')) == []
    assert decode(answer("").replace("<Sonuclar></Sonuclar>", "")) == []
    assert len(decode(answer(UNIT + UNIT))) == 2


def test_an_empty_number_stays_visible_as_missing() -> None:
    start, _, rest = UNIT.partition("<DETSISNo>")
    (unit,) = decode(answer(f"{start}<DETSISNo></DETSISNo>{rest.partition('</DETSISNo>')[2]}"))
    assert unit.number is None


@pytest.mark.parametrize("name", ["DETSISNo", "FaalOlupOlmadigi", "DisYazismaMuhatabiOlupOlmadigi"])
def test_a_required_element_that_is_missing_stays_visible_in_its_row(name: str) -> None:
    """zeep alone would refuse the whole answer, or (for the last element) not notice."""
    start, _, rest = UNIT.partition(f"<{name}>")
    (unit, whole) = decode(answer(start + rest.partition(f"</{name}>")[2] + UNIT))
    fields = {
        "DETSISNo": "number",
        "FaalOlupOlmadigi": "operating",
        "DisYazismaMuhatabiOlupOlmadigi": "external_addressee",
    }
    assert replace(unit, **{fields[name]: getattr(whole, fields[name])}) == whole
    assert getattr(unit, fields[name]) is None


def test_unknown_elements_are_taken_out_and_counted() -> None:
    body = answer(UNIT.replace("</Ad>", "</Ad><Yeni><Ad>X</Ad></Yeni>"))
    found = CODEC.decode(wire.Operation.UNIT, body.encode())
    assert found.unknown_elements == {"Yeni": 1}
    assert wire.units_from_reply(found.content) == decode(answer(UNIT))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<a/>", FailureReason.NOT_SOAP),
        ("no xml", FailureReason.TRUNCATED),
        (answer(UNIT)[:-1], FailureReason.TRUNCATED),
        (answer(UNIT).replace("<Ad>", "<Ad><"), FailureReason.MALFORMED),
        (answer(UNIT).replace("DETSISNoKurumBirimWsRes", "HiyerarsiGetirKurumBirimWsRes"), FailureReason.MALFORMED),
        (answer("").replace("<Sonuclar></Sonuclar>", "<HataMsj>x</HataMsj>"), FailureReason.CONTRADICTORY),
        (answer("").replace("<SonucHatali>false", "<SonucHatali>"), FailureReason.MALFORMED),
        (answer("<X>" * 300 + "</X>" * 300), FailureReason.MALFORMED),
        ('<!DOCTYPE a [<!ENTITY e "x">]>' + answer(UNIT).partition("?>")[2], FailureReason.MALFORMED),
        (f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body/></s:Envelope>', FailureReason.MALFORMED),
    ],
)
def test_anything_but_the_right_answer_is_a_failure(body: str, reason: FailureReason) -> None:
    with pytest.raises(DirectoryCallError) as caught:
        decode(body)
    assert caught.value.reason is reason


def test_a_message_echoing_the_password_does_not_leak_it() -> None:
    body = "".join(envelope("DETSISNoKurumBirimWs", SOAP_11, (), failure="secret is wrong"))
    with pytest.raises(DirectoryCallError) as caught:
        decode(body)
    assert "secret" not in str(caught.value)


def decoded(encoding: str, *raw: bytes, limit: int = 10_000_000) -> bytes:
    decoder = BodyDecoder(encoding, limit, "op")
    out = b"".join(piece for part in raw for piece in decoder.feed(part))
    decoder.close()
    return out


def test_bodies_are_decompressed_in_any_pieces() -> None:
    data = b"x" * 300_000
    packed = gzip.compress(data, mtime=0)
    assert decoded("gzip", packed) == decoded("", data) == data
    assert decoded("gzip", *(packed[i : i + 1] for i in range(len(packed)))) == data
    assert decoded("gzip") == b""


@pytest.mark.parametrize(
    ("encoding", "raw", "reason"),
    [
        ("gzip", gzip.compress(b"\0" * 50_000_000, mtime=0), FailureReason.TOO_LARGE),
        ("", b"x" * 10_000_001, FailureReason.TOO_LARGE),
        ("gzip", gzip.compress(b"x" * 100_000, mtime=0)[:-9], FailureReason.TRUNCATED),
        ("gzip", gzip.compress(b"x", mtime=0) + b"more", FailureReason.MALFORMED),
        ("gzip", b"not gzip", FailureReason.MALFORMED),
        ("gzip", zlib.compress(b"x"), FailureReason.MALFORMED),
        ("br", b"x", FailureReason.MALFORMED),
    ],
)
def test_bad_bodies_are_refused(encoding: str, raw: bytes, reason: FailureReason) -> None:
    with pytest.raises(DirectoryCallError) as caught:
        decoded(encoding, raw)
    assert caught.value.reason is reason


def test_pieces_are_small_however_well_a_body_is_packed() -> None:
    decoder = BodyDecoder("gzip", 100_000_000, "op")
    assert max(map(len, decoder.feed(gzip.compress(b"\0" * 5_000_000, mtime=0)))) <= 65_536


@pytest.mark.parametrize(
    ("content_type", "start", "expected"),
    [
        ("text/html; charset=utf-8", b"", True),
        ("text/xml", b" \r\n<!DOCTYPE HTML PUBLIC", True),
        ("text/xml", b"<HTML>", True),
        ("text/xml", b'<?xml version="1.0"?>', False),
    ],
)
def test_web_pages_are_recognised(content_type: str, start: bytes, expected: bool) -> None:
    assert is_web_page(content_type, start) is expected
