"""Operations by their names on the wire, and what every call and every answer carries besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

NAMESPACE = "http://kaysis.gov.tr/"
SERVICE = "DETSISServis"
PORTS = {"1.1": "BBDETSISWS", "1.2": "BBDETSISWS1"}


class Operation(StrEnum):
    """The operations this service calls, in the order of detsis.md 5.

    Two groups are left out on purpose: the posts of a person by national identity number, and
    services, documents and legislation, which no letter needs.
    """

    EXTERNAL_UNITS = "YeniDisYazismaYapanlariGetirWs"
    OWN_UNITS = "KendiTumBirimleriGetirWs"
    MAIN_INSTITUTIONS = "AnaKurumlariGetirKurumBirimWs"
    MAIN_INSTITUTION_BUDGETS = "AnaKurumlarButceTurleriGetirWs"
    UNIT = "DETSISNoKurumBirimWs"
    ANCESTORS = "HiyerarsiGetirKurumBirimWs"
    CHILDREN = "AltKurulusBirimleriListele"
    UNITS_BY_NAME = "AdaGoreKurumBirimSorgulaWs"
    UNITS_BY_DETAIL = "DetayBilgilereGoreSorgulaKurumBirimWs"
    NUMBERS_OF_FORMER = "KutukNodanDetsisNoGetir"
    ACTIVE_KEP_ADDRESSES = "AktifKEPAdresleriniGetir"
    KEP_ADDRESSES = "KEPAdresleriniGetir"
    ADDRESS_OWNER = "KEPAdresiKontrolEt"
    UETS_NUMBERS = "TebligatNumarasiGetir"
    CERTIFICATES_OF_UNIT = "KurumSertifikaBilgileriniGetir"
    CERTIFICATES = "SertifikalariGetir"
    CERTIFICATE_OWNERS = "SertifikaSahiplikleriniGetir"
    EYP_VERSIONS = "KurumEypVersiyonuGetir"
    EYP_VERSION_CHANGES = "EypGuncellenenleriGetir"
    CORRESPONDENCE_PACKAGE = "eYazismaPaketi"
    CONTACTS = "KurumBirimIletisimBilgileriGetirWs"
    MAIN_INSTITUTION_CONTACTS = "AnakurumIletisimBilgileriWs"
    OWN_CONTACTS = "BirimleriminIletisimBilgileriniGetir"
    OFFICERS = "DetsisIslemYetkilisiBilgileriWs"
    MANAGERS = "IYEMKurumYoneticisiGetirWs"
    MANAGER_HISTORY = "IYEMTumYoneticileriGetirWs"
    MANAGER_POSTS = "IYEMYoneticiIDdenGorevListesiGetirWs"
    CATEGORIES = "TumTip1KodlariGetirWs"
    STATUSES = "TumTip2KodlariGetirWs"
    PLACES = "TumYerKodlariGetirWs"
    FILE_PLAN = "KurumSDPKodlariGetirWs"


@dataclass(frozen=True)
class Call:
    """One call: the operation and its parameters by wire name."""

    operation: Operation
    parameters: Mapping[str, object] = field(default_factory=dict)


def authentication(account_id: str, password: str) -> dict[str, dict[str, str]]:
    """The SOAP header every operation wants, in zeep's form."""
    return {"BbServiceAuthentication": {"KurumID": account_id, "Password": password}}


def soap_action(operation: Operation) -> str:
    """The action URI; the service rejects a call without it or with another one."""
    return f"{NAMESPACE}{operation}"


def tag(name: str) -> str:
    """The element ``name`` of the service's namespace, as lxml writes it."""
    return f"{{{NAMESPACE}}}{name}"


def response_tag(operation: Operation) -> str:
    """The element inside the SOAP body."""
    return tag(f"{operation}Response")


def result_tag(operation: Operation) -> str:
    """The element inside the response."""
    return tag(f"{operation}Result")


def local_name(element_tag: str) -> str:
    """The name without its namespace, bounded: it ends up in reports."""
    return element_tag.rpartition("}")[2][:80]
