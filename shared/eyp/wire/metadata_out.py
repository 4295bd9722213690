"""From the model to the official XML of both generations.

One order of elements serves both: where 1.x and 2.x differ, an element is there in one and not in
the other. A value whose element the generation does not know is written all the same, so that the
check of the structure, which every writer runs, refuses it: nothing is left out in silence.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime

from lxml import etree

from shared.eyp.model import (
    Annex,
    Contact,
    Distribution,
    FilePlanCode,
    FinalMetadata,
    Generation,
    Identifier,
    Metadata,
    Organisation,
    Party,
    Person,
    Reference,
    ServiceCode,
    Signatory,
)
from shared.eyp.wire.markup_out import prefixes, serialise
from shared.eyp.wire.names import (
    ANNEX_KINDS,
    LEGACY_SIGNATORY_ELEMENT,
    LEGACY_UNIT_ELEMENT,
    PURPOSES,
    SECURITY_CODES,
    URGENCIES,
    namespace,
    token_of,
)
from shared.eyp.wire.schema import ROOTS
from shared.eyp.wire.values import write_time


class _Branch:
    """An element under construction; empty values write nothing."""

    def __init__(self, element: etree._Element, generation: Generation) -> None:
        self.element = element
        self.generation = generation

    @classmethod
    def root(cls, document: str, generation: Generation) -> _Branch:
        place = ROOTS[generation][document]
        own, types = namespace(place.schema, generation), namespace("Tipler", generation)
        return cls(etree.Element(f"{{{own}}}{place.element}", nsmap=prefixes(own, tipler=types)), generation)

    def add(self, name: str, **attributes: str) -> _Branch:
        types = namespace("Tipler", self.generation)
        return _Branch(etree.SubElement(self.element, f"{{{types}}}{name}", attributes), self.generation)

    def text(self, name: str, value: str | None, **attributes: str) -> None:
        if value:
            self.add(name, **attributes).element.text = value

    def time(self, name: str, moment: datetime | None) -> None:
        self.text(name, write_time(moment) if moment else None)

    def identifier(self, name: str, value: Identifier | None) -> None:
        if value is not None:
            self.text(name, value.value, **({"schemeID": value.scheme} if value.scheme else {}))

    def __bytes__(self) -> bytes:
        return serialise(self.element)


def write_metadata(metadata: Metadata, generation: Generation = Generation.V2) -> bytes:
    """The metadata document; number and date stand in it in 1.x.

    Raise ``KeyError`` for a code the generation has no token for (2.x: ``PERSONAL``, ``VERY_URGENT``),
    ``ValueError`` for a text XML cannot hold and for a time without a zone.
    """
    root = _Branch.root("Metadata", generation)
    root.text("BelgeId", metadata.document_id)
    root.text("Konu", metadata.subject)
    root.time("Tarih", metadata.date)
    root.text("BelgeNo", metadata.document_no)
    if metadata.security_code is not None:
        root.text("GuvenlikKodu", token_of(metadata.security_code, SECURITY_CODES[generation]))
    root.time("GuvenlikKoduGecerlilikTarihi", metadata.security_code_valid_until)
    root.text("MimeTuru", metadata.media_type)
    root.identifier("OzId", metadata.local_id)
    distributions = root.add("DagitimListesi")
    for distribution in metadata.distributions:
        _distribution(distributions.add("Dagitim"), distribution)
    if metadata.annexes:
        annexes = root.add("Ekler")
        for annex in metadata.annexes:
            _annex(annexes.add("Ek"), annex)
    if metadata.references:
        references = root.add("Ilgiler")
        for reference in metadata.references:
            _reference(references.add("Ilgi"), reference)
    root.text("Dil", metadata.language)
    if metadata.originator is not None:
        _party(root.add("Olusturan"), metadata.originator)
    if metadata.related_parties:
        related = root.add("IlgiliListesi")
        for party in metadata.related_parties:
            _party(related.add("Ilgili"), party)
    root.text("DosyaAdi", metadata.cover_letter_file_name)
    if metadata.file_plan is not None:
        plans = root.add("SdpBilgisi")
        _file_plan(plans.add("AnaSdp"), metadata.file_plan)
        if metadata.other_file_plans:
            others = plans.add("DigerSdpler")
            for plan in metadata.other_file_plans:
                _file_plan(others.add("SdpListesi"), plan)
    if metadata.service_codes:
        services = root.add("HeyskListesi")
        for service in metadata.service_codes:
            _service(services.add("Heysk"), service)
    if metadata.verification_address:
        root.add("DogrulamaBilgisi").text("DogrulamaAdresi", metadata.verification_address)
    return bytes(root)


def write_final_metadata(final: FinalMetadata) -> bytes:
    """The final metadata document of 2.x."""
    root = _Branch.root("FinalMetadata", Generation.V2)
    root.time("Tarih", final.date)
    root.text("BelgeNo", final.document_no)
    signatories = root.add("BelgeImzalar")
    for signatory in final.signatories:
        _signatory(signatories.add("Imza"), signatory)
    return bytes(root)


def write_signatories(signatories: Iterable[Signatory]) -> bytes:
    """The list of signers, a part of its own in 1.x."""
    root = _Branch.root("Signatories", Generation.V1)
    items = root.add("ImzaListesi")
    for signatory in signatories:
        _signatory(items.add("Imza"), signatory)
    return bytes(root)


def write_destinations(parties: Iterable[Party], generation: Generation) -> bytes:
    """The recipients named outside the metadata (1.x, and encrypted packages)."""
    root = _Branch.root("Destinations", generation)
    items = root.add("HedefListesi")
    for party in parties:
        _party(items.add("Hedef"), party)
    return bytes(root)


def _distribution(branch: _Branch, distribution: Distribution) -> None:
    if distribution.recipient is not None:
        _party(branch, distribution.recipient)
    if distribution.urgency is not None:
        branch.text("Ivedilik", token_of(distribution.urgency, URGENCIES[branch.generation]))
    if distribution.purpose is not None:
        branch.text("DagitimTuru", token_of(distribution.purpose, PURPOSES))
    branch.text("Miat", distribution.term)
    if distribution.withheld_annexes:
        withheld = branch.add("KonulmamisEkListesi")
        for annex_id in distribution.withheld_annexes:
            withheld.add("KonulmamisEk").text("EkId", annex_id)


def _party(branch: _Branch, party: Party) -> None:
    if isinstance(party, Organisation):
        organisation = branch.add("KurumKurulus")
        organisation.text("KKK", party.number)
        organisation.text(LEGACY_UNIT_ELEMENT, party.legacy_unit_number)
        organisation.text("Adi", party.name)
        _contact(organisation, party.contact)
        organisation.text("BirimKKK", party.unit_number)
    elif isinstance(party, Person):
        _person(branch.add("GercekSahis"), party)
    else:
        entity = branch.add("TuzelSahis")
        entity.identifier("Id", party.identifier)
        entity.text("Adi", party.name)
        _contact(entity, party.contact)


def _person(branch: _Branch, person: Person) -> None:
    name = branch.add("Kisi")
    name.text("IlkAdi", person.name.first)
    name.text("Soyadi", person.name.last)
    name.text("IkinciAdi", person.name.middle)
    name.text("Unvan", person.name.title)
    name.text("OnEk", person.name.prefix)
    branch.text("TCKN", person.identity_number)
    branch.text("Gorev", person.duty)
    _contact(branch, person.contact)


def _contact(parent: _Branch, contact: Contact | None) -> None:
    if contact is None:
        return
    branch = parent.add("IletisimBilgisi")
    branch.text("Telefon", contact.phone)
    branch.text("TelefonDiger", contact.other_phone)
    branch.text("EPosta", contact.email)
    branch.text("KepAdresi", contact.kep_address)
    branch.text("Faks", contact.fax)
    branch.text("WebAdresi", contact.web_address)
    branch.text("Adres", contact.postal_address)
    branch.text("Il", contact.province)
    branch.text("Ilce", contact.district)
    branch.text("Ulke", contact.country)


def _annex(branch: _Branch, annex: Annex) -> None:
    branch.add("Id", Value=annex.id, EYazismaIdMi=_boolean(annex.is_document_id))
    branch.text("BelgeNo", annex.document_no)
    if annex.kind is not None:
        branch.text("Tur", token_of(annex.kind, ANNEX_KINDS))
    branch.text("DosyaAdi", annex.file_name)
    branch.text("MimeTuru", annex.media_type)
    branch.text("Ad", annex.name)
    branch.text("SiraNo", str(annex.order) if annex.order is not None else None)
    branch.text("Aciklama", annex.description)
    branch.text("Referans", annex.uri)
    branch.identifier("OzId", annex.local_id)
    if annex.signed is not None:
        branch.text("ImzaliMi", _boolean(annex.signed))
    if annex.digest is not None and annex.digest.algorithm and annex.digest.value:
        digest = branch.add("Ozet")
        digest.add("OzetAlgoritmasi", Algorithm=annex.digest.algorithm)
        digest.text("OzetDegeri", base64.b64encode(annex.digest.value).decode("ascii"))


def _reference(branch: _Branch, reference: Reference) -> None:
    branch.add("Id", Value=reference.id, EYazismaIdMi=_boolean(reference.is_document_id))
    branch.text("BelgeNo", reference.document_no)
    branch.time("Tarih", reference.date)
    branch.text("Etiket", reference.label)
    branch.text("EkId", reference.annex_id)
    branch.text("Ad", reference.name)
    branch.text("Aciklama", reference.description)
    branch.identifier("OzId", reference.local_id)


def _signatory(branch: _Branch, signatory: Signatory) -> None:
    for name, person in (
        ("Imzalayan", signatory.person),
        ("YetkiDevreden", signatory.delegated_by),
        ("VekaletVeren", signatory.acting_for),
    ):
        if person is not None:
            _person(branch.add(name), person)
    branch.text("Makam", signatory.office)
    branch.text("Amac", signatory.purpose)
    branch.text("Aciklama", signatory.note)
    branch.time("Tarih", signatory.signed_at)
    branch.text(LEGACY_SIGNATORY_ELEMENT, signatory.legacy_number)


def _file_plan(branch: _Branch, plan: FilePlanCode) -> None:
    branch.text("Kod", plan.code)
    branch.text("Ad", plan.name)
    branch.text("Aciklama", plan.description)


def _service(branch: _Branch, service: ServiceCode) -> None:
    branch.text("Kod", str(service.code) if service.code is not None else None)
    branch.text("Ad", service.name)
    branch.text("Tanim", service.definition)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
