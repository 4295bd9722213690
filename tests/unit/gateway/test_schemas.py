from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.gateway.forms import read_json_part, read_verification_options
from services.gateway.idempotency import fingerprint, read_header
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.schemas.text import Line, Moment
from shared.contracts.signatures import Profile
from shared.errors import DomainError, ErrorCode

GOOD = {"recipients": [{"detsis_no": 10000002}]}


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\r", "\x7f", "a\u2028b", "a\ud800"])
def test_control_characters_and_surrogates_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(text)


def test_turkish_text_passes() -> None:
    assert TypeAdapter(Line).validate_python("Şişli İlçe Müdürlüğü ğ ı 'x'") == "Şişli İlçe Müdürlüğü ğ ı 'x'"


@pytest.mark.parametrize("value", ["2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "12345", 12345,
                                   "9999-12-31T23:59:59-14:00", "yesterday", None, True])  # fmt: skip
def test_times_need_their_zone_and_a_plausible_year(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(value)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"recipients": []}, "/message/recipients"),
        ({"recipients": [{"detsis_no": 1}]}, "/message/recipients/0/detsis_no"),
        ({"recipients": [{"detsis_no": True}]}, "/message/recipients/0/detsis_no"),
        ({"recipients": [{"detsis_no": 10000002.5}]}, "/message/recipients/0/detsis_no"),
        ({"recipients": [{"detsis_no": "10000002"}]}, "/message/recipients/0/detsis_no"),
        ({"recipients": [{"detsis_no": 10**40}]}, "/message/recipients/0/detsis_no"),
        ({"recipients": [{"detsis_no": 10000002}] * 2}, "/message"),
        ({"subject": "a\u0000"}, "/message/subject"),
        ({"client_ref": ""}, "/message/client_ref"),
        ({"package_sha256": "xyz"}, "/message/package_sha256"),
        ({"expires_at": "soon"}, "/message/expires_at"),
        ({"a/b~c": 1}, "/message/a~1b~0c"),
    ],
)
def test_faults_name_the_place(change: dict[str, object], pointer: str) -> None:
    with pytest.raises(DomainError) as caught:
        read_json_part(OutboundMessageRequest, "message", json.dumps({**GOOD, **change}).encode())
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert caught.value.faults[0].pointer == pointer


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 20_000, b'{"a": 1e}', b'"\\ud800"'])
def test_what_is_not_json_is_malformed(content: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        read_json_part(OutboundMessageRequest, "message", content)
    assert caught.value.code in {ErrorCode.MALFORMED_REQUEST, ErrorCode.VALIDATION_FAILED}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_refusal(content: bytes) -> None:
    try:
        read_json_part(OutboundMessageRequest, "message", content)
    except DomainError as error:
        refusal = error.code
    else:
        refusal = None
    assert refusal in {None, ErrorCode.MALFORMED_REQUEST, ErrorCode.VALIDATION_FAILED}


def test_fingerprints_ignore_how_json_was_written_but_not_what_it_says() -> None:
    def of(text: str, *more: str) -> str:
        return fingerprint("POST /x", read_json_part(OutboundMessageRequest, "message", text.encode()), *more)

    spaced = '{ "client_ref":"a", "recipients":[{"detsis_no":10000002}] }'
    packed = '{"recipients":[{"detsis_no":10000002}],"client_ref":"a"}'
    assert of(spaced, "s") == of(packed, "s")
    assert of(packed, "s") != of(packed, "t")
    assert of(packed, "s") != of(packed.replace('"a"', '"b"'), "s")


@pytest.mark.parametrize(
    ("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (" a-b ", "a-b"), ("x" * 255, "x" * 255)]
)
def test_idempotency_keys_are_taken_bare_or_quoted(header: str, key: str) -> None:
    assert read_header(header) == key


@pytest.mark.parametrize("header", [None, "", "   "])
def test_a_missing_idempotency_key_has_its_own_code(header: str | None) -> None:
    with pytest.raises(DomainError) as caught:
        read_header(header)
    assert caught.value.code is ErrorCode.IDEMPOTENCY_KEY_MISSING


@pytest.mark.parametrize("header", ["x" * 256, "a b", "ğ", 'a"b', '""'])
def test_a_malformed_idempotency_key_is_refused(header: str) -> None:
    with pytest.raises(DomainError) as caught:
        read_header(header)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_a_verification_form_has_defaults_and_names_bad_fields() -> None:
    assert read_verification_options({}).profile is Profile.QUALIFIED_SIGNATURE
    with pytest.raises(DomainError) as caught:
        read_verification_options({"profile": b"\xff", "moment": b"2026"})
    assert {fault.pointer for fault in caught.value.faults} == {"/profile", "/moment"}
