"""The correspondence package: what a letter of this sender to these recipients has to say (EK-3/4 a to j)."""

from __future__ import annotations

from collections.abc import Sequence

from services.sandbox.detsis.names import GIVEN_NAMES, SURNAMES, TITLES, dative
from services.sandbox.detsis.register import Register, Unit
from services.sandbox.detsis.wire_answers import Value

_UP, _DOWN, _BOTH = "Arz ederim.", "Rica ederim.", "Arz ve rica ederim."
_MANY = "DAĞITIM YERLERİNE"


def letter_record(register: Register, sender: Unit, recipients: Sequence[Unit]) -> dict[str, Value]:
    """The fields of ``eYazismaPaketi``. Unknown recipients were left out before, as the real one does."""
    names = [dative(unit.name) for unit in recipients]
    return {
        "MuhatapBilgi": [_recipient(register, unit) for unit in recipients],
        "ImzaYetkilileri": [_manager(unit) for unit in (sender, *register.ancestors(sender.number))],
        "Antet": "\n".join(("T.C.", *sender.path[:2])),
        "MuhatapAd": _MANY if len(names) > 1 else next(iter(names), None),
        "RYSayiDetsisNo": str(sender.number),
        "ArzRica": _closing(register, sender, recipients),
        "GonderenTelefonNumarasi": f"0 000 {sender.number % 1000:03} 00 00",
        "GonderenFaksNumarasi": f"0 000 {sender.number % 1000:03} 00 01",
        "GonderenEPostaAdresi": f"iletisim@birim-{sender.number}.example",
        "GonderenInternetSitesiAdresi": f"https://birim-{sender.number}.example",
        "GonderenAdresi": sender.postal_address,
        "DagitimListesi": "\n".join(names) if len(names) > 1 else None,
    }


def _recipient(register: Register, unit: Unit) -> dict[str, Value]:
    active = next((entry for entry in register.kep_entries(unit.number) if entry.active), None)
    return {
        "MuhatapKepAdresi": active.address if active else None,
        "MuhatapKepTipi": "1" if active else None,
        "MuhatapSifrelemeSertifikasi": register.encryption_certificate(unit.number),
        "KurumID": unit.number,
        "MuhatapAdresi": unit.postal_address,
        "MuhatapAd": dative(unit.name),
    }


def _manager(unit: Unit) -> dict[str, Value]:
    return {
        "TCYoneticiKodu": 1_000_000 + unit.number % 1_000_000,
        "YoneticiAd": GIVEN_NAMES[unit.number % len(GIVEN_NAMES)],
        "YoneticiSoyad": SURNAMES[unit.number // 7 % len(SURNAMES)],
        "VekaletTuru": "Vekaleten" if unit.number % 11 == 0 else None,
        "Unvan": TITLES[min(unit.level, len(TITLES) - 1)],
        "DetsisNo": unit.number,
    }


def _closing(register: Register, sender: Unit, recipients: Sequence[Unit]) -> str:
    below = {any(above.number == sender.number for above in register.ancestors(unit.number)) for unit in recipients}
    if below == {True}:
        return _DOWN
    return _BOTH if below == {True, False} else _UP
