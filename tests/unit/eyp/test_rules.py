"""Each rule, broken in a package that is otherwise faultless."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import pytest

import shared.eyp
import shared.eyp.rules
from shared.eyp import STRICT, Finding, inspect
from shared.eyp.findings import Rule
from tests.unit.eyp import letters
from tests.unit.eyp.letters import replacing

_V1 = letters.first_generation_package()
_V2 = letters.package()
_INITIALLED = letters.finish(
    letters.draft().with_initials(letters.unsigned_cms(letters.draft().initials_to_be_signed()))
).to_bytes()
Edit = Callable[[bytes], bytes]


def findings(content: bytes, **options: str) -> tuple[Finding, ...]:
    return inspect(content, profile=STRICT, **options).findings


def keys(content: bytes, **options: str) -> set[str]:
    return {finding.key for finding in findings(content, **options)}


def catalogue() -> list[Rule]:
    """Every rule defined anywhere in the rules folder."""
    found: list[Rule] = []
    for module in pkgutil.iter_modules(shared.eyp.rules.__path__):
        for value in vars(importlib.import_module(f"shared.eyp.rules.{module.name}")).values():
            candidates = value.values() if isinstance(value, dict) else [value]
            found += [rule for rule in candidates if isinstance(rule, Rule)]
    return list(dict.fromkeys(found))


def test_rules_are_unique_and_bilingual() -> None:
    """Keys name one rule each; both languages say something and use the same slots."""
    rules = catalogue()
    assert len({rule.key for rule in rules}) == len(rules) > 100
    for rule in rules:
        assert rule.key.startswith(rule.id + ".")
        assert rule.tr.endswith(".")
        assert rule.en.endswith(".")
        assert rule.tr != rule.en
        assert ("{value}" in rule.tr) == ("{value}" in rule.en), rule.key


def test_profiles_name_existing_rules() -> None:
    """A misspelt override would silently not apply."""
    known = {rule.key for rule in catalogue()} | {rule.id for rule in catalogue()}
    assert set(shared.eyp.INTEROP.severities) <= known


def test_front_exports_what_it_says() -> None:
    """``__all__`` is the public list: sorted, complete, importable."""
    names = {name for name, value in vars(shared.eyp).items() if not name.startswith("_") and not _is_module(value)}
    assert set(shared.eyp.__all__) == names


def _is_module(value: object) -> bool:
    return type(value).__name__ == "module"


@pytest.mark.parametrize(
    ("part", "edit", "expected"),
    [
        ("Ustveri", replacing("<tipler:Konu>", "<tipler:Konu><tipler:X/>"), "R.21.unexpected"),
        ("Ustveri", replacing("Ustveri-2", "Ustveri-3"), "R.21.root"),
        ("Ustveri", replacing("<tipler:Olusturan>", "<tipler:Baska>"), "R.21.markup"),
        ("Ustveri", replacing(">GRG<", ">ABC<"), "R.21.value"),
        ("Ustveri", replacing("EYazismaIdMi", "Digeri"), "R.61.mismatch"),
        ("Ustveri", replacing(f"{letters.DOCUMENT_ID}<", "x<"), "R.22.invalid"),
        ("Ustveri", replacing(f"{letters.DOCUMENT_ID}<", f"{letters.DOCUMENT_ID.lower()}<"), "R.22.lower-case"),
        ("Ustveri", replacing("Ğüzel bir deneme &amp; &lt;işaret&gt;", ""), "R.23.subject"),
        ("Ustveri", replacing("Ustyazi.pdf<", "<"), "R.23.file-name"),
        ("Ustveri", replacing("<tipler:MimeTuru>application/pdf</tipler:MimeTuru>", ""), "R.23.media-type"),
        (
            "Ustveri",
            replacing("<tipler:GuvenlikKodu>", "<tipler:BelgeNo>1</tipler:BelgeNo><tipler:GuvenlikKodu>"),
            "R.24.misplaced",
        ),
        ("NihaiUstveri", replacing("E-10000001-000-1", ""), "R.25.incomplete"),
        (
            "NihaiUstveri",
            replacing("2026-03-02T09:30:00Z</tipler:Tarih>\n  <tipler:BelgeNo", "x</tipler:Tarih><tipler:BelgeNo"),
            "R.25.incomplete",
        ),
        ("NihaiUstveri", replacing("Imzalayan", "Makam"), "R.25.incomplete"),
        ("NihaiUstveri", replacing("<tipler:Soyadi>İMZACI</tipler:Soyadi>", ""), "R.32.name"),
        ("Ustveri", replacing("10000002", "00000002"), "R.29.number"),
        (
            "Ustveri",
            replacing("</tipler:KurumKurulus>", "<tipler:BirimKKK>1</tipler:BirimKKK></tipler:KurumKurulus>"),
            "R.29.unit",
        ),
        ("Ustveri", replacing(">NRM<", ">IVD<"), "R.35.urgency"),
        ("Ustveri", replacing(">NRM<", ">GNL<"), "R.27.term-missing"),
        (
            "Ustveri",
            replacing("</tipler:Dagitim>", "<tipler:Miat>P</tipler:Miat></tipler:Dagitim>"),
            "R.27.term-invalid",
        ),
        ("Ustveri", replacing("</tipler:Dagitim>", "<tipler:KonulmamisEkListesi/></tipler:Dagitim>"), "R.28.empty"),
        (
            "Ustveri",
            replacing(
                "</tipler:Dagitim>",
                "<tipler:KonulmamisEkListesi><tipler:KonulmamisEk><tipler:EkId>x</tipler:EkId></tipler:KonulmamisEk>"
                "</tipler:KonulmamisEkListesi></tipler:Dagitim>",
            ),
            "R.28.unknown",
        ),
        ("Ustveri", replacing(">YOK<", ">TSD<"), "R.34.forbidden"),
        ("Ustveri", replacing(">YOK<", ">OZL<"), "R.34.retired"),
        ("Ustveri", replacing("https://dogrulama.example.org/belge", ""), "R.37.empty"),
        ("Ustveri", replacing("https://dogrulama.example.org/belge", "adres yok"), "R.37.format"),
        ("Ustveri", replacing(">tur<", ">tr<"), "R.38.language"),
        ("Ustveri", replacing("Ustyazi.pdf", "baska.pdf"), "R.43.differs"),
        ("Ustveri", replacing(letters.UNSIGNED_ANNEX_ID, letters.ANNEX_ID), "R.44.duplicate"),
        ("Ustveri", replacing(letters.ANNEX_ID, "kimlik"), "R.50.id"),
        ("Ustveri", replacing("<tipler:SiraNo>2", "<tipler:SiraNo>1"), "R.50.order"),
        ("Ustveri", replacing("<tipler:SiraNo>2", "<tipler:SiraNo>iki"), "R.50.order"),
        ("Ustveri", replacing("<tipler:DosyaAdi>liste.csv</tipler:DosyaAdi>", ""), "R.51.file-name"),
        ("Ustveri", replacing("<tipler:MimeTuru>text/csv</tipler:MimeTuru>", ""), "R.51.media-type"),
        ("Ustveri", replacing("<tipler:Tur>DED", "<tipler:Tur>HRF"), "R.52.uri"),
        ("Ustveri", replacing("<tipler:Tur>DED", "<tipler:Tur>FZK"), "R.53.signed"),
        ("Ustveri", replacing("<tipler:Tur>DED", "<tipler:Tur>FZK"), "R.55.undeclared"),
        ("Ustveri", replacing("liste.csv", "baska.csv"), "R.54.name-differs"),
        ("Ustveri", replacing(">false</tipler:ImzaliMi>", ">true</tipler:ImzaliMi>"), "R.56.misplaced"),
        (
            "Ustveri",
            replacing("</tipler:Ekler>", "</tipler:Ekler><tipler:Ilgiler><tipler:Ilgi/></tipler:Ilgiler>"),
            "R.57.incomplete",
        ),
    ],
)
def test_metadata_rule(part: str, edit: Edit, expected: str) -> None:
    """Breaking one rule in the metadata gives that finding (besides the digests', of course)."""
    found = keys(letters.changed(_V2, **{part: edit}))
    assert expected in found


@pytest.mark.parametrize(
    ("content", "edit", "expected"),
    [
        (_V2, replacing(">2.0<", "><"), "R.3.missing"),
        (_V2, replacing(">2.0<", ">2.x<"), "R.3.unsupported"),
        (_V2, replacing(">2.0<", ">3.0<"), "R.3.unsupported"),
        (_V2, replacing(">2.0<", ">1.3<"), "R.3.contradicted"),
        (_V2, replacing(f">{letters.DOCUMENT_ID}<", "><"), "R.18.identifier-differs"),
        (_V2, replacing("<dc:subject>", "<dc:subject>x"), "R.18.subject-differs"),
        (_V2, replacing(">RESMIYAZISMA<", ">BASKA<"), "R.18.category"),
        (_V2, replacing("application/eyazisma", "application/pdf"), "R.18.content-type"),
        (_V2, replacing("2026-03-02", "2026-13-02"), "R.18.created-missing"),
        (_V2, replacing("dc:creator", "dc:title"), "R.18.creator-missing"),
    ],
)
def test_core_rule(content: bytes, edit: Edit, expected: str) -> None:
    """What the core properties must say."""
    parts = letters.parts_of(content)
    name = next(name for name in parts if name.endswith(".psmdcp"))
    assert expected in keys(letters.packed(parts | {name: edit(parts[name])}))


@pytest.mark.parametrize(
    ("relationships", "edit", "expected"),
    [
        ("_rels/.rels", replacing("metadata/core-properties", "metadata/thumbnail"), "R.2.count"),
        ("_rels/.rels", replacing("iliskiler/ustyazi", "iliskiler/baska"), "R.4.count"),
        ("_rels/.rels", replacing("/UstYazi/Ustyazi.pdf", "/Ekler/Cizim(1).txt"), "R.5.place"),
        ("_rels/.rels", replacing("/UstYazi/Ustyazi.pdf", "/UstYazi/Ust%20yazi.pdf"), "R.6.white-space"),
        ("_rels/.rels", replacing("/UstYazi/Ustyazi.pdf", "/UstYazi/yok.pdf"), "R.1.target"),
        ("_rels/.rels", replacing("/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"), "R.8.place"),
        ("_rels/.rels", replacing("iliskiler/ustveri", "iliskiler/baska"), "R.9.count"),
        ("_rels/.rels", replacing("iliskiler/paketozeti", "iliskiler/baska"), "R.11.count"),
        ("_rels/.rels", replacing("/PaketOzeti/PaketOzeti.xml", "/NihaiOzet/NihaiOzet.xml"), "R.11.place"),
        ("_rels/.rels", replacing("iliskiler/nihaiustveri", "iliskiler/baska"), "R.12.count"),
        ("_rels/.rels", replacing("iliskiler/nihaiozet", "iliskiler/baska"), "R.13.count"),
        ("PaketOzeti/_rels/PaketOzeti.xml.rels", replacing("imzacades", "baska"), "R.15.count"),
        ("PaketOzeti/_rels/PaketOzeti.xml.rels", replacing("imzacades", "muhurcades"), "R.17.foreign"),
        ("NihaiOzet/_rels/NihaiOzet.xml.rels", replacing("muhurcades", "baska"), "R.16.count"),
        ("NihaiOzet/_rels/NihaiOzet.xml.rels", replacing("muhurcades", "MuhurCades"), "R.20.spelling"),
        ("_rels/.rels", replacing(f"IdEk_{letters.ANNEX_ID}", "IdEk_x"), "R.54.missing"),
        ("_rels/.rels", replacing(f"IdEk_{letters.ANNEX_ID}", "IdEk_x"), "R.55.undeclared"),
        ("_rels/.rels", replacing("/Ekler/Cizim(1).txt", "http://example.org/x"), "R.54.missing"),
        ("_rels/.rels", replacing("/ImzasizEkler/liste.csv", "/Ekler/Cizim(1).txt"), "R.8.place"),
        ("_rels/.rels", replacing("<Relationships", "<Baska"), "R.1.relationships"),
    ],
)
def test_layout_rule(relationships: str, edit: Edit, expected: str) -> None:
    """Relationships are not signed, so everything they say is checked."""
    parts = letters.parts_of(_V2)
    assert expected in keys(letters.packed(parts | {relationships: edit(parts[relationships])}))


def test_cover_letter_cannot_be_swapped_by_its_relationship() -> None:
    """A second file in the right folder is still not the one that was signed."""
    parts = letters.parts_of(_V2)
    parts["UstYazi/other.pdf"] = b"%PDF-1.4 forged"
    parts["_rels/.rels"] = parts["_rels/.rels"].replace(b"Ustyazi.pdf", b"other.pdf")
    found = {(finding.key, finding.code) for finding in findings(letters.packed(parts))}
    assert {("R.60.missing", 7), ("R.61.missing", 21), ("R.64.foreign", None)} <= found


def test_missing_part_codes_of_the_official_library() -> None:
    """Where the official library has a result code, the finding carries it."""
    parts = letters.parts_of(_V1)
    relationships = parts["_rels/.rels"].replace(b"iliskiler/belgehedef", b"iliskiler/x")
    found = {
        (finding.rule, finding.code) for finding in findings(letters.packed(parts | {"_rels/.rels": relationships}))
    }
    assert ("R.10", 4) in found
    manifest = letters.changed(_V1, PaketOzeti=replacing("xmlenc#sha256", "xmldsig-more#sha384"))
    assert ("R.63", 12) in {(finding.rule, finding.code) for finding in findings(manifest)}


@pytest.mark.parametrize(
    ("edit", "expected", "code"),
    [
        (replacing(f'Id="{letters.DOCUMENT_ID}"', 'Id="x"'), "R.60.id", None),
        (replacing("PaketOzeti-2", "PaketOzeti-9"), "R.60.schema", None),
        (replacing('URI="/Ekler/Cizim(1).txt"', 'URI=""'), "R.60.uri", 9),
        (replacing("DigestMethod", "Method"), "R.60.method", 10),
        (replacing("http://www.w3.org/2001/04/xmlenc#sha512", ""), "R.60.algorithm", 11),
        (replacing("xmlenc#sha512", "xmldsig#sha1"), "R.63.unsupported", 12),
        (replacing("/Ekler/Cizim(1).txt", "/Ekler/yok.txt"), "R.60.absent", 13),
        (replacing("/Ekler/Cizim(1).txt", "/ImzasizEkler/liste.csv"), "R.64.foreign", None),
        (replacing("/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"), "R.64.repeated", None),
        (replacing("/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"), "R.60.mismatch", 15),
        (replacing("xmldsig-more#sha384", "xmlenc#sha512"), "R.63.same", 30),
        (replacing("xmlenc#sha512", "xmlenc#sha256"), "R.63.sha512", 31),
        (replacing("#dahili", "#harici"), "R.60.external", None),
    ],
)
def test_manifest_rule(edit: Edit, expected: str, code: int | None) -> None:
    """Every way a digest list can fail, with the official library's code."""
    found = {(finding.key, finding.code) for finding in findings(letters.changed(_V2, PaketOzeti=edit))}
    assert (expected, code) in found


def test_single_digest_in_second_generation() -> None:
    """Both digests are required; the code says which one is missing."""

    def first_only(manifest: bytes) -> bytes:
        head, _, tail = manifest.partition(b"    <DigestItem>")
        item, _, rest = tail.partition(b"</DigestItem>\n")
        return head + rest if item else manifest

    found = {(finding.key, finding.code) for finding in findings(letters.changed(_V2, PaketOzeti=first_only))}
    assert ("R.60.item", 29) in found


def test_retired_algorithm_in_first_generation() -> None:
    """SHA-1 still counts in old packages, but a person should know."""
    found = keys(letters.changed(_V1, PaketOzeti=replacing("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1")))
    assert "R.63.retired" in found


def test_stripped_initials_are_accepted() -> None:
    """Initials may be taken out before sending; the package stays acceptable."""
    parts = letters.parts_of(_INITIALLED)
    del parts["Paraflar/ParafImzaCades.imz"]
    inspection = inspect(letters.packed(parts), profile=STRICT)
    assert {(finding.key, finding.code) for finding in inspection.findings} == {
        ("R.60.initials-stripped", 32),
        ("R.61.initials-stripped", 32),
    }
    assert inspection.acceptable


def test_withheld_annex_may_be_absent_for_that_recipient_only() -> None:
    """An annex a recipient does not get may be missing in that recipient's copy, not in another's."""
    distributions = (
        letters.Distribution(letters.RECIPIENT, withheld_annexes=(letters.ANNEX_ID,)),
        letters.Distribution(letters.Organisation("10000009")),
    )
    parts = letters.parts_of(letters.package(distributions=distributions))
    del parts["Ekler/Cizim(1).txt"]
    content = letters.packed(parts)
    assert (
        keys(content)
        == keys(content, recipient="10000002")
        == {
            "R.54.withheld",
            "R.60.withheld",
            "R.61.withheld",
        }
    )
    assert {"R.54.missing", "R.60.absent", "R.61.absent"} <= keys(content, recipient="10000009")


def test_file_name() -> None:
    """The package file carries the letter's id."""
    assert keys(_V2, file_name=f"{letters.DOCUMENT_ID.lower()}.eyp") == set()
    assert keys(_V2, file_name="letter.eyp") == {"R.19.file-name"}


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_all_first_generation_versions(version: str) -> None:
    assert findings(letters.first_generation_package(version)) == ()


def test_encrypted_and_update_packages_are_recognised() -> None:
    """By their category alone; what they then lack is told."""
    parts = letters.parts_of(_V2)
    name = next(name for name in parts if name.endswith(".psmdcp"))
    for category, rule in (("SIFRELI", "R.80.count"), ("GUNCELLEME", "R.85.count")):
        edit = replacing(">RESMIYAZISMA<", f">RESMIYAZISMA/{category}<")
        assert rule in keys(letters.packed(parts | {name: edit(parts[name])}))


def test_plain_content_in_an_encrypted_package() -> None:
    """Test packages in the field carry a plain ZIP as encrypted content: said, not crashed on."""
    parts = letters.parts_of(_V2)
    relationships = parts["_rels/.rels"].replace(b"iliskiler/ustyazi", b"iliskiler/sifreliicerik")
    found = keys(letters.packed(parts | {"_rels/.rels": relationships}))
    assert "R.83.format" in found
    envelope = letters.tlv(0x30, letters.OID_ENVELOPED_DATA, letters.tlv(0xA0, letters.tlv(0x30)))
    assert "R.83.format" not in keys(
        letters.packed(parts | {"_rels/.rels": relationships, "UstYazi/Ustyazi.pdf": envelope})
    )


def test_second_file_under_one_annex_id() -> None:
    """Unsigned annexes are protected by nothing but the metadata's list: one annex, one file."""
    parts = letters.parts_of(_V2)
    name = "_rels/.rels"
    text = parts[name].decode()
    relationship = next(item for item in text.split("<Relationship ") if "/ImzasizEkler/liste.csv" in item)
    twin = relationship.replace("liste.csv", "baska.csv").partition("/>")[0] + "/>"
    changed = text.replace("</Relationships>", f"<Relationship {twin}</Relationships>").encode()
    assert "R.55.undeclared" in keys(letters.packed(parts | {name: changed, "ImzasizEkler/baska.csv": b"x"}))
