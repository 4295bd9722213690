"""Calls with their parameters by wire name, whose spelling is uneven and must be kept.

A misspelt parameter is read by the service as 0, without an error (detsis.md 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

from services.detsis_sync.soap.wire.operations import Call, Operation


def external_units_call(since: date) -> Call:
    """Units able to correspond, changed since a day; an early day asks for all of them."""
    return Call(Operation.EXTERNAL_UNITS, {"pGun": since.day, "pAy": since.month, "pYil": since.year})


def own_units_call(changed_since: datetime | None) -> Call:
    """The caller's own tree; ``changed_since`` is a naive Turkish local time, None asks for everything."""
    return Call(Operation.OWN_UNITS, {"degisiklikTarihiBaslangic": changed_since})


def unit_call(number: int) -> Call:
    """One unit by its number."""
    return Call(Operation.UNIT, {"DETSISNo": number})


def ancestors_call(number: int) -> Call:
    """The units above one unit."""
    return Call(Operation.ANCESTORS, {"DETSISNo": number})


def children_call(number: int) -> Call:
    """The units below one unit."""
    return Call(Operation.CHILDREN, {"arananKurum": number})


def units_by_name_call(name: str, main_institution: int | None) -> Call:
    """Units with such a name, of one main institution or (0 on the wire) of all."""
    return Call(Operation.UNITS_BY_NAME, {"ad": name, "anaKurumIdareKimlikKodu": main_institution or 0})


def units_by_detail_call(place_code: int, category_id: int, status_id: int, province_code: int) -> Call:
    """Units by place, category, status and province; 0 leaves one open."""
    parameters = {"yerKodu": place_code, "kategoriID": category_id, "statuID": status_id, "IlKodu": province_code}
    return Call(Operation.UNITS_BY_DETAIL, parameters)


def numbers_of_former_call(former_numbers: Sequence[str]) -> Call:
    """The units that once had these numbers of the older register."""
    return Call(Operation.NUMBERS_OF_FORMER, {"kutukNoList": {"string": list(former_numbers)}})


def kep_addresses_call(numbers: Sequence[int]) -> Call:
    """The addresses of some units. A bare Python list would lose all but its first item in zeep."""
    return Call(Operation.KEP_ADDRESSES, {"DetsisIDs": {"int": list(numbers)}})


def address_owner_call(address: str) -> Call:
    """Who owns an address."""
    return Call(Operation.ADDRESS_OWNER, {"KepAdresi": address})


def uets_numbers_call(number: int) -> Call:
    """The UETS numbers of one unit."""
    return Call(Operation.UETS_NUMBERS, {"DetsisId": number})


def certificates_of_unit_call(number: int) -> Call:
    """The certificates of one institution; the name of the parameter is a plural, its type one int."""
    return Call(Operation.CERTIFICATES_OF_UNIT, {"DetsisIDs": number})


def certificates_call(since: date) -> Call:
    """Certificates uploaded since a day; an early day asks for all of them."""
    return Call(Operation.CERTIFICATES, {"baslangicTarihi": _start_of(since)})


def certificate_owners_call(since: date) -> Call:
    """Whose certificate serves which unit, changed since a day."""
    return Call(Operation.CERTIFICATE_OWNERS, {"baslangicTarihi": _start_of(since)})


def eyp_versions_call(number: int) -> Call:
    """The EYP versions one institution accepts; the parameter is one int, as above."""
    return Call(Operation.EYP_VERSIONS, {"DetsisIDs": number})


def correspondence_package_call(sender: int, recipients: Sequence[int]) -> Call:
    """The package for one letter of one sender to all its recipients at once."""
    parameters = {"gonderenDetsisID": sender, "muhatapDetsisIDs": {"int": list(recipients)}}
    return Call(Operation.CORRESPONDENCE_PACKAGE, parameters)


def contacts_call(number: int) -> Call:
    """The contacts of one unit."""
    return Call(Operation.CONTACTS, {"detsisId": number})


def managers_call(number: int, on: date | None) -> Call:
    """The manager of one unit on a day; None leaves the day to the service."""
    return Call(Operation.MANAGERS, {"KurumID": number, "Tarih": None if on is None else _start_of(on)})


def manager_history_call(number: int) -> Call:
    """Every manager one unit ever had."""
    return Call(Operation.MANAGER_HISTORY, {"KurumID": number})


def manager_posts_call(manager_code: int) -> Call:
    """The posts of one manager by code, never by identity number."""
    return Call(Operation.MANAGER_POSTS, {"YoneticiID": manager_code})


def file_plan_call(main_institution: int) -> Call:
    """The file plan of one main institution."""
    return Call(Operation.FILE_PLAN, {"IdariKimlikKodu": main_institution})


def _start_of(day: date) -> datetime:
    """Midnight, without a zone: the service's times are Turkish local ones."""
    return datetime.combine(day, time())
