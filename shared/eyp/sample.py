"""A made-up letter for demonstrations and tests. No real person or institution appears in it."""

from __future__ import annotations

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
from shared.eyp.sample_letter import sample_cover_letter_pdf
from shared.eyp.writer import PackageDraft

_VERIFICATION = "https://dogrulama.example.org"


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
        code=document_id.upper(),
        address=_VERIFICATION,
    )
    metadata = Metadata(
        document_id=document_id,
        subject=subject,
        security_code=security_code,
        originator=sender,
        distributions=(Distribution(recipient),),
        cover_letter_file_name="ustyazi.pdf",
        media_type="application/pdf",
        verification_address=_VERIFICATION,
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
