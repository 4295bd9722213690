"""The XML Schemas we give away: a parser of its own takes what we write by them, and refuses what breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from shared.eyp import Generation
from shared.eyp.wire.schema import ROOTS
from shared.eyp.wire.xsd import schema_documents
from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.shapes import SHAPES

_SCHEMAS = {
    Generation.V1: {"Ustveri", "BelgeHedef", "BelgeImza", "PaketOzeti", "NihaiOzet", "SifreliIcerikBilgisi", "Tipler"},
    Generation.V2: {"Ustveri", "BelgeHedef", "NihaiUstveri", "PaketOzeti", "NihaiOzet", "ParafOzeti", "Tipler"},
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, etree.XMLSchema]:
    """Every schema by its target namespace, compiled from files that import each other."""
    found = {}
    for generation in Generation:
        folder = tmp_path_factory.mktemp("xsd")
        documents = schema_documents(generation)
        assert {name.partition("-")[0] for name in documents} == _SCHEMAS[generation]
        for name, text in documents.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name in documents:
            tree = etree.parse(Path(folder, name))
            found[tree.getroot().get("targetNamespace", "")] = etree.XMLSchema(tree)
    return found


def _documents(content: bytes) -> dict[str, etree._Element]:
    """The XML parts of the family's own namespaces."""
    roots = {name: etree.fromstring(part) for name, part in letters.parts_of(content).items() if name.endswith(".xml")}
    return {name: root for name, root in roots.items() if root.tag.startswith("{urn:dpt:eyazisma:schema:xsd:")}


@pytest.mark.parametrize("shape", [*SHAPES, "eyps 2", "eyps 1", "eypg"])
def test_what_we_write_is_valid(schemas: dict[str, etree.XMLSchema], shape: str) -> None:
    """Every document of every kind and version."""
    wrapped = {
        "eyps 2": lambda: wrappers.encrypted(destinations=[letters.RECIPIENT]),
        "eyps 1": lambda: wrappers.encrypted(wrappers.older()),
        "eypg": wrappers.update,
    }
    content = wrapped[shape]() if shape in wrapped else SHAPES[shape]().to_bytes()
    documents = _documents(content)
    assert documents
    for root in documents.values():
        schemas[etree.QName(root).namespace or ""].assertValid(root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<tipler:Konu>", "<tipler:Baslik>"),
        ("10000002<", "1000000<"),
        (">YOK<", ">TSD<"),
        ("<tipler:SiraNo>2", "<tipler:SiraNo>iki"),
        (' EYazismaIdMi="false"', ""),
        ("<tipler:Dil>tur</tipler:Dil>", "<tipler:Dil>tr</tipler:Dil>"),
        ("https://dogrulama.example.org/belge</tipler:DogrulamaAdresi>", "</tipler:DogrulamaAdresi><tipler:X/>"),
        ("<tipler:Dagitim>", "<tipler:Dagitim><tipler:GercekSahis/>"),
    ],
)
def test_what_breaks_them_is_refused(schemas: dict[str, etree.XMLSchema], old: str, new: str) -> None:
    """Names, patterns, tokens, types, attributes, lengths, order and choices."""
    text = letters.parts_of(letters.package())["Ustveri/Ustveri.xml"].decode()
    assert old in text
    text = text.replace(old, new).replace("</tipler:Konu>", "</tipler:Baslik>" if "Baslik" in new else "</tipler:Konu>")
    assert not schemas["urn:dpt:eyazisma:schema:xsd:Ustveri-2"].validate(etree.fromstring(text.encode()))


def test_every_document_of_the_codec_has_one(schemas: dict[str, etree.XMLSchema]) -> None:
    """The lines the reader checks by and the schemas are the same data."""
    for generation, roots in ROOTS.items():
        for root in roots.values():
            assert f"urn:dpt:eyazisma:schema:xsd:{root.schema}-{generation.value}" in schemas


def test_packages_of_other_software(schemas: dict[str, etree.XMLSchema]) -> None:
    """Real files fit, but for the departures that are known of them."""
    folder = Path(__file__).parents[3].parent / "shared" / "samples"
    if not folder.exists():
        pytest.skip("the sample packages are not on this machine")
    for name in ("paketv1x.eyp", "paketv2x.eyp"):
        for part, root in _documents((folder / name).read_bytes()).items():
            schema = schemas[etree.QName(root).namespace or ""]
            schema.validate(root)
            assert all("Miat" in entry.message for entry in schema.error_log), (part, schema.error_log)
