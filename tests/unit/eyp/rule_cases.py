"""Every rule as a case: a faultless package, what is done to it, and what then must be found.

``FAULTLESS`` holds the packages, ``CASES`` the changes by name: the rule's key and the package's name, with a
number where one rule is broken in several ways. ``test_rule_cases`` runs all of them, ``rule_table`` prints them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from shared.eyp import (
    DEFAULT_LIMITS,
    Annex,
    AnnexKind,
    FilePlanCode,
    Identifier,
    Inspection,
    Profile,
    SecurityCode,
    ServiceCode,
    inspect,
    inspect_decrypted,
)
from tests.unit.eyp import letters, shapes, wrappers
from tests.unit.eyp.letters import ANNEX_ID, DOCUMENT_ID, UNSIGNED_ANNEX_ID

Edit = Callable[[bytes], bytes]
Judge = Callable[[bytes, Profile], Inspection]

_COMMON: dict[str, object] = {
    "annexes": shapes.ANNEXES,
    "references": shapes.REFERENCES,
    "distributions": shapes.EVERYONE,
    "related_parties": (shapes.PERSON, shapes.COMPANY),
    "security_code": SecurityCode.RESTRICTED,
    "security_code_valid_until": letters.MOMENT.replace(year=2030),
    "local_id": Identifier("7", "defter"),
}
_TWO_ANNEXES: dict[str, object] = {
    "annexes": (
        Annex(ANNEX_ID, AnnexKind.FILE, 1, "bir.txt", "text/plain"),
        Annex(UNSIGNED_ANNEX_ID, AnnexKind.FILE, 2, "iki.csv", "text/csv"),
    )
}
LETTERS = ("2.x", "1.x")
FAULTLESS: dict[str, bytes] = {
    "2.x": shapes.newer(
        initials=1,
        originator=replace(letters.SENDER, unit_number="10000003", contact=shapes.NEWER_CONTACT),
        file_plan=FilePlanCode("702.03", "Plan"),
        service_codes=(ServiceCode(12, "Hizmet"),),
        **_COMMON,
    ).to_bytes(),
    "1.x": shapes.older(**_COMMON).to_bytes(),
    "2.x, two annexes": shapes.newer(**_TWO_ANNEXES).to_bytes(),
    "1.x, two annexes": shapes.older(**_TWO_ANNEXES).to_bytes(),
    "eyps 2.x": wrappers.encrypted(destinations=[letters.RECIPIENT]),
    "eyps 1.x": wrappers.encrypted(wrappers.older()),
    "eypg": wrappers.update(),
}


@dataclass(frozen=True)
class Case:
    """A change of a faultless package that breaks a rule.

    ``weight``: severity under strict and interop, by first letter. ``code``: the official library's.
    """

    key: str
    package: str
    edit: Edit
    weight: str = "FF"
    code: int | None = None
    judge: Judge = lambda content, profile: inspect(content, profile=profile)


def changed(item: str, old: str, new: str) -> Edit:
    """The item whose name starts so with one text for another; ``t:`` is the prefix of the common types."""
    return edited(item, letters.replacing(old.replace("t:", "tipler:"), new.replace("t:", "tipler:")))


def edited(item: str, edit: Edit) -> Edit:
    """The item whose name starts so, edited."""
    return lambda content: wrappers.edited(content, item, edit)


def rewritten(item: str, pattern: str, new: str, count: int = 1) -> Edit:
    """The item with what a regular expression finds replaced; it must find something."""

    def edit(content: bytes) -> bytes:
        text, found = re.subn(pattern, new, content.decode(), count=count, flags=re.DOTALL)
        assert found, pattern
        return text.encode()

    return edited(item, edit)


def _without(item: str) -> Edit:
    return lambda content: wrappers.without(content, item)


def _related(item: str, role: str, target: str = "/UstYazi/Ustyazi.pdf") -> Edit:
    """One relationship more."""
    more = f'<Relationship Type="http://eyazisma.dpt/iliskiler/{role}" Target="{target}" Id="x"/>'
    return edited(item, letters.replacing("</Relationships>", f"{more}</Relationships>"))


def _damaged(before: bytes, after: bytes) -> Edit:
    """Bytes changed below the ZIP's checksums."""

    def edit(content: bytes) -> bytes:
        stored = letters.packed(letters.parts_of(content), zipfile.ZIP_STORED)
        assert before in stored
        return stored.replace(before, after)

    return edit


