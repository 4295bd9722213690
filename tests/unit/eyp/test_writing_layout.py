"""Packages we write, part by part against the tables of the layout (eyp.md 1.1, 1.4, 1.5, 3.3), read without our reader."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace

import pytest
from lxml import etree

from shared.eyp import DigestAlgorithm, FinishedPackage
from shared.eyp.wire.names import RELATIONSHIP_BASE
from tests.unit.eyp import letters, shapes
from tests.unit.eyp.shapes import SHAPES

_RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_CORE_TYPE = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
_CORE = f"/package/services/metadata/core-properties/{letters.DOCUMENT_ID.replace('-', '').lower()}.psmdcp"
_BASE = "http://eyazisma.dpt/iliskiler/"
_XML, _BINARY = "application/xml", "application/octet-stream"
_ANNEX, _UNSIGNED = "/Ekler/Cizim(1).txt", "/ImzasizEkler/liste"


@dataclass(frozen=True)
class _Row:
    """One line of the table: where the part is, what it is, and what points to it from where."""

    name: str
    content_type: str
    type: str
    id: str
    source: str = ""


_COMMON = (
    _Row("/UstYazi/Ustyazi.pdf", "application/pdf", "ustyazi", "IdUstYazi"),
    _Row("/Ustveri/Ustveri.xml", _XML, "ustveri", "IdUstveri"),
    _Row("/PaketOzeti/PaketOzeti.xml", _XML, "paketozeti", "IdPaketOzeti"),
    _Row("/NihaiOzet/NihaiOzet.xml", _XML, "nihaiozet", "IdNihaiOzet"),
    _Row("/Imzalar/ImzaCades.imz", _BINARY, "imzacades", "IdImzaCades", "/PaketOzeti/PaketOzeti.xml"),
    _Row(_ANNEX, "text/plain", "ek", f"IdEk_{letters.ANNEX_ID}"),
    _Row(_UNSIGNED, "text/csv", "imzasizEk", f"IdImzasizEk_{letters.UNSIGNED_ANNEX_ID}"),
    _Row(
        _CORE,
        "application/vnd.openxmlformats-package.core-properties+xml",
        "core-properties",
        "R" + letters.DOCUMENT_ID.replace("-", "").lower()[:16],
    ),
)
_OLDER = (
    *_COMMON,
    _Row("/BelgeHedef/BelgeHedef.xml", _XML, "belgehedef", "IdBelgeHedef"),
    _Row("/Imzalar/BelgeImza.xml", _XML, "belgeimza", "IdBelgeImza"),
)
_OLDER_SEAL = _Row("/Muhurler/MuhurCades.imz", _BINARY, "muhurcades", "IdMuhurCades", "/NihaiOzet/NihaiOzet.xml")
_NEWER = (
    *_COMMON,
    _Row("/NihaiUstveri/NihaiUstveri.xml", _XML, "nihaiustveri", "IdNihaiUstveri"),
    _Row("/Muhur/MuhurCades.imz", _BINARY, "muhurcades", "IdMuhurCades", "/NihaiOzet/NihaiOzet.xml"),
)
_INITIALS = (
    _Row("/ParafOzeti/ParafOzeti.xml", _XML, "parafozeti", "IdParafOzeti"),
    _Row("/Paraflar/ParafImzaCades.imz", _BINARY, "parafimzacades", "IdParafImzaCades", "/ParafOzeti/ParafOzeti.xml"),
)
_TABLES = {
    "2.0 annexes": _NEWER,
    "2.0 initials": (*_NEWER, *_INITIALS),
    "2.1": (*_NEWER, *_INITIALS),
    "1.3 annexes": (*_OLDER, _OLDER_SEAL),
    "1.3 unsealed": _OLDER,
}

_OLDER_PACKAGE = ["/BelgeHedef/BelgeHedef.xml", "/UstYazi/Ustyazi.pdf", "/Ustveri/Ustveri.xml", _ANNEX]
_NEWER_FINAL_END = ["/PaketOzeti/PaketOzeti.xml", "/Imzalar/ImzaCades.imz", "/NihaiUstveri/NihaiUstveri.xml"]
_NEWER_START = ["/Ustveri/Ustveri.xml", "/UstYazi/Ustyazi.pdf"]
_INITIALS_PARTS = ["/ParafOzeti/ParafOzeti.xml", "/Paraflar/ParafImzaCades.imz"]
_LISTED: dict[str, dict[str, list[str]]] = {
    "2.0 annexes": {
        "PaketOzeti": [*_NEWER_START, _ANNEX],
        "NihaiOzet": [*_NEWER_START, *_NEWER_FINAL_END, _ANNEX, _CORE],
    },
    "2.0 initials": {
        "ParafOzeti": [*_NEWER_START, _ANNEX],
        "PaketOzeti": [*_NEWER_START, *_INITIALS_PARTS, _ANNEX],
        "NihaiOzet": [*_NEWER_START, *_INITIALS_PARTS, *_NEWER_FINAL_END, _ANNEX, _CORE],
    },
    "1.3 annexes": {
        "PaketOzeti": _OLDER_PACKAGE,
        "NihaiOzet": [
            *_OLDER_PACKAGE,
            "/Imzalar/BelgeImza.xml",
            "/PaketOzeti/PaketOzeti.xml",
            "/Imzalar/ImzaCades.imz",
            _CORE,
        ],
    },
}


def _package(name: str) -> tuple[FinishedPackage, dict[str, bytes]]:
    finished = SHAPES[name]()
    return finished, {f"/{part}": content for part, content in letters.parts_of(finished.to_bytes()).items()}


def _relationships(parts: dict[str, bytes]) -> dict[str, list[tuple[str, str, str, str | None]]]:
    """Source part to its relationships: type, id, target, target mode."""
    found = {}
    for name, content in parts.items():
        if name.endswith(".rels"):
            folder, _, file_name = name.rpartition("/_rels/")
            source = f"{folder}/{file_name.removesuffix('.rels')}" if file_name != ".rels" else ""
            found[source] = [
                (item.get("Type"), item.get("Id"), item.get("Target"), item.get("TargetMode"))
                for item in etree.fromstring(content).iterchildren(f"{_RELATIONSHIPS}Relationship")
            ]
    return found


def _content_type(parts: dict[str, bytes], name: str) -> str | None:
    root = etree.fromstring(parts["/[Content_Types].xml"])
    for override in root.iterchildren(f"{_TYPES}Override"):
        if override.get("PartName") == name:
            return override.get("ContentType")
    extension = name.rpartition("/")[2].rpartition(".")[2] if "." in name.rpartition("/")[2] else None
    for default in root.iterchildren(f"{_TYPES}Default"):
        if default.get("Extension") == extension:
            return default.get("ContentType")
    return None


@pytest.mark.parametrize("shape", _TABLES)
def test_every_part_is_where_the_table_says(shape: str) -> None:
    """Exactly these parts, with these types, each reached by exactly this relationship."""
    _, parts = _package(shape)
    rows = _TABLES[shape]
    structure = {name for name in parts if name.endswith(".rels") or name == "/[Content_Types].xml"}
    assert set(parts) - structure == {row.name for row in rows}
    expected: dict[str, set[tuple[str, str, str, None]]] = {}
    for row in rows:
        full_type = _CORE_TYPE if row.type == "core-properties" else _BASE + row.type
        expected.setdefault(row.source, set()).add((full_type, row.id, row.name, None))
        assert _content_type(parts, row.name) == row.content_type
    found = _relationships(parts)
    assert {source: set(items) for source, items in found.items()} == expected
    assert all(len(items) == len(set(items)) for items in found.values())
    for name in structure - {"/[Content_Types].xml"}:
        assert _content_type(parts, name) == "application/vnd.openxmlformats-package.relationships+xml"
    assert RELATIONSHIP_BASE == _BASE


@pytest.mark.parametrize("shape", _LISTED)
def test_every_manifest_lists_what_the_table_says(shape: str) -> None:
    """These parts in this order, each with digests that anybody gets over its bytes."""
    finished, parts = _package(shape)
    manifests = _LISTED[shape]
    assert ("/ParafOzeti/ParafOzeti.xml" in parts) is ("ParafOzeti" in manifests)
    generation = shape[0]
    own = f"{{urn:dpt:eyazisma:schema:xsd:PaketOzeti-{generation}}}"
    for schema, names in manifests.items():
        root = etree.fromstring(parts[f"/{schema}/{schema}.xml"])
        assert root.tag == f"{{urn:dpt:eyazisma:schema:xsd:{schema}-{generation}}}{schema}"
        assert dict(root.attrib) == {"Id": letters.DOCUMENT_ID}
        assert [item.get("URI") for item in root] == names
        for reference in root:
            assert reference.tag == f"{own}Reference"
            assert set(reference.keys()) == {"URI", "Type"}
            assert reference.get("Type") == "http://eyazisma.dpt/bilesen#dahili"
            items = [reference] if generation == "1" else list(reference)
            assert {item.tag for item in items} == {f"{own}{'Reference' if generation == '1' else 'DigestItem'}"}
            stated = {}
            for item in items:
                method, value = item
                assert (method.tag, value.tag) == (f"{own}DigestMethod", f"{own}DigestValue")
                stated[method.get("Algorithm")] = base64.b64decode(value.text, validate=True)
            content = parts[reference.get("URI")]
            expected = {"1": (DigestAlgorithm.SHA256,), "2": (DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)}
            assert stated == {
                algorithm.uri: hashlib.new(algorithm.value[1], content).digest() for algorithm in expected[generation]
            }
    assert finished.metadata.document_id == letters.DOCUMENT_ID


@pytest.mark.parametrize("shape", _TABLES)
def test_core_properties(shape: str) -> None:
    """They repeat id and subject, and state category, type and version as the guide has them."""
    finished, parts = _package(shape)
    root = etree.fromstring(parts[_CORE])
    core = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"
    dc, terms = "{http://purl.org/dc/elements/1.1/}", "{http://purl.org/dc/terms/}"
    assert root.tag == f"{core}coreProperties"
    assert {element.tag: element.text for element in root} == {
        f"{dc}identifier": letters.DOCUMENT_ID,
        f"{dc}subject": finished.metadata.subject,
        f"{dc}creator": "Örnek Belediyesi/10000001",
        f"{terms}created": "2026-03-02T09:30:00Z",
        f"{core}category": "RESMIYAZISMA",
        f"{core}contentType": "application/eyazisma",
        f"{core}version": shape[:3],
        f"{core}revision": "KepGateway/1",
    }
    created = root.find(f"{terms}created")
    assert created is not None
    assert dict(created.attrib) == {"{http://www.w3.org/2001/XMLSchema-instance}type": "dcterms:W3CDTF"}


@pytest.mark.parametrize("shape", SHAPES)
def test_roots_and_text_of_every_document(shape: str) -> None:
    """Root names and namespaces of the generation; UTF-8 with a declaration and no byte order mark."""
    _, parts = _package(shape)
    generation = shape[0]
    roots = {
        "/Ustveri/Ustveri.xml": ("Ustveri", "UstVeri" if generation == "2" else "Ustveri"),
        "/NihaiUstveri/NihaiUstveri.xml": ("NihaiUstveri", "NihaiUstVeri"),
        "/BelgeHedef/BelgeHedef.xml": ("BelgeHedef", "BelgeHedef"),
        "/Imzalar/BelgeImza.xml": ("BelgeImza", "BelgeImza"),
    }
    for name, content in parts.items():
        if name.endswith((".xml", ".rels", ".psmdcp")):
            assert content.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<"), name
            content.decode("utf-8")
        if name in roots:
            schema, element = roots[name]
            root = etree.fromstring(content)
            assert root.tag == f"{{urn:dpt:eyazisma:schema:xsd:{schema}-{generation}}}{element}"
            types = f"{{urn:dpt:eyazisma:schema:xsd:Tipler-{generation}}}"
            assert all(child.tag.startswith(types) for child in root.iterdescendants())


@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_zip_as_other_software_wants_it(make: object) -> None:
    """Deflated, no sizes behind the parts, no extra fields, one time, nothing of this machine."""
    content = make().to_bytes()  # type: ignore[operator]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "[Content_Types].xml"
        for item in archive.infolist():
            assert item.flag_bits & 0x8 == 0
            assert (item.compress_type, item.extra, item.comment) == (zipfile.ZIP_DEFLATED, b"", b"")
            assert (item.create_system, item.date_time) == (0, (2026, 3, 2, 9, 30, 0))
            assert item.filename.isascii()


@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_zip_can_be_read_from_front_to_back(make: object) -> None:
    """A reader that never sees the directory (Java's ZipInputStream) finds the same parts from the local headers."""
    content = make().to_bytes()  # type: ignore[operator]
    position, found = 0, {}
    while content.startswith(b"PK\x03\x04", position):
        _, flags, method, _, _, checksum, packed, size, name_length, extra_length = struct.unpack_from(
            "<5H3L2H", content, position + 4
        )
        assert (flags, method) == (0, 8)
        start = position + 30 + name_length + extra_length
        name = content[position + 30 : position + 30 + name_length].decode("ascii")
        found[name] = zlib.decompress(content[start : start + packed], -15)
        assert (len(found[name]), zlib.crc32(found[name])) == (size, checksum)
        position = start + packed
    assert content.startswith(b"PK\x01\x02", position)
    assert found == letters.parts_of(content)


@pytest.mark.parametrize(
    ("file_name", "media_type", "override"),
    [
        ("Belge", "application/pdf", True),
        ("yazı.imz", "application/pdf", True),
        ("yazı.XML", "text/xml", True),
        ("yazı.xml", "application/xml", False),
        ("yazı.rels", "application/pdf", True),
        ("yazı.pdf", "application/pdf", False),
    ],
)
@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_override_where_the_extension_does_not_say_it(
    make: object, file_name: str, media_type: str, override: bool
) -> None:
    """No extension, or one that stands for another type already."""
    finished = make(annexes=(), cover_letter_file_name=file_name, media_type=media_type)  # type: ignore[operator]
    parts = {f"/{part}": content for part, content in letters.parts_of(finished.to_bytes()).items()}
    name = "/UstYazi/" + finished.metadata.cover_letter_file_name
    assert _content_type(parts, name) == media_type
    overrides = etree.fromstring(parts["/[Content_Types].xml"]).iterchildren(f"{_TYPES}Override")
    assert ([item.get("PartName") for item in overrides] == [name]) is override


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Çağrı İçin Ğöşü ÜÖIı.pdf", "CagriIcinGosuUOIi.pdf"),
        ("a\tb c\u00a0d.pdf", "abcd.pdf"),
        ("a/b\\c:d*e?.pdf", "a_b_c_d_e_.pdf"),
        ("%2e%2e.pdf", "_2e_2e.pdf"),
        ("résumé €.pdf", "rsum.pdf"),
        ("...gizli.pdf...", "gizli.pdf"),
    ],
)
@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_file_names_are_folded(make: object, name: str, folded: str) -> None:
    """In the part's name, in the metadata and in the digests alike."""
    finished = make(annexes=(), cover_letter_file_name=name)  # type: ignore[operator]
    parts = letters.parts_of(finished.to_bytes())
    assert f"UstYazi/{folded}" in parts
    assert f"DosyaAdi>{folded}</".encode() in parts["Ustveri/Ustveri.xml"]
    assert f'URI="/UstYazi/{folded}"'.encode() in parts["PaketOzeti/PaketOzeti.xml"]


@pytest.mark.parametrize(("year", "stamp"), [(1970, (1980, 1, 1, 0, 0, 0)), (9999, (2107, 12, 31, 23, 59, 58))])
def test_time_a_zip_cannot_say(year: int, stamp: tuple[int, ...]) -> None:
    """The core properties tell it all the same."""
    finished = replace(shapes.newer(), created=letters.MOMENT.replace(year=year))
    with zipfile.ZipFile(io.BytesIO(finished.to_bytes())) as archive:
        assert {item.date_time for item in archive.infolist()} == {stamp}
