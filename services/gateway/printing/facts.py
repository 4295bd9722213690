"""What the cover sheet says about a letter (legal.md 8). Turkish, because people read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.gateway.printing.letters import Letter
from services.gateway.printing.orders import Label, SheetSection
from services.gateway.printing.profiles import Profile
from services.gateway.schemas.printing import PrinterAnswer
from shared.clock import ISTANBUL
from shared.domain.verdict import Conclusion
from shared.eyp import LegalEntity, Organisation, Party, Person, SecurityCode, SignatureKind
from shared.telemetry.logging import mask_identity_numbers

_LONGEST = 1500
_STATED = " (yazdıranın beyanı)"
_CONCLUSIONS = {
    Conclusion.PASSED: "GEÇERLİ",
    Conclusion.FAILED: "GEÇERSİZ",
    Conclusion.INDETERMINATE: "KESİN SONUÇ YOK",
    None: "HENÜZ DOĞRULANMADI",
}
_DEGREES = {
    SecurityCode.UNCLASSIFIED: "Tasnif dışı",
    SecurityCode.RESTRICTED: "HİZMETE ÖZEL",
    SecurityCode.CONFIDENTIAL: "ÖZEL (HİZMETE ÖZEL gibi işlem görür)",
    SecurityCode.PERSONAL: "KİŞİYE ÖZEL",
}
_KINDS = {SignatureKind.SIGNATURE: "İmza", SignatureKind.SEAL: "Mühür"}


@dataclass(frozen=True)
class Transport:
    """What is known of the way a letter came; ``stated``: by the caller, and by nothing else."""

    kep_message_id: str | None = None
    sender_address: str | None = None
    received_at: datetime | None = None
    stated: bool = False
    evidence_id: str | None = None
    evidence_at: datetime | None = None


@dataclass(frozen=True)
class Occasion:
    """What is known of one print before it is made."""

    at: datetime
    profile: Profile
    copy_number: int
    purpose: str | None
    printer: PrinterAnswer


def day(moment: datetime) -> str:
    """A date as Turkish letters write it, in Turkish time."""
    return moment.astimezone(ISTANBUL).strftime("%d.%m.%Y")


def time_of_day(moment: datetime) -> str:
    """The same with the minute."""
    return moment.astimezone(ISTANBUL).strftime("%d.%m.%Y %H:%M")


def sheet_sections(
    letter: Letter, transport: Transport, register: Label | None, occasion: Occasion
) -> list[SheetSection]:
    """All that is known before the pages are looked at. Identity numbers are masked (L.34)."""
    sections = [
        SheetSection(heading="Belge", lines=_document(letter)),
        SheetSection(heading="Doğrulama", lines=_verification(letter)),
        SheetSection(heading="İletim", lines=_transport(transport)),
        SheetSection(heading="Kayıt", lines=_register(register)),
        SheetSection(heading="Çıktı", lines=_occasion(occasion)),
        SheetSection(
            heading="Özetler (SHA-256)",
            lines=[("Paket", letter.package_sha256), ("Üst yazı", letter.cover_letter_sha256)],
        ),
    ]
    return [section for section in sections if section.lines]


def _document(letter: Letter) -> list[tuple[str, str]]:
    found = letter.inspection
    date = found.final_metadata.date if found.final_metadata else None
    return _known(
        ("Konu", found.subject),
        ("Sayı", found.document_no),
        ("Tarih", day(date) if date else None),
        ("Belge kimliği", found.document_id),
        ("Gönderen", _party(found.metadata.originator) if found.metadata else None),
        ("Gizlilik derecesi", _DEGREES.get(letter.degree)),
    )


def _verification(letter: Letter) -> list[tuple[str, str]]:
    verdict = letter.verdict
    lines = _known(
        ("Sonuç", _CONCLUSIONS[verdict.conclusion]),
        ("Doğrulama zamanı", time_of_day(verdict.verified_at) if verdict.verified_at else None),
    )
    for kind, signer in verdict.signers:
        who = ", ".join(filter(None, (signer.name, signer.organisation, signer.identity_number_masked)))
        lines += _known((_KINDS[kind], who), ("Sertifikayı veren", signer.issuer))
    return lines


def _transport(transport: Transport) -> list[tuple[str, str]]:
    how = _STATED if transport.stated else ""
    return _known(
        ("KEP ileti kimliği", _followed(transport.kep_message_id, how)),
        ("Gönderen KEP adresi", _followed(transport.sender_address, how)),
        ("Alınma zamanı", time_of_day(transport.received_at) if transport.received_at else None),
        ("Teslim delili", _followed(transport.evidence_id, _STATED)),
        ("Delil zamanı", _followed(time_of_day(transport.evidence_at), _STATED) if transport.evidence_at else None),
    )


def _register(register: Label | None) -> list[tuple[str, str]]:
    if register is None:
        return []
    return _known(
        ("Kurum", register.body),
        ("Kayıt no", register.register_no),
        ("Kayıt tarihi", register.registered_on),
        ("Dosya kodu", register.file_code),
        ("Birim", register.unit),
    )


def _occasion(occasion: Occasion) -> list[tuple[str, str]]:
    printer = occasion.printer
    authorised_on = f"{printer.authorised_on:%d.%m.%Y}" if printer.authorised_on else None
    authorised = ", ".join(filter(None, (printer.document_no, authorised_on)))
    profile = occasion.profile
    name = profile.name.value if profile.official else "çalışma kopyası (resmî işlemde kullanılmaz)"
    return _known(
        ("Kopya no", str(occasion.copy_number)),
        ("Profil", f"{name}, {profile.edition:%d.%m.%Y} tarihli hâli"),
        ("Yazdırma zamanı", time_of_day(occasion.at)),
        ("Amaç", occasion.purpose),
        ("Yazdıran", ", ".join(filter(None, (printer.name, printer.title)))),
        ("Yetki belgesi", authorised),
    )


def _party(party: Party | None) -> str | None:
    match party:
        case Organisation():
            return ", ".join(filter(None, (party.name, f"DETSİS {party.number}")))
        case Person():
            name = party.name
            return " ".join(filter(None, (name.first, name.middle, name.last)))
        case LegalEntity():
            return ", ".join(filter(None, (party.name, party.identifier.value)))
        case _:
            return None


_PROOF = frozenset({"Sayı", "Belge kimliği", "Kayıt no"})
"""Numbers that may have eleven digits without being anybody's."""


def _known(*lines: tuple[str, str | None]) -> list[tuple[str, str]]:
    return [
        (name, value[:_LONGEST] if name in _PROOF else mask_identity_numbers(value[:_LONGEST]))
        for name, value in lines
        if value
    ]


def _followed(value: str | None, addition: str) -> str | None:
    return value + addition if value else None