_RELS, _METADATA = "_rels/.rels", "Ustveri/Ustveri.xml"
_PACKAGE, _FINAL, _INITIALS = "PaketOzeti/PaketOzeti.xml", "NihaiOzet/NihaiOzet.xml", "ParafOzeti/ParafOzeti.xml"
_CORE, _COVER = "package/", "UstYazi/"
_MACROS = letters.packed({"word/document.xml": b"<x/>", "word/vbaProject.bin": b"x"})
_NO_REFERENCES = r"<Reference.*</Reference>"


def _of_letters(weight: str, code: int | None, edits: dict[str, Edit], packages: tuple[str, ...]) -> Iterator[Case]:
    for key, edit in edits.items():
        for package in packages:
            yield Case(key, package, edit, weight, code)


def _layout() -> Iterator[Case]:
    yield from _of_letters("FF", None, {
        "R.1.content-types": changed("[Content_Types].xml", "<Types", "<Types <"),
        "R.1.relationships": changed(_RELS, "<Relationships", "<Baska"),
        "R.1.part": _damaged(b"%PDF-1.4 a letter", b"%PDF-1.4 a lettre"),
        "R.3.missing": rewritten(_CORE, r">(2\.0|1\.3)<", "><"),
        "R.3.unsupported": rewritten(_CORE, r">(2\.0|1\.3)<", ">3.0<"),
        "R.5.place": changed(_RELS, "/UstYazi/Ustyazi.pdf", "/Ekler/Cizim(1).txt"),
        "R.7.macros": edited(_COVER, lambda _: _MACROS),
        "R.8.place": changed(_RELS, "/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"),
        "R.9.place": changed(_RELS, "/Ustveri/Ustveri.xml", "/PaketOzeti/PaketOzeti.xml"),
        "R.11.place": changed(_RELS, "/PaketOzeti/PaketOzeti.xml", "/NihaiOzet/NihaiOzet.xml"),
        "R.13.place": changed(_RELS, "/NihaiOzet/NihaiOzet.xml", "/PaketOzeti/PaketOzeti.xml"),
        "R.18.identifier-differs": changed(_CORE, f">{DOCUMENT_ID}<", "><"),
        "R.18.category": changed(_CORE, ">RESMIYAZISMA<", ">BASKA<"),
        "R.18.content-type": changed(_CORE, "application/eyazisma", "application/pdf"),
    }, LETTERS)  # fmt: skip
    yield Case("R.3.contradicted", "2.x", changed(_CORE, ">2.0<", ">1.3<"))
    yield Case("R.3.contradicted", "1.x", changed(_CORE, ">1.3<", ">2.0<"))
    yield Case("R.3.contradicted", "eyps 2.x", changed(_CORE, ">2.0<", ">1.3<"))
    for package in LETTERS:
        yield Case("R.1.target", package, changed(_RELS, "/UstYazi/Ustyazi.pdf", "/UstYazi/yok.pdf"), code=6)
        yield Case("R.2.count", package, changed(_RELS, "metadata/core-properties", "metadata/x"), code=18)
        yield Case("R.2.count", package, _second_core)
        yield Case("R.4.count", package, changed(_RELS, "iliskiler/ustyazi", "iliskiler/x"), code=6)
        yield Case("R.4.count", package, _related(_RELS, "ustyazi"))
        yield Case("R.6.white-space", package, changed(_RELS, "/Ustyazi.pdf", "/Ust%20yazi.pdf"), "FW")
        yield Case("R.7.not-pdf", package, edited(_COVER, lambda _: b"a letter"), "WW")
        yield Case("R.9.count", package, changed(_RELS, "iliskiler/ustveri", "iliskiler/x"), code=2)
        yield Case("R.9.count", package, _related(_RELS, "ustveri"))
        yield Case("R.11.count", package, changed(_RELS, "iliskiler/paketozeti", "iliskiler/x"), code=25)
        yield Case("R.13.count", package, _related(_RELS, "nihaiozet"))
        yield Case("R.15.count", package, changed("PaketOzeti/_rels", "imzacades", "x"), code=17)
        yield Case("R.15.count", package, _related("PaketOzeti/_rels", "imzacades"))
        yield Case("R.16.count", package, _related("NihaiOzet/_rels", "muhurcades"))
        yield Case("R.17.foreign", package, changed("PaketOzeti/_rels", "imzacades", "muhurcades"), "II")
        yield Case("R.18.subject-differs", package, changed(_CORE, "<dc:subject>", "<dc:subject>x"), "FI")
        yield Case("R.18.created-missing", package, changed(_CORE, "2026-03-02", "2026-13-02"), "FI")
        yield Case("R.18.creator-missing", package, changed(_CORE, "dc:creator", "dc:title"), "FI")
        yield Case("R.19.file-name", package, bytes, "WW", judge=_named)
        yield Case("R.20.spelling", package, changed(_RELS, "iliskiler/paketozeti", "iliskiler/PaketOzeti"), "WW")
    yield Case("R.10.destinations", "1.x", changed(_RELS, "iliskiler/belgehedef", "iliskiler/x"), code=4)
    yield Case("R.10.signatories", "1.x", _related(_RELS, "belgeimza"))
    yield Case("R.12.count", "2.x", changed(_RELS, "iliskiler/nihaiustveri", "iliskiler/x"))
    yield Case("R.12.place", "2.x", changed(_RELS, "/NihaiUstveri/NihaiUstveri.xml", "/Ustveri/Ustveri.xml"))
    yield Case("R.13.count", "2.x", changed(_RELS, "iliskiler/nihaiozet", "iliskiler/x"))
    yield Case("R.14.count", "2.x", _related(_RELS, "parafozeti"))
    yield Case("R.16.count", "2.x", changed("NihaiOzet/_rels", "muhurcades", "x"))
    yield Case("R.17.count", "2.x", _related("ParafOzeti/_rels", "parafimzacades"))
    yield Case("R.17.alone", "2.x", changed(_RELS, "iliskiler/parafozeti", "iliskiler/parafimzacades"))
    yield Case("R.17.foreign", "1.x", _related(_RELS, "nihaiustveri"), "II")
    yield Case("R.17.unrelated", "2.x", changed(_RELS, "iliskiler/parafozeti", "iliskiler/x"))
    yield Case("R.17.unrelated", "1.x", changed(_RELS, "iliskiler/nihaiozet", "iliskiler/x"))


