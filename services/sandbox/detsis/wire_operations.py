"""What each operation answers: from a request and the register to the pieces of ``Sonuclar``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from services.sandbox.detsis.names import BRANCHES, PLACES, PROVINCES
from services.sandbox.detsis.register import KepEntry, Register, Unit
from services.sandbox.detsis.wire_answers import (
    NOT_FOUND_ENTRY,
    Value,
    entry_element,
    entry_fields,
    record_pieces,
    unit_element,
)
from services.sandbox.detsis.wire_contract import OPERATIONS, all_fields, shape
from services.sandbox.detsis.wire_letter import letter_record
from services.sandbox.detsis.wire_requests import SoapRequest

_SHORTEST_SEARCH = 5
_CONTACT_LABELS = {1: "Web Adresi", 2: "E-Posta", 4: "Telefon", 5: "Faks"}
_REGISTERED_AT = "2015-03-02T00:00:00"


class InBandFailure(Exception):  # noqa: N818 - an answer, not a defect
    """The call is answered with HTTP 200, SonucHatali and this text."""


@dataclass(frozen=True)
class Call:
    """One authenticated request together with what it may look at."""

    request: SoapRequest
    register: Register
    institution_no: int

    def number(self, name: str) -> int:
        """An int parameter; 0 when it was left out."""
        return self.request.numbers[name]


def answer_pieces(call: Call) -> Iterator[str]:
    """The content of ``Sonuclar``. Raises ``InBandFailure`` before the first piece, never later."""
    answer = _ANSWERS.get(call.request.operation)
    return iter(answer(call)) if answer else _record_list(call)


def _units(units: Iterable[Unit]) -> Iterable[str]:
    return map(unit_element, units)


def _entries(entries: Iterable[KepEntry]) -> Iterable[str]:
    return map(entry_element, entries)


def _correspondents(call: Call) -> Iterable[str]:
    try:
        date(call.number("pYil"), call.number("pAy"), call.number("pGun"))
    except ValueError as error:
        raise InBandFailure("Geçersiz tarih.") from error
    # The generated register has no change dates: like the known clients' early date, any day gets everything.
    return _units(call.register.correspondents())


def _one_unit(call: Call) -> Iterable[str]:
    unit = call.register.unit(call.number("DETSISNo"))
    return () if unit is None else _units((unit,))


def _by_name(call: Call) -> Iterable[str]:
    wanted = (call.request.texts["ad"] or "").strip()
    if len(wanted) < _SHORTEST_SEARCH:
        raise InBandFailure("Arama metni en az 5 karakter olmalıdır.")
    below = call.number("anaKurumIdareKimlikKodu")
    return _units(u for u in call.register.units() if wanted in u.name and below in {0, u.main_no})


def _by_detail(call: Call) -> Iterable[str]:
    place, category, status = call.number("yerKodu"), call.number("kategoriID"), call.number("statuID")
    return _units(
        unit
        for unit in call.register.units()
        if place in {0, unit.place_id or 0} and category in {0, unit.category_id} and status in {0, unit.status_id}
    )


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
    return record_pieces("eYazismaPaketi", letter_record(call.register, sender, known))


_ANSWERS: dict[str, Callable[[Call], Iterable[str]]] = {
    "YeniDisYazismaYapanlariGetirWs": _correspondents,
    "KendiTumBirimleriGetirWs": lambda call: _units(call.register.subtree(call.institution_no)),
    "AnaKurumlariGetirKurumBirimWs": lambda call: _units(call.register.main_institutions()),
    "DETSISNoKurumBirimWs": _one_unit,
    "HiyerarsiGetirKurumBirimWs": lambda call: _units(call.register.ancestors(call.number("DETSISNo"))),
    "AltKurulusBirimleriListele": lambda call: _units(call.register.children(call.number("arananKurum"))),
    "AdaGoreKurumBirimSorgulaWs": _by_name,
    "DetayBilgilereGoreSorgulaKurumBirimWs": _by_detail,
    "AktifKEPAdresleriniGetir": lambda call: _entries(call.register.active_kep_entries()),
    "KEPAdresleriniGetir": _addresses,
    "KEPAdresiKontrolEt": _address_owner,
    "eYazismaPaketi": _letter,
}


def _record_list(call: Call) -> Iterator[str]:
    records = _RECORDS[call.request.operation]
    items = all_fields(_list_type(call.request.operation))[0]
    for record in records(call):
        yield f"<{items.name}>"
        yield from record_pieces(items.type, record)
        yield f"</{items.name}>"


def _list_type(operation: str) -> str:
    wrapper = shape(OPERATIONS[operation].result)
    return next(field.type for field in wrapper.fields if field.name == "Sonuclar")


Record = dict[str, Value]


def _contacts(unit: Unit) -> Iterator[tuple[int, str]]:
    yield 1, f"https://birim-{unit.number}.example"
    yield 2, f"iletisim@birim-{unit.number}.example"
    yield 4, f"0 000 {unit.number % 1000:03} 00 00"
    yield 5, f"0 000 {unit.number % 1000:03} 00 01"


def _contact_records(units: Iterable[Unit]) -> Iterator[Record]:
    for unit in units:
        for kind, text in _contacts(unit):
            yield {"DetsisNo": unit.number, "Iletisim": text, "IletisimTip": kind, "IletisimAdi": _CONTACT_LABELS[kind]}


def _own_contacts(call: Call) -> Iterator[Record]:
    for unit in call.register.subtree(call.institution_no):
        for kind, text in _contacts(unit):
            yield {
                "KurumBirimId": unit.number,
                "KurumBirimAdi": unit.name,
                "KurumBirimHiyerarsi": ">".join(unit.path),
                "IletisimTipId": kind,
                "IletisimTip": _CONTACT_LABELS[kind],
                "IletisimBilgisi": text,
            }


def _one(call: Call, parameter: str) -> list[Unit]:
    unit = call.register.unit(call.number(parameter))
    return [] if unit is None else [unit]


def _budgets(call: Call) -> Iterator[Record]:
    budgets = {branch.category_id: branch.budget_id for branch in BRANCHES}
    for unit in call.register.main_institutions():
        yield {
            "DETSISNo": unit.number,
            "Ad": unit.name,
            "ParentIdareKimlikKodu": unit.parent_no,
            "AnaKurumIdareKimlikKodu": unit.main_no,
            "ParentIdareKimlikKodu2": unit.second_parent_no,
            "ButceTuruID": budgets[unit.category_id],
            "Fk_TuzelKisilikID": 1,
        }


def _certificates(call: Call, numbers: Iterable[int]) -> Iterator[Record]:
    for number in numbers:
        if (certificate := call.register.encryption_certificate(number)) is not None:
            yield {
                "DetsisId": number,
                "SertifikaDosya": certificate,
                "KayitTarihi": _REGISTERED_AT,
                "SonGuncellemeTarihi": _REGISTERED_AT,
                "Aktifmi": True,
            }


def _officers(call: Call) -> Iterator[Record]:
    yield {
        "Adi": "IŞIL",
        "Soyadi": "ÖRNEKOĞLU",
        "Telefon": "0 000 000 00 00",
        "Email": f"detsis@birim-{call.institution_no}.example",
        "Yetkisi": "DETSİS Yetkilisi",
    }


def _categories(_call: Call) -> Iterator[Record]:
    for branch in BRANCHES:
        yield {
            "ID": branch.category_id,
            "KurumBirimTipi1": branch.kind,
            "KurumBirimTipi1ParentID": 0,
            "AcilacakTip2ID": 1,
            "KayitTarihi": _REGISTERED_AT,
            "Aktifmi": True,
        }


def _places(_call: Call) -> Iterator[Record]:
    for index, name in enumerate(PLACES):
        yield {
            "ID": index + 1,
            "IlKodu": index % PROVINCES + 1,
            "YerAdi": name,
            "YerKodu": 1000 + index,
            "IlAdi": PLACES[index % PROVINCES],
            "Fk_YerTipiID": 1 if index < PROVINCES else 2,
            "Aktifmi": True,
            "YerTipi": "İL" if index < PROVINCES else "İLÇE",
        }


_RECORDS: dict[str, Callable[[Call], Iterable[Record]]] = {
    "AnaKurumlarButceTurleriGetirWs": _budgets,
    "TebligatNumarasiGetir": lambda call: ({"TebligatNo": f"35{u.number:013}"} for u in _one(call, "DetsisId")),
    "KurumEypVersiyonuGetir": lambda call: ({"Versiyon": "2.0"} for _ in _one(call, "DetsisIDs")),
    "EypGuncellenenleriGetir": lambda call: ({"DetsisIds": (call.institution_no,)},),
    "KurumSertifikaBilgileriniGetir": lambda call: _certificates(call, (call.number("DetsisIDs"),)),
    "SertifikalariGetir": lambda call: _certificates(call, call.register.numbers()),
    "KurumBirimIletisimBilgileriGetirWs": lambda call: _contact_records(_one(call, "detsisId")),
    "AnakurumIletisimBilgileriWs": lambda call: _contact_records(call.register.main_institutions()),
    "BirimleriminIletisimBilgileriniGetir": _own_contacts,
    "DetsisIslemYetkilisiBilgileriWs": _officers,
    "TumTip1KodlariGetirWs": _categories,
    "TumYerKodlariGetirWs": _places,
}
