"""Parts are decoded in pieces; wherever the cuts fall, the content is the same."""

from __future__ import annotations

import base64
import os
import quopri
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kep_relay.inbound import transfer
from services.kep_relay.inbound.reading import read_mail
from services.kep_relay.inbound.transfer import DAMAGED, UNKNOWN, decoded
from tests.support.mails import dispatch, evidence_xml, letter


def content(body: bytes, encoding: str, piece: int) -> tuple[bytes, str | None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "PIECE", piece)
        found = decoded(memoryview(body), encoding)
        return found.read(), found.defect


@given(st.binary(max_size=120), st.integers(1, 40), st.integers(1, 30))
@settings(deadline=None)
def test_base64(data: bytes, piece: int, width: int) -> None:
    text = base64.b64encode(data)
    lines = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    assert content(lines, "base64", piece) == (data, None)
    assert content(lines + b" \r\n\r\n", "base64", piece) == (data, None)


@given(st.text("QUJ=*\r\n ", max_size=40), st.integers(1, 12))
@settings(max_examples=500, deadline=None)
def test_base64_of_any_kind_is_what_it_is_in_one_piece(text: str, piece: int) -> None:
    assert content(text.encode(), "base64", piece) == content(text.encode(), "base64", 10_000)


@pytest.mark.parametrize(
    ("text", "data"),
    [(b"QUJD*QUJD", b"ABCABC"), (b"QUI=QUJD", b"AB"), (b"QUI= \r\n  QUJD", b"AB"), (b"QUJDQ", b"ABC"), (b"=", b""),
     (b"QUJDQU", b"ABCA"), (b"QUI==", b"AB")],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 3, 4, 5, 1000])
def test_damaged_base64_is_decoded_as_far_as_it_goes(text: bytes, data: bytes, piece: int) -> None:
    assert content(text, "base64", piece) == (data, DAMAGED)


@given(st.text("=4aA \r\n\t", max_size=60), st.integers(1, 12))
@settings(max_examples=500, deadline=None)
def test_quoted_printable(text: str, piece: int) -> None:
    assert content(text.encode(), "quoted-printable", piece) == (quopri.decodestring(text.encode()), None)


def test_quoted_printable_without_line_ends() -> None:
    assert decoded(memoryview(b"=41" * 1_000_000), "quoted-printable").read() == b"A" * 1_000_000


def test_unknown_encoding_is_passed_on() -> None:
    assert content(b"abc", "x-uuencode", 2) == (b"abc", UNKNOWN)


def test_reading_a_large_mail_copies_none_of_it() -> None:
    """Neither the letter nor the package inside is ever held beside the mail itself."""
    package = os.urandom(6_000_000)
    raw = dispatch(letter(("a.eyp", package)), evidence_xml(10))
    tracemalloc.start()
    try:
        reading = read_mail(raw)
        assert reading.letter is not None
        assert reading.letter.package is not None
        size = sum(map(len, reading.letter.package.content.pieces()))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == len(package)
    assert peak < len(raw) / 2
