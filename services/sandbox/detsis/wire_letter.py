"""The correspondence package: what a letter of this sender to these recipients has to say (EK-3/4 a to j)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from services.sandbox.detsis.names import dative
from services.sandbox.detsis.people import first_contact, manager_on
from services.sandbox.detsis.register import Register, Unit
from services.sandbox.detsis.wire_answers import Value

_UP, _DOWN, _BOTH = "Arz ederim.", "Rica ederim.", "Arz ve rica ederim."
_MANY = "DAĞITIM YERLERİNE"


def letter_record(register: Register, sender: Unit, recipients: Sequence[Unit], today: date) -> dict[str, Value]:
    """The fields of ``eYazismaPaketi``. Unknown recipients were left out before, as the real one does."""
    names = [dative(unit.name) for unit in recipients]
    return {
        "MuhatapBilgi": [_recipient(register, unit) for unit in recipients],
        "ImzaYetkilileri": [
            manager for unit in (sender, *register.ancestors(sender.number)) for manager in _manager(unit, today)
        ],
        "Antet": "\n".join(("T.C.", *sender.path[:2])),
        "MuhatapAd": _MANY if len(names) > 1 else next(iter(names), None),
        "RYSayiDetsisNo": str(sender.number),
        "ArzRica": _closing(register, sender, recipients),
        "GonderenTelefonNumarasi": first_contact(sender, 4),
        "GonderenFaksNumarasi": first_contact(sender, 5),
        "GonderenEPostaAdresi": first_contact(sender, 2),
        "GonderenInternetSitesiAdresi": first_contact(sender, 1),
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


def _manager(unit: Unit, today: date) -> Iterator[dict[str, Value]]:
    post = manager_on(unit, today)
    if post is not None:
        yield {
            "TCYoneticiKodu": post.manager_code,
            "YoneticiAd": post.given_name,
            "YoneticiSoyad": post.surname,
            "VekaletTuru": "Vekaleten" if post.acting else None,
            "Unvan": post.title,
            "DetsisNo": unit.number,
        }


def _closing(register: Register, sender: Unit, recipients: Sequence[Unit]) -> str:
    below = {any(above.number == sender.number for above in register.ancestors(unit.number)) for unit in recipients}
    if below == {True}:
        return _DOWN
    return _BOTH if below == {True, False} else _UP