def _second_core(content: bytes) -> bytes:
    core = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
    more = f'<Relationship Type="{core}" Target="/Ustveri/Ustveri.xml" Id="x"/></Relationships>'
    return edited(_RELS, letters.replacing("</Relationships>", more))(content)


def _named(content: bytes, profile: Profile) -> Inspection:
    return inspect(content, profile=profile, file_name="letter.eyp")


def _metadata() -> Iterator[Case]:
    item = _METADATA
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
        "R.54.missing": changed(_RELS, f"IdImzasizEk_{UNSIGNED_ANNEX_ID}", "IdImzasizEk_x"),
        "R.55.undeclared": changed(_RELS, f"IdImzasizEk_{UNSIGNED_ANNEX_ID}", "IdImzasizEk_x"),
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
        "R.54.withheld": _without("Ekler/"),
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

    return edited(_RELS, edit)(content)


def _manifests() -> Iterator[Case]:
    covers = {"R.60": 7, "R.61": 21, "R.62": 26}
    for rule, item, packages in (("R.60", _PACKAGE, LETTERS), ("R.61", _FINAL, LETTERS), ("R.62", _INITIALS, ("2.x",))):
        for package in packages:
            algorithm = "xmlenc#sha512" if package == "2.x" else "xmlenc#sha256"
            yield from _of_manifest(rule, package, item, '"/UstYazi/Ustyazi.pdf"', DOCUMENT_ID, algorithm)
            yield Case(f"{rule}.missing", package, changed(item, "/UstYazi/Ustyazi.pdf", "/x"), code=covers[rule])
            yield Case(f"{rule}.mismatch", package, edited(_COVER, lambda text: text + b"\n"), code=15)
            yield Case(f"{rule}.not-computed", package, _damaged(b"%PDF-1.4 a", b"%PDF-1.4 b"), code=14)
            yield Case(f"{rule}.withheld", package, _without("Ekler/"), "WW")
            if package == "2.x" and item != _INITIALS:
                yield Case(f"{rule}.initials-stripped", package, _without("Paraflar/"), "WW", 32)
    yield Case("R.63.retired", "1.x", changed(_PACKAGE, "2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"), "II")
    yield Case("R.63.same", "2.x", changed(_PACKAGE, "xmldsig-more#sha384", "xmlenc#sha512"), code=30)
    yield Case("R.63.sha512", "2.x", changed(_PACKAGE, "xmlenc#sha512", "xmlenc#sha256"), code=31)
    yield Case("R.63.unsupported", "2.x", changed(_PACKAGE, "2001/04/xmlenc#sha512", "2000/09/xmldsig#sha1"), code=12)
    yield Case("R.63.unsupported", "1.x", changed(_PACKAGE, "xmlenc#sha256", "xmldsig-more#sha384"), code=12)
    for package in LETTERS:
        yield Case("R.64.foreign", package, changed(_PACKAGE, "/Ekler/Cizim(1).txt", "/ImzasizEkler/liste"))
        yield Case("R.64.repeated", package, changed(_PACKAGE, "/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"))


