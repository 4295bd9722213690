"""From the official XML to the model: tolerant, by element name; what is wrong is judged elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lxml import etree

from shared.eyp.model import (
    Annex,
    AnnexDigest,
    Contact,
    Distribution,
    FilePlanCode,
    FinalMetadata,
    Generation,
    Identifier,
    LegalEntity,
    Metadata,
    Organisation,
    Party,
    Person,
    PersonName,
    Reference,
    ServiceCode,
    Signatory,
)
from shared.eyp.wire.names import (
    ANNEX_KINDS,
    LEGACY_SIGNATORY_ELEMENT,
    LEGACY_UNIT_ELEMENT,
    PURPOSES,
    SECURITY_CODES,
    URGENCIES,
    namespace,
)
from shared.eyp.wire.values import read_base64, read_boolean, read_time


class Node:
    """An element seen through its children's official names; absent elements read as empty."""

    __slots__ = ("_children", "_element", "_prefix")

    def __init__(self, element: etree._Element | None, prefix: str) -> None:
        self._element = element
        self._prefix = prefix
        self._children: dict[str, etree._Element] | None = None

    @classmethod
    def root(cls, element: etree._Element, generation: Generation) -> Node:
        """The document's root; every element below it is in the common types namespace."""
        return cls(element, f"{{{namespace('Tipler', generation)}}}")

    def __bool__(self) -> bool:
        return self._element is not None

    def child(self, name: str) -> Node:
        """The first child of that name."""
        if self._children is None:
            self._children = {}
            for element in () if self._element is None else self._element:
                self._children.setdefault(element.tag, element)
        found = self._children.get(self._prefix + name) if self._children else None
        # Hostile documents have very many elements with nothing in them.
        return _NOTHING if found is None else Node(found, self._prefix)

    def children(self, name: str) -> Iterator[Node]:
        """All children of that name."""
        if self._element is not None:
            for element in self._element.iterchildren(self._prefix + name):
                yield Node(element, self._prefix)

    @property
    def own_text(self) -> str:
        """The trimmed text of the element itself."""
        return ((self._element.text if self._element is not None else None) or "").strip()

    def attribute(self, name: str) -> str:
        """An attribute's trimmed value, or empty."""
        return (self._element.get(name) or "").strip() if self._element is not None else ""

    def text(self, name: str) -> str | None:
        """A child's trimmed text; None when absent or empty."""
        found = self.child(name)
        return None if found is _NOTHING else found.own_text or None

    def time(self, name: str) -> datetime | None:
        """A child's time in UTC."""
        return read_time(self.child(name).own_text)


_NOTHING = Node(None, "")


def read_metadata(root: etree._Element, generation: Generation) -> Metadata:
    """The letter's metadata."""
    node = Node.root(root, generation)
    plans = node.child("SdpBilgisi")
    return Metadata(
        document_id=node.text("BelgeId") or "",
        subject=node.text("Konu") or "",
        security_code=SECURITY_CODES[generation].get(node.child("GuvenlikKodu").own_text),
        security_code_valid_until=node.time("GuvenlikKoduGecerlilikTarihi"),
        media_type=node.text("MimeTuru"),
        local_id=_identifier(node.child("OzId")),
        distributions=tuple(
            _distribution(item, generation) for item in node.child("DagitimListesi").children("Dagitim")
        ),
        annexes=tuple(map(_annex, node.child("Ekler").children("Ek"))),
        references=tuple(map(_reference, node.child("Ilgiler").children("Ilgi"))),
        language=node.text("Dil"),
        originator=_party(node.child("Olusturan")),
        related_parties=tuple(
            party for item in node.child("IlgiliListesi").children("Ilgili") if (party := _party(item)) is not None
        ),
        cover_letter_file_name=node.text("DosyaAdi") or "",
        file_plan=_file_plan(plans.child("AnaSdp")) if plans else None,
        other_file_plans=tuple(map(_file_plan, plans.child("DigerSdpler").children("SdpListesi"))),
        service_codes=tuple(map(_service, node.child("HeyskListesi").children("Heysk"))),
        verification_address=node.child("DogrulamaBilgisi").text("DogrulamaAdresi"),
        document_no=node.text("BelgeNo"),
        date=node.time("Tarih"),
    )


def read_final_metadata(root: etree._Element, generation: Generation) -> FinalMetadata:
    """The final metadata of 2.x; from 1.x the list of signers (number and date are then None)."""
    node = Node.root(root, generation)
    items = node.child("BelgeImzalar" if generation is Generation.V2 else "ImzaListesi")
    return FinalMetadata(node.text("BelgeNo"), node.time("Tarih"), tuple(map(_signatory, items.children("Imza"))))


def read_destinations(root: etree._Element, generation: Generation) -> tuple[Party, ...]:
    """The recipients named outside the metadata (1.x, and encrypted packages)."""
    items = Node.root(root, generation).child("HedefListesi").children("Hedef")
    return tuple(party for item in items if (party := _party(item)) is not None)


