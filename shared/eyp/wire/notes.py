"""The encryption note and the update note, in and out."""

from __future__ import annotations

from itertools import islice

from lxml import etree

from shared.eyp.model import Generation
from shared.eyp.notes import DegreeChange, EncryptionNote, UpdateNote
from shared.eyp.wire.markup_out import prefixes, serialise
from shared.eyp.wire.metadata_in import Node
from shared.eyp.wire.names import SECURITY_CODES, namespace, token_of
from shared.eyp.wire.schema import ROOTS
from shared.eyp.wire.values import write_time

DEGREE_UPDATE = "GuvenlikKodu"
OFFICIAL_NOTE = EncryptionNote(
    method="Elektronik Belgeleri Açık Anahtar Altyapısı Kullanarak Güvenli İşleme Rehberi",
    version="1.4",
    links=(
        "http://www.kamusm.gov.tr/dokumanlar/belgeler",
        "http://www.e-yazisma.gov.tr/SitePages/dokumanlar.aspx",
    ),
)
"""What the official library writes; every reader in the field has seen it."""

_MOST_LINKS = 20
_LONGEST = 1_000


def read_encryption_note(root: etree._Element) -> EncryptionNote:
    """The note's values, shortened and of whatever namespace: they inform people and decide nothing."""
    found = (element for element in root.iterchildren("{*}URI"))
    links = [(element.text or "").strip()[:_LONGEST] for element in islice(found, _MOST_LINKS)]
    return EncryptionNote(
        method=(root.get("Yontem") or "").strip()[:_LONGEST] or None,
        version=(root.get("Version") or "").strip()[:_LONGEST] or None,
        links=tuple(link for link in links if link),
    )


def write_encryption_note(note: EncryptionNote, generation: Generation) -> bytes:
    """The encryption note."""
    place = ROOTS[generation]["EncryptionNote"]
    own = namespace(place.schema, generation)
    root = etree.Element(f"{{{own}}}{place.element}", nsmap=prefixes(own), Id="")
    root.set("Yontem", note.method or "")
    root.set("Version", note.version or "")
    for link in note.links:
        etree.SubElement(root, f"{{{namespace(place.children, generation)}}}URI").text = link
    return serialise(root)


def read_update_note(root: etree._Element) -> UpdateNote:
    """The changes of an update package; kinds that are not known come out by name."""
    changes: list[DegreeChange] = []
    unknown: list[str] = []
    for item in Node.root(root, Generation.V2).children("Guncellemeler"):
        kind = item.child("GuncellemeTuru").own_text
        if kind != DEGREE_UPDATE:
            unknown.append(kind)
            continue
        change = item.child("GuvenlikKoduDegisiklikBilgisi")
        changes.append(
            DegreeChange(
                new_degree=SECURITY_CODES[Generation.V2].get(change.child("YeniGizlilikDerecesi").own_text),
                changed_at=change.time("DegistirmeTarihi"),
                explanation=change.text("Aciklama"),
                decision_document_no=change.text("KomisyonKarariBelgeNo"),
                decision_document_id=change.text("KomisyonKarariBelgeId"),
            )
        )
    return UpdateNote(tuple(changes), tuple(unknown))


def write_update_note(change: DegreeChange) -> bytes:
    """The update note of one change.

    Raise ``KeyError`` for a degree 2.x has no token for, ``ValueError`` for a missing degree, a missing
    or naive time and a text XML cannot hold.
    """
    if change.changed_at is None or change.new_degree is None:
        raise ValueError("a change of degree states the degree and the time")
    place = ROOTS[Generation.V2]["UpdateNote"]
    own = namespace(place.schema, Generation.V2)
    root = etree.Element(f"{{{own}}}{place.element}", nsmap=prefixes(own))
    item = etree.SubElement(root, f"{{{own}}}Guncellemeler")
    etree.SubElement(item, f"{{{own}}}GuncellemeTuru").text = DEGREE_UPDATE
    inner = etree.SubElement(item, f"{{{own}}}GuvenlikKoduDegisiklikBilgisi")
    for name, value in (
        ("YeniGizlilikDerecesi", token_of(change.new_degree, SECURITY_CODES[Generation.V2])),
        ("DegistirmeTarihi", write_time(change.changed_at)),
        ("Aciklama", change.explanation),
        ("KomisyonKarariBelgeNo", change.decision_document_no),
        ("KomisyonKarariBelgeId", change.decision_document_id),
    ):
        etree.SubElement(inner, f"{{{own}}}{name}").text = value
    return serialise(root)