def _of_manifest(rule: str, package: str, item: str, uri: str, own_id: str, algorithm: str) -> Iterator[Case]:
    """What any manifest can do wrong."""
    yield Case(f"{rule}.schema", package, rewritten(item, "Reference", "Baska", 0))
    yield Case(f"{rule}.schema", package, rewritten(item, _NO_REFERENCES, ""), code=8)
    yield Case(f"{rule}.id", package, changed(item, f'Id="{own_id}"', 'Id="x"'))
    yield Case(f"{rule}.uri", package, changed(item, uri, '""'), code=9)
    yield Case(f"{rule}.method", package, changed(item, "DigestMethod", "Method"), code=10)
    yield Case(f"{rule}.algorithm", package, changed(item, f"http://www.w3.org/2001/04/{algorithm}", ""), code=11)
    yield Case(f"{rule}.absent", package, changed(item, uri, '"/x"'), code=13)
    yield Case(f"{rule}.external", package, changed(item, "#dahili", "#harici"))
    if package != "1.x":
        one = r"<DigestItem>.*?</DigestItem>"
        yield Case(f"{rule}.item", package, rewritten(item, one, ""), code=29)
        yield Case(f"{rule}.item", package, rewritten(item, f"{one}\\s*{one}", ""), code=28)


def _signatures() -> Iterator[Case]:
    seals = {"2.x": "Muhur/", "1.x": "Muhurler/"}
    for package in LETTERS:
        files = {"signature": "Imzalar/ImzaCades.imz", "seal": seals[package]}
        for kind, item in (files | ({"initials": "Paraflar/"} if package == "2.x" else {})).items():
            yield Case(f"R.70.{kind}", package, edited(item, lambda _: b"1234"))
            yield Case(f"R.71.{kind}", package, edited(item, lambda _: letters.unsigned_cms(b"other")))
        yield Case("R.74.signers", package, _resigned(seals[package], b"one", b"two"))
        yield Case("R.74.signers", package, _resigned(seals[package], b"one", countersigned=True))


