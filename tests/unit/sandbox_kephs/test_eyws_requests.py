"""Whatever bytes come, reading a request ends in a call or in a refusal."""

from __future__ import annotations

import random

import pytest

from services.sandbox.kephs.eyws.wire_requests import RejectedCall, read_request
from tests.unit.sandbox_kephs.eyws_calls import envelope

PLAIN = "text/xml; charset=utf-8"
SOUND = [
    envelope("Indir", "<x:kepId>&lt;a&gt;</x:kepId><x:kepSiraNo>3</x:kepSiraNo><x:ePart>ALL</x:ePart>"),
    envelope("Yukle", "<x:ePaket>QUJD</x:ePaket><x:ePaketTur>EYazisma</x:ePaketTur>"),
    envelope("PaketSorgula", "<x:ilktarih>2026-01-01T00:00:00</x:ilktarih>"),
]
PARTS = (
    b"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n" + SOUND[1]
    + b"\r\n--b\r\nContent-ID: <m>\r\n\r\nxx\r\n--b--\r\n"
)  # fmt: skip
TYPES = [PLAIN, 'multipart/related; boundary=b; start="<r>"', "multipart/related", 'multipart/related; boundary="', ""]
INSERTED = [
    *(b"<x:a>", b"</x:a>", b"<!--x-->", b"&#0;", b"\xff\xfe", b"<![CDATA[", b"9" * 30, b"--b", b"\r\n\r\n", b"<?x y?>"),
    *(b"9999-12-31T23:59:59-14:00", b"0001-01-01T00:00:00", b"<!DOCTYPE a>", b"&a;"),
]


def test_damaged_requests_are_refused_and_nothing_else() -> None:
    chance = random.Random(7)
    for body, kind in ((SOUND[0], PLAIN), (SOUND[1], PLAIN), (SOUND[2], PLAIN), (PARTS, TYPES[1])):
        assert read_request(body, kind).operation
    refused = 0
    for _ in range(4000):
        body = bytearray(chance.choice([*SOUND, PARTS]))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(body) + 1)
            match chance.randrange(4):
                case 0:
                    body[place : place + 1] = bytes([chance.randrange(256)])
                case 1:
                    del body[place : place + chance.randrange(20)]
                case 2:
                    body[place:place] = chance.choice(INSERTED)
                case _:
                    del body[place:]
        try:
            read_request(bytes(body), chance.choice(TYPES))
        except RejectedCall:
            refused += 1
    assert refused > 3000


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00", "2026-02-30T00:00:00"])
def test_moments_beyond_the_calendar(moment: str) -> None:
    with pytest.raises(RejectedCall, match="dateTime"):
        read_request(envelope("PaketSorgula", f"<x:ilktarih>{moment}</x:ilktarih>"), PLAIN)
