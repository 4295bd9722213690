"""Documents of an evidence box in every wrapping, when a provider is asked, and whom an entry is about."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest
from asn1crypto import cms

from services.kep_relay.asking_settings import AskingSettings
from services.kep_relay.evidence.listed.documents import SIGNED_DATA, read_document
from services.kep_relay.evidence.listed.schedule import complete, fetch_pause, next_pause, setback_pause
from services.kep_relay.evidence.listed.weighing import names
from services.kep_relay.evidence.parse import MAX_DOCUMENT_BYTES
from services.kep_relay.inbound.classify import MailKind
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter

DELIVERED = evidence_xml(40)
ADDRESS = "b@hs99.kep.tr"


def packed(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


def wrapped(content: bytes) -> bytes:
    """PKCS#7 around the content; its signature is not judged here."""
    signed = cms.SignedData(
        {
            "version": "v1", "digest_algorithms": [], "signer_infos": [],
            "encap_content_info": {"content_type": "data", "content": content},
        }
    )  # fmt: skip
    return cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (DELIVERED, "application/xml"),
        (b"\xef\xbb\xbf" + DELIVERED, "application/xml"),
        (b"\r\n " + DELIVERED.partition(b"?>")[2], "application/xml"),
        (packed(("Delil-1.xml", DELIVERED)), "application/xml"),
        (packed(("oku.txt", b"metin"), ("a/b.xml", DELIVERED), method=zipfile.ZIP_STORED), "application/xml"),
        (wrapped(DELIVERED), SIGNED_DATA),
        (packed(("Delil-1.p7s", wrapped(DELIVERED))), SIGNED_DATA),
        (evidence_mail(DELIVERED), "application/xml"),
    ],
    ids=["xml", "bom", "space", "zip", "zip-of-several", "pkcs7", "pkcs7-in-zip", "mail"],
)
def test_a_document_is_found_whatever_it_is_packed_in(raw: bytes, media_type: str) -> None:
    reading = read_document(raw)
    assert reading.kind is MailKind.EVIDENCE
    assert [(part.facts.code, part.media_type) for part in reading.mail.evidence] == [(40, media_type)]
    assert reading.mail.evidence[0].facts.original_id == "letter@a"
    assert bytes(reading.mail.content.raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"<", b"<html><body>Bak\xc4\xb1m</body></html>", b"PK\x03\x04", b"PK\x03\x04" + bytes(2000), b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff", b"\xff\xfe<\x00", b"plain text", packed(("a.xml", b"<a/>")),
        packed(("a.xml", DELIVERED))[:-30], packed(("a.xml", DELIVERED), method=zipfile.ZIP_LZMA), wrapped(b"text"),
        b"<" + b" " * (2 * MAX_DOCUMENT_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_evidence_is_for_a_person(raw: bytes) -> None:
    reading = read_document(raw)
    assert (reading.kind, reading.letter, reading.mail.evidence) == (MailKind.OTHER, None, ())


def test_a_letter_from_the_evidence_box_never_becomes_one() -> None:
    assert read_document(letter()).kind is MailKind.OTHER
    reading = read_document(dispatch(letter(("a.eyp", b"PK\x03\x04")), DELIVERED))
    assert (reading.kind, reading.letter) == (MailKind.EVIDENCE, None)


def test_an_archive_that_grows_without_end_is_not_unpacked() -> None:
    bomb = packed(*[(f"{number}.xml", bytes(MAX_DOCUMENT_BYTES + 1)) for number in range(3)], ("z.xml", DELIVERED))
    assert [part.facts.code for part in read_document(bomb).mail.evidence] == [40]
    many = packed(*[(f"{number}.txt", b"") for number in range(20)], ("z.xml", DELIVERED))
    assert read_document(many).kind is MailKind.OTHER


def test_the_default_schedule_is_that_of_the_interface() -> None:
    steps = AskingSettings.model_fields["evidence_poll_steps"].default
    pauses, asked, total = [], 0, timedelta()
    while (pause := next_pause(steps, asked)) is not None:
        pauses.append(pause)
        total += pause
        asked += 1
    assert [pause.total_seconds() for pause in pauses[:6]] == [30, 60, 120, 300, 900, 3600]
    assert sum(pauses[:52], timedelta()) < timedelta(hours=48) < sum(pauses[:54], timedelta())
    assert timedelta(days=29, hours=12) < total < timedelta(days=30, hours=12)


@pytest.mark.parametrize(
    ("codes", "done"),
    [
        ([], False), ([10, 20], False), ([40], False), ([60], False), ([10, 40, 60], True), ([11], True), ([10, 41], True),
        ([10, 31], False), ([21], False), ([None, 70], False),
    ],
)  # fmt: skip
def test_when_nothing_more_is_expected(codes: list[int | None], done: bool) -> None:
    assert complete(codes) is done


def test_pauses_grow_and_end_growing() -> None:
    assert [setback_pause(number).total_seconds() for number in (0, 1, 2, 50)] == [30, 60, 120, 3600]
    assert [fetch_pause([30, 60], number).total_seconds() for number in (0, 1, 2, 3, 99)] == [30, 30, 60, 60, 60]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (None, True), ("", True), (" ", True), (ADDRESS, True), ("B@HS99.KEP.TR", True), (f"Kurum B <{ADDRESS}>", True),
        (f"mailto:{ADDRESS}", True), (f"c@hs99.kep.tr; {ADDRESS}", True), ("c@hs99.kep.tr", False), (f"x{ADDRESS}", False),
        ("Kurum B", False),
    ],
)  # fmt: skip
def test_case_13_whom_an_entry_is_about(text: str | None, fits: bool) -> None:
    assert names(text, ADDRESS) is fits
