"""A reader of OPC that knows nothing of us (python-docx's) opens every package we write."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from docx.opc.package import OpcPackage

from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.shapes import SHAPES

_BASE = "http://eyazisma.dpt/iliskiler/"
_WRAPPED: dict[str, Callable[[], bytes]] = {
    "eyps 2.x": lambda: wrappers.encrypted(destinations=[letters.RECIPIENT]),
    "eyps 1.x": lambda: wrappers.encrypted(wrappers.older()),
    "eypg": wrappers.update,
    "eypg twice": lambda: wrappers.update(wrappers.update()),
}


@pytest.mark.parametrize("kind", [*SHAPES, *_WRAPPED])
def test_opened_by_another_reader(kind: str) -> None:
    """It reaches every part through the relationships, reads the same bytes and finds a type for each."""
    content = _WRAPPED[kind]() if kind in _WRAPPED else SHAPES[kind]().to_bytes()
    package = OpcPackage.open(io.BytesIO(content))
    found = {str(part.partname): part for part in package.iter_parts()}
    own = {f"/{name}": part for name, part in letters.parts_of(content).items()}
    structure = {name for name in own if name.endswith(".rels") or name == "/[Content_Types].xml"}
    assert set(found) == set(own) - structure
    for name, part in found.items():
        if not name.endswith(".psmdcp"):  # which it parses, and writes again in its own way
            assert part.blob == own[name]
        assert "/" in part.content_type
    related = [package.rels, *(part.rels for part in found.values())]
    types = [relationship.reltype for relationships in related for relationship in relationships.values()]
    assert sum(relationship_type.startswith(_BASE) for relationship_type in types) == len(found) - 1
    category = {"eyps": "RESMIYAZISMA/SIFRELI", "eypg": "RESMIYAZISMA/GUNCELLEME"}.get(kind[:4], "RESMIYAZISMA")
    assert package.core_properties.category == category
    assert package.core_properties.author == "Örnek Belediyesi/10000001"
