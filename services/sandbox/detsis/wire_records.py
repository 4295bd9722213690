"""The answers that are lists of small records: from the register to field names of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from itertools import islice

from services.sandbox.detsis.codes import (
    BUDGETS,
    CATEGORIES,
    CONTACT_LABELS,
    LEGAL_PERSONS,
    STATUSES,
    file_plan,
    places,
)
from services.sandbox.detsis.names import BRANCHES
from services.sandbox.detsis.people import (
    Post,
    contacts,
    manager_on,
    officers,
    posts,
    register_number,
    uets_number,
    unit_of_manager,
    unit_of_register_number,
)
from services.sandbox.detsis.register import Register, Unit
from services.sandbox.detsis.units import CertificateRow
from services.sandbox.detsis.wire_answers import Value
from services.sandbox.detsis.wire_requests import SoapRequest

Record = dict[str, Value]
Answer = Callable[[Register, SoapRequest, int, date], Iterable[Record]]
"""Register, request, the caller's institution and the register's day → records."""

_VERSION_GROUP = 100
"""Institutions in one list of the list of lists."""
_REGISTERED_AT = "2015-03-02T00:00:00"
_BUDGET_OF_CATEGORY = {branch.category_id: branch.budget_id for branch in BRANCHES}


def moment(day: date) -> str:
    """Midnight of a day, Turkish time without a zone."""
    return f"{day.isoformat()}T00:00:00"


def _one(register: Register, number: int) -> list[Unit]:
    unit = register.unit(number)
    return [] if unit is None else [unit]


def _contact_records(units: Iterable[Unit]) -> Iterator[Record]:
    for unit in units:
        for contact in contacts(unit):
            yield {
                "DetsisNo": unit.number,
                "Iletisim": contact.text,
                "IletisimTip": contact.kind,
                "IletisimAdi": CONTACT_LABELS[contact.kind],
            }


def _unit_contacts(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    return _contact_records(_one(register, request.numbers["detsisId"]))


def _main_contacts(register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    return _contact_records(register.main_institutions())


def _own_contacts(register: Register, _request: SoapRequest, institution: int, _today: date) -> Iterator[Record]:
    for unit in register.subtree(institution):
        for contact in contacts(unit):
            yield {
                "KurumBirimId": unit.number,
                "KurumBirimAdi": unit.name,
                "KurumBirimHiyerarsi": ">".join(unit.path),
                "IletisimTipId": contact.kind,
                "IletisimTip": CONTACT_LABELS[contact.kind],
                "IletisimBilgisi": contact.text,
            }


def _budgets(register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for unit in register.main_institutions():
        budget = _BUDGET_OF_CATEGORY.get(unit.category_id, 12)
        legal_person = 1 if unit.category_id in {132, 204, 128} else 2
        yield {
            "DETSISNo": unit.number,
            "Ad": unit.name,
            "ParentIdareKimlikKodu": unit.parent_no,
            "AnaKurumIdareKimlikKodu": unit.main_no,
            "ParentIdareKimlikKodu2": unit.second_parent_no,
            "ButceTuruID": budget,
            "ButceTuru": BUDGETS[budget],
            "Fk_TuzelKisilikID": legal_person,
            "TuzelKisilik": LEGAL_PERSONS[legal_person],
        }


def _former_numbers(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for text in request.text_lists["kutukNoList"]:
        number = unit_of_register_number(text)
        unit = None if number is None else register.unit(number)
        if unit is not None and register_number(unit) is not None:
            yield {
                "DETSISNo": unit.number,
                "Ad": unit.name,
                "DevletTeskilatiKutukNo": register_number(unit),
                "AnaKurumDetsisNo": unit.main_no,
                "KurumHiyerarsik": ">".join(unit.path),
                "Aktifmi": str(unit.active),
            }


def _uets(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for unit in _one(register, request.numbers["DetsisId"]):
        if (number := uets_number(unit)) is not None:
            yield {"TebligatNo": number}


def _certificate_records(rows: Iterable[CertificateRow]) -> Iterator[Record]:
    for row in rows:
        yield {
            "DetsisId": row.number,
            "SertifikaDosya": row.content,
            "KayitTarihi": moment(row.registered_on),
            "SonGuncellemeTarihi": moment(row.updated_on),
            "GecerlilikTarihi": row.valid_until.strftime("%d.%m.%Y"),
            "Aktifmi": row.active,
        }


def _certificates(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    return _certificate_records(register.certificates(request.numbers["DetsisIDs"]))


def _all_certificates(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    return _certificate_records(register.all_certificates(_since(request)))


def _certificate_owners(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for number, owner in register.certificate_owners(_since(request)):
        yield {"KurumBirimId": number, "SertifikaSahibiKurumId": owner}


def _since(request: SoapRequest) -> date:
    since = request.moments["baslangicTarihi"]
    return date.min if since is None else since.date()


def _versions(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for version in register.eyp_versions(request.numbers["DetsisIDs"]):
        yield {"Versiyon": version}


def _updated_versions(register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    numbers = register.eyp_updated()
    while group := tuple(islice(numbers, _VERSION_GROUP)):
        yield {"DetsisIds": group}


def _officers(_register: Register, _request: SoapRequest, institution: int, _today: date) -> Iterator[Record]:
    for officer in officers(institution):
        yield {
            "Adi": officer.given_name,
            "Soyadi": officer.surname,
            "Telefon": officer.phone,
            "Email": officer.email,
            "Yetkisi": officer.role,
        }


def _post_record(unit: Unit, post: Post, today: date) -> Record:
    age = post.age_on(today)
    return {
        "ID": post.number,
        "Ad": unit.name,
        "KurumHiyerarsik": " > ".join(unit.path),
        "ParentIdareKimlikKodu": str(unit.parent_no),
        "UnvanAdi": post.title,
        "YoneticiKodu": post.manager_code,
        "YoneticiAdiSoyadi": f"{post.given_name} {post.surname}",
        # The real service sends them; whoever reads it has to leave them out.
        "DogumTarihi": moment(post.born),
        "Yasi": age,
        "YasGrup": f"{age // 10 * 10}-{age // 10 * 10 + 9}",
        "HukukiDayanak": "Örnek atama kararı",
        "GorevTuru": "Vekaleten" if post.acting else "Asaleten",
        "GorevBaslamaTarihi": moment(post.began),
        "GorevBitisTarihi": None if post.ended is None else moment(post.ended),
        "Aktifmi": post.ended is None or post.ended > today,
    }


def _manager(register: Register, request: SoapRequest, _institution: int, today: date) -> Iterator[Record]:
    wanted: datetime | None = request.moments["Tarih"]
    for unit in _one(register, request.numbers["KurumID"]):
        if (post := manager_on(unit, today if wanted is None else wanted.date())) is not None:
            yield _post_record(unit, post, today)


def _managers(register: Register, request: SoapRequest, _institution: int, today: date) -> Iterator[Record]:
    for unit in _one(register, request.numbers["KurumID"]):
        for post in posts(unit):
            yield _post_record(unit, post, today)


def _posts_of_manager(register: Register, request: SoapRequest, _institution: int, today: date) -> Iterator[Record]:
    code = request.numbers["YoneticiID"]
    for unit in _one(register, unit_of_manager(code)):
        for post in posts(unit):
            if post.manager_code == code:
                yield _post_record(unit, post, today)


def _categories(_register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for category in CATEGORIES:
        yield {
            "ID": category.number,
            "KurumBirimTipi1": category.label,
            "KurumBirimTipi1ParentID": category.parent_id,
            "AcilacakTip2ID": category.opens_status_id,
            "KurumBirimTipi1CogulAdi": category.plural,
            "KayitTarihi": _REGISTERED_AT,
            "Aktifmi": category.active,
        }


def _statuses(_register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for status in STATUSES:
        yield {
            "ID": status.number,
            "KurumBirimTipi2": status.label,
            "KurumBirimTipi2ParentID": 0,
            "KurumBirimTipi2CogulAdi": status.plural,
            "ResmiYaziEklenecekMuhatapBolumu": status.added,
            "ResmiYaziKesilecekMuhatapBolumu": status.cut,
            "KayitTarihi": _REGISTERED_AT,
            "Used": status.used,
            "Aktifmi": status.active,
        }


def _places(_register: Register, _request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for place in places():
        yield {
            "ID": place.number,
            "IlKodu": place.province_code,
            "YerAdi": place.name,
            "YerKodu": place.code,
            "IlAdi": place.province,
            "Fk_YerTipiID": place.kind_id,
            "Aktifmi": place.active,
            "TelefonAlanKodu": place.dialling_code,
            "YerTipi": place.kind,
        }


def _file_plan(register: Register, request: SoapRequest, _institution: int, _today: date) -> Iterator[Record]:
    for unit in _one(register, request.numbers["IdariKimlikKodu"]):
        for line in file_plan(unit.main_no):
            parts = (*line.parts, None, None, None)
            yield {
                "ID": line.number,
                "AnaKod": parts[0],
                "AltKod1": parts[1],
                "AltKod2": parts[2],
                "AltKod3": parts[3],
                "KonuAdi": line.title,
                "SaklamaSuresi": line.years,
                "SaklamaZaman": line.counted_from,
                "SaklamaKodu": line.fate,
                "DipNot": line.note,
                "Aktifmi": line.active,
                "Tip": line.number >= 100_000,
                "GrupBaslangici": "100" if line.number >= 100_000 else "000",
                "GrupBitisi": "599" if line.number >= 100_000 else "099",
                "Kod": line.code,
                "Seviye": str(len(line.parts)),
            }


RECORDS: dict[str, Answer] = {
    "AnaKurumlarButceTurleriGetirWs": _budgets,
    "KutukNodanDetsisNoGetir": _former_numbers,
    "TebligatNumarasiGetir": _uets,
    "KurumEypVersiyonuGetir": _versions,
    "EypGuncellenenleriGetir": _updated_versions,
    "KurumSertifikaBilgileriniGetir": _certificates,
    "SertifikalariGetir": _all_certificates,
    "SertifikaSahiplikleriniGetir": _certificate_owners,
    "KurumBirimIletisimBilgileriGetirWs": _unit_contacts,
    "AnakurumIletisimBilgileriWs": _main_contacts,
    "BirimleriminIletisimBilgileriniGetir": _own_contacts,
    "DetsisIslemYetkilisiBilgileriWs": _officers,
    "IYEMKurumYoneticisiGetirWs": _manager,
    "IYEMTumYoneticileriGetirWs": _managers,
    "IYEMYoneticiIDdenGorevListesiGetirWs": _posts_of_manager,
    "TumTip1KodlariGetirWs": _categories,
    "TumTip2KodlariGetirWs": _statuses,
    "KurumSDPKodlariGetirWs": _file_plan,
    "TumYerKodlariGetirWs": _places,
}
