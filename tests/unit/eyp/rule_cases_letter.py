"""The rules of a letter's layout and metadata, each broken (eyp.md 6.1 to 6.3)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.eyp import Inspection, Profile, inspect
from tests.unit.eyp import letters, shapes
from tests.unit.eyp.letters import ANNEX_ID, DOCUMENT_ID, UNSIGNED_ANNEX_ID
from tests.unit.eyp.rule_base import (
    CORE,
    COVER,
    LETTERS,
    METADATA,
    RELS,
    Case,
    Edit,
    changed,
    damaged,
    edited,
    related,
    rewritten,
    without,
)

_MACROS = letters.packed({"word/document.xml": b"<x/>", "word/vbaProject.bin": b"x"})


def _of_letters(weight: str, code: int | None, edits: dict[str, Edit], packages: tuple[str, ...]) -> Iterator[Case]:
    for key, edit in edits.items():
        for package in packages:
            yield Case(key, package, edit, weight, code)


def layout_cases() -> Iterator[Case]:
    yield from _of_letters("FF", None, {
        "R.1.content-types": changed("[Content_Types].xml", "<Types", "<Types <"),
        "R.1.relationships": changed(RELS, "<Relationships", "<Baska"),
        "R.1.part": damaged(b"%PDF-1.4 a letter", b"%PDF-1.4 a lettre"),
        "R.3.missing": rewritten(CORE, r">(2\.0|1\.3)<", "><"),
        "R.3.unsupported": rewritten(CORE, r">(2\.0|1\.3)<", ">3.0<"),
        "R.5.place": changed(RELS, "/UstYazi/Ustyazi.pdf", "/Ekler/Cizim(1).txt"),
        "R.7.macros": edited(COVER, lambda _: _MACROS),
        "R.8.place": changed(RELS, "/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"),
        "R.9.place": changed(RELS, "/Ustveri/Ustveri.xml", "/PaketOzeti/PaketOzeti.xml"),
        "R.11.place": changed(RELS, "/PaketOzeti/PaketOzeti.xml", "/NihaiOzet/NihaiOzet.xml"),
        "R.13.place": changed(RELS, "/NihaiOzet/NihaiOzet.xml", "/PaketOzeti/PaketOzeti.xml"),
        "R.18.identifier-differs": changed(CORE, f">{DOCUMENT_ID}<", "><"),
        "R.18.category": changed(CORE, ">RESMIYAZISMA<", ">BASKA<"),
        "R.18.content-type": changed(CORE, "application/eyazisma", "application/pdf"),
    }, LETTERS)  # fmt: skip
    yield Case("R.3.contradicted", "2.x", changed(CORE, ">2.0<", ">1.3<"))
    yield Case("R.3.contradicted", "1.x", changed(CORE, ">1.3<", ">2.0<"))
    yield Case("R.3.contradicted", "eyps 2.x", changed(CORE, ">2.0<", ">1.3<"))
    for package in LETTERS:
        yield Case("R.1.target", package, changed(RELS, "/UstYazi/Ustyazi.pdf", "/UstYazi/yok.pdf"), code=6)
        yield Case("R.2.count", package, changed(RELS, "metadata/core-properties", "metadata/x"), code=18)
        yield Case("R.2.count", package, _second_core)
        yield Case("R.4.count", package, changed(RELS, "iliskiler/ustyazi", "iliskiler/x"), code=6)
        yield Case("R.4.count", package, related(RELS, "ustyazi"))
        yield Case("R.6.white-space", package, changed(RELS, "/Ustyazi.pdf", "/Ust%20yazi.pdf"), "FW")
        yield Case("R.7.not-pdf", package, edited(COVER, lambda _: b"a letter"), "WW")
        yield Case("R.9.count", package, changed(RELS, "iliskiler/ustveri", "iliskiler/x"), code=2)
        yield Case("R.9.count", package, related(RELS, "ustveri"))
        yield Case("R.11.count", package, changed(RELS, "iliskiler/paketozeti", "iliskiler/x"), code=25)
        yield Case("R.13.count", package, related(RELS, "nihaiozet"))
        yield Case("R.15.count", package, changed("PaketOzeti/_rels", "imzacades", "x"), code=17)
        yield Case("R.15.count", package, related("PaketOzeti/_rels", "imzacades"))
        yield Case("R.16.count", package, related("NihaiOzet/_rels", "muhurcades"))
        yield Case("R.17.foreign", package, changed("PaketOzeti/_rels", "imzacades", "muhurcades"), "II")
        yield Case("R.18.subject-differs", package, changed(CORE, "<dc:subject>", "<dc:subject>x"), "FI")
        yield Case("R.18.created-missing", package, changed(CORE, "2026-03-02", "2026-13-02"), "FI")
        yield Case("R.18.creator-missing", package, changed(CORE, "dc:creator", "dc:title"), "FI")
        yield Case("R.19.file-name", package, bytes, "WW", judge=_named)
        yield Case("R.20.spelling", package, changed(RELS, "iliskiler/paketozeti", "iliskiler/PaketOzeti"), "WW")
    yield Case("R.10.destinations", "1.x", changed(RELS, "iliskiler/belgehedef", "iliskiler/x"), code=4)
    yield Case("R.10.signatories", "1.x", related(RELS, "belgeimza"))
    yield Case("R.12.count", "2.x", changed(RELS, "iliskiler/nihaiustveri", "iliskiler/x"))
    yield Case("R.12.place", "2.x", changed(RELS, "/NihaiUstveri/NihaiUstveri.xml", "/Ustveri/Ustveri.xml"))
    yield Case("R.13.count", "2.x", changed(RELS, "iliskiler/nihaiozet", "iliskiler/x"))
    yield Case("R.14.count", "2.x", related(RELS, "parafozeti"))
    yield Case("R.16.count", "2.x", changed("NihaiOzet/_rels", "muhurcades", "x"))
    yield Case("R.17.count", "2.x", related("ParafOzeti/_rels", "parafimzacades"))
    yield Case("R.17.alone", "2.x", changed(RELS, "iliskiler/parafozeti", "iliskiler/parafimzacades"))
    yield Case("R.17.foreign", "1.x", related(RELS, "nihaiustveri"), "II")
    yield Case("R.17.unrelated", "2.x", changed(RELS, "iliskiler/parafozeti", "iliskiler/x"))
    yield Case("R.17.unrelated", "1.x", changed(RELS, "iliskiler/nihaiozet", "iliskiler/x"))


def _second_core(content: bytes) -> bytes:
    core = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
    more = f'<Relationship Type="{core}" Target="/Ustveri/Ustveri.xml" Id="x"/></Relationships>'
    return edited(RELS, letters.replacing("</Relationships>", more))(content)


def _named(content: bytes, profile: Profile) -> Inspection:
    return inspect(content, profile=profile, file_name="letter.eyp")


def metadata_cases() -> Iterator[Case]:
    item = METADATA
    yield from _of_letters("FF", None, {
        "R.21.markup": changed(item, "<t:Olusturan>", "<t:Baska>"),
        "R.21.missing": rewritten(item, r"<tipler:GuvenlikKodu>[A-Z]*</tipler:GuvenlikKodu>", ""),
        "R.21.repeated": changed(item, "<t:Dil>tur</t:Dil>", "<t:Dil>tur</t:Dil><t:Dil>eng</t:Dil>"),
        "R.21.root": changed(item, "xsd:Ustveri-", "xsd:NihaiUstveri-"),
        "R.21.value": changed(item, ">GRG<", ">ABC<"),
        "R.21.too-many": changed(item, "</t:DagitimListesi>", "<t:Dagitim/>" * 6000 + "</t:DagitimListesi>"),
        "R.22.invalid": changed(item, f"<t:BelgeId>{DOCUMENT_ID}<", "<t:BelgeId>x<"),
        "R.23.subject": rewritten(item, r"<tipler:Konu>[^<]*", "<tipler:Konu>"),
        "R.23.file-name": changed(item, "<t:DosyaAdi>Ustyazi.pdf<", "<t:DosyaAdi><"),
        "R.26.missing": rewritten(item, r"<tipler:DagitimListesi>.*</tipler:DagitimListesi>", ""),
        "R.26.recipient": rewritten(
            item, r"(<tipler:Dagitim>\s*)<tipler:KurumKurulus>.*?</tipler:KurumKurulus>", r"\1"
        ),
        "R.26.several": changed(item, "<t:Dagitim>", "<t:Dagitim><t:TuzelSahis/>"),
        "R.27.term-missing": changed(item, "<t:Miat>P3D</t:Miat>", ""),
        "R.28.unknown": rewritten(item, r"(<tipler:KonulmamisEk>\s*<tipler:EkId>)[^<]*", r"\1x"),
        "R.29.number": changed(item, "<t:KKK>10000002", "<t:KKK>00000002"),
        "R.31.value-missing": changed(item, ">0123456789012345<", "><"),
        "R.32.name": changed(item, "<t:Soyadi>ALICI</t:Soyadi>", ""),
        "R.34.forbidden": changed(item, ">HZO<", ">XYZ<"),
        "R.44.duplicate": changed(item, shapes.REFERENCES[0].id, ANNEX_ID),
        "R.50.id": changed(item, shapes.PHYSICAL_ID, "kimlik"),
        "R.50.order": changed(item, "<t:SiraNo>2", "<t:SiraNo>1"),
        "R.51.file-name": changed(item, "<t:DosyaAdi>liste</t:DosyaAdi>", ""),
        "R.51.media-type": changed(item, "<t:MimeTuru>text/csv</t:MimeTuru>", ""),
        "R.52.uri": rewritten(item, r"<tipler:Referans>.*</tipler:Referans>", ""),
        "R.52.digest": rewritten(item, r"<tipler:OzetDegeri>[^<]*", "<tipler:OzetDegeri>"),
        "R.53.signed": changed(item, "Kutu içinde</t:Aciklama>", "</t:Aciklama><t:ImzaliMi>true</t:ImzaliMi>"),
        "R.54.missing": changed(RELS, f"IdImzasizEk_{UNSIGNED_ANNEX_ID}", "IdImzasizEk_x"),
        "R.55.undeclared": changed(RELS, f"IdImzasizEk_{UNSIGNED_ANNEX_ID}", "IdImzasizEk_x"),
        "R.56.misplaced": changed(item, "<t:ImzaliMi>false", "<t:ImzaliMi>true"),
        "R.57.incomplete": changed(item, "<t:Etiket>a<", "<t:Etiket><"),
        "R.57.annex": rewritten(item, r"(<tipler:Etiket>b</tipler:Etiket>\s*<tipler:EkId>)[^<]*", r"\1x"),
    }, LETTERS)  # fmt: skip
    yield from _of_letters("FI", None, {
        "R.21.attribute": changed(item, ' EYazismaIdMi="false"', ""),
        "R.21.empty": rewritten(item, r"(<tipler:IlgiliListesi>).*(</tipler:IlgiliListesi>)", r"\1\2"),
        "R.21.unexpected": changed(item, "<t:Dil>", "<t:X/><t:Dil>"),
        "R.31.scheme-missing": changed(item, ' schemeID="MERSIS"', ""),
        "R.33.incomplete": changed(item, ' schemeID="defter"', ""),
        "R.38.language": changed(item, ">tur<", ">tr<"),
        "R.57.label-not-unique": changed(item, "<t:Etiket>b<", "<t:Etiket>a<"),
    }, LETTERS)  # fmt: skip
    yield from _of_letters("FW", None, {
        "R.27.term-invalid": changed(item, ">P3D<", ">0<"),
        "R.28.empty": rewritten(item, r"(<tipler:KonulmamisEkListesi>).*(</tipler:KonulmamisEkListesi>)", r"\1\2"),
    }, LETTERS)  # fmt: skip
    yield from _of_letters("II", None, {
        "R.30.invalid": changed(item, "10000000146", "10000000147"),
        "R.36.too-early": changed(item, "2030-03-02", "2020-03-02"),
        "R.40.phone": changed(item, "+90 312 000 00 00", "yok"),
        "R.40.email": changed(item, "bilgi@example.org", "bilgi"),
        "R.40.web": changed(item, "<t:WebAdresi>https://example.org", "<t:WebAdresi>adres yok"),
        "R.52.uri-format": changed(item, "https://example.org/buyuk-dosya", "adres yok"),
        "R.54.name-differs": changed(item, "<t:DosyaAdi>liste<", "<t:DosyaAdi>baska<"),
    }, LETTERS)  # fmt: skip
    yield from _of_letters("WW", None, {
        "R.23.media-type": changed(item, "<t:MimeTuru>application/pdf</t:MimeTuru>", ""),
        "R.31.scheme-unknown": changed(item, "MERSIS", "BASKA"),
        "R.40.fax": changed(item, "+90 312 000 00 01", "yok"),
        "R.42.empty": changed(item, "<t:Unvan>Dr.<", "<t:Unvan><"),
        "R.43.differs": changed(item, "<t:DosyaAdi>Ustyazi.pdf", "<t:DosyaAdi>baska.pdf"),
        "R.54.withheld": without("Ekler/"),
        "R.58.label": changed(item, "<t:Etiket>b<", "<t:Etiket>1<"),
    }, LETTERS)  # fmt: skip
    yield from _of_one_generation(item)
    for package in ("2.x, two annexes", "1.x, two annexes"):
        yield Case("R.54.swapped", package, _swapped)
        yield Case(
            "R.54.unproven", package, rewritten(item, r"<tipler:DosyaAdi>(bir|iki)", "<tipler:DosyaAdi>x", 2), "FI"
        )


def _of_one_generation(item: str) -> Iterator[Case]:
    yield Case("R.22.lower-case", "2.x", changed(item, DOCUMENT_ID, DOCUMENT_ID.lower()), "FW")
    yield Case("R.24.missing", "1.x", changed(item, "<t:BelgeNo>123-4</t:BelgeNo>", ""))
    yield Case("R.24.misplaced", "2.x", changed(item, "<t:GuvenlikKodu>", "<t:BelgeNo>1</t:BelgeNo><t:GuvenlikKodu>"))
    yield Case("R.25.incomplete", "2.x", changed("NihaiUstveri/", "E-10000001-000-1", ""))
    yield Case("R.25.incomplete", "1.x", changed("Imzalar/BelgeImza.xml", "t:Imzalayan>", "t:Makam>"))
    yield Case("R.29.unit", "2.x", changed(item, "<t:BirimKKK>10000003", "<t:BirimKKK>1"), "II")
    yield Case("R.34.retired", "2.x", changed(item, ">HZO<", ">OZL<"), "II")
    yield Case("R.35.urgency", "2.x", changed(item, ">ACL<", ">IVD<"), "II")
    yield Case("R.35.urgency", "1.x", changed(item, ">IVD<", ">CIV<"), "II")
    yield Case("R.37.empty", "2.x", changed(item, "https://dogrulama.example.org/belge", ""), "FI")
    yield Case("R.37.format", "2.x", changed(item, "https://dogrulama.example.org/belge", "adres yok"), "II")
    yield Case("R.39.file-plan", "2.x", rewritten(item, r"<tipler:AnaSdp>.*</tipler:AnaSdp>", ""), "FI")
    yield Case("R.39.file-plan-format", "2.x", changed(item, "702.03", "7x"), "II")
    yield Case("R.39.service", "2.x", changed(item, "<t:Kod>12<", "<t:Kod>0<"), "FI")
    yield Case("R.40.kep", "2.x", changed(item, "kurum@hs01.kep.tr", "kurum@example.org"), "II")
    yield Case("R.41.retired", "1.x", changed(item, "<t:Adi>Örnek", "<t:BYK>1</t:BYK><t:Adi>Örnek"), "II")
    yield Case(
        "R.41.retired", "1.x", changed("Imzalar/BelgeImza.xml", "</t:Imza>", "<t:TCYK>1</t:TCYK></t:Imza>"), "II"
    )


def _swapped(content: bytes) -> bytes:
    """The relationships of two annexes name each other's file; every digest still matches."""

    def edit(text: bytes) -> bytes:
        return text.replace(b"bir.txt", b"*").replace(b"iki.csv", b"bir.txt").replace(b"*", b"iki.csv")

    return edited(RELS, edit)(content)
