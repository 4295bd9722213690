"""The digest manifests' XML, in and out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from lxml import etree

from shared.eyp.digests import DigestAlgorithm
from shared.eyp.model import EntryDigest, Generation, Manifest, ManifestEntry, ManifestKind
from shared.eyp.wire.markup_out import prefixes, serialise
from shared.eyp.wire.names import EXTERNAL_COMPONENT, INTERNAL_COMPONENT, MANIFEST_SCHEMAS, namespace
from shared.eyp.wire.values import read_base64

_SCOPES = {INTERNAL_COMPONENT: True, EXTERNAL_COMPONENT: False}


class ManifestShapeError(ValueError):
    """The document is not a manifest of that kind and generation; the text names the element."""


def read_manifest(root: etree._Element, kind: ManifestKind, generation: Generation) -> Manifest:
    """Read a manifest; missing pieces come out as None. Raise ``ManifestShapeError`` for a foreign element."""
    schema = MANIFEST_SCHEMAS[kind]
    if root.tag != f"{{{namespace(schema, generation)}}}{schema}":
        raise ManifestShapeError(etree.QName(root).localname)
    prefix = f"{{{namespace('PaketOzeti', generation)}}}"
    entries = []
    for element in root:
        if element.tag != f"{prefix}Reference":
            raise ManifestShapeError(etree.QName(element).localname)
        items = [element] if generation is Generation.V1 else list(element)
        if generation is Generation.V2 and any(item.tag != f"{prefix}DigestItem" for item in items):
            raise ManifestShapeError("Reference")
        entries.append(
            ManifestEntry(
                uri=element.get("URI", "").strip() or None,
                internal=_SCOPES.get(element.get("Type", "").strip()),
                digests=tuple(_digest(item, prefix) for item in items),
            )
        )
    return Manifest((root.get("Id") or "").strip() or None, tuple(entries))


def _digest(element: etree._Element, prefix: str) -> EntryDigest:
    method = element.find(f"{prefix}DigestMethod")
    value = element.find(f"{prefix}DigestValue")
    return EntryDigest(
        # None: no method element; empty: a method that names no algorithm.
        None if method is None else method.get("Algorithm", "").strip(),
        None if value is None else read_base64(value.text or ""),
    )


def write_manifest(
    kind: ManifestKind,
    document_id: str,
    entries: Iterable[tuple[str, Mapping[DigestAlgorithm, bytes]]],
    generation: Generation = Generation.V2,
    external: Iterable[tuple[str, Mapping[DigestAlgorithm, bytes]]] = (),
) -> bytes:
    """A manifest over parts, in the order given, then over ``external`` files by address.

    In 1.x each has the one digest that is given.
    """
    schema = MANIFEST_SCHEMAS[kind]
    own = namespace(schema, generation)
    types = namespace("PaketOzeti", generation)
    root = etree.Element(f"{{{own}}}{schema}", nsmap=prefixes(own), Id=document_id)
    listed = [(INTERNAL_COMPONENT, *entry) for entry in entries] + [(EXTERNAL_COMPONENT, *entry) for entry in external]
    for scope, uri, digests in listed:
        reference = etree.SubElement(root, f"{{{types}}}Reference", nsmap=prefixes(types), URI=uri, Type=scope)
        for algorithm, value in digests.items():
            item = reference if generation is Generation.V1 else etree.SubElement(reference, f"{{{types}}}DigestItem")
            etree.SubElement(item, f"{{{types}}}DigestMethod", Algorithm=algorithm.uri)
            etree.SubElement(item, f"{{{types}}}DigestValue").text = base64.b64encode(value).decode("ascii")
    return serialise(root)
