"""Whether the service still offers what the bundled contract says; the bundled one is used all the same (kep.md 7.26)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from services.kep_relay.drivers.eyws.codec import WSDL

_XS = "{http://www.w3.org/2001/XMLSchema}"
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_MOST = 50


@dataclass(frozen=True)
class _Shape:
    operations: frozenset[str]
    fields: dict[str, tuple[tuple[str, str], ...]]
    """Of each type and wrapper: names and types of its children, in order."""
    values: dict[str, frozenset[str]]
    """Of each enumeration."""


def drift(offered: bytes) -> Sequence[str]:
    """What the service's own WSDL says differently, one sentence each; empty when it offers all that is used.

    Operations and fields that it has besides are no drift, as long as they stand behind those known.
    Raises ``ValueError`` for what is no WSDL.
    """
    theirs, ours = _shape(offered), _bundled()
    return list(_differences(ours, theirs))[:_MOST]


def _differences(ours: _Shape, theirs: _Shape) -> Iterator[str]:
    for name in sorted(ours.operations - theirs.operations):
        yield f"operation {name} is gone"
    for name, fields in sorted(ours.fields.items()):
        found = theirs.fields.get(name)
        if found is None:
            yield f"{name} is gone"
        elif found[: len(fields)] != fields:
            yield f"{name} has {_written(found)} instead of {_written(fields)}"
    for name, values in sorted(ours.values.items()):
        missing = values - theirs.values.get(name, frozenset())
        if missing:
            yield f"{name} no longer allows {', '.join(sorted(missing))}"


def _written(fields: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name[:60]} ({kind[:60]})" for name, kind in fields[:40]) or "nothing"


@lru_cache(maxsize=1)
def _bundled() -> _Shape:
    return _shape(WSDL.read_bytes())


def _shape(content: bytes) -> _Shape:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError("what the service offers as its contract is not XML") from error
    if root.tag != f"{_WSDL}definitions" or root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("what the service offers as its contract is no WSDL")
    operations = frozenset(node.get("name", "") for node in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"))
    fields: dict[str, tuple[tuple[str, str], ...]] = {}
    values: dict[str, frozenset[str]] = {}
    for schema in root.iterfind(f"{_WSDL}types/{_XS}schema"):
        for node in schema:
            name = node.get("name", "")
            if node.tag == f"{_XS}simpleType":
                values[name] = frozenset(each.get("value", "") for each in node.iter(f"{_XS}enumeration"))
            elif node.tag in {f"{_XS}complexType", f"{_XS}element"}:
                fields[name] = tuple(
                    (each.get("name", ""), each.get("type", "").rpartition(":")[2])
                    for each in node.iter(f"{_XS}element")
                    if each is not node
                )
    return _Shape(operations, fields, values)
