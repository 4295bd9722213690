from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.package import open_package
from services.kep_relay.inbound.reading import VerificationRules, read_mail
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter, mail, multipart, part, signed
from tests.unit.eyp import letters, wrappers

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"


def office_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
        )
        archive.writestr("word/document.xml", "<x/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (dispatch(letter(("a.eyp", b"x"))), MailKind.LETTER),
        (dispatch(letter(("a.eyp", b"x")), evidence_xml(10)), MailKind.LETTER),
        (dispatch(letter(), X_REM_Msg_Type="Other"), MailKind.LETTER),
        (dispatch(letter(), evidence_xml(10), X_REM_Msg_Type=""), MailKind.LETTER),
        (dispatch(letter(), evidence_xml(40), X_REM_Msg_Type=""), MailKind.LETTER),
        (dispatch(letter(), evidence_xml(40), X_REM_Msg_Type="", X_REM_Evidence_Type="x"), MailKind.LETTER),
        (dispatch(letter(), evidence_xml(40), X_REM_Msg_Type="", To="<a@hs98.kep.tr>"), MailKind.EVIDENCE),
        (dispatch(letter(), evidence_xml(40), X_REM_Msg_Type="Message"), MailKind.EVIDENCE),
        (evidence_mail(evidence_xml(40)), MailKind.EVIDENCE),
        (evidence_mail(evidence_xml(40)).replace(b"X-REM-", b"X-Was-"), MailKind.EVIDENCE),
        (evidence_mail(b"<other/>"), MailKind.OTHER),
        (evidence_mail(evidence_xml(40))[:200], MailKind.OTHER),
        (mail({"Subject": "KEP Delili: Teslim Edildi"}, b"\r\nx"), MailKind.OTHER),
        (mail({"X-REM-Msg-Type": "Dispatch", "Subject": "x"}, b"\r\nx"), MailKind.OTHER),
        (signed({"X-Ricevuta": "accettazione"}, multipart("mixed", [part("message/rfc822", letter(), encode=False)])), MailKind.OTHER),
        (b"", MailKind.OTHER),
    ],
)  # fmt: skip
def test_kind_follows_from_headers_and_content_never_from_the_subject(raw: bytes, kind: MailKind) -> None:
    assert read_mail(raw).kind is kind


def test_message_of_detsis_is_told_by_its_sender() -> None:
    raw = dispatch(letter(sender="Detsis@hs01.kep.tr"))
    assert read_mail(raw, VerificationRules({"detsis@hs01.kep.tr"})).kind is MailKind.DETSIS_VERIFICATION
    assert read_mail(raw, VerificationRules({"other@hs01.kep.tr"})).kind is MailKind.LETTER


@pytest.mark.parametrize(
    ("attachments", "reason", "found"),
    [
        ([("belge.eyp", b"not even a zip")], None, "belge.eyp"),
        ([("BELGE.EYP", b"x")], None, "BELGE.EYP"),
        ([("ek.pdf", b"x"), ("belge.eyp", b"y")], None, "belge.eyp"),
        ([("noname.bin", letters.package())], None, "noname.bin"),
        ([("dosya.docx", office_file())], "no-package", None),
        ([("ek.pdf", b"x")], "no-package", None),
        ([], "no-package", None),
        ([("a.eyp", b"x"), ("b.eyp", b"y")], "several-packages", None),
        ([("a.eyps", b"x")], "package-encrypted", "a.eyps"),
        ([("a.zip", b"PK\x03\x04 broken")], "no-package", None),
    ],
)
def test_package_is_found_by_name_and_by_content(
    attachments: list[tuple[str, bytes]], reason: str | None, found: str | None
) -> None:
    read = read_mail(dispatch(letter(*attachments))).letter
    assert read is not None
    assert read.reason_code == reason
    assert (read.package.filename if read.package else None) == found
    assert [part.filename for part in read.parts] == [None, *(name for name, _content in attachments)]
    assert [part.content.read() for part in read.parts[1:]] == [content for _name, content in attachments]


def test_identity_of_a_letter() -> None:
    read = read_mail(dispatch(letter(message_id="<Id-1@x>", rem_id="77", subject="Konu"))).letter
    assert read is not None
    assert (read.message_key, read.message_id_header, read.rem_id) == ("Id-1@x", "<Id-1@x>", "77")
    assert (read.sender, read.subject, read.signed) == ("a@hs98.kep.tr", "Konu", True)


def test_damaged_transfer_encoding_is_kept_and_noted() -> None:
    raw = dispatch(letter(("a.eyp", b"PK\x03\x04" + bytes(300))))
    position = raw.index(b"UEsDB")
    damaged = raw[:position] + b"UEs*DB" + raw[position + 5 :]
    read = read_mail(damaged).letter
    assert read is not None
    assert read.parts[1].content.defect == "transfer-encoding-damaged"
    assert read.parts[1].content.read().startswith(b"PK\x03\x04")


def test_opened_package_names_its_components() -> None:
    opened = open_package(letters.package())
    assert [component.name for component in opened.components] == ["package-signature", "package-seal"]
    assert opened.components[0].content.startswith(b"<?xml")
    assert opened.document_id is not None
    assert opened.acceptable


def test_update_package_is_opened_down_to_its_letter() -> None:
    """Number and id are the letter's, the signatures of both levels are judged, faults inside are told."""
    opened = open_package(wrappers.update(letters.package()))
    names = [component.name for component in opened.components]
    assert names == ["package-seal", "original-signature", "original-seal"]
    assert (opened.document_id, opened.document_no) == (letters.DOCUMENT_ID, letters.FINAL.document_no)
    assert opened.acceptable
    forged = letters.changed(letters.package(), Ustyazi=lambda text: text + b"\n")
    opened = open_package(wrappers.resealed(wrappers.update(letters.package()), OrijinalPaket=forged))
    assert not opened.acceptable
    assert list(dict.fromkeys(finding.rule for finding in opened.findings)) == ["R.90", "R.60", "R.61"]


def test_package_that_cannot_be_opened_is_a_finding() -> None:
    for content in (b"", b"PK\x03\x04 broken", office_file()):
        opened = open_package(content)
        assert not opened.acceptable
        assert [finding.severity for finding in opened.findings] == ["fatal"]
        assert opened.components == ()


@pytest.mark.parametrize("name", ["paketv1x.eyp", "paketv2x.eyp"])
def test_real_packages_come_through(name: str) -> None:
    if not (SAMPLES / name).exists():
        pytest.skip("the sample packages are not here")
    content = (SAMPLES / name).read_bytes()
    read = read_mail(dispatch(letter((name, content)))).letter
    assert read is not None
    assert read.package is not None
    assert read.package.content.read() == content
    assert open_package(content).components
