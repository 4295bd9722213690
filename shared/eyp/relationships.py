"""OPC above the ZIP: content types, and relationships resolved to parts by what they are for."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import etree

from shared.errors import DomainError
from shared.eyp.container import Container, part_key
from shared.eyp.limits import Limits
from shared.eyp.markup import MarkupError, parse
from shared.eyp.wire.names import (
    CONTENT_TYPES_NAMESPACE,
    RELATIONSHIP_BASE,
    RELATIONSHIPS_NAMESPACE,
    Role,
    role_of,
)

CONTENT_TYPES_NAME = "/[Content_Types].xml"


@dataclass(frozen=True)
class Relationship:
    """One relationship of the e-Yazışma family or to the core properties.

    ``target`` is an absolute part name even if no such part exists; None when it points outside.
    """

    id: str
    type: str
    role: Role
    source: str | None
    target: str | None

    @property
    def exactly_spelled(self) -> bool:
        """Whether the type is written letter for letter as the official library does."""
        return self.type == self.role.relationship_type


@dataclass(frozen=True)
class Relationships:
    """The relationships of one source; ``fault`` says why they could not be read."""

    items: tuple[Relationship, ...] = ()
    unknown_types: tuple[str, ...] = ()
    exists: bool = False
    fault: str | None = None


class ContentTypes:
    """Which media type each part declares."""

    def __init__(self, defaults: dict[str, str], overrides: dict[str, str]) -> None:
        self._defaults = defaults
        self._overrides = overrides

    def of(self, part_name: str) -> str | None:
        """The declared type of a part, or None."""
        override = self._overrides.get(part_key(part_name))
        extension = part_name.rpartition("/")[2].rpartition(".")[2].lower()
        return override or self._defaults.get(extension)


def read_content_types(container: Container, limits: Limits) -> tuple[ContentTypes, str | None]:
    """The content type list, and why it could not be read (then it is empty)."""
    try:
        root = parse(container.read_part(CONTENT_TYPES_NAME, limits.xml_size), limits)
    except (DomainError, MarkupError) as error:
        return ContentTypes({}, {}), str(error)
    defaults = {
        element.get("Extension", "").lower(): element.get("ContentType", "")
        for element in root.iterchildren(f"{{{CONTENT_TYPES_NAMESPACE}}}Default")
    }
    overrides = {
        part_key(element.get("PartName", "")): element.get("ContentType", "")
        for element in root.iterchildren(f"{{{CONTENT_TYPES_NAMESPACE}}}Override")
    }
    return ContentTypes(defaults, overrides), None


def read_relationships(container: Container, source: str | None, limits: Limits) -> Relationships:
    """The relationships whose source is the package (``None``) or one part."""
    name = relationships_part_name(source)
    if container.entry(name) is None:
        return Relationships()
    try:
        root = parse(container.read_part(name, limits.xml_size), limits)
    except (DomainError, MarkupError) as error:
        return Relationships(exists=True, fault=str(error))
    if root.tag != f"{{{RELATIONSHIPS_NAMESPACE}}}Relationships":
        return Relationships(exists=True, fault="not a relationship list")
    items: list[Relationship] = []
    unknown: list[str] = []
    for element in root.iterchildren(f"{{{RELATIONSHIPS_NAMESPACE}}}Relationship"):
        type_uri = element.get("Type", "")
        role = role_of(type_uri)
        if role is None:
            unknown.append(type_uri)
        else:
            items.append(Relationship(element.get("Id", ""), type_uri, role, source, _target(element, source)))
    return Relationships(tuple(items), tuple(unknown), exists=True)


def relationships_part_name(source: str | None) -> str:
    """The part that holds the relationships of a source."""
    if source is None:
        return "/_rels/.rels"
    folder, _, file_name = source.rpartition("/")
    return f"{folder}/_rels/{file_name}.rels"


def is_family_member(relationships: Relationships) -> bool:
    """Whether any relationship is of the e-Yazışma family: what tells a package from another OPC file."""
    types = [item.type for item in relationships.items] + list(relationships.unknown_types)
    return any(type_uri.lower().startswith(RELATIONSHIP_BASE) for type_uri in types)


def _target(element: etree._Element, source: str | None) -> str | None:
    target = element.get("Target", "")
    try:
        path = urlsplit(target)
    except ValueError:
        return None
    if element.get("TargetMode", "Internal") != "Internal" or path.scheme or path.netloc or not path.path:
        return None
    folder = source.rpartition("/")[0] if source else ""
    resolved = posixpath.normpath(posixpath.join(f"{folder}/", path.path))
    return "/" + resolved.lstrip("/")
