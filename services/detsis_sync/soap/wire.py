"""The service's own names, in one place: operations, parameters, elements. Nothing of it leaves this module.

Rows come out with English field names and the untouched text of the wire; ``translate`` turns them
into typed rows. Facts about the contract: the service's WSDL, as described in ``wsdl/detsis.wsdl``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from lxml import etree

NAMESPACE = "http://kaysis.gov.tr/"
SERVICE = "DETSISServis"
PORTS = {"1.1": "BBDETSISWS", "1.2": "BBDETSISWS1"}
WireRow_co = TypeVar("WireRow_co", covariant=True)


class Operation(StrEnum):
    """The operations this service calls."""

    EXTERNAL_UNITS = "YeniDisYazismaYapanlariGetirWs"
    OWN_UNITS = "KendiTumBirimleriGetirWs"
    MAIN_INSTITUTIONS = "AnaKurumlariGetirKurumBirimWs"
    UNIT = "DETSISNoKurumBirimWs"
    ANCESTORS = "HiyerarsiGetirKurumBirimWs"
    ACTIVE_KEP_ADDRESSES = "AktifKEPAdresleriniGetir"
    KEP_ADDRESSES = "KEPAdresleriniGetir"
    ADDRESS_OWNER = "KEPAdresiKontrolEt"
    CORRESPONDENCE_PACKAGE = "eYazismaPaketi"


@dataclass(frozen=True)
class Call:
    """One call: the operation and its parameters by wire name."""

    operation: Operation
    parameters: Mapping[str, object] = field(default_factory=dict)


class WireRowError(ValueError):
    """A row that breaks the contract so that its fields cannot be trusted."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field = field_name
        self.reason = reason


@dataclass(slots=True)
class WireUnit:
    """One tree node, as text."""

    number: str | None = None
    name: str | None = None
    parent: str | None = None
    second_parent: str | None = None
    main_institution: str | None = None
    place: str | None = None
    place_name: str | None = None
    category: str | None = None
    status: str | None = None
    path: str | None = None
    active: str | None = None
    operating: str | None = None
    level: str | None = None
    external_addressee: str | None = None
    postal_address: str | None = None
    kinds: tuple[tuple[str | None, str | None], ...] = ()
    """Pairs of kind id and label."""


@dataclass(slots=True)
class WireKepAddress:
    """One KEP address of one unit, as text."""

    number: str | None = None
    address: str | None = None
    active: str | None = None
    status: str | None = None


@dataclass(slots=True)
class WireRecipient:
    """One recipient of a correspondence package."""

    number: str | None
    addressee: str | None
    postal_address: str | None
    kep_address: str | None
    kep_kind: str | None
    encryption_certificate: bytes | None


@dataclass(slots=True)
class WireSignatory:
    """One manager of the chain."""

    manager_code: str | None
    given_name: str | None
    surname: str | None
    title: str | None
    acting_kind: str | None
    unit_number: str | None


@dataclass(slots=True)
class WirePackage:
    """One correspondence package."""

    letterhead: str | None
    number_unit: str | None
    addressee: str | None
    closing_phrase: str | None
    distribution: str | None
    postal_address: str | None
    phone: str | None
    fax: str | None
    email: str | None
    website: str | None
    recipients: tuple[WireRecipient, ...]
    signatories: tuple[WireSignatory, ...]


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


def kep_addresses_call(numbers: Sequence[int]) -> Call:
    """The addresses of some units. A bare Python list would lose all but its first item in zeep."""
    return Call(Operation.KEP_ADDRESSES, {"DetsisIDs": {"int": list(numbers)}})


def address_owner_call(address: str) -> Call:
    """Who owns an address."""
    return Call(Operation.ADDRESS_OWNER, {"KepAdresi": address})


def correspondence_package_call(sender: int, recipients: Sequence[int]) -> Call:
    """The package for one letter of one sender to all its recipients at once."""
    parameters = {"gonderenDetsisID": sender, "muhatapDetsisIDs": {"int": list(recipients)}}
    return Call(Operation.CORRESPONDENCE_PACKAGE, parameters)