def _distribution(node: Node, generation: Generation) -> Distribution:
    known = {token: urgency for tokens in URGENCIES.values() for token, urgency in tokens.items()}
    urgency = node.child("Ivedilik").own_text
    withheld = node.child("KonulmamisEkListesi")
    return Distribution(
        recipient=_party(node),
        urgency=URGENCIES[generation].get(urgency, known.get(urgency)),
        purpose=PURPOSES.get(node.child("DagitimTuru").own_text),
        term=node.text("Miat"),
        withheld_annexes=(
            tuple(item.text("EkId") or "" for item in withheld.children("KonulmamisEk")) if withheld else None
        ),
    )


def _party(node: Node) -> Party | None:
    if organisation := node.child("KurumKurulus"):
        return Organisation(
            number=organisation.text("KKK") or "",
            name=organisation.text("Adi"),
            unit_number=organisation.text("BirimKKK"),
            contact=_contact(organisation.child("IletisimBilgisi")),
            legacy_unit_number=organisation.text(LEGACY_UNIT_ELEMENT),
        )
    if entity := node.child("TuzelSahis"):
        return LegalEntity(
            identifier=_identifier(entity.child("Id")) or Identifier(""),
            name=entity.text("Adi"),
            contact=_contact(entity.child("IletisimBilgisi")),
        )
    return _person(node.child("GercekSahis"))


def _person(node: Node) -> Person | None:
    if not node:
        return None
    name = node.child("Kisi")
    return Person(
        name=PersonName(
            first=name.text("IlkAdi") or "",
            last=name.text("Soyadi") or "",
            middle=name.text("IkinciAdi"),
            title=name.text("Unvan"),
            prefix=name.text("OnEk"),
        ),
        identity_number=node.text("TCKN"),
        duty=node.text("Gorev"),
        contact=_contact(node.child("IletisimBilgisi")),
    )


def _contact(node: Node) -> Contact | None:
    if not node:
        return None
    return Contact(
        phone=node.text("Telefon"),
        other_phone=node.text("TelefonDiger"),
        email=node.text("EPosta"),
        kep_address=node.text("KepAdresi"),
        fax=node.text("Faks"),
        web_address=node.text("WebAdresi"),
        postal_address=node.text("Adres"),
        province=node.text("Il"),
        district=node.text("Ilce"),
        country=node.text("Ulke"),
    )


def _identifier(node: Node) -> Identifier | None:
    return Identifier(node.own_text, node.attribute("schemeID") or None) if node else None


def _annex(node: Node) -> Annex:
    digest = node.child("Ozet")
    order = node.child("SiraNo").own_text
    return Annex(
        id=node.child("Id").attribute("Value"),
        is_document_id=bool(read_boolean(node.child("Id").attribute("EYazismaIdMi"))),
        document_no=node.text("BelgeNo"),
        kind=ANNEX_KINDS.get(node.child("Tur").own_text),
        file_name=node.text("DosyaAdi"),
        media_type=node.text("MimeTuru"),
        name=node.text("Ad"),
        order=_integer(order),
        description=node.text("Aciklama"),
        uri=node.text("Referans"),
        local_id=_identifier(node.child("OzId")),
        signed=read_boolean(node.child("ImzaliMi").own_text),
        digest=(
            AnnexDigest(
                digest.child("OzetAlgoritmasi").attribute("Algorithm") or None,
                read_base64(digest.child("OzetDegeri").own_text),
            )
            if digest
            else None
        ),
    )


def _reference(node: Node) -> Reference:
    return Reference(
        id=node.child("Id").attribute("Value"),
        is_document_id=bool(read_boolean(node.child("Id").attribute("EYazismaIdMi"))),
        document_no=node.text("BelgeNo"),
        date=node.time("Tarih"),
        label=node.text("Etiket") or "",
        annex_id=node.text("EkId"),
        name=node.text("Ad"),
        description=node.text("Aciklama"),
        local_id=_identifier(node.child("OzId")),
    )


def _signatory(node: Node) -> Signatory:
    return Signatory(
        person=_person(node.child("Imzalayan")),
        delegated_by=_person(node.child("YetkiDevreden")),
        acting_for=_person(node.child("VekaletVeren")),
        office=node.text("Makam"),
        purpose=node.text("Amac"),
        note=node.text("Aciklama"),
        signed_at=node.time("Tarih"),
        legacy_number=node.text(LEGACY_SIGNATORY_ELEMENT),
    )


def _file_plan(node: Node) -> FilePlanCode:
    return FilePlanCode(node.text("Kod") or "", node.text("Ad") or "", node.text("Aciklama"))


def _service(node: Node) -> ServiceCode:
    return ServiceCode(_integer(node.child("Kod").own_text), node.text("Ad") or "", node.text("Tanim"))


def _integer(text: str) -> int | None:
    digits = text.removeprefix("+").removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