def _resigned(item: str, *values: bytes, countersigned: bool = False) -> Edit:
    """The seal made again by these signers."""

    def edit(content: bytes) -> bytes:
        manifest = letters.parts_of(content)[_FINAL]
        cms = shapes.signed_cms(manifest, *values, countersigned=countersigned)
        return wrappers.edited(content, item, lambda _: cms)

    return edit


def _encrypted() -> Iterator[Case]:
    note = "SifreliIcerikBilgisi/"
    for package, rule, copy in (("eyps 2.x", "R.80", "nihaiozet"), ("eyps 1.x", "R.81", "paketozeti")):
        yield Case(f"{rule}.count", package, changed(_RELS, f"iliskiler/{copy}", "iliskiler/x"))
        yield Case(f"{rule}.count", package, _related(_RELS, "sifreliicerik"))
        yield Case(f"{rule}.clear", package, _related(_RELS, "ustyazi", "/BelgeHedef/BelgeHedef.xml"), "FI")
        yield Case("R.80.place", package, changed(_RELS, "/BelgeHedef/BelgeHedef.xml", "/Baska/BelgeHedef.xml"), "WW")
        yield Case("R.82.missing", package, _without("SifreliIcerik/"))
        yield Case("R.83.format", package, edited("SifreliIcerik/", lambda _: letters.package()))
        yield Case("R.21.unexpected", package, changed(note, "<URI>", "<Baska/><URI>"), "FI")
    yield Case("R.21.namespace", "eyps 2.x", changed(note, "xsd:Tipler-2", "xsd:SifreliIcerikBilgisi-1"), "FI")
    yield Case("R.21.namespace", "eyps 1.x", changed(note, "xsd:SifreliIcerikBilgisi-1", "xsd:Tipler-1"), "FI")
    inside: dict[str, bytes] = {
        "copy": letters.package(subject="Başka"),
        "unreadable": b"no ZIP",
        "kind": wrappers.encrypted(),
        "generation": wrappers.older(),
        "invalid": letters.changed(letters.package(), Ustyazi=lambda text: text + b"\n"),
    }
    for key, content in inside.items():
        yield Case(f"R.83.{key}", "eyps 2.x", bytes, judge=_around(content))
    other = shapes.older(subject="Başka").to_bytes()
    yield Case("R.83.copy", "eyps 1.x", bytes, judge=_around(other))


def _around(inside: bytes) -> Judge:
    return lambda content, profile: inspect_decrypted(content, inside, profile=profile)


