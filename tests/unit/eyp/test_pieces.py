"""The small pieces on their own: CMS content, names, times, versions, the sample PDF."""

from __future__ import annotations

from datetime import UTC, datetime

import pypdfium2
import pytest
import zxingcpp
from asn1crypto import cms as asn1_cms
from hypothesis import given
from hypothesis import strategies as st

from shared.eyp import Contact, Organisation, PackageVersion, inspect
from shared.eyp.checks.contacts import check_contact
from shared.eyp.checks.content import is_identity_number
from shared.eyp.checks.signatures import signed_content
from shared.eyp.container import part_key
from shared.eyp.sample import sample_package_draft
from shared.eyp.sample_letter import sample_cover_letter_pdf
from shared.eyp.wire.names import folded_file_name
from shared.eyp.wire.values import read_time, write_time
from tests.unit.eyp import letters
from tests.unit.eyp.letters import OID_DATA, OID_SIGNED_DATA, tlv


@given(st.binary(max_size=500))
def test_content_of_cms_made_by_another_library(content: bytes) -> None:
    """asn1crypto writes what our reader finds."""
    signed = asn1_cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [],
            "encap_content_info": {"content_type": "data", "content": content},
            "signer_infos": [],
        }
    )
    assert signed_content(asn1_cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()) == content


def _indefinite(identifier: int, *contents: bytes) -> bytes:
    return bytes([identifier, 0x80]) + b"".join(contents) + b"\x00\x00"


def test_content_in_chunks_of_unknown_length() -> None:
    """Streaming signers write BER: indefinite lengths and an octet string in pieces."""
    octets = _indefinite(0x24, tlv(0x04, b"first "), tlv(0x04, b"second"))
    encapsulated = _indefinite(0x30, OID_DATA, _indefinite(0xA0, octets))
    signed = _indefinite(0x30, tlv(0x02, b"\x01"), tlv(0x31), encapsulated, tlv(0x31))
    assert signed_content(_indefinite(0x30, OID_SIGNED_DATA, _indefinite(0xA0, signed))) == b"first second"


@pytest.mark.parametrize(
    "cms",
    [
        b"",
        b"\x01\x02\x03\x04",
        b"\x30",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80" * 5000,
        b"\x30\x80" + b"\x05\x00" * 1_000_000,
        b"\x3f" + b"\xff" * 1_000_000,
        letters.unsigned_cms(b"x")[:-10],
        tlv(0x30, OID_DATA, tlv(0xA0, tlv(0x04, b"x"))),
        # Detached: a signature without content proves nothing about this package's manifest.
        tlv(0x30, OID_SIGNED_DATA, tlv(0xA0, tlv(0x30, tlv(0x02, b"\x01"), tlv(0x31), tlv(0x30, OID_DATA)))),
    ],
    ids=range(11),
)
def test_what_carries_no_content(cms: bytes) -> None:
    """Anything else is no attached signature; found out quickly, whatever it is."""
    assert signed_content(cms) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_as_cms(content: bytes) -> None:
    signed_content(b"\x30" + content)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Üst Yazı.pdf", "UstYazi.pdf"),
        ("ŞşÖöÇçıİğĞüÜ.txt", "SsOoCciIgGuU.txt"),
        ("a/b\\c:d?.pdf", "a_b_c_d_.pdf"),
        ("%41.pdf", "_41.pdf"),
        ("rapor…\t.docx", "rapor.docx"),
        ("..", ""),
        ("نص", ""),
    ],
)
def test_folded_names(name: str, folded: str) -> None:
    assert folded_file_name(name) == folded


@given(st.text(max_size=60))
def test_folded_names_are_safe_part_names(name: str) -> None:
    """Folding twice changes nothing, and its result needs no escaping."""
    folded = folded_file_name(name)
    assert folded_file_name(folded) == folded
    assert folded.isascii()
    assert part_key(folded) == folded.lower()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-02-15T09:39:31.5398074Z", datetime(2021, 2, 15, 9, 39, 31, 539807, tzinfo=UTC)),
        ("2021-02-15T12:39:31+03:00", datetime(2021, 2, 15, 9, 39, 31, tzinfo=UTC)),
        ("2021-02-15T12:39:31", datetime(2021, 2, 15, 9, 39, 31, tzinfo=UTC)),
        ("2014-12-15T12:00:00", datetime(2014, 12, 15, 10, 0, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("2021-02-30T00:00:00Z", None),
        ("2021-02-15T00:00:00+99:00", None),
        ("2021-02-15", None),
        ("", None),
    ],
)
def test_times(text: str, moment: datetime | None) -> None:
    """Times come out in UTC; without a zone they mean Turkish local time of that day."""
    assert read_time(text) == moment


