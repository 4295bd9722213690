"""Answers of several parts, cut at every place."""

from __future__ import annotations

import base64

import pytest

from services.kep_relay.drivers.eyws.failures import MalformedError, TruncatedError
from services.kep_relay.drivers.eyws.related import RelatedReader

KIND = 'multipart/related; boundary="b.1"; type="application/xop+xml"; start="<root@x>"'
FILE = b"From: a\r\n\r\n--b.2\r\n--b.1x\r\n\r\n--\x00\xff\r\n"
BODY = (
    b"preamble\r\n--b.1\r\nContent-ID: <file@x>\r\nContent-Transfer-Encoding: binary\r\n\r\n" + FILE + b"\r\n--b.1 \r\n"
    b"Content-Type: application/xop+xml\r\nContent-ID: <root@x>\r\n\r\n<a/>\r\n--b.1\r\nContent-ID: <empty@x>\r\n\r\n"
    b"\r\n--b.1--\r\nepilogue"
)


def read(body: bytes, size: int, kind: str = KIND) -> tuple[bytes, dict[str, bytes]]:
    reader = RelatedReader(kind)
    try:
        for start in range(0, len(body), size):
            reader.feed(body[start : start + size])
        root, parts = reader.close()
        return root.read(), {name: part.read() for name, part in parts.items()}
    finally:
        reader.discard()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 10_000])
def test_parts_are_the_same_however_they_arrive(size: int) -> None:
    assert read(BODY, size) == (b"<a/>", {"file@x": FILE, "empty@x": b""})


def test_every_early_end_is_told() -> None:
    whole = BODY.index(b"--b.1--") + len(b"--b.1--")
    for end in range(whole):
        with pytest.raises(TruncatedError):
            read(BODY[:end], 13)
    assert read(BODY[:whole], 13)[0] == b"<a/>"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_part_without_content_may_lack_its_line_end(size: int) -> None:
    body = b"--b.1\r\nContent-ID: <root@x>\r\n\r\n<a/>\r\n--b.1\r\nContent-ID: <e@x>\r\n\r\n--b.1--"
    assert read(body, size) == (b"<a/>", {"e@x": b""})


def test_base64_parts_are_decoded() -> None:
    coded = base64.encodebytes(bytes(range(256)) * 300)
    body = b"--b.1\r\nContent-ID: <root@x>\r\n\r\n<a/>\r\n--b.1\r\nContent-ID: <f@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert read(body + coded + b"\r\n--b.1--", 100)[1]["f@x"] == bytes(range(256)) * 300
    for broken, kind in ((coded[:-3], TruncatedError), (b"*" + coded, MalformedError)):
        with pytest.raises(kind):
            read(body + broken + b"\r\n--b.1--", 100)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/related", b""),
        ('multipart/related; boundary="' + "x" * 80 + '"', b""),
        (KIND, b"--b.1--"),
        (KIND, b"--b.1\r\n" + b"X: y\r\n" * 5000),
        (KIND, b"--b.1\r\nX: y\r\n\r\n\r\n" * 70 + b"--b.1--"),
        (KIND, b"--b.1\r\nContent-Transfer-Encoding: rot13\r\n\r\nx\r\n--b.1--"),
    ],
)
def test_strange_bodies_are_refused(kind: str, body: bytes) -> None:
    with pytest.raises(MalformedError):
        read(body, 1000, kind)
