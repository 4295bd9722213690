"""Invented upper-case Turkish names for generated units, people and places."""

from __future__ import annotations

from dataclasses import dataclass

PLACES = tuple(
    first + second
    for first in ("AK", "GÖK", "ULU", "ÇAM", "YEŞİL", "KIZIL", "İNCE", "IŞIK", "GÜMÜŞ", "ÖREN", "ŞAHİN", "BAĞ")
    for second in (
        "PINAR",
        "TEPE",
        "KAYA",
        "DERE",
        "YAZI",
        "BURUN",
        "GEÇİT",
        "YAMAÇ",
        "ÇAYIR",
        "HİSAR",
        "IRMAK",
        "KÖPRÜ",
    )
)
"""Province and district names; index 0 to 80 stand for provinces."""

PROVINCES = 81

TOPICS = (
    "STRATEJİ GELİŞTİRME", "PERSONEL", "BİLGİ İŞLEM", "DESTEK HİZMETLERİ", "HUKUK İŞLERİ", "DIŞ İLİŞKİLER",
    "YAPI İŞLERİ VE TEKNİK", "EĞİTİM VE YAYIN", "İÇ DENETİM", "ÖZEL KALEM", "ARŞİV VE BELGE YÖNETİMİ", "ÇEVRE VE İKLİM",
    "SAĞLIK HİZMETLERİ", "KÜLTÜR VE SOSYAL İŞLER", "ULAŞIM PLANLAMA", "SU VE TOPRAK KAYNAKLARI", "KIRSAL KALKINMA",
    "GENÇLİK VE SPOR HİZMETLERİ", "AFET VE ACİL DURUM", "TAPU VE ÖLÇME", "ENERJİ VERİMLİLİĞİ", "ÜRÜN GÜVENLİĞİ",
)  # fmt: skip

FIELDS = (
    "MÜHENDİSLİK", "FEN EDEBİYAT", "İKTİSADİ VE İDARİ BİLİMLER", "TIP", "EĞİTİM", "HUKUK", "ZİRAAT", "GÜZEL SANATLAR",
    "İLETİŞİM", "DİŞ HEKİMLİĞİ", "ORMAN", "SU ÜRÜNLERİ", "MİMARLIK", "İLAHİYAT", "VETERİNER", "SAĞLIK BİLİMLERİ",
)  # fmt: skip

GIVEN_NAMES = ("DENİZ", "IŞIL", "ÇAĞRI", "GÜNEŞ", "İLKAY", "ÖZGÜR", "ŞULE", "UMUT", "EVREN", "YAĞMUR")
SURNAMES = (
    "YAPRAKLI",
    "ÇINARCI",
    "TEPEGÖZLÜ",
    "IRMAKÇI",
    "GÖLBAŞLI",
    "ŞENKAYALI",
    "ÖRNEKOĞLU",
    "İNCESULU",
    "UZUNYAZI",
    "AKÇİÇEKLİ",
)
TITLES = ("BAŞKAN", "BAŞKAN YARDIMCISI", "GENEL MÜDÜR", "DAİRE BAŞKANI", "ŞUBE MÜDÜRÜ")


@dataclass(frozen=True)
class Branch:
    """One sort of main institution: name patterns by depth below it, with ``{topic}``, ``{field}``, ``{place}``."""

    category_id: int
    budget_id: int
    kind: str
    """Label of the kind that some of its units carry."""
    levels: tuple[tuple[str, ...], ...]


BRANCHES = (
    Branch(
        19, 1, "İL TEŞKİLATI",
        (
            ("{topic} BAKANLIĞI",),
            ("{topic} GENEL MÜDÜRLÜĞÜ", "{place} İL MÜDÜRLÜĞÜ", "{topic} BAŞKANLIĞI"),
            ("{topic} DAİRESİ BAŞKANLIĞI", "{place} İLÇE MÜDÜRLÜĞÜ"),
            ("{topic} ŞUBE MÜDÜRLÜĞÜ", "{topic} ŞEFLİĞİ"),
        ),
    ),
    Branch(
        132, 3, "FAKÜLTE",
        (
            ("{place} ÜNİVERSİTESİ REKTÖRLÜĞÜ",),
            ("{field} FAKÜLTESİ DEKANLIĞI", "{topic} DAİRE BAŞKANLIĞI", "{place} MESLEK YÜKSEKOKULU MÜDÜRLÜĞÜ"),
            ("{field} BÖLÜMÜ", "{topic} ŞUBE MÜDÜRLÜĞÜ"),
            ("{field} ANA BİLİM DALI BAŞKANLIĞI", "{topic} ŞEFLİĞİ"),
        ),
    ),
    Branch(
        204, 10, "BELEDİYE BİRİMİ",
        (
            ("{place} BELEDİYE BAŞKANLIĞI",),
            ("{topic} DAİRESİ BAŞKANLIĞI", "{topic} MÜDÜRLÜĞÜ"),
            ("{topic} ŞUBE MÜDÜRLÜĞÜ",),
            ("{topic} ŞEFLİĞİ", "{place} SEMT KONAĞI"),
        ),
    ),
    Branch(
        17, 1, "OKUL",
        (
            ("{place} VALİLİĞİ",),
            ("{place} KAYMAKAMLIĞI", "{topic} İL MÜDÜRLÜĞÜ"),
            ("{place} ORTAOKULU MÜDÜRLÜĞÜ", "{topic} İLÇE MÜDÜRLÜĞÜ", "{place} DEVLET HASTANESİ BAŞHEKİMLİĞİ"),
            ("{topic} ŞEFLİĞİ",),
        ),
    ),
    Branch(
        128, 7, "KURUL",
        (
            ("{topic} KURUMU BAŞKANLIĞI",),
            ("{topic} DAİRESİ BAŞKANLIĞI", "{place} BÖLGE MÜDÜRLÜĞÜ"),
            ("{topic} GRUP BAŞKANLIĞI",),
            ("{topic} ÇALIŞMA BİRİMİ",),
        ),
    ),
)  # fmt: skip

_BACK_VOWELS = "AIOU"
_VOWELS = "AEIİOÖUÜ"


def dative(name: str) -> str:
    """The addressee form of an upper-case name: ``… BAŞKANLIĞI`` becomes ``… BAŞKANLIĞINA``.

    Right for the endings that institution names have; other words only get a plausible ending.
    """
    vowels = [letter for letter in name if letter in _VOWELS]
    if not vowels:
        return name
    ending = "A" if vowels[-1] in _BACK_VOWELS else "E"
    if name[-1] in "IİUÜ":
        return f"{name}N{ending}"
    return f"{name}Y{ending}" if name[-1] in _VOWELS else name + ending
