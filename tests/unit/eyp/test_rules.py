"""What rules have in common, and those that need more than one package to be told; ``rule_cases`` has one by one."""

from __future__ import annotations

import pytest

import shared.eyp
from shared.eyp import STRICT, Finding, inspect
from tests.unit.eyp import letters
from tests.unit.eyp.letters import replacing
from tests.unit.eyp.test_rule_cases import catalogue

_V1 = letters.first_generation_package()
_V2 = letters.package()
_INITIALLED = letters.finish(
    letters.draft().with_initials(letters.unsigned_cms(letters.draft().initials_to_be_signed()))
).to_bytes()


def findings(content: bytes, **options: str) -> tuple[Finding, ...]:
    return inspect(content, profile=STRICT, **options).findings


def keys(content: bytes, **options: str) -> set[str]:
    return {finding.key for finding in findings(content, **options)}


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