def test_written_time_needs_a_zone() -> None:
    assert write_time(letters.MOMENT) == "2026-03-02T09:30:00Z"
    with pytest.raises(ValueError, match="zone"):
        write_time(datetime(2026, 1, 1))  # noqa: DTZ001


def test_versions() -> None:
    assert str(PackageVersion.parse("2.1")) == "2.1"
    assert PackageVersion(1, 3) < PackageVersion(2, 0)
    assert [PackageVersion(*pair).generation for pair in ((1, 0), (2, 1), (2, 2), (3, 0))] == [1, 2, None, None]
    for text in ("", "2", "2.", "a.b", "2.0.0", "-1.0", "٢.٠"):
        with pytest.raises(ValueError, match="version"):
            PackageVersion.parse(text)


def test_identity_numbers() -> None:
    assert is_identity_number("10000000146")
    assert not any(map(is_identity_number, ("10000000147", "00000000146", "1000000014", "", "1000000014٦")))


_LONG = 1_000_000


@pytest.mark.parametrize(
    ("field", "fit", "unfit"),
    [
        (
            "phone",
            ["0312 123 45 67", "+90 (312) 123-45-67 dahili 12", "0312 1234567 dah.:5", "03121234567x12"],
            ["yok", "0000000" + " " * _LONG + "x", "1" * _LONG],
        ),
        ("fax", ["+90 312 000 00 01"], ["0000000" + " " * _LONG + "x"]),
        (
            "web_address",
            ["www.ornek.bel.tr", "https://x.gov.tr/a?b=c:d@e", "HTTP://A.B:8080/"],
            ["yok", "x@y.tr", "a..b", "a." * _LONG + "@", "a.b" + "?" * _LONG + " ", "a" * _LONG],
        ),
        ("email", ["bilgi@ornek.bel.tr"], ["bilgi", "a@" + "a." * _LONG, "@" * _LONG]),
        ("kep_address", ["kurum@hs01.kep.tr"], ["kurum@kep.tr", "a" * _LONG + "@hs01.kep.tr"]),
    ],
)
def test_contact_details(field: str, fit: list[str], unfit: list[str]) -> None:
    """Each form takes time in proportion to its text: with one that does not, this ends by the suite's time limit."""
    for text in fit:
        assert list(check_contact(Contact(**{field: text}))) == [], text
    for text in unfit:
        (finding,) = check_contact(Contact(**{field: text}))
        assert finding.rule == "R.40", text[:20]


def test_sample_letter_shows_turkish_letters_and_its_code() -> None:
    """Looked at as a reader would: drawn, and its code scanned."""
    text = "ĞÜŞİÖÇ ğüşıöç"
    address = "https://dogrulama.example.org"
    pdf = sample_cover_letter_pdf([text, "漢"] + ["satır"] * 100, title="Başlık", code="1234", address=address)
    page = pypdfium2.PdfDocument(pdf)[0]
    assert page.get_textpage().get_text_range().splitlines()[:3] == [text, "?", "satır"]
    assert [found.text for found in zxingcpp.read_barcodes(page.render(scale=2).to_pil())] == [f"{address}/1234"]
    for letter in text.replace(" ", ""):
        one = pypdfium2.PdfDocument(sample_cover_letter_pdf([letter]))[0].render(scale=1).to_pil().convert("L")
        assert one.getextrema()[0] < 128, letter


def test_sample_package() -> None:
    """The sample letter is faultless under the strict profile."""
    started = sample_package_draft(
        document_id=letters.DOCUMENT_ID.lower(),
        sender=Organisation("10000001", "A Kurumu"),
        recipient=Organisation("10000002", "B Kurumu"),
    )
    assert inspect(letters.finish(started).to_bytes()).findings == ()
