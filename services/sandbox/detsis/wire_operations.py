"""What each operation answers: from a request and the register to the pieces of ``Sonuclar``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from services.sandbox.detsis.codes import places
from services.sandbox.detsis.register import KepEntry, Register, Unit
from services.sandbox.detsis.wire_answers import (
    NOT_FOUND_ENTRY,
    entry_element,
    entry_fields,
    record_pieces,
    unit_element,
)
from services.sandbox.detsis.wire_contract import OPERATIONS, all_fields, shape
from services.sandbox.detsis.wire_letter import letter_record
from services.sandbox.detsis.wire_records import RECORDS
from services.sandbox.detsis.wire_requests import SoapRequest

_SHORTEST_SEARCH = 5


OWN_TREE = "KendiTumBirimleriGetirWs"


class InBandFailure(Exception):  # noqa: N818 - an answer, not a defect
    """The call is answered with HTTP 200, SonucHatali and this text."""


DEEP_CHILDREN, DELTA_HIDES_CLOSED = "detsis.deep_children", "detsis.delta_hides_closed"


@dataclass(frozen=True)
class Call:
    """One authenticated request together with what it may look at.

    ``variants`` names the ways of behaving, unknown of the real service, that were ordered for this call.
    """

    request: SoapRequest
    register: Register
    institution_no: int
    today: date
    variants: frozenset[str] = frozenset()

    def number(self, name: str) -> int:
        """An int parameter; 0 when it was left out."""
        return self.request.numbers[name]


def answer_pieces(call: Call) -> Iterator[str]:
    """The content of ``Sonuclar``. Raises ``InBandFailure`` before the first piece, never later."""
    answer = _ANSWERS.get(call.request.operation)
    return iter(answer(call)) if answer else _record_list(call)


def row_start(operation: str) -> bytes:
    """How each row of a list begins; something that begins nothing where the answer is no list."""
    items = all_fields(_list_type(operation))[0]
    return f"<{items.name}>".encode() if items.repeated else b"\0"


def kept_parameters(call: Call) -> str | None:
    """What a long answer depends on besides the register; None for the short ones, which nobody keeps."""
    request = call.request
    if request.operation not in _LONG:
        return None
    own = f"{call.institution_no} " if request.operation in _OWN else ""
    dates = [f"{name}={moment}" for name, moment in request.moments.items()]
    numbers = [f"{name}={number}" for name, number in request.numbers.items()]
    return own + " ".join([*dates, *numbers, *sorted(call.variants)])


def _units(units: Iterable[Unit]) -> Iterable[str]:
    return map(unit_element, units)


def _entries(entries: Iterable[KepEntry]) -> Iterable[str]:
    return map(entry_element, entries)


def _correspondents(call: Call) -> Iterable[str]:
    try:
        since = date(call.number("pYil"), call.number("pAy"), call.number("pGun"))
    except ValueError as error:
        raise InBandFailure("Geçersiz tarih.") from error
    units = call.register.correspondents(since)
    if DELTA_HIDES_CLOSED in call.variants and call.register.is_delta(since):
        units = (unit for unit in units if unit.active and unit.external_addressee)
    return _units(units)


def _own_units(call: Call) -> Iterable[str]:
    since = call.request.moments["degisiklikTarihiBaslangic"]
    return _units(call.register.subtree(call.institution_no, None if since is None else since.date()))


def _one_unit(call: Call) -> Iterable[str]:
    unit = call.register.unit(call.number("DETSISNo"))
    return () if unit is None else _units((unit,))


def _below(call: Call) -> Iterable[str]:
    number = call.number("arananKurum")
    if DEEP_CHILDREN in call.variants:
        return _units(unit for unit in call.register.subtree(number) if unit.number != number)
    return _units(call.register.children(number))


def _by_name(call: Call) -> Iterable[str]:
    wanted = (call.request.texts["ad"] or "").strip()
    if len(wanted) < _SHORTEST_SEARCH:
        raise InBandFailure("Arama metni en az 5 karakter olmalıdır.")
    below = call.number("anaKurumIdareKimlikKodu")
    return _units(call.register.named(wanted, below))


def _by_detail(call: Call) -> Iterable[str]:
    place, province = call.number("yerKodu"), call.number("IlKodu")
    category, status = call.number("kategoriID"), call.number("statuID")
    if place == province == 0:
        units = call.register.units()
    else:
        units = call.register.placed(
            {found.number for found in places() if place in {0, found.code} and province in {0, found.province_code}}
        )
    return _units(unit for unit in units if category in {0, unit.category_id} and status in {0, unit.status_id})


def _addresses(call: Call) -> Iterable[str]:
    return _entries(
        entry for number in call.request.number_lists["DetsisIDs"] for entry in call.register.kep_entries(number)
    )


def _address_owner(call: Call) -> Iterable[str]:
    return (entry_fields(call.register.owner(call.request.texts["KepAdresi"] or "") or NOT_FOUND_ENTRY),)


def _letter(call: Call) -> Iterable[str]:
    sender = call.register.unit(call.number("gonderenDetsisID"))
    if sender is None:
        raise InBandFailure("Gönderen birim bulunamadı.")
    recipients = [call.register.unit(number) for number in call.request.number_lists["muhatapDetsisIDs"]]
    known = [unit for unit in recipients if unit is not None]
    return record_pieces("eYazismaPaketi", letter_record(call.register, sender, known, call.today))


_ANSWERS: dict[str, Callable[[Call], Iterable[str]]] = {
    "YeniDisYazismaYapanlariGetirWs": _correspondents,
    "KendiTumBirimleriGetirWs": _own_units,
    "AnaKurumlariGetirKurumBirimWs": lambda call: _units(call.register.main_institutions()),
    "DETSISNoKurumBirimWs": _one_unit,
    "HiyerarsiGetirKurumBirimWs": lambda call: _units(call.register.ancestors(call.number("DETSISNo"))),
    "AltKurulusBirimleriListele": _below,
    "AdaGoreKurumBirimSorgulaWs": _by_name,
    "DetayBilgilereGoreSorgulaKurumBirimWs": _by_detail,
    "AktifKEPAdresleriniGetir": lambda call: _entries(call.register.active_kep_entries()),
    "KEPAdresleriniGetir": _addresses,
    "KEPAdresiKontrolEt": _address_owner,
    "eYazismaPaketi": _letter,
}


_OWN = frozenset({OWN_TREE, "BirimleriminIletisimBilgileriniGetir"})
_LONG = _OWN | {
    "YeniDisYazismaYapanlariGetirWs",
    "AnaKurumlariGetirKurumBirimWs",
    "AnaKurumlarButceTurleriGetirWs",
    "AktifKEPAdresleriniGetir",
    "SertifikalariGetir",
    "SertifikaSahiplikleriniGetir",
    "AnakurumIletisimBilgileriWs",
}


def _record_list(call: Call) -> Iterator[str]:
    items = all_fields(_list_type(call.request.operation))[0]
    for record in RECORDS[call.request.operation](call.register, call.request, call.institution_no, call.today):
        yield f"<{items.name}>" + "".join(record_pieces(items.type, record)) + f"</{items.name}>"


def _list_type(operation: str) -> str:
    wrapper = shape(OPERATIONS[operation].result)
    return next(field.type for field in wrapper.fields if field.name == "Sonuclar")
