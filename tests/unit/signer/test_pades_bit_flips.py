"""Single bits changed anywhere in valid PDFs: nothing raises, and what passes was changed where nothing is signed.

Three places are in no signed range. Inside ``/Contents`` stand the CMS, whose unsigned parts may change, and zeros. After the
last signature stand revisions that only document time-stamps cover, which then prove nothing. After those stands nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.contracts.signatures import Profile, TimestampType, VerificationReport
from shared.domain.verdict import Conclusion
from tests.support.pki import Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.pdf_signing import PKCS7, Pen, document, reader_of
from tests.unit.signer.test_bit_flips import said

FLIPS = 110
KINDS: dict[str, Callable[[Pen], bytes]] = {
    "B": lambda pen: pen.sign(document()),
    "T of a form": lambda pen: pen.sign(document(form=True), level="T"),
    "PKCS#7": lambda pen: pen.sign(document(), subfilter=PKCS7),
    "LTA": lambda pen: pen.sign(document(), level="LTA"),
    "two, stamped": lambda pen: pen.stamp(pen.sign(pen.sign(document()), name="Imza2")),
}


@dataclass(frozen=True)
class Places:
    """Where each signature's own hole is, where its range ends, and which of them are document time-stamps."""

    holes: list[tuple[int, int]]
    signed_until: int
    stamped_until: int

    @classmethod
    def of(cls, data: bytes) -> Places:
        found = [
            (item.sig_object_type, [int(n) for n in item.byte_range]) for item in reader_of(data).embedded_signatures
        ]
        ends = [(kind, numbers[2] + numbers[3]) for kind, numbers in found]
        return cls(
            [(numbers[1], numbers[2]) for _, numbers in found],
            max(end for kind, end in ends if kind == "/Sig"),
            max((end for kind, end in ends if kind != "/Sig"), default=0),
        )

    def reason(self, place: int) -> str | None:
        """Why a change there may leave the verdict as it is; None: it may not."""
        start, end = max(hole for hole in self.holes if hole[0] < self.signed_until)
        if start <= place < end:
            return "in /Contents of the last signature"
        if place >= self.signed_until:
            return "after the last signature"
        return None


@pytest.fixture(scope="module")
def files(pki: Pki) -> dict[str, bytes]:
    pen = Pen(pki)
    return {name: make(pen) for name, make in KINDS.items()}


def stamps(report: VerificationReport) -> set[TimestampType]:
    return {
        stamp.type
        for signature in report.signatures
        for stamp in signature.timestamps
        if stamp.conclusion is Conclusion.PASSED
    }


def test_there_are_five_hundred() -> None:
    assert FLIPS * len(KINDS) >= 500


@pytest.mark.parametrize("name", KINDS)
def test_nothing_raises_and_nothing_signed_is_accepted_altered(
    judge: Judge, files: dict[str, bytes], name: str
) -> None:
    data = files[name]
    good = judge(data)
    assert good.conclusion is Conclusion.PASSED
    places, chooser, refused = Places.of(data), random.Random(name), 0
    for _ in range(FLIPS):
        place, bit = chooser.randrange(len(data)), 1 << chooser.randrange(8)
        report = judge(
            data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :], profile=Profile.QUALIFIED_SIGNATURE
        )
        if report.conclusion is not Conclusion.PASSED:
            refused += 1
            continue
        reason = places.reason(place)
        assert reason is not None, f"byte {place}, bit {bit} is signed"
        assert [item.signer for item in report.signatures] == [item.signer for item in good.signatures]
        assert report.signed_content_sha256 == good.signed_content_sha256
        if place < places.stamped_until and reason.startswith("after") and not in_hole(places, place):
            assert TimestampType.DOCUMENT not in stamps(report), "its range was changed"
        if not stamps(good):
            assert said(report) == said(good)
    assert refused > FLIPS / 4, "most of a file is signed"


def in_hole(places: Places, place: int) -> bool:
    return any(start <= place < end for start, end in places.holes)


def test_every_bit_of_what_is_signed(pki: Pki, judge: Judge) -> None:
    """Not by chance: one bit in each twenty-fifth byte of the signed range of a small file."""
    data = Pen(pki).sign(document(pages=1))
    start, end = Places.of(data).holes[0]
    for place in [*range(0, start, 25), *range(end, len(data), 25)]:
        report = judge(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert report.conclusion is not Conclusion.PASSED, place
