from __future__ import annotations

import hashlib
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kep_relay.inbound import texts
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.mime import MAX_DEPTH, MAX_PARTS, _delimiters, parse_mail
from services.kep_relay.inbound.reading import read_mail
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter, mail, multipart, part, signed

LETTER = letter(("belge.eyp", b"PK\x03\x04" + bytes(range(256))))
SAMPLES = [
    dispatch(LETTER, evidence_xml(10)),
    evidence_mail(evidence_xml(40)),
    mail({"Subject": "x", "Content-Type": "text/plain"}, b"\r\nhello\r\n"),
    signed(
        {"From": "<a@b>"},
        multipart("mixed", [part("text/plain", b"x"), multipart("alternative", [b"\r\n1", b"\r\n2"])]),
    ),
]


def test_embedded_message_is_cut_exactly() -> None:
    """The break before the boundary is the boundary's, the one before that the message's (kep.md 3.6)."""
    for original in (b"A: b\r\n\r\nx", b"A: b\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\n\r\n", b"A: b\n\nx\n", LETTER):
        reading = read_mail(dispatch(original))
        assert reading.letter is not None
        assert reading.letter.original == original


def test_first_part_is_cut_exactly() -> None:
    content = multipart("mixed", [part("text/plain", b"x")])
    opened = read_mail(signed({"From": "a"}, content)).mail
    assert bytes(opened.content.raw) == content
    assert opened.signed


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    ("body", "parts", "defects"),
    [
        ([b"--b", b"", b"1", b"--b", b"", b"2", b"--b--"], [b"1", b"2"], []),
        ([b"before", b"--b", b"", b"1", b"--b-- ", b"after"], [b"1"], []),
        ([b"--b", b"--b", b"", b"1", b"--b--"], [b"", b"1"], []),
        ([b"--b", b"", b"1", b"--bb", b"", b"--b--"], [b"1N--bbN"], []),
        ([b"--b", b"", b"1"], [b"1"], ["closing-boundary-missing"]),
        ([b"nothing"], [], ["boundary-not-found"]),
        ([b"--b"], [b""], ["closing-boundary-missing"]),
    ],
)
def test_delimiters(line_end: bytes, body: list[bytes], parts: list[bytes], defects: list[str]) -> None:
    raw = line_end.join([b"Content-Type: multipart/mixed; boundary=b", b"", *body])
    parsed = parse_mail(raw)
    expected = [item.replace(b"N", line_end) for item in parts]
    assert [bytes(child.body) for child in parsed.root.children] == expected
    assert parsed.defects == defects


def test_bounds_hold() -> None:
    deep = b"\r\nx"
    for level in range(MAX_DEPTH + 5):
        deep = multipart("mixed", [deep], boundary=f"b{level}")
    assert "too-deep" in parse_mail(deep).defects
    assert parse_mail(deep).exhausted
    wide = multipart("mixed", [b"\r\nx"] * (MAX_PARTS * 2))
    parsed = parse_mail(wide)
    assert "too-many-parts" in parsed.defects
    assert len(list(parsed.root.walk())) <= MAX_PARTS
    assert "headers-too-large" in parse_mail(b"A: " + b"x" * 400_000).defects


def headers(block: bytes) -> object:
    return parse_mail(block + b"\r\n\r\n").root.headers


@pytest.mark.parametrize(
    ("block", "name"),
    [
        (b'Content-Disposition: attachment; filename="=?UTF-8?B?xZ51YmF0LmV5cA==?="', "Şubat.eyp"),
        (b"Content-Disposition: attachment; filename*=UTF-8''%C5%9Eubat.eyp", "Şubat.eyp"),
        (b"Content-Disposition: attachment; filename*=iso-8859-9''%DEubat.eyp", "Şubat.eyp"),
        (
            b"Content-Disposition: attachment;\r\n filename*0*=utf-8''%C5%9Eubat%20;\r\n filename*1=yaz.eyp",
            "Şubat yaz.eyp",
        ),
        ('Content-Disposition: attachment; filename="Şubat.eyp"'.encode(), "Şubat.eyp"),
        ('Content-Disposition: attachment; filename="Şubat ığ.eyp"'.encode("windows-1254"), "Şubat ığ.eyp"),
        ('Content-Type: application/x; name="Şubat.eyp"'.encode("iso-8859-9"), "Şubat.eyp"),
        (b'Content-Disposition: attachment; filename="?ubat.eyp"', "?ubat.eyp"),
        (b'Content-Disposition: attachment; filename="..\\..\\etc/passwd"', "passwd"),
        (b'Content-Disposition: attachment; filename=".."', None),
        (b'Content-Disposition: attachment; filename="a\x00b.eyp"', "a b.eyp"),
        (b"Content-Disposition: attachment; filename*=no-such-charset''%DEubat.eyp", "Şubat.eyp"),
    ],
)
def test_file_names_survive_what_senders_do_to_them(block: bytes, name: str | None) -> None:
    assert texts.filename(headers(block)) == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block", "subject"),
    [
        ("Subject: Görüş talebi".encode(), "Görüş talebi"),
        ("Subject: Görüş İĞŞ".encode("windows-1254"), "Görüş İĞŞ"),
        (b"Subject: =?windows-1254?Q?G=F6r=FC=FE?= =?utf-8?Q?_talebi?=", "Görüş talebi"),
        (b"Subject: =?utf-8?B?broken", "=?utf-8?B?broken"),
        (b"Subject: a\r\n\tb", "a b"),
        (b"Subject: ", None),
        (b"X: y", None),
        ("From: Şube\r\nSubject: İ".encode("windows-1254"), "İ"),
        (b"Subject: \xde\xdd utf\r\nX: \xc5\x9e", "Şİ utf"),
    ],
)
def test_subjects_survive_what_senders_do_to_them(block: bytes, subject: str | None) -> None:
    assert texts.header_text(headers(block), "Subject") == subject  # type: ignore[arg-type]


