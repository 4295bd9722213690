"""The service as data: its operations, types and names (kep.md 2.1 to 2.4). National names occur in wire modules only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

PATH = "/KepEYazismaV1.1/KepEYazismaCOREWSDL.php"
WRAPPERS = "http://ws.apache.org/axis2"
TYPES = "http://ws.apache.org/axis2/xsd"
MIME = "http://www.w3.org/2005/05/xmlmime"
SERVICE, PORT, BINDING, PORT_TYPE = "eyServis", "eyServisSOAPport_http", "eyServisSOAPBinding", "eyServisPortType"

BINARY = "base64Binary"
XSD_TYPES = frozenset({"string", "int", "boolean", "decimal", "dateTime"})

ENUMS: dict[str, tuple[str, ...]] = {
    "eyGirisTur": ("BASE", "OTP", "EIMZA"),
    "eyPaketTur": ("Standart", "ETEbligat", "EYazisma"),
    "eyIcerikTur": ("TEXT", "HTML"),
    "eyOzetAlg": ("SHA1", "SHA256", "SHA512"),
    "eyPart": ("ALL", "ORGM", "ORGMATTACH"),
}
"""Values are compared with their case."""


@dataclass(frozen=True)
class Field:
    """One child element. ``many``: any number of them; ``least`` 1 only where the real service says so."""

    name: str
    type: str = "string"
    many: bool = False
    nillable: bool = False
    least: int = 0
    default: str | None = None


@dataclass(frozen=True)
class Operation:
    """One operation: what ``param0`` is, and what stands in the answer's wrapper."""

    name: str
    parameter: str
    answer: tuple[Field, ...]
    nillable: bool = False
    """Of ``param0``."""
    answer_element: str = ""
    """Where it is not the name with ``Response`` behind it."""

    @property
    def response(self) -> str:
        """The answer's wrapper element."""
        return self.answer_element or f"{self.name}Response"


def _fields(*texts: str) -> tuple[Field, ...]:
    """``name``, ``name:type``, ``[]`` for any number of them, ``?`` for nillable, ``!`` for required, ``=`` for a default."""
    found = []
    for text in texts:
        declared, _, default = text.partition("=")
        name, _, kind = declared.rstrip("?![]").partition(":")
        marks = declared[len(declared.rstrip("?![]")) :]
        found.append(Field(name, kind or "string", "[" in marks, "?" in marks, int("!" in marks), default or None))
    return tuple(found)


_ACCOUNT = "kepHesap:eyKepHesapGirisP"
_LISTED = ("kepId[]?", "OrgMesajId[]?", "kepSiraNo:int[]?", "from[]?", "fromKep[]?", "konu[]?", "tur[]?", "turId[]?")

SHAPES: dict[str, tuple[Field, ...]] = {
    "eyKepHesapGirisP": _fields("kepHesap", "tcno", "parola", "sifre"),
    "eyGiris": _fields(_ACCOUNT, "girisTur:eyGirisTur"),
    "eyGuvenliGiris": _fields(_ACCOUNT, "girisTur:eyGirisTur", "smsKey", "eCadesBes:base64Binary", "eGuvenlikId"),
    "eyYukle": _fields(_ACCOUNT, "ePaket:base64Binary", "ePaketTur:eyPaketTur"),
    "eyYukleTebligat": _fields(
        _ACCOUNT, "ePaket:base64Binary", "BirimId", "BirimAdi", "Barkod", "Donuslu:boolean"
    ),
    "eyTevdiListesi": _fields(_ACCOUNT, "BirimId"),
    "eyTevdiListesiSil": _fields(_ACCOUNT, "TevdiListeNo"),
    "eyPaketSorgula": _fields(_ACCOUNT, "ilktarih:dateTime", "sontarih:dateTime", "dizin=INBOX"),
    "eyPaketKepId": _fields(_ACCOUNT, "kepId", "kepSiraNo:int", "dizin=INBOX"),
    "eyPaketDelilId": _fields(_ACCOUNT, "delilId"),
    "eyIndir": _fields(_ACCOUNT, "kepId", "kepSiraNo:int", "ePart:eyPart=ALL", "eGuvenlikId", "dizin=INBOX"),
    "eyYetkiliKayit": _fields(
        _ACCOUNT, "kepYetkiliTCNO", "kepYetkiliTel", "kepYetkiliEPosta", "kepYetkiliAdi", "kepYetkiliSoyadi",
        "islemTip=INSERT",
    ),
    "eyYetkiliSil": _fields(_ACCOUNT, "kepYetkiliTCNO", "kepYetkiliAdi", "kepYetkiliSoyadi"),
    "eyMimeYap": _fields(
        _ACCOUNT, "ePaketTur:eyPaketTur", "ePaketId", "kime", "konu", "icerik", "eIcerikTur:eyIcerikTur",
        "ekler:base64Binary[]", "eOzetAlg:eyOzetAlg",
    ),
    "eySmimeGonder": _fields(_ACCOUNT, "mesajid", "imza:base64Binary"),
    "eyGirisSonuc": _fields("durum", "hataaciklama", "eMetin", "eHash", "eGuvenlikId"),
    "eyGuvenliGirisSonuc": _fields("durum", "hataaciklama", "eGuvenlikId"),
    "eyMimeYapSonuc": _fields("durum", "hataaciklama", "eHash", "mesajid"),
    "eyDurumSonuc": _fields("durum:int?", "hataaciklama?"),
    "eyYukleSonuc": _fields("durum:int", "kepId", "hataaciklama"),
    "eyDonusBarkod": _fields("Alici", "Barkod"),
    "eyYukleTebligatSonuc": _fields("durum:int", "kepId", "DonusBarkod:eyDonusBarkod[]", "hataaciklama"),
    "eyTevdiListesiSonuc": _fields("durum:int", "hataaciklama", "TevdiListeNo", "ToplamUcret:decimal", "Barkod[]"),
    "kontorSonuc": _fields("miktar:decimal", "cins"),
    "eyPaketSonuc": _fields("durum:int[]?", *_LISTED, "hataaciklama[]?"),
    "eyPaketSonuc2": _fields(*_LISTED),
    "eyPaketSonuc3": _fields(*_LISTED),
    "eyPaketDelilSonuc": _fields(
        "durum:int[]?", "delilId[]?", "delilTurId:int[]?", "delilaciklama[]?", "tarih:dateTime[]?", "kephs[]?",
        "hataaciklama[]?",
    ),
    "eyPaketDetayDelilSonuc": _fields(
        "durum:int?!", "delilId?", "delilTurId:int?!", "delilaciklama?", "tarih:dateTime?!", "kephs?", "alici?",
        "hataaciklama?",
    ),
    "eyPaketDelilIndirSonuc": _fields("durum:int", "eDelil:base64Binary", "hataaciklama?"),
    "eyIndirSonuc": _fields("durum:int", "ePaket:base64Binary[]", "hataaciklama?"),
    "eyYetkiliKayitSonuc": _fields("durum:int?", "hataaciklama?", "parola", "sifre"),
}  # fmt: skip
"""Complex types: their children in the order of the sequence."""


