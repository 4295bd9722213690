"""Code lists, places and the file plan on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireCategory:
    """One category, as text."""

    code: str | None
    label: str | None
    plural: str | None
    parent: str | None
    opens_status: str | None
    active: str | None


@dataclass(slots=True)
class WireStatus:
    """One status, as text."""

    code: str | None
    label: str | None
    plural: str | None
    parent: str | None
    addressee_removed: str | None
    addressee_added: str | None
    used: str | None
    active: str | None


@dataclass(slots=True)
class WirePlace:
    """One place, as text."""

    place: str | None
    name: str | None
    place_code: str | None
    province_code: str | None
    province_name: str | None
    kind_id: str | None
    kind: str | None
    active: str | None
    phone_area_code: str | None


@dataclass(slots=True)
class WireFilePlanEntry:
    """One entry of a file plan, as text."""

    entry: str | None
    code: str | None
    title: str | None
    main_code: str | None
    first_part: str | None
    second_part: str | None
    third_part: str | None
    retention_years: str | None
    retention_phase: str | None
    retention_code: str | None
    footnote: str | None
    explanation: str | None
    type_flag: str | None
    group_start: str | None
    group_end: str | None
    level: str | None
    active: str | None


CATEGORY = RowShape(
    "ResKurumBirimTipleri1",
    WireCategory,
    (
        "ID",
        "KurumBirimTipi1",
        "KurumBirimTipi1CogulAdi",
        "KurumBirimTipi1ParentID",
        "AcilacakTip2ID",
        "Aktifmi",
    ),
    unread=("KayitTarihi",),
)
CATEGORY_LIST = CATEGORY.contract
STATUS = RowShape(
    "ResKurumBirimTipleri2",
    WireStatus,
    (
        "ID",
        "KurumBirimTipi2",
        "KurumBirimTipi2CogulAdi",
        "KurumBirimTipi2ParentID",
        "ResmiYaziKesilecekMuhatapBolumu",
        "ResmiYaziEklenecekMuhatapBolumu",
        "Used",
        "Aktifmi",
    ),
    unread=("KayitTarihi",),
)
STATUS_LIST = STATUS.contract
PLACE = RowShape(
    "ResYerKodlari",
    WirePlace,
    ("ID", "YerAdi", "YerKodu", "IlKodu", "IlAdi", "Fk_YerTipiID", "YerTipi", "Aktifmi", "TelefonAlanKodu"),
)
PLACE_LIST = PLACE.contract
FILE_PLAN_ENTRY = RowShape(
    "KodlarWsObj",
    WireFilePlanEntry,
    (
        "ID",
        "Kod",
        "KonuAdi",
        "AnaKod",
        "AltKod1",
        "AltKod2",
        "AltKod3",
        "SaklamaSuresi",
        "SaklamaZaman",
        "SaklamaKodu",
        "DipNot",
        "Aciklama",
        "Tip",
        "GrupBaslangici",
        "GrupBitisi",
        "Seviye",
        "Aktifmi",
    ),
)
FILE_PLAN_LIST = FILE_PLAN_ENTRY.contract