def authentication(account_id: str, password: str) -> dict[str, dict[str, str]]:
    """The SOAP header every operation wants, in zeep's form."""
    return {"BbServiceAuthentication": {"KurumID": account_id, "Password": password}}


def soap_action(operation: Operation) -> str:
    """The action URI; the service rejects a call without it or with another one."""
    return f"{NAMESPACE}{operation}"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


RESULT_FAILED = _tag("SonucHatali")
RESULT_ITEMS = _tag("Sonuclar")
RESULT_MESSAGE = _tag("HataMsj")
RESULT_ELEMENTS = frozenset({RESULT_FAILED, RESULT_ITEMS, RESULT_MESSAGE, _tag("TestSonuc")})


def response_tag(operation: Operation) -> str:
    """The element inside the SOAP body."""
    return _tag(f"{operation}Response")


def result_tag(operation: Operation) -> str:
    """The element inside the response."""
    return _tag(f"{operation}Result")


_UNIT_ELEMENTS = (
    "DETSISNo",
    "Ad",
    "ParentIdareKimlikKodu",
    "ParentIdareKimlikKodu2",
    "AnaKurumIdareKimlikKodu",
    "Fk_BulunduguYerID",
    "YerAdi",
    "Fk_KurumBirimTipID1",
    "Fk_KurumBirimTipID2",
    "KurumHiyerarsik",
    "Aktifmi",
    "FaalOlupOlmadigi",
    "Seviye",
    "DisYazismaMuhatabiOlupOlmadigi",
    "Adres",
)
"""In the order of the fields of ``WireUnit``."""
_KEP_ELEMENTS = ("KurumDetsisNo", "KepAdresi", "Aktifmi", "Durum")
"""In the order of the fields of ``WireKepAddress``."""
_KINDS, _KIND = _tag("KurumBirimTip3ler"), _tag("KurumBirimTip3WS")
_KIND_ID, _KIND_LABEL = _tag("Fk_KurumBirimTip3ID"), _tag("TipAdi")
_UNIT_TAGS = tuple(map(_tag, _UNIT_ELEMENTS))
_KEP_TAGS = tuple(map(_tag, _KEP_ELEMENTS))
_UNIT_KNOWN = frozenset({*_UNIT_TAGS, _KINDS})
_KEP_KNOWN = frozenset(_KEP_TAGS)
_KIND_KNOWN = frozenset({_KIND_ID, _KIND_LABEL, _tag("ID"), _tag("DETSISNo")})


@dataclass(frozen=True)
class ListContract(Generic[WireRow_co]):
    """How the items of a bulk list look: their element and how one becomes a wire row.

    ``read`` raises ``WireRowError`` and counts unknown elements by local name.
    """

    item_tag: str
    read: Callable[[etree._Element, Counter[str]], WireRow_co]


def local_name(tag: str) -> str:
    """The name without its namespace, bounded: it ends up in reports."""
    return tag.rpartition("}")[2][:80]


def _texts(element: etree._Element, known: AbstractSet[str], unknown: Counter[str]) -> dict[str, str | None]:
    """The texts of a row by tag. Hundreds of thousands of rows go through here: every step is one C call."""
    texts: dict[str, str | None] = {child.tag: child.text for child in element}
    if len(texts) != len(element):
        raise WireRowError("row", "an element stands twice")
    if not texts.keys() <= known:
        for tag in texts.keys() - known:
            unknown[local_name(tag)] += 1
    return texts


def _unit_from_element(element: etree._Element, unknown: Counter[str]) -> WireUnit:
    texts = _texts(element, _UNIT_KNOWN, unknown)
    unit = WireUnit(*map(texts.get, _UNIT_TAGS))  # type: ignore[arg-type]  # one text less than there are fields
    if _KINDS in texts:
        kinds = [_texts(kind, _KIND_KNOWN, unknown) for kind in element.iterfind(f"{_KINDS}/{_KIND}")]
        unit.kinds = tuple((kind.get(_KIND_ID), kind.get(_KIND_LABEL)) for kind in kinds if kind)
    return unit


