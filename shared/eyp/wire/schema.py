"""Element orders of both generations as data (eyp.md 2): what the official XSDs say, corrected.

One line is one sequence. ``Name:type`` is one element, ``?`` makes it optional, ``*`` and ``+``
repeat it, ``A:x|B:y`` is a choice. A type written in capitals is another line; the others are simple.
``!`` is for an element that must be there, but whose absence (with ``*``: whose emptiness) has a rule of its
own, so that it is reported once. A type with attributes has them in ``ATTRIBUTES``. ``wire.xsd`` makes the
XML Schemas of these lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.eyp.model import Generation

_PARTY = "KurumKurulus:Organisation|GercekSahis:Person|TuzelSahis:LegalEntity"
_CONTACT = "EPosta?:text {kep} Faks?:text WebAdresi?:text Adres?:text Il?:text Ilce?:text Ulke?:text"
_ANNEX_FILES = (
    "BelgeNo?:text Tur:annexKind DosyaAdi?:text MimeTuru?:text Ad?:text SiraNo!:int Aciklama?:text Referans?:anyURI "
    "OzId?:identifier ImzaliMi?:boolean Ozet?:AnnexDigest"
)

_COMMON: dict[str, str] = {
    "DistributionList": "Dagitim*!:Distribution",
    "Distribution": f"{_PARTY}! Ivedilik:urgency DagitimTuru:purpose Miat?:duration KonulmamisEkListesi?:WithheldList",
    "WithheldList": "KonulmamisEk*!:Withheld",
    "Withheld": "EkId!:guid",
    "Party": _PARTY,
    "LegalEntity": "Id!:identifier Adi?:text IletisimBilgisi?:Contact",
    "Person": "Kisi!:PersonName TCKN?:person Gorev?:text IletisimBilgisi?:Contact",
    "PersonName": "IlkAdi!:text Soyadi!:text IkinciAdi?:text Unvan?:text OnEk?:text",
    "AnnexList": "Ek+:Annex",
    "Annex": f"Id!:id {_ANNEX_FILES}",
    "AnnexDigest": "OzetAlgoritmasi!:algorithm OzetDegeri!:base64",
    "ReferenceList": "Ilgi+:Reference",
    "Reference": "Id!:id BelgeNo?:text Tarih?:dateTime Etiket!:text EkId?:guid Ad?:text Aciklama?:text OzId?:identifier",
    "RelatedList": "Ilgili+:Party",
    "SignatoryList": "Imza*!:Signatory",
    "Destinations": "HedefListesi:DestinationList",
    "DestinationList": "Hedef+:Party",
    "EncryptionNote": "URI*:anyURI",
}
_SIGNATORY = (
    "Imzalayan!:Person YetkiDevreden?:Person VekaletVeren?:Person Makam?:text Amac?:text Aciklama?:text Tarih?:dateTime"
)
_METADATA_HEAD = "GuvenlikKodu:security GuvenlikKoduGecerlilikTarihi?:dateTime MimeTuru?:text OzId?:identifier"
_METADATA_BODY = (
    "DagitimListesi!:DistributionList Ekler?:AnnexList Ilgiler?:ReferenceList Dil?:language Olusturan:Party "
    "IlgiliListesi?:RelatedList DosyaAdi!:text"
)

_LINES: dict[Generation, dict[str, str]] = {
    Generation.V1: {
        **_COMMON,
        "Metadata": f"BelgeId!:guid Konu!:text Tarih!:dateTime BelgeNo!:text {_METADATA_HEAD} {_METADATA_BODY}",
        "Organisation": "KKK!:number BYK?:text Adi?:text IletisimBilgisi?:Contact",
        "Contact": f"Telefon?:text {_CONTACT.format(kep='')}",
        "Signatory": f"{_SIGNATORY} TCYK?:text",
        "Signatories": "ImzaListesi:OlderSignatoryList",
        "OlderSignatoryList": "Imza+:Signatory",
    },
    Generation.V2: {
        **_COMMON,
        "Metadata": (
            f"BelgeId!:guid Konu!:text {_METADATA_HEAD} {_METADATA_BODY} "
            "SdpBilgisi?:FilePlans HeyskListesi?:ServiceList DogrulamaBilgisi!:Verification"
        ),
        "Organisation": "KKK!:number Adi?:text IletisimBilgisi?:Contact BirimKKK?:number",
        "Contact": f"Telefon?:text TelefonDiger?:text {_CONTACT.format(kep='KepAdresi?:text')}",
        "Signatory": _SIGNATORY,
        "FilePlans": "AnaSdp!:FilePlan DigerSdpler?:OtherFilePlans",
        "OtherFilePlans": "SdpListesi*:FilePlan",
        "FilePlan": "Kod!:text Ad!:text Aciklama?:text",
        "ServiceList": "Heysk+:Service",
        "Service": "Kod!:int Ad!:text Tanim?:text",
        "Verification": "DogrulamaAdresi!:text",
        "FinalMetadata": "Tarih!:dateTime BelgeNo!:text BelgeImzalar!:SignatoryList",
        "UpdateNote": "Guncellemeler*!:Update",
        "Update": "GuncellemeTuru!:text GuvenlikKoduDegisiklikBilgisi!:DegreeChange",
        "DegreeChange": (
            "YeniGizlilikDerecesi!:security DegistirmeTarihi!:dateTime Aciklama!:text KomisyonKarariBelgeNo!:text "
            "KomisyonKarariBelgeId!:text"
        ),
    },
}

PARTIES = frozenset({"KurumKurulus", "GercekSahis", "TuzelSahis"})
"""The choice that says who: of these there is one."""
ATTRIBUTES: dict[str, dict[str, str]] = {"id": {"EYazismaIdMi": "boolean"}}
"""What elements of a simple type must carry besides, and its type; ids themselves have rules of their own."""
RECOMMENDED = frozenset({"BirimKKK", "Adi", "TCKN", "Gorev", "Unvan", "Ad", "Amac", "Adres", "Il", "Ilce", "Ulke"})
"""Elements that may be left out, but not be there with nothing in them (eyp.md 6.2, R.42)."""
INFORMING = frozenset({"EncryptionNote"})
"""Documents that only inform people: those of another namespace of the family are read all the same."""


@dataclass(frozen=True)
class Particle:
    """One place in a sequence: which elements may stand there, of which type, how often."""

    types: dict[str, str]
    required: bool
    """Whether this check reports its absence."""
    repeated: bool
    mandatory: bool
    """Whether it must be there, whoever reports it."""

    @property
    def label(self) -> str:
        """The element names, for messages."""
        return "|".join(self.types)


def _particle(text: str) -> Particle:
    marks = set(text) & set("?*+!")
    types = {}
    for choice in text.translate(dict.fromkeys(map(ord, "?*+!"))).split("|"):
        name, _, type_name = choice.partition(":")
        types[name] = type_name
    required = not marks & set("?*!")
    return Particle(types, required, repeated=bool(marks & set("*+")), mandatory=required or "!" in marks)


SEQUENCES: dict[Generation, dict[str, tuple[Particle, ...]]] = {
    generation: {name: tuple(map(_particle, line.split())) for name, line in lines.items()}
    for generation, lines in _LINES.items()
}


@dataclass(frozen=True)
class Root:
    """A document: the schema its root element is in, the element's name, its content type.

    ``children`` is the schema of all elements below.
    """

    schema: str
    element: str
    sequence: str
    children: str = "Tipler"


ROOTS: dict[Generation, dict[str, Root]] = {
    Generation.V1: {
        "Metadata": Root("Ustveri", "Ustveri", "Metadata"),
        "Destinations": Root("BelgeHedef", "BelgeHedef", "Destinations"),
        "Signatories": Root("BelgeImza", "BelgeImza", "Signatories"),
        "EncryptionNote": Root(
            "SifreliIcerikBilgisi", "SifreliIcerikBilgisi", "EncryptionNote", children="SifreliIcerikBilgisi"
        ),
    },
    Generation.V2: {
        "Metadata": Root("Ustveri", "UstVeri", "Metadata"),
        "Destinations": Root("BelgeHedef", "BelgeHedef", "Destinations"),
        "FinalMetadata": Root("NihaiUstveri", "NihaiUstVeri", "FinalMetadata"),
        "EncryptionNote": Root("Tipler", "SifreliIcerikBilgisi", "EncryptionNote"),
        "UpdateNote": Root("Tipler", "GuncellemeBilgisi", "UpdateNote"),
    },
}
