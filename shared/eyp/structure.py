"""Checks a metadata document against the element orders in ``wire.schema`` (rule R.21)."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from shared.eyp.findings import Finding
from shared.eyp.model import Generation
from shared.eyp.rules import content as rules
from shared.eyp.wire.names import RETIRED_URGENCIES, URGENCIES, namespace
from shared.eyp.wire.schema import ROOTS, SEQUENCES
from shared.eyp.wire.values import is_valid


def check_structure(root: etree._Element, document: str, generation: Generation, part: str) -> Iterator[Finding]:
    """Findings about one document; ``document`` is its key in ``ROOTS``."""
    expected = ROOTS[generation][document]
    if root.tag != f"{{{namespace(expected.schema, generation)}}}{expected.element}":
        yield rules.WRONG_ROOT.found(part, etree.QName(root).localname)
        return
    prefix = f"{{{namespace(expected.children, generation)}}}"
    yield from _sequence(root, expected.sequence, expected.element, _Context(prefix, generation, part))


class _Context:
    def __init__(self, prefix: str, generation: Generation, part: str) -> None:
        self.prefix = prefix
        self.generation = generation
        self.part = part


def _sequence(element: etree._Element, type_name: str, path: str, context: _Context) -> Iterator[Finding]:
    # Recursion is as deep as the schema, not as deep as the document.
    children = list(element)
    position = 0
    for particle in SEQUENCES[context.generation][type_name]:
        count = 0
        while position < len(children) and (particle.repeated or count == 0):
            child = children[position]
            name = child.tag.removeprefix(context.prefix)
            if name == child.tag or name not in particle.types:
                break
            yield from _element(child, particle.types[name], f"{path}/{name}", context)
            position += 1
            count += 1
        if particle.required and count == 0:
            yield rules.ELEMENT_MISSING.found(context.part, f"{path}/{particle.label}")
    if position < len(children):
        yield rules.ELEMENT_UNEXPECTED.found(context.part, f"{path}/{etree.QName(children[position]).localname}")


def _element(element: etree._Element, type_name: str, path: str, context: _Context) -> Iterator[Finding]:
    if type_name in SEQUENCES[context.generation]:
        yield from _sequence(element, type_name, path, context)
        return
    if len(element):
        yield rules.ELEMENT_UNEXPECTED.found(context.part, f"{path}/{etree.QName(element[0]).localname}")
    text = (element.text or "").strip()
    if not is_valid(type_name, text, context.generation):
        if type_name == "security":
            yield rules.SECURITY_CODE_FORBIDDEN.found(context.part, text)
        else:
            yield rules.VALUE_INVALID.found(context.part, path)
    elif type_name == "urgency" and (text not in URGENCIES[context.generation] or text in RETIRED_URGENCIES):
        yield rules.URGENCY_RETIRED.found(context.part, text)