def _updates() -> Iterator[Case]:
    note, package_id = "GuncellemeBilgisi/", str(wrappers.PACKAGE_ID).upper()
    base = "eypg"
    uri = '"/GuncellemeBilgisi/GuncellemeBilgisi.xml"'
    yield Case("R.85.count", base, changed(_RELS, "iliskiler/guncellemebilgisi", "iliskiler/x"), code=33)
    yield Case("R.85.count", base, changed(_RELS, "iliskiler/orijinalpaket", "iliskiler/x"), code=35)
    yield Case("R.85.count", base, changed(_RELS, "metadata/core-properties", "metadata/x"), code=18)
    yield Case("R.85.count", base, _related(_RELS, "orijinalpaket"))
    yield Case("R.85.version", base, changed(_CORE, ">2.1<", ">1.3<"))
    yield Case("R.85.category", base, changed(_CORE, "/GUNCELLEME", "/X"))
    yield Case("R.85.place", base, changed(_RELS, "/OrijinalPaket/", "/Baska/"), "WW")
    yield Case("R.86.empty", base, changed(note, "Guncellemeler>", "Baska>"))
    yield Case("R.86.kind", base, changed(note, ">GuvenlikKodu<", ">Konu<"))
    yield Case("R.86.contradicted", base, rewritten(note, r"(<Guncellemeler>.*</Guncellemeler>)", _two_degrees(r"\1")))
    for name in ("DegistirmeTarihi", "Aciklama", "KomisyonKarariBelgeNo", "KomisyonKarariBelgeId"):
        yield Case("R.86.incomplete", base, rewritten(note, f"<{name}>[^<]*", f"<{name}>"))
    yield Case("R.87.encrypted", base, edited("OrijinalPaket/", lambda _: wrappers.encrypted()))
    yield from _of_manifest("R.88", base, _FINAL, uri, package_id, "xmlenc#sha512")
    for name, code in (("/GuncellemeBilgisi/", 34), ("/OrijinalPaket/", 36), ("/package/", 24)):
        yield Case("R.88.missing", base, changed(_FINAL, name, "/x/"), code=code)
    yield Case("R.88.mismatch", base, changed(note, ">YOK<", ">HZO<"), code=15)
    yield Case("R.88.not-computed", base, _damaged(b">GuvenlikKodu<", b">GuvenlikKodX<"), code=14)
    yield Case("R.88.identifier", base, changed(_CORE, package_id, "x"))
    yield Case("R.89.count", base, changed("NihaiOzet/_rels", "muhurcades", "x"))
    yield Case("R.89.format", base, edited("Muhur/", lambda _: b"1234"))
    yield Case("R.89.content", base, edited("Muhur/", lambda _: letters.unsigned_cms(b"other")))
    yield Case("R.89.signers", base, _resigned("Muhur/", b"one", b"two"))
    yield Case("R.89.signers", base, _resigned("Muhur/", b"one", countersigned=True))
    yield Case("R.90.unreadable", base, edited("OrijinalPaket/", lambda _: b"no ZIP"))
    yield Case("R.90.invalid", base, edited("OrijinalPaket/", _forged))
    yield Case("R.90.depth", base, bytes, judge=_shallow)


def _two_degrees(change: str) -> str:
    other = "<YeniGizlilikDerecesi>GZL</YeniGizlilikDerecesi>"
    return (
        f"{change}<Guncellemeler><GuncellemeTuru>GuvenlikKodu</GuncellemeTuru><GuvenlikKoduDegisiklikBilgisi>{other}"
        "</GuvenlikKoduDegisiklikBilgisi></Guncellemeler>"
    )


def _forged(letter: bytes) -> bytes:
    return wrappers.edited(letter, _COVER, lambda text: text + b"\n")


def _shallow(content: bytes, profile: Profile) -> Inspection:
    return inspect(content, profile=profile, limits=replace(DEFAULT_LIMITS, nesting=1))


def _by_name(*groups: Iterator[Case]) -> dict[str, Case]:
    found: dict[str, Case] = {}
    for case in chain(*groups):
        name = f"{case.key} {case.package}"
        number = 1 + sum(other.partition(" #")[0] == name for other in found)
        found[name if number == 1 else f"{name} #{number}"] = case
    return found


CASES = _by_name(_layout(), _metadata(), _manifests(), _signatures(), _encrypted(), _updates())
ELSEWHERE: dict[str, str] = {
    "R.72": "cryptography, chain and revocation: signer judges them on every level (POST /v1/package-inspections)",
    "R.73": "levels of signatures and seals: signer names and judges them",
    "R.75": "needs the signers' certificates, which signer reads; the names of the metadata are stated, not proof",
    "R.76": "needs the seal's certificate, which signer reads",
}
"""Rules that bytes alone cannot answer, and who answers them."""