def _operation(name: str, parameter: str, answer: str, *, nillable: bool = False) -> Operation:
    return Operation(name, parameter, (Field("return", answer, nillable=nillable),), nillable)


def _listing(name: str, element: str, item: str) -> Operation:
    answer = (Field("iletiler", item, many=True), *_fields("durum:int?!", "hataaciklama?"))
    return Operation(name, "eyPaketSorgula", answer, nillable=True, answer_element=element)


_ALL = (
    _operation("Giris", "eyGiris", "eyGirisSonuc"),
    _operation("GuvenliGiris", "eyGuvenliGiris", "eyGuvenliGirisSonuc"),
    _operation("Yukle", "eyYukle", "eyYukleSonuc"),
    _operation("MimeYap", "eyMimeYap", "eyMimeYapSonuc"),
    _operation("SmimeGonder", "eySmimeGonder", "eyDurumSonuc"),
    _operation("YukleTebligat", "eyYukleTebligat", "eyYukleTebligatSonuc"),
    _operation("TevdiListesiOlustur", "eyTevdiListesi", "eyTevdiListesiSonuc"),
    _operation("TevdiListesiSil", "eyTevdiListesiSil", "eyDurumSonuc"),
    _operation("PaketSorgula", "eyPaketSorgula", "eyPaketSonuc", nillable=True),
    _listing("PaketSorgula2", "PaketSorgulaResponse2", "eyPaketSonuc2"),
    _listing("PaketSorgula3", "PaketSorgulaResponse3", "eyPaketSonuc3"),
    _operation("Indir", "eyIndir", "eyIndirSonuc", nillable=True),
    _operation("AlindiOnay", "eyPaketKepId", "eyDurumSonuc", nillable=True),
    _operation("PaketSil", "eyPaketKepId", "eyDurumSonuc", nillable=True),
    _operation("PaketDelilSorgula", "eyPaketKepId", "eyPaketDelilSonuc", nillable=True),
    Operation(
        "PaketDetayDelilSorgula",
        "eyPaketKepId",
        (
            Field("DelilSonuc", "eyPaketDetayDelilSonuc", many=True, nillable=True),
            *_fields("durum:int?!", "hataaciklama?"),
        ),
        nillable=True,
    ),
    _operation("PaketDelilIndir", "eyPaketDelilId", "eyPaketDelilIndirSonuc", nillable=True),
    _operation("KontorSorgula", "eyKepHesapGirisP", "kontorSonuc", nillable=True),
    Operation(
        "KotaSorgula", "eyKepHesapGirisP", (Field("return", "int", nillable=True, least=1),), nillable=True
    ),
    Operation("IstatistikSorgula", "eyKepHesapGirisP", (Field("sonuc", nillable=True),), nillable=True),
    Operation("DizinSorgula", "eyKepHesapGirisP", (Field("return", many=True, nillable=True),), nillable=True),
    _operation("YetkiliKayit", "eyYetkiliKayit", "eyYetkiliKayitSonuc"),
    _operation("YetkiliSil", "eyYetkiliSil", "eyDurumSonuc"),
)  # fmt: skip
OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}
NOT_OFFERED = frozenset(
    {
        *("YukleTebligat", "TevdiListesiOlustur", "TevdiListesiSil", "YetkiliKayit", "YetkiliSil"),
        *("TumKontorSorgula", "RehberGercekKisiSorgula", "RehberTuzelKisiSorgula", "RehberTopluKontrol"),
    }
)
"""The service has them, this one does not; the fields of the last four are not known (kep.md 2.3)."""

WsdlVariant: TypeAlias = Literal["same", "new_operation", "renamed_element"]


def operations(variant: WsdlVariant = "same") -> tuple[Operation, ...]:
    """All operations, or those of a service that has moved on (kep.md 7.26)."""
    if variant == "new_operation":
        return (*_ALL, _operation("TumKontorSorgula", "eyKepHesapGirisP", "kontorSonuc", nillable=True))
    return _ALL


def shapes(variant: WsdlVariant = "same") -> dict[str, tuple[Field, ...]]:
    """All complex types, or those of a service that has moved on."""
    if variant != "renamed_element":
        return SHAPES
    return {**SHAPES, "eyPaketKepId": _fields(_ACCOUNT, "kepId", "kepSiraNo:int", "klasor=INBOX")}
