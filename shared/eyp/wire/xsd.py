"""The XML Schemas of both generations, made of ``wire.schema``: the official ones without their defects (eyp.md 2.6).

Patterns have no anchors, ids are plain text, organisation codes have eight digits, no schema is ambiguous and the
cover letter's media type may be missing, as it is in the field.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.eyp.model import Generation
from shared.eyp.wire.names import ANNEX_KINDS, MANIFEST_SCHEMAS, PURPOSES, SECURITY_CODES, URGENCIES, namespace
from shared.eyp.wire.schema import ROOTS, SEQUENCES, Particle

_TYPES, _DIGESTS = "Tipler", "PaketOzeti"
_BUILT_IN = {
    "dateTime": "xs:dateTime", "duration": "xs:duration", "int": "xs:int", "boolean": "xs:boolean",
    "anyURI": "xs:anyURI", "base64": "xs:base64Binary",
}  # fmt: skip
_PATTERNS = {
    "guid": "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "number": "[1-9][0-9]{7}",
    "person": "[1-9][0-9]{10}",
    "language": "[A-Za-z]{3}",
}
_NILLABLE = frozenset({"dateTime", "text"})
_WITH_ATTRIBUTES = {
    "text": ("xs:string", '<xs:attribute name="languageID" type="xs:language"/>'),
    "identifier": ("xs:normalizedString", '<xs:attribute name="schemeID" type="xs:string"/>'),
}
_EMPTY = {
    "id": '<xs:attribute name="Value" type="t:guid" use="required"/>'
    '<xs:attribute name="EYazismaIdMi" type="xs:boolean" use="required"/>',
    "algorithm": '<xs:attribute name="Algorithm" type="xs:anyURI" use="required"/>',
}


def schema_documents(generation: Generation) -> dict[str, str]:
    """The schemas of one generation by file name, importing each other by these names."""
    documents = {_TYPES: _types(generation), _DIGESTS: _manifest(_DIGESTS, generation)}
    for schema in set(MANIFEST_SCHEMAS.values()) - {_DIGESTS}:
        if generation is Generation.V2 or schema != "ParafOzeti":
            documents[schema] = _manifest(schema, generation)
    for root in ROOTS[generation].values():
        if root.schema != _TYPES:
            own = root.children != _TYPES
            body = _sequence(root.sequence, generation) if own else ""
            element = _root(root.element, "o:" if own else "t:", root.sequence)
            documents[root.schema] = _document(root.schema, generation, body + element, imports=[_TYPES])
    return {file_name(schema, generation): text for schema, text in sorted(documents.items())}


def file_name(schema: str, generation: Generation) -> str:
    """The file one schema is in."""
    return f"{schema}-{generation.value}.xsd"


def _types(generation: Generation) -> str:
    roots = [root for root in ROOTS[generation].values() if root.schema == _TYPES]
    return _document(
        _TYPES,
        generation,
        "".join(
            [
                *(_restricted(name, f'<xs:pattern value="{pattern}"/>') for name, pattern in _PATTERNS.items()),
                *_enumerations(generation),
                *(_extended(name, *parts) for name, parts in _WITH_ATTRIBUTES.items()),
                *(
                    f'<xs:complexType name="{name}">{attributes}</xs:complexType>'
                    for name, attributes in _EMPTY.items()
                ),
                *(_sequence(name, generation) for name in SEQUENCES[generation]),
                *(_root(root.element, "t:", root.sequence) for root in roots),
            ]
        ),
    )


def _enumerations(generation: Generation) -> Iterator[str]:
    for name, tokens in (
        ("security", SECURITY_CODES[generation]),
        ("urgency", URGENCIES[generation]),
        ("purpose", PURPOSES),
        ("annexKind", ANNEX_KINDS),
    ):
        yield _restricted(name, "".join(f'<xs:enumeration value="{token}"/>' for token in tokens))


def _restricted(name: str, facets: str) -> str:
    return f'<xs:simpleType name="{name}"><xs:restriction base="xs:string">{facets}</xs:restriction></xs:simpleType>'


def _extended(name: str, base: str, attribute: str) -> str:
    extension = f'<xs:extension base="{base}">{attribute}</xs:extension>'
    return f'<xs:complexType name="{name}"><xs:simpleContent>{extension}</xs:simpleContent></xs:complexType>'


def _sequence(name: str, generation: Generation) -> str:
    particles = "".join(map(_particle, SEQUENCES[generation][name]))
    attributes = ""
    if name == "EncryptionNote":
        attributes = "".join(f'<xs:attribute name="{key}" type="xs:string"/>' for key in ("Id", "Yontem", "Version"))
    return f'<xs:complexType name="{name}"><xs:sequence>{particles}</xs:sequence>{attributes}</xs:complexType>'


def _particle(particle: Particle) -> str:
    occurs = f'minOccurs="{int(particle.mandatory)}" maxOccurs="{"unbounded" if particle.repeated else 1}"'
    elements = []
    for name, kind in particle.types.items():
        nillable = ' nillable="true"' if kind in _NILLABLE else ""
        type_name = _BUILT_IN.get(kind, f"t:{kind}")
        elements.append(f'<xs:element name="{name}" type="{type_name}"{nillable}')
    if len(elements) == 1:
        return f"{elements[0]} {occurs}/>"
    return f"<xs:choice {occurs}>{''.join(element + '/>' for element in elements)}</xs:choice>"


def _root(element: str, prefix: str, type_name: str) -> str:
    return f'<xs:element name="{element}" type="{prefix}{type_name}"/>'


def _manifest(schema: str, generation: Generation) -> str:
    """References stand in the namespace of the package digest, whichever manifest they are in."""
    own = schema == _DIGESTS
    pair = (
        '<xs:element name="DigestMethod"><xs:complexType><xs:attribute name="Algorithm" type="xs:anyURI" use="required"/>'
        '</xs:complexType></xs:element><xs:element name="DigestValue" type="xs:base64Binary"/>'
    )
    if generation is Generation.V2:
        pair = (
            '<xs:element name="DigestItem" minOccurs="2" maxOccurs="2"><xs:complexType><xs:sequence>'
            f"{pair}</xs:sequence></xs:complexType></xs:element>"
        )
    attributes = "".join(f'<xs:attribute name="{name}" type="xs:string"/>' for name in ("Id", "URI", "Type"))
    reference = (
        f'<xs:element name="Reference"><xs:complexType><xs:sequence>{pair}</xs:sequence>{attributes}</xs:complexType>'
        "</xs:element>"
    )
    element = (
        f'<xs:element name="{schema}"><xs:complexType><xs:sequence><xs:element ref="d:Reference" maxOccurs="unbounded"/>'
        '</xs:sequence><xs:attribute name="Id" type="xs:string"/></xs:complexType></xs:element>'
    )
    return _document(schema, generation, (reference if own else "") + element, imports=[] if own else [_DIGESTS])


def _document(schema: str, generation: Generation, body: str, imports: list[str] | None = None) -> str:
    imported = "".join(
        f'<xs:import namespace="{namespace(name, generation)}" schemaLocation="{file_name(name, generation)}"/>'
        for name in imports or []
    )
    own = namespace(schema, generation)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:o="{own}" '
        f'xmlns:t="{namespace(_TYPES, generation)}" xmlns:d="{namespace(_DIGESTS, generation)}" '
        f'targetNamespace="{own}" elementFormDefault="qualified">\n{imported}{body}\n</xs:schema>\n'
    ).replace("><", ">\n<")
