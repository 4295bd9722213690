"""A made-up letter for demonstrations and tests. No real person or institution appears in it."""

from __future__ import annotations

from collections.abc import Sequence

from shared.eyp.model import (
    Annex,
    AnnexKind,
    Distribution,
    Metadata,
    Organisation,
    Person,
    PersonName,
    SecurityCode,
)
from shared.eyp.writer import PackageDraft

_TURKISH = {"Ğ": "Gbreve", "ğ": "gbreve", "İ": "Idotaccent", "ı": "dotlessi", "Ş": "Scedilla", "ş": "scedilla"}
_FIRST_FREE_CODE = 0x80
_CODES = {letter: _FIRST_FREE_CODE + offset for offset, letter in enumerate(_TURKISH)}
_MARGIN, _TOP, _LEADING = 70, 770, 18


def sample_cover_letter_pdf(lines: Sequence[str], *, title: str = "") -> bytes:
    """A one-page A4 PDF with ``lines`` set in Helvetica; Turkish letters included, others become ``?``.

    Lines are not wrapped; what runs beyond the page's foot is left out.
    """
    body = [f"BT /F1 12 Tf {_LEADING} TL {_MARGIN} {_TOP} Td".encode("ascii")]
    body += [b"(" + _escaped(line) + b") Tj T*" for line in lines[: (_TOP - 50) // _LEADING]]
    content = b"\n".join([*body, b"ET"])
    differences = " ".join(f"/{glyph}" for glyph in _TURKISH.values())
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (tr) >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 8 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding 6 0 R >>",
        f"<< /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [{_FIRST_FREE_CODE} {differences}] >>".encode(),
        b"<< /Title " + _text_string(title) + b" >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    return _assembled(objects)


def sample_package_draft(
    *,
    document_id: str,
    sender: Organisation,
    recipient: Organisation,
    subject: str = "Örnek yazı: KEP Gateway deneme gönderimi",
    annex_text: str = "Bu dosya deneme amaçlı bir ektir.\n",
    security_code: SecurityCode = SecurityCode.UNCLASSIFIED,
) -> PackageDraft:
    """A complete unsigned letter with a cover letter and one annex, deterministic for its arguments.

    ``document_id`` is a GUID; both organisations need valid DETSİS numbers. Raises as
    ``PackageDraft.create``.
    """
    annex_id = f"{document_id[:-1]}{'0' if document_id[-1] != '0' else '1'}"
    letter = sample_cover_letter_pdf(
        [
            "T.C.",
            sender.name or sender.number,
            "",
            f"Konu: {subject}",
            "",
            f"Sayın {recipient.name or recipient.number},",
            "",
            "Bu yazı, kurumlar arası e-Yazışma sürecini göstermek için üretilmiş bir örnektir.",
            "Gerçek bir kurumu ya da kişiyi ilgilendirmez.",
            "",
            "Ek: Deneme dosyası (1 adet)",
        ],
        title=subject,
    )
    metadata = Metadata(
        document_id=document_id,
        subject=subject,
        security_code=security_code,
        originator=sender,
        distributions=(Distribution(recipient),),
        cover_letter_file_name="ustyazi.pdf",
        media_type="application/pdf",
        verification_address="https://dogrulama.example.org",
        annexes=(
            Annex(
                id=annex_id,
                kind=AnnexKind.FILE,
                order=1,
                file_name="Deneme eki.txt",
                media_type="text/plain",
                name="Deneme dosyası",
            ),
        ),
        language="tur",
    )
    return PackageDraft.create(metadata, cover_letter=letter, annex_files={annex_id: annex_text.encode("utf-8")})


def sample_signatory() -> Person:
    """A person who does not exist, to stand as the letter's signatory."""
    return Person(PersonName(first="Deneme", last="İMZACI"), duty="Başkan")


def _escaped(line: str) -> bytes:
    encoded = bytearray()
    for letter in line:
        code = _CODES.get(letter)
        if code is not None:
            encoded.append(code)
        else:
            # Latin-1 and WinAnsi agree on everything printable outside the codes used above.
            encoded += letter.encode("latin-1", "replace") if letter.isprintable() else b"?"
    return bytes(encoded).replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _text_string(text: str) -> bytes:
    return b"<FEFF" + text.encode("utf-16-be").hex().upper().encode("ascii") + b">"


def _assembled(objects: Sequence[bytes]) -> bytes:
    """Header, objects, cross-reference table and trailer."""
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R /Info 7 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )
    return bytes(document)
