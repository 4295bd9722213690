"""XML Signature core: the references of a SignedInfo and the octets each stands for.

What a reference may mean is known before it is looked at: the document without its signature, the signed properties,
the key, an object of the signature itself, for a counter-signature the value it signs, or what the caller gave.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.signer.facts import BytesContent, Content
from services.signer.findings import CheckFailed
from services.signer.formats.imprints import HashBudget
from services.signer.formats.xades_algorithms import digest_of
from services.signer.formats.xades_canonical import (
    DEFAULT,
    Canonicalisation,
    canonical,
    is_canonicalisation,
    read_canonicalisation,
    without_signatures,
)
from services.signer.formats.xml_layout import DS, Identifiers, Layout, children_of, octets_of, only_child, text_of
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.domain.verdict import SubIndication

SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
COUNTERSIGNED_TYPE = "http://uri.etsi.org/01903#CountersignedSignature"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_FILTER = "http://www.w3.org/2002/06/xmldsig-filter2"
_REFERENCES = 16
_TRANSFORMS = 4
_KEPT_BYTES = 64 * 1024 * 1024


class Subject(Enum):
    """What a reference stands for."""

    DOCUMENT = "document"
    COUNTERSIGNED = "countersigned"
    SUPPLIED = "supplied"
    OBJECT = "object"
    PROPERTIES = "properties"
    KEY = "key"


@dataclass(frozen=True)
class Reference:
    """One reference of a SignedInfo, understood but not yet computed."""

    subject: Subject
    identifier: str | None
    element: Any = field(repr=False)
    """What it points at; None for the document and for what the caller gave."""
    digest: str
    """By its ``hashlib`` name."""
    value: bytes
    whole: bool
    """Whether it means the document itself (``URI=""``), not only the root element."""
    every_signature: bool
    """Whether all signatures of the document are left out, not only this one."""
    method: Canonicalisation | None
    """None when the signer named none."""


@dataclass
class Document:
    """One XML file: what its signatures have in common, and what may still be spent on them."""

    root: Any
    limits: Limits
    budget: HashBudget
    supplied: Content | None = None
    """What the caller says a signature beside its content is over."""

    def __post_init__(self) -> None:
        self.identifiers = Identifiers(self.root)
        self._kept: dict[Hashable, bytes] = {}
        self._kept_bytes = 0

    def kept(self, key: Hashable, made: Callable[[], bytes]) -> bytes:
        """Octets that several digests are over: made once, as far as memory allows."""
        if key not in self._kept:
            octets = made()
            self.budget.spend(len(octets))
            self._kept_bytes += len(octets)
            if self._kept_bytes > _KEPT_BYTES:
                self._kept.clear()
                self._kept_bytes = len(octets)
            self._kept[key] = octets
        return self._kept[key]

    def written(self, element: Any, method: Canonicalisation, *, comments: bool | None = None) -> bytes:
        """One element where it stands, in canonical form; raises ``CheckFailed`` (FORMAT_FAILURE)."""
        return self.kept((element, method, comments), lambda: canonical(element, method, comments=comments))

    def octets(self, reference: Reference, signature: Any, fallback: Canonicalisation = DEFAULT) -> bytes:
        """What the reference's digest is over; ``fallback`` canonicalises where the signer named no method.

        Raises ``CheckFailed``: FORMAT_FAILURE for what has no canonical form or is too much,
        SIGNED_DATA_NOT_FOUND for what is not in the file.
        """
        method = reference.method or fallback
        if reference.subject is Subject.SUPPLIED:
            if not isinstance(self.supplied, BytesContent):
                raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))
            return bytes(self.supplied.data)
        if reference.subject is not Subject.DOCUMENT:
            # Same-document references are without comments, whatever the method says (XML Signature 4.4.3.3).
            return self.written(reference.element, method, comments=False)
        left_out = None if reference.every_signature else signature
        return self.kept(
            (left_out, reference.whole, method),
            lambda: without_signatures(self.root, left_out, method, whole=reference.whole),
        )


def read_references(document: Document, layout: Layout, countersigned: Layout | None) -> list[Reference]:
    """The references of one signature; raises ``CheckFailed`` (FORMAT_FAILURE) for any outside the short list."""
    nodes = children_of(layout.signed_info)
    if any(not isinstance(item.tag, str) for item in layout.signed_info.iter()):
        raise malformed("SignedInfo with a comment or processing instruction")
    names = [item.tag for item in nodes]
    if names[:2] != [f"{DS}CanonicalizationMethod", f"{DS}SignatureMethod"] or set(names[2:]) != {f"{DS}Reference"}:
        raise malformed("SignedInfo without its parts in order")
    if len(nodes) - 2 > _REFERENCES:
        raise too_much("references", _REFERENCES)
    found = [_reference(document, layout, countersigned, node) for node in nodes[2:]]
    _check_cover(document, layout, countersigned, found)
    return found


def _reference(document: Document, layout: Layout, countersigned: Layout | None, node: Any) -> Reference:
    uri, kind = node.get("URI"), node.get("Type")
    subject, element = _subject(document, layout, countersigned, uri)
    if kind == SIGNED_PROPERTIES_TYPE and subject is not Subject.PROPERTIES:
        raise malformed("reference to the signed properties of another signature")
    if kind == COUNTERSIGNED_TYPE and subject is not Subject.COUNTERSIGNED:
        raise malformed("counter-signature of another signature")
    holder = only_child(node, f"{DS}Transforms")
    transforms = [] if holder is None else children_of(holder)
    if len(transforms) > _TRANSFORMS:
        raise too_much("transforms", _TRANSFORMS)
    method = None
    if transforms and is_canonicalisation(transforms[-1].get("Algorithm")):
        method = read_canonicalisation(transforms.pop())
    every = [_leaves_out(item) for item in transforms]
    if (not every) is (subject is Subject.DOCUMENT) or (subject is Subject.SUPPLIED and method is not None):
        raise malformed("unexpected transforms of a reference")
    return Reference(
        subject,
        node.get("Id"),
        element,
        digest_of(only_child(node, f"{DS}DigestMethod")),
        octets_of(only_child(node, f"{DS}DigestValue")),
        whole=uri == "",
        every_signature=any(every),
        method=method,
    )


def _subject(document: Document, layout: Layout, countersigned: Layout | None, uri: str | None) -> tuple[Subject, Any]:
    points_at = document.identifiers.points_at
    if points_at(layout.signed_properties, uri):
        return Subject.PROPERTIES, layout.signed_properties
    if points_at(layout.key_info, uri):
        return Subject.KEY, layout.key_info
    for item in layout.objects:
        if points_at(item, uri):
            return Subject.OBJECT, item
    if countersigned is not None:
        if points_at(countersigned.value, uri):
            return Subject.COUNTERSIGNED, countersigned.value
    elif layout.signature is document.root:
        if uri and not uri.startswith("#"):
            return Subject.SUPPLIED, None
    elif uri == "" or points_at(document.root, uri):
        return Subject.DOCUMENT, None
    raise malformed("reference to something else than the document and parts of its signature")


def _leaves_out(transform: Any) -> bool:
    """Whether a transform leaves out every signature; otherwise it leaves out its own."""
    algorithm = transform.get("Algorithm")
    if algorithm == _ENVELOPED and not len(transform):
        return False
    parts = children_of(transform)
    if algorithm in (_XPATH, _FILTER) and len(parts) == 1:
        expression = "".join(text_of(parts[0]).split())
        names = [prefix for prefix, namespace in parts[0].nsmap.items() if f"{{{namespace}}}" == DS and prefix]
        if algorithm == _XPATH and parts[0].tag == f"{DS}XPath":
            wanted = [f"not(ancestor-or-self::{prefix}:Signature)" for prefix in names]
        elif parts[0].tag == f"{{{_FILTER}}}XPath" and parts[0].get("Filter") == "subtract":
            wanted = [f"{start}{prefix}:Signature" for prefix in names for start in ("/descendant::", "//")]
        else:
            wanted = []
        if expression in wanted:
            return True
    raise malformed("transform outside the short list")


def _check_cover(document: Document, layout: Layout, countersigned: Layout | None, references: list[Reference]) -> None:
    """One subject, all of it: with partial references a moved element would still verify."""
    subjects = [item.subject for item in references]
    main = Subject.DOCUMENT if countersigned is None else Subject.COUNTERSIGNED
    if countersigned is None and layout.signature is document.root:
        main = Subject.SUPPLIED if Subject.SUPPLIED in subjects else Subject.OBJECT
        # A signature around its content, or beside it; then there is no other object than the signed one.
        if main is Subject.SUPPLIED and layout.objects:
            raise malformed("objects beside a detached signature")
    if subjects.count(main) != 1:
        raise malformed("the signature does not cover one document as a whole")
    if subjects.count(Subject.PROPERTIES) > 1 or subjects.count(Subject.KEY) > 1:
        raise malformed("several references to the same part")
    covered = [item.element for item in references if item.subject is Subject.OBJECT]
    if len(covered) != len(layout.objects):
        raise malformed("objects in the signature that it does not cover")


def subject_of(references: list[Reference], subject: Subject) -> Reference | None:
    """The reference to one subject."""
    return next((item for item in references if item.subject is subject), None)


def signed_info_octets(layout: Layout) -> bytes:
    """What the signature's value is over; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    method = read_canonicalisation(only_child(layout.signed_info, f"{DS}CanonicalizationMethod"))
    return canonical(layout.signed_info, method)
