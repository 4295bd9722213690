"""Changes a package as an enemy or a bad disk would: parts and XML nodes flipped, dropped, doubled, swapped."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from lxml import etree

from shared.eyp.wire.names import CATEGORIES, EXTERNAL_COMPONENT, INTERNAL_COMPONENT, Role

Parts = dict[str, bytes]
_XML = (".xml", ".rels", ".psmdcp")
_TELLING = (
    *CATEGORIES.values(), EXTERNAL_COMPONENT, INTERNAL_COMPONENT, "1.3", "2.0", "2.1", "3.0", "External", "", "0",
    *(role.relationship_type for role in Role),
)  # fmt: skip
"""Texts that mean something somewhere in a package."""


def mutate(parts: Parts, data: st.DataObject, most: int) -> Parts:
    """The parts after one to ``most`` changes; some may undo each other."""
    changed = dict(parts)
    for _ in range(data.draw(st.integers(1, most), label="changes")):
        if changed:
            data.draw(st.sampled_from(_CHANGES), label="change")(changed, data)
    return changed


def _some(parts: Parts, data: st.DataObject) -> str:
    return data.draw(st.sampled_from(sorted(parts)), label="part")


def _flip(parts: Parts, data: st.DataObject) -> None:
    name = _some(parts, data)
    content = bytearray(parts[name] or b"\x00")
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[name] = bytes(content)


def _cut(parts: Parts, data: st.DataObject) -> None:
    name = _some(parts, data)
    start, end = (data.draw(st.integers(0, len(parts[name]))) for _ in range(2))
    parts[name] = parts[name][:start] + parts[name][end:]


def _drop(parts: Parts, data: st.DataObject) -> None:
    del parts[_some(parts, data)]


def _double(parts: Parts, data: st.DataObject) -> None:
    """Under a name of its own, or one that only looks different."""
    name = _some(parts, data)
    folder, _, file_name = name.rpartition("/")
    twin = data.draw(st.sampled_from([f"{folder}/x{file_name}", name.swapcase(), name.replace("i", "%69"), "x"]))
    parts[twin.lstrip("/")] = parts[name]


def _swap(parts: Parts, data: st.DataObject) -> None:
    one, other = _some(parts, data), _some(parts, data)
    parts[one], parts[other] = parts[other], parts[one]


def _rename(parts: Parts, data: st.DataObject) -> None:
    name = _some(parts, data)
    content = parts.pop(name)
    parts[data.draw(st.sampled_from([name.upper(), f"{name}x", f"Ekler/{name.rpartition('/')[2]}"]))] = content


def _node(parts: Parts, data: st.DataObject) -> None:
    """One change inside one XML part, which stays well-formed."""
    names = sorted(name for name in parts if name.endswith(_XML))
    name = data.draw(st.sampled_from(names), label="document") if names else None
    try:
        root = etree.fromstring(parts[name]) if name is not None else None
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None or name is None:
        return
    nodes = [node for node in root.iter() if isinstance(node.tag, str)]
    node, other = (nodes[data.draw(st.integers(0, len(nodes) - 1), label="node")] for _ in range(2))
    data.draw(st.sampled_from(_NODE_CHANGES), label="node change")(node, other, parts, data)
    parts[name] = etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _text_node(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    node.text = data.draw(st.sampled_from([*_TELLING, other.text or "", "x"]), label="text")


def _attribute(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    names = sorted({*node.keys(), *other.keys(), "TargetMode"})
    values = [*_TELLING, *other.values(), *(f"/{part}" for part in sorted(parts)), "../x", "http://x/"]
    node.set(data.draw(st.sampled_from(names)), data.draw(st.sampled_from(values)))


def _drop_node(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _double_node(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    if other is not node.getroottree().getroot():
        other.addnext(etree.fromstring(etree.tostring(node, with_tail=False)))


def _swap_nodes(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    node.text, other.text = other.text, node.text
    attributes, others = dict(node.attrib), dict(other.attrib)
    for element, values in ((node, others), (other, attributes)):
        element.attrib.clear()
        element.attrib.update(values)


def _rename_node(node: etree._Element, other: etree._Element, parts: Parts, data: st.DataObject) -> None:
    node.tag = other.tag


_Change = Callable[[Parts, st.DataObject], None]
_CHANGES: list[_Change] = [_node, _node, _node, _node, _flip, _cut, _drop, _double, _swap, _rename]
_NODE_CHANGES: list[Callable[[etree._Element, etree._Element, Parts, st.DataObject], None]] = [
    _text_node, _attribute, _attribute, _drop_node, _double_node, _swap_nodes, _rename_node,
]  # fmt: skip