def _kep_address_from_element(element: etree._Element, unknown: Counter[str]) -> WireKepAddress:
    return WireKepAddress(*map(_texts(element, _KEP_KNOWN, unknown).get, _KEP_TAGS))


UNIT_LIST = ListContract(_tag("KurumBirimWS"), _unit_from_element)
KEP_ADDRESS_LIST = ListContract(_tag("KepBilgileriWs"), _kep_address_from_element)


@dataclass(frozen=True)
class Reply:
    """The parts every result has, from zeep's objects."""

    failed: bool
    message: str | None
    content: Any


def reply(result: Any) -> Reply:
    """Read the result wrapper."""
    return Reply(failed=result["SonucHatali"] is not False, message=result["HataMsj"], content=result["Sonuclar"])


def units_from_reply(content: Any) -> list[WireUnit]:
    """The units of a small answer; empty when there is no list."""
    return [_unit_from_object(item) for item in _items(content, "KurumBirimWS")]


def kep_addresses_from_reply(content: Any) -> list[WireKepAddress]:
    """The addresses of a small answer; empty when there is no list."""
    return [kep_address_from_object(item) for item in _items(content, "KepBilgileriWs")]


def kep_address_from_object(item: Any) -> WireKepAddress:
    """One address object."""
    return WireKepAddress(*(_text(item[element]) for element in _KEP_ELEMENTS))


def package_from_reply(content: Any) -> WirePackage:
    """The correspondence package object."""
    recipients = tuple(
        WireRecipient(
            number=_text(item["KurumID"]),
            addressee=_text(item["MuhatapAd"]),
            postal_address=_text(item["MuhatapAdresi"]),
            kep_address=_text(item["MuhatapKepAdresi"]),
            kep_kind=_text(item["MuhatapKepTipi"]),
            encryption_certificate=item["MuhatapSifrelemeSertifikasi"] or None,
        )
        for item in _items(content["MuhatapBilgi"], "eYazismaMuhatapBilgileri")
    )
    signatories = tuple(
        WireSignatory(
            manager_code=_text(item["TCYoneticiKodu"]),
            given_name=_text(item["YoneticiAd"]),
            surname=_text(item["YoneticiSoyad"]),
            title=_text(item["Unvan"]),
            acting_kind=_text(item["VekaletTuru"]),
            unit_number=_text(item["DetsisNo"]),
        )
        for item in _items(content["ImzaYetkilileri"], "EyazismaImzaYetkilisi")
    )
    return WirePackage(
        letterhead=_text(content["Antet"]),
        number_unit=_text(content["RYSayiDetsisNo"]),
        addressee=_text(content["MuhatapAd"]),
        closing_phrase=_text(content["ArzRica"]),
        distribution=_text(content["DagitimListesi"]),
        postal_address=_text(content["GonderenAdresi"]),
        phone=_text(content["GonderenTelefonNumarasi"]),
        fax=_text(content["GonderenFaksNumarasi"]),
        email=_text(content["GonderenEPostaAdresi"]),
        website=_text(content["GonderenInternetSitesiAdresi"]),
        recipients=recipients,
        signatories=signatories,
    )


def _unit_from_object(item: Any) -> WireUnit:
    unit = WireUnit(*(_text(item[element]) for element in _UNIT_ELEMENTS))  # type: ignore[arg-type]
    unit.kinds = tuple(
        (_text(kind["Fk_KurumBirimTip3ID"]), _text(kind["TipAdi"]))
        for kind in _items(item["KurumBirimTip3ler"], "KurumBirimTip3WS")
    )
    return unit


def _items(wrapper: Any, name: str) -> list[Any]:
    """The items of a list wrapper; zeep gives None, or an object full of None, for a nil item."""
    items = [] if wrapper is None else wrapper[name] or []
    return [item for item in items if item is not None and any(item[key] is not None for key in item)]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