def test_opaque_signature_is_opened() -> None:
    from asn1crypto import cms

    inner = multipart("mixed", [part("message/rfc822", LETTER, encode=False)])
    data = cms.SignedData(
        {
            "version": "v1", "digest_algorithms": [], "signer_infos": [],
            "encap_content_info": {"content_type": "data", "content": inner},
        }
    )  # fmt: skip
    der = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
    raw = mail({"From": "<a@b>"}, part("application/pkcs7-mime; smime-type=signed-data", der))
    reading = read_mail(raw)
    assert reading.kind is MailKind.LETTER
    assert reading.letter is not None
    assert reading.letter.original == LETTER
    assert read_mail(raw.replace(b"MII", b"MIJ")).kind in set(MailKind)


@given(data=st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_without_fault(data: bytes) -> None:
    assert read_mail(data).kind in set(MailKind)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_mails_are_read_without_fault(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "delete", "insert", "cut", "repeat"])):
            case "flip":
                raw[position] ^= 1 << data.draw(st.integers(0, 7))
            case "delete":
                del raw[position : position + data.draw(st.integers(1, 40))]
            case "insert":
                raw[position:position] = data.draw(st.binary(max_size=20))
            case "cut":
                del raw[position + 1 :]
            case "repeat":
                raw[position:position] = raw[max(0, position - 50) : position]
        if not raw:
            break
    reading = read_mail(bytes(raw))
    assert reading.kind in set(MailKind)
    for text in (reading.subject, reading.sender, reading.message_id_header, *reading.references):
        if text is not None:
            assert "\0" not in text
            text.encode()


def test_flipping_any_byte_of_the_headers_changes_no_original() -> None:
    """Whatever happens outside the embedded message, its bytes come out as they went in, or not at all."""
    raw = SAMPLES[0]
    start = raw.index(LETTER)
    digest = hashlib.sha256(LETTER).hexdigest()
    chosen = random.Random(7).sample(range(start), min(start, 250))
    for position in chosen:
        broken = bytearray(raw)
        broken[position] ^= 0x20
        reading = read_mail(bytes(broken))
        if reading.letter is not None and reading.kind is MailKind.LETTER:
            found = hashlib.sha256(reading.letter.original).hexdigest()
            assert found == digest or LETTER.startswith(bytes(reading.letter.original[:50]))


@pytest.mark.parametrize(
    "value",
    [b'multipart/mixed; x="' + b";" * 200_000, b"multipart/mixed" + b";" * 200_000, b"a/b; boundary=" + b"x" * 20_000],
)
@pytest.mark.parametrize("name", [b"Content-Type", b"Content-Disposition"])
def test_endless_parameters_are_not_parsed(name: bytes, value: bytes) -> None:
    """The standard library would take minutes for them, with every other thread waiting."""
    parsed = parse_mail(name + b": " + value + b"\r\nSubject: x\r\n\r\nbody")
    assert parsed.defects == ["header-too-long"]
    assert parsed.root.headers[name.decode()] in {None, "application/octet-stream"}
    assert texts.header_text(parsed.root.headers, "Subject") == "x"


@given(st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b"\r", b" ", b"x", b"--b--"]), max_size=14))
@settings(max_examples=500, deadline=None)
def test_delimiters_are_found_as_the_grammar_says(pieces: list[bytes]) -> None:
    """RFC 2046 5.1.1: at the start or behind a line break, with white space at most until the next one."""
    body = b"".join(pieces)
    grammar = re.compile(rb"(?:\A|\r?\n)--b(--)?[ \t]*(?=\r?\n|\Z)")
    expected = [(found.start(), found.end(), bool(found.group(1))) for found in grammar.finditer(body)]
    assert list(_delimiters(memoryview(body), b"b")) == expected
