"""The service's contract as data: names, types, order and cardinality of everything it sends and takes.

Field notation: ``name:type``, then ``?`` optional, ``*`` repeated, ``~`` nillable. ``base <`` in
front of the fields derives the type. Types without an entry are those of XML Schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

NAMESPACE = "http://kaysis.gov.tr/"
SERVICE = "DETSISServis"
PORT_11, PORT_12 = "BBDETSISWS", "BBDETSISWS1"
HEADER = "BbServiceAuthentication"


@dataclass(frozen=True)
class Field:
    """One child element of a type."""

    name: str
    type: str
    optional: bool
    repeated: bool
    nillable: bool


@dataclass(frozen=True)
class Shape:
    """One complex type."""

    base: str | None
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Operation:
    """One operation: its parameters, the type of its result and what it is for."""

    name: str
    parameters: tuple[Field, ...]
    result: str
    purpose: str


def _fields(notation: str) -> tuple[Field, ...]:
    fields = []
    for word in notation.split():
        name, _, rest = word.partition(":")
        kind = rest.rstrip("?*~")
        marks = rest[len(kind) :]
        fields.append(Field(name, kind, "?" in marks or "*" in marks, "*" in marks, "~" in marks))
    return tuple(fields)


@lru_cache
def shape(name: str) -> Shape:
    """The complex type called ``name``. Raises ``KeyError`` for another name."""
    notation = _TYPES[name]
    base, mark, own = notation.partition("<")
    return Shape(base.strip(), _fields(own)) if mark else Shape(None, _fields(notation))


@lru_cache
def all_fields(name: str) -> tuple[Field, ...]:
    """Fields of a type in the order they are written: inherited ones first."""
    found = shape(name)
    return (*all_fields(found.base), *found.fields) if found.base else found.fields


def is_complex(name: str) -> bool:
    """Whether the type is one of this contract rather than one of XML Schema."""
    return name in _TYPES


def _result(items: str) -> str:
    return f"SonucHatali:boolean Sonuclar:{items}? HataMsj:string?"


_TYPES: dict[str, str] = {
    "TablesBase": "",
    HEADER: "KurumID:string? Password:string?",
    "ArrayOfInt": "int:int*",
    "ArrayOfString": "string:string*~",
    "SonuclarOOfKurumBirimWS": _result("ArrayOfKurumBirimWS"),
    "SonucO": _result("ArrayOfKurumBirimWS") + " TestSonuc:ArrayOfString?",
    "ArrayOfKurumBirimWS": "KurumBirimWS:KurumBirimWS*~",
    "KurumBirimWS": (
        "TablesBase < DETSISNo:int Ad:string? ParentIdareKimlikKodu:int AnaKurumIdareKimlikKodu:int "
        "Fk_BulunduguYerID:int~ Fk_KurumBirimTipID1:int Fk_KurumBirimTipID2:int KurumHiyerarsik:string? "
        "Aktifmi:string? KurumBirimTip3ler:ArrayOfKurumBirimTip3WS? ParentIdareKimlikKodu2:int "
        "FaalOlupOlmadigi:boolean Seviye:int DisYazismaMuhatabiOlupOlmadigi:boolean Adres:string? YerAdi:string?"
    ),
    "ArrayOfKurumBirimTip3WS": "KurumBirimTip3WS:KurumBirimTip3WS*~",
    "KurumBirimTip3WS": "TablesBase < ID:int DETSISNo:int Fk_KurumBirimTip3ID:int TipAdi:string?",
    "SonuclarOOfKepBilgileriWs": _result("ArrayOfKepBilgileriWs"),
    "SonucOOfKepBilgileriWs": "SonucHatali:boolean Sonuclar:KepBilgileriWs HataMsj:string?",
    "ArrayOfKepBilgileriWs": "KepBilgileriWs:KepBilgileriWs*",
    "KepBilgileriWs": "KurumDetsisNo:int KepAdresi:string? Aktifmi:boolean Durum:string?",
    "SonucOOfeYazismaPaketi": _result("eYazismaPaketi"),
    "eYazismaPaketi": (
        "TablesBase < MuhatapBilgi:ArrayOfEYazismaMuhatapBilgileri? ImzaYetkilileri:ArrayOfEyazismaImzaYetkilisi? "
        "Antet:string? MuhatapAd:string? RYSayiDetsisNo:string? ArzRica:string? GonderenTelefonNumarasi:string? "
        "GonderenFaksNumarasi:string? GonderenEPostaAdresi:string? GonderenInternetSitesiAdresi:string? "
        "GonderenAdresi:string? DagitimListesi:string?"
    ),
    "ArrayOfEYazismaMuhatapBilgileri": "eYazismaMuhatapBilgileri:eYazismaMuhatapBilgileri*~",
    "eYazismaMuhatapBilgileri": (
        "TablesBase < MuhatapKepAdresi:string? MuhatapKepTipi:string? MuhatapSifrelemeSertifikasi:base64Binary? "
        "KurumID:int MuhatapAdresi:string? MuhatapAd:string?"
    ),
    "ArrayOfEyazismaImzaYetkilisi": "EyazismaImzaYetkilisi:EyazismaImzaYetkilisi*~",
    "EyazismaImzaYetkilisi": "ImzaYetkilisi < VekaletTuru:string? Unvan:string? DetsisNo:int",
    "ImzaYetkilisi": "TablesBase < TCYoneticiKodu:int YoneticiAd:string? YoneticiSoyad:string?",
    "SonucIletisimBilgileri": _result("ArrayOfIletisimBilgileriWS"),
    "ArrayOfIletisimBilgileriWS": "IletisimBilgileriWS:IletisimBilgileriWS*~",
    "IletisimBilgileriWS": "TablesBase < DetsisNo:int Iletisim:string? IletisimTip:int IletisimAdi:string?",
    "SonuclarOOfKurumBirimIletisim": _result("ArrayOfKurumBirimIletisim"),
    "ArrayOfKurumBirimIletisim": "KurumBirimIletisim:KurumBirimIletisim*~",
    "KurumBirimIletisim": (
        "TablesBase < KurumBirimId:int KurumBirimAdi:string? KurumBirimHiyerarsi:string? IletisimTipId:int "
        "IletisimTip:string? IletisimBilgisi:string?"
    ),
    "SonuclarOOfAnaKurumlarButceTurleri": _result("ArrayOfAnaKurumlarButceTurleri"),
    "ArrayOfAnaKurumlarButceTurleri": "AnaKurumlarButceTurleri:AnaKurumlarButceTurleri*~",
    "AnaKurumlarButceTurleri": (
        "DETSISNo:int Ad:string? ParentIdareKimlikKodu:int AnaKurumIdareKimlikKodu:int ParentIdareKimlikKodu2:int "
        "ButceTuruID:int ButceTuru:string? Fk_TuzelKisilikID:int TuzelKisilik:string?"
    ),
    "SonuclarOOfTebligatNumarasiWs": _result("ArrayOfTebligatNumarasiWs"),
    "ArrayOfTebligatNumarasiWs": "TebligatNumarasiWs:TebligatNumarasiWs*~",
    "TebligatNumarasiWs": "TebligatNo:string?",
    "SonuclarOOfElektronikYazismaVersiyon": _result("ArrayOfElektronikYazismaVersiyon"),
    "ArrayOfElektronikYazismaVersiyon": "ElektronikYazismaVersiyon:ElektronikYazismaVersiyon*~",
    "ElektronikYazismaVersiyon": "Versiyon:string?",
    "SonuclarOOfYeniEYazismaVersiyonListe": _result("ArrayOfYeniEYazismaVersiyonListe"),
    "ArrayOfYeniEYazismaVersiyonListe": "YeniEYazismaVersiyonListe:YeniEYazismaVersiyonListe*~",
    "YeniEYazismaVersiyonListe": "DetsisIds:ArrayOfInt?",
    "SonuclarOOfSertifika": _result("ArrayOfSertifika"),
    "ArrayOfSertifika": "Sertifika:Sertifika*~",
    "Sertifika": (
        "DetsisId:int SertifikaDosya:base64Binary? KayitTarihi:dateTime SonGuncellemeTarihi:dateTime "
        "GecerlilikTarihi:string? Aktifmi:boolean"
    ),
    "SonuclarOOfDetsisKullanici": _result("ArrayOfDetsisKullanici"),
    "ArrayOfDetsisKullanici": "DetsisKullanici:DetsisKullanici*~",
    "DetsisKullanici": "TablesBase < Adi:string? Soyadi:string? Telefon:string? Email:string? Yetkisi:string?",
    "SonucResTip1": _result("ArrayOfResKurumBirimTipleri1"),
    "ArrayOfResKurumBirimTipleri1": "ResKurumBirimTipleri1:ResKurumBirimTipleri1*~",
    "ResKurumBirimTipleri1": (
        "TablesBase < ID:int KurumBirimTipi1:string? KurumBirimTipi1ParentID:int AcilacakTip2ID:int "
        "KurumBirimTipi1CogulAdi:string? KayitTarihi:dateTime Aktifmi:boolean"
    ),
    "SonucResTip2": _result("ArrayOfResKurumBirimTipleri2"),
    "ArrayOfResKurumBirimTipleri2": "ResKurumBirimTipleri2:ResKurumBirimTipleri2*~",
    "ResKurumBirimTipleri2": (
        "TablesBase < ID:int KurumBirimTipi2:string? KurumBirimTipi2ParentID:int KurumBirimTipi2CogulAdi:string? "
        "ResmiYaziEklenecekMuhatapBolumu:string? ResmiYaziKesilecekMuhatapBolumu:string? KayitTarihi:dateTime "
        "Used:boolean Aktifmi:boolean"
    ),
    "SonuclarOOfKodlarWsObj": _result("ArrayOfKodlarWsObj"),
    "ArrayOfKodlarWsObj": "KodlarWsObj:KodlarWsObj*~",
    "KodlarWsObj": (
        "TablesBase < ID:int AnaKod:string? AltKod1:string? AltKod2:string? AltKod3:string? KonuAdi:string? "
        "SaklamaSuresi:string? SaklamaZaman:string? SaklamaKodu:string? DipNot:string? Aciklama:string? "
        "Aktifmi:boolean Tip:boolean GrupBaslangici:string? GrupBitisi:string? Kod:string? Seviye:string?"
    ),
    "SonuclarOOfDevletTeskilatiKutukWs": _result("ArrayOfDevletTeskilatiKutukWs"),
    "ArrayOfDevletTeskilatiKutukWs": "DevletTeskilatiKutukWs:DevletTeskilatiKutukWs*~",
    "DevletTeskilatiKutukWs": (
        "DETSISNo:int Ad:string? DevletTeskilatiKutukNo:string? AnaKurumDetsisNo:int KurumHiyerarsik:string? "
        "Aktifmi:string?"
    ),
    "SonuclarOOfEYazismaSertifikaSahipligi": _result("ArrayOfEYazismaSertifikaSahipligi"),
    "ArrayOfEYazismaSertifikaSahipligi": "EYazismaSertifikaSahipligi:EYazismaSertifikaSahipligi*~",
    "EYazismaSertifikaSahipligi": "KurumBirimId:int SertifikaSahibiKurumId:int",
    "SonuclarOOfIyemYoneticiObj": _result("ArrayOfIyemYoneticiObj"),
    "ArrayOfIyemYoneticiObj": "IyemYoneticiObj:IyemYoneticiObj*~",
    "IyemYoneticiObj": (
        "ID:int Ad:string? KurumHiyerarsik:string? ParentIdareKimlikKodu:string? UnvanAdi:string? YoneticiKodu:int "
        "YoneticiAdiSoyadi:string? DogumTarihi:dateTime~ Yasi:int YasGrup:string? HukukiDayanak:string? "
        "GorevTuru:string? GorevBaslamaTarihi:dateTime~ GorevBitisTarihi:dateTime~ Aktifmi:boolean"
    ),
    "SonucResYerKod": _result("ArrayOfResYerKodlari"),
    "ArrayOfResYerKodlari": "ResYerKodlari:ResYerKodlari*~",
    "ResYerKodlari": (
        "TablesBase < ID:int IlKodu:int YerAdi:string? YerKodu:int IlAdi:string? Fk_YerTipiID:int Aktifmi:boolean "
        "TelefonAlanKodu:string? YerTipi:string?"
    ),
}

_UNITS = "SonuclarOOfKurumBirimWS"
_ADDRESSES = "SonuclarOOfKepBilgileriWs"

OPERATIONS: dict[str, Operation] = {
    name: Operation(name, _fields(parameters), result, purpose)
    for name, parameters, result, purpose in (
        ("YeniDisYazismaYapanlariGetirWs", "pGun:int pAy:int pYil:int", _UNITS, "Units that correspond with others"),
        ("KendiTumBirimleriGetirWs", "degisiklikTarihiBaslangic:dateTime~", _UNITS, "The caller's own tree"),
        ("AnaKurumlariGetirKurumBirimWs", "", _UNITS, "Main institutions"),
        ("AnaKurumlarButceTurleriGetirWs", "", "SonuclarOOfAnaKurumlarButceTurleri", "Budget types"),
        ("DETSISNoKurumBirimWs", "DETSISNo:int", "SonucO", "One unit by its number"),
        ("HiyerarsiGetirKurumBirimWs", "DETSISNo:int", _UNITS, "Units above a unit"),
        ("AltKurulusBirimleriListele", "arananKurum:int", _UNITS, "Units directly below a unit"),
        ("AdaGoreKurumBirimSorgulaWs", "ad:string? anaKurumIdareKimlikKodu:int", _UNITS, "Search by name"),
        (
            "DetayBilgilereGoreSorgulaKurumBirimWs",
            "yerKodu:int kategoriID:int statuID:int IlKodu:int",
            _UNITS,
            "Search by place, category and status",
        ),
        (
            "KutukNodanDetsisNoGetir",
            "kutukNoList:ArrayOfString?",
            "SonuclarOOfDevletTeskilatiKutukWs",
            "Units by their former register numbers",
        ),
        ("AktifKEPAdresleriniGetir", "", _ADDRESSES, "Every active KEP address"),
        ("KEPAdresleriniGetir", "DetsisIDs:ArrayOfInt?", _ADDRESSES, "KEP addresses of some units"),
        ("KEPAdresiKontrolEt", "KepAdresi:string?", "SonucOOfKepBilgileriWs", "Owner of a KEP address"),
        ("TebligatNumarasiGetir", "DetsisId:int", "SonuclarOOfTebligatNumarasiWs", "UETS number"),
        ("KurumEypVersiyonuGetir", "DetsisIDs:int", "SonuclarOOfElektronikYazismaVersiyon", "EYP versions of a unit"),
        ("EypGuncellenenleriGetir", "", "SonuclarOOfYeniEYazismaVersiyonListe", "Units with a new EYP version"),
        ("KurumSertifikaBilgileriniGetir", "DetsisIDs:int", "SonuclarOOfSertifika", "Certificates of a unit"),
        ("SertifikalariGetir", "baslangicTarihi:dateTime", "SonuclarOOfSertifika", "Certificates since a day"),
        (
            "SertifikaSahiplikleriniGetir",
            "baslangicTarihi:dateTime",
            "SonuclarOOfEYazismaSertifikaSahipligi",
            "Whose certificate serves a unit, changed since a day",
        ),
        (
            "eYazismaPaketi",
            "gonderenDetsisID:int muhatapDetsisIDs:ArrayOfInt?",
            "SonucOOfeYazismaPaketi",
            "What a letter needs to know about its sender and recipients",
        ),
        ("KurumBirimIletisimBilgileriGetirWs", "detsisId:int", "SonucIletisimBilgileri", "Contacts of a unit"),
        ("AnakurumIletisimBilgileriWs", "", "SonucIletisimBilgileri", "Contacts of main institutions"),
        ("BirimleriminIletisimBilgileriniGetir", "", "SonuclarOOfKurumBirimIletisim", "Contacts of own units"),
        ("DetsisIslemYetkilisiBilgileriWs", "", "SonuclarOOfDetsisKullanici", "The caller's register officers"),
        (
            "IYEMKurumYoneticisiGetirWs",
            "KurumID:int Tarih:dateTime~",
            "SonuclarOOfIyemYoneticiObj",
            "Manager of a unit on a day",
        ),
        ("IYEMTumYoneticileriGetirWs", "KurumID:int", "SonuclarOOfIyemYoneticiObj", "Every manager a unit has had"),
        ("IYEMYoneticiIDdenGorevListesiGetirWs", "YoneticiID:int", "SonuclarOOfIyemYoneticiObj", "Posts of a manager"),
        ("TumTip1KodlariGetirWs", "", "SonucResTip1", "Categories"),
        ("TumTip2KodlariGetirWs", "", "SonucResTip2", "Statuses, with their part of the addressee line"),
        ("KurumSDPKodlariGetirWs", "IdariKimlikKodu:int", "SonuclarOOfKodlarWsObj", "File plan of an institution"),
        ("TumYerKodlariGetirWs", "", "SonucResYerKod", "Places"),
    )
}
