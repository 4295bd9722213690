"""The register's code lists and the file plan, all invented apart from the category and budget ids (detsis.md 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from services.sandbox.detsis.names import PLACES, PROVINCES, TOPICS

OTHER_STATUS = 99


@dataclass(frozen=True)
class Category:
    """``Tip1``. ``opens_status_id`` links it to the status its units may have; 0 means any."""

    number: int
    label: str
    plural: str
    parent_id: int = 0
    opens_status_id: int = 0
    active: bool = True


@dataclass(frozen=True)
class Status:
    """``Tip2`` with its part of the addressee line: the ending ``cut`` from a name and the one ``added``."""

    number: int
    label: str
    plural: str
    cut: str | None
    added: str | None
    used: bool = True
    active: bool = True


@dataclass(frozen=True)
class Place:
    """One province or district. ``code`` is another number than ``number``, as in the real list."""

    number: int
    name: str
    code: int
    province_code: int
    province: str
    kind_id: int
    kind: str
    dialling_code: str | None
    active: bool = True


@dataclass(frozen=True)
class FilePlanCode:
    """One line of a file plan. ``parts`` are up to four numbers; ``years`` None on headings."""

    number: int
    parts: tuple[str, ...]
    title: str
    years: str | None
    counted_from: str | None
    fate: str | None
    note: str | None = None
    active: bool = True

    @property
    def code(self) -> str:
        """The parts, joined with points."""
        return ".".join(self.parts)


CATEGORIES = (
    Category(16, "MECLİS", "MECLİS BİRİMLERİ"),
    Category(17, "VALİLİK", "VALİLİKLER"),
    Category(19, "BAKANLIK", "BAKANLIKLAR", opens_status_id=1),
    Category(125, "YÜKSEK YARGI ORGANI", "YÜKSEK YARGI ORGANLARI"),
    Category(127, "BAĞLI KURULUŞ", "BAĞLI KURULUŞLAR", parent_id=19),
    Category(128, "İLGİLİ KURULUŞ", "İLGİLİ KURULUŞLAR", parent_id=19),
    Category(129, "İLİŞKİLİ KURULUŞ", "İLİŞKİLİ KURULUŞLAR", parent_id=19),
    Category(132, "YÜKSEKÖĞRETİM KURUMU", "YÜKSEKÖĞRETİM KURUMLARI", opens_status_id=4),
    Category(204, "BELEDİYE", "BELEDİYELER"),
    Category(205, "İL ÖZEL İDARESİ", "İL ÖZEL İDARELERİ"),
    Category(214, "ŞİRKET", "ŞİRKETLER"),
    Category(998, "KALDIRILMIŞ KATEGORİ", "KALDIRILMIŞ KATEGORİLER", active=False),
)

STATUSES = (
    Status(1, "BAKANLIK", "BAKANLIKLAR", "BAKANLIĞI", "BAKANLIĞINA"),
    Status(2, "BAŞKANLIK", "BAŞKANLIKLAR", "BAŞKANLIĞI", "BAŞKANLIĞINA"),
    Status(3, "MÜDÜRLÜK", "MÜDÜRLÜKLER", "MÜDÜRLÜĞÜ", "MÜDÜRLÜĞÜNE"),
    Status(4, "REKTÖRLÜK", "REKTÖRLÜKLER", "REKTÖRLÜĞÜ", "REKTÖRLÜĞÜNE"),
    Status(5, "DEKANLIK", "DEKANLIKLAR", "DEKANLIĞI", "DEKANLIĞINA"),
    Status(6, "VALİLİK", "VALİLİKLER", "VALİLİĞİ", "VALİLİĞİNE"),
    Status(7, "KAYMAKAMLIK", "KAYMAKAMLIKLAR", "KAYMAKAMLIĞI", "KAYMAKAMLIĞINA"),
    Status(8, "BÖLÜM", "BÖLÜMLER", "BÖLÜMÜ", "BÖLÜMÜNE"),
    Status(9, "ŞEFLİK", "ŞEFLİKLER", "ŞEFLİĞİ", "ŞEFLİĞİNE"),
    Status(10, "BAŞHEKİMLİK", "BAŞHEKİMLİKLER", "BAŞHEKİMLİĞİ", "BAŞHEKİMLİĞİNE"),
    Status(11, "SEMT KONAĞI", "SEMT KONAKLARI", "KONAĞI", "KONAĞINA"),
    Status(12, "ÇALIŞMA BİRİMİ", "ÇALIŞMA BİRİMLERİ", "BİRİMİ", "BİRİMİNE"),
    Status(97, "KALDIRILMIŞ STATÜ", "KALDIRILMIŞ STATÜLER", None, None, used=False, active=False),
    Status(98, "KULLANILMAYAN STATÜ", "KULLANILMAYAN STATÜLER", None, None, used=False),
    Status(OTHER_STATUS, "DİĞER", "DİĞERLERİ", None, None),
)
_STATUS_BY_ENDING = {status.cut: status.number for status in STATUSES if status.cut}

BUDGETS = {
    1: "Genel Bütçeli İdareler", 3: "Özel Bütçeli İdareler", 7: "Düzenleyici ve Denetleyici Kurumlar",
    9: "Sosyal Güvenlik Kurumları", 10: "Mahalli İdareler", 12: "Diğer",
}  # fmt: skip
LEGAL_PERSONS = {1: "Tüzel kişiliği var", 2: "Tüzel kişiliği yok"}
CONTACT_LABELS = {1: "Web Adresi", 2: "E-Posta", 3: "Çağrı Merkezi", 4: "Telefon", 5: "Faks", 6: "Sosyal Medya"}

_COMMON_PLAN = (
    (("010",), "DENEME MEVZUATI", None, None, None),
    (("010", "01"), "İÇ KURALLAR", "10 yıl", "Yürürlükten kalkınca", "A"),
    (("010", "02"), "GENELGELER", "10 yıl", "Yürürlükten kalkınca", "A"),
    (("020",), "YAZI VE ARŞİV", None, None, None),
    (("020", "01"), "GELEN VE GİDEN YAZILAR", "5 yıl", "Yıl sonunda", "C"),
    (("020", "02"), "ELEKTRONİK YAZIŞMA", None, None, None),
    (("020", "02", "01"), "KEP HESAPLARI", "10 yıl", "Hesap kapanınca", "B"),
    (("020", "02", "02"), "ŞİFRELEME SERTİFİKALARI", "10 yıl", "Süresi dolunca", "B"),
    (("020", "02", "02", "01"), "YENİLEME İSTEKLERİ", "5 yıl", "Yıl sonunda", "C"),
    (("030",), "TOPLANTI VE ZİYARET", "5 yıl", "Yıl sonunda", "C"),
    (("900",), "ÖRNEK PERSONEL İŞLERİ", None, None, None),
    (("900", "01"), "GÖREVLENDİRMELER", "15 yıl", "İşlem bitince", "B"),
    (("990",), "YÜRÜRLÜKTEN KALKAN KONU", "5 yıl", "Yıl sonunda", "C"),
)


@lru_cache
def status_of(ending: str) -> int:
    """The status id of a unit whose name ends with this word."""
    return _STATUS_BY_ENDING.get(ending, OTHER_STATUS)


@lru_cache
def places() -> tuple[Place, ...]:
    """Provinces first; the last one is closed and belongs to no unit."""
    found = [
        Place(
            number=index + 1,
            name=name,
            code=1000 + index,
            province_code=index % PROVINCES + 1,
            province=PLACES[index % PROVINCES],
            kind_id=1 if index < PROVINCES else 2,
            kind="İL" if index < PROVINCES else "İLÇE",
            dialling_code=f"{200 + index}" if index < PROVINCES else None,
        )
        for index, name in enumerate(PLACES)
    ]
    last = len(PLACES)
    found.append(Place(last + 1, "KAPATILAN İLÇE", 1000 + last, 1, PLACES[0], 2, "İLÇE", None, active=False))
    return tuple(found)


def file_plan(institution_no: int) -> Iterator[FilePlanCode]:
    """The lines everybody has, then two of the institution's own."""
    for order, (parts, title, years, counted_from, fate) in enumerate(_COMMON_PLAN, start=1):
        note = "Örnek dipnot" if order % 4 == 0 else None
        yield FilePlanCode(order, parts, title, years, counted_from, fate, note, active=parts != ("990",))
    for place in range(2):
        topic = TOPICS[(institution_no // 7 + place) % len(TOPICS)]
        code = f"{100 + (institution_no + place * 11) % 500:03}"
        number = 100_000 + institution_no % 100_000 * 10 + place * 2
        yield FilePlanCode(number, (code,), f"{topic} ÇALIŞMALARI", None, None, None)
        yield FilePlanCode(number + 1, (code, "01"), f"{topic} RAPORLARI", "10 yıl", "Yıl sonunda", "B")
