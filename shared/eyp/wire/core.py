"""The OPC core properties' XML, in and out."""

from __future__ import annotations

from lxml import etree

from shared.eyp.model import CoreProperties, LegalEntity, Organisation, Party, Person
from shared.eyp.wire.markup_out import prefixes, serialise
from shared.eyp.wire.names import CORE_NAMESPACE, DC_NAMESPACE, DCTERMS_NAMESPACE, XSI_NAMESPACE
from shared.eyp.wire.values import read_time, write_time


def read_core(root: etree._Element) -> CoreProperties:
    """The properties that matter here; an absent one is None."""

    def text(namespace: str, name: str) -> str | None:
        return (root.findtext(f"{{{namespace}}}{name}") or "").strip() or None

    return CoreProperties(
        identifier=text(DC_NAMESPACE, "identifier"),
        subject=text(DC_NAMESPACE, "subject"),
        creator=text(DC_NAMESPACE, "creator"),
        created=read_time(text(DCTERMS_NAMESPACE, "created") or ""),
        category=text(CORE_NAMESPACE, "category"),
        content_type=text(CORE_NAMESPACE, "contentType"),
        version=text(CORE_NAMESPACE, "version"),
        revision=text(CORE_NAMESPACE, "revision"),
    )


def write_core(core: CoreProperties) -> bytes:
    """The core properties part; raise ``ValueError`` for a naive time."""
    root = etree.Element(
        f"{{{CORE_NAMESPACE}}}coreProperties",
        nsmap=prefixes(CORE_NAMESPACE, dc=DC_NAMESPACE, dcterms=DCTERMS_NAMESPACE, xsi=XSI_NAMESPACE),
    )
    for namespace, name, value in (
        (DC_NAMESPACE, "identifier", core.identifier),
        (DCTERMS_NAMESPACE, "created", write_time(core.created) if core.created else None),
        (DC_NAMESPACE, "creator", core.creator),
        (DC_NAMESPACE, "subject", core.subject),
        (CORE_NAMESPACE, "category", core.category),
        (CORE_NAMESPACE, "contentType", core.content_type),
        (CORE_NAMESPACE, "version", core.version),
        (CORE_NAMESPACE, "revision", core.revision),
    ):
        if value is not None:
            element = etree.SubElement(root, f"{{{namespace}}}{name}")
            element.text = value
            if name == "created":
                element.set(f"{{{XSI_NAMESPACE}}}type", "dcterms:W3CDTF")
    return serialise(root)


def creator_text(party: Party) -> str:
    """The originator as the creator property spells it."""
    match party:
        case Organisation():
            return f"{party.name}/{party.number}" if party.name else party.number
        case LegalEntity():
            return party.name or f"{party.identifier.scheme}:{party.identifier.value}"
        case Person():
            name = party.name
            titled = " ".join(filter(None, (name.prefix, name.title, name.first, name.middle, name.last)))
            return ",".join(filter(None, (party.identity_number, party.duty, titled)))
