"""Checks a metadata document against the element orders in ``wire.schema`` (rule R.21)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lxml import etree

from shared.eyp.findings import Finding
from shared.eyp.model import Generation
from shared.eyp.rules import content as rules
from shared.eyp.wire.names import RETIRED_URGENCIES, URGENCIES, is_family_namespace, namespace
from shared.eyp.wire.schema import ATTRIBUTES, INFORMING, PARTIES, RECOMMENDED, ROOTS, SEQUENCES, Particle, Root
from shared.eyp.wire.values import is_valid


def check_structure(root: etree._Element, document: str, generation: Generation, part: str) -> Iterator[Finding]:
    """Findings about one document; ``document`` is its key in ``ROOTS``."""
    expected = ROOTS[generation][document]
    prefix = f"{{{namespace(expected.children, generation)}}}"
    if root.tag != f"{{{namespace(expected.schema, generation)}}}{expected.element}":
        if document not in INFORMING or not _is_namesake(root, expected):
            yield rules.WRONG_ROOT.found(part, etree.QName(root).localname)
            return
        yield rules.NAMESPACE_DIFFERS.found(part, etree.QName(root).namespace or "")
    context = _Context(prefix, generation, part, any_family=document in INFORMING)
    yield from _sequence(root, expected.sequence, expected.element, context)


class _Context:
    def __init__(self, prefix: str, generation: Generation, part: str, *, any_family: bool) -> None:
        self._prefix = prefix
        self._any_family = any_family
        self.generation = generation
        self.part = part

    def name(self, element: etree._Element) -> str | None:
        """The element's name if it is in the namespace it must be in."""
        if element.tag.startswith(self._prefix):
            return element.tag.removeprefix(self._prefix)
        if self._any_family and is_family_namespace(etree.QName(element).namespace or ""):
            return etree.QName(element).localname
        return None


def _is_namesake(root: etree._Element, expected: Root) -> bool:
    name = etree.QName(root)
    return name.localname == expected.element and is_family_namespace(name.namespace or "")


def _sequence(element: etree._Element, type_name: str, path: str, context: _Context) -> Iterator[Finding]:
    """Each child for itself, then what is missing: one that is out of place hides none of the others.

    Recursion is as deep as the schema, not as deep as the document.
    """
    particles = SEQUENCES[context.generation][type_name]
    places = {name: place for place, particle in enumerate(particles) for name in particle.types}
    counts: Counter[int] = Counter()
    reached = 0
    for child in element:
        name = context.name(child)
        place = places.get(name) if name is not None else None
        if name is None or place is None:
            yield rules.ELEMENT_UNEXPECTED.found(context.part, f"{path}/{etree.QName(child).localname}")
            continue
        counts[place] += 1
        if place < reached:
            yield rules.ELEMENT_UNEXPECTED.found(context.part, f"{path}/{name}")
        elif counts[place] > 1 and not particles[place].repeated:
            several = rules.RECIPIENTS_SEVERAL if particles[place].types.keys() == PARTIES else rules.ELEMENT_REPEATED
            yield several.found(context.part, f"{path}/{name}")
        reached = max(reached, place)
        yield from _element(child, particles[place].types[name], f"{path}/{name}", context)
    for place, particle in enumerate(particles):
        if not counts[place]:
            yield from _absent(particle, path, context)


def _absent(particle: Particle, path: str, context: _Context) -> Iterator[Finding]:
    if particle.required:
        rule = rules.LIST_EMPTY if particle.repeated else rules.ELEMENT_MISSING
        yield rule.found(context.part, f"{path}/{particle.label}")


def _element(element: etree._Element, type_name: str, path: str, context: _Context) -> Iterator[Finding]:
    if type_name in SEQUENCES[context.generation]:
        yield from _sequence(element, type_name, path, context)
        return
    if len(element):
        yield rules.ELEMENT_UNEXPECTED.found(context.part, f"{path}/{etree.QName(element[0]).localname}")
    for attribute, attribute_type in ATTRIBUTES.get(type_name, {}).items():
        value = (element.get(attribute) or "").strip()
        if not value:
            yield rules.ATTRIBUTE_MISSING.found(context.part, f"{path}/@{attribute}")
        elif not is_valid(attribute_type, value, context.generation):
            yield rules.VALUE_INVALID.found(context.part, f"{path}/@{attribute}")
    text = (element.text or "").strip()
    if not is_valid(type_name, text, context.generation):
        rule = rules.SECURITY_CODE_FORBIDDEN if type_name == "security" else rules.VALUE_INVALID
        yield rule.found(context.part, text if type_name == "security" else path)
    elif type_name == "urgency" and (text not in URGENCIES[context.generation] or text in RETIRED_URGENCIES):
        yield rules.URGENCY_RETIRED.found(context.part, text)
    elif not text and path.rpartition("/")[2] in RECOMMENDED:
        yield rules.RECOMMENDED_EMPTY.found(context.part, path)
