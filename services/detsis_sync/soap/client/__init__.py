"""The DETSİS client: small calls as typed rows, bulk lists as streams of them."""

from __future__ import annotations

from services.detsis_sync.soap.client.addresses import AddressCalls
from services.detsis_sync.soap.client.certificates import CertificateCalls
from services.detsis_sync.soap.client.details import DetailCalls
from services.detsis_sync.soap.client.letters import LetterCalls
from services.detsis_sync.soap.client.lists import (
    BudgetAnswer,
    CategoryAnswer,
    CertificateAnswer,
    CertificateOwnerAnswer,
    ContactAnswer,
    KepAddressAnswer,
    ListCalls,
    PlaceAnswer,
    StatusAnswer,
    UnitAnswer,
)
from services.detsis_sync.soap.client.units import UnitCalls

__all__ = [
    "BudgetAnswer",
    "CategoryAnswer",
    "CertificateAnswer",
    "CertificateOwnerAnswer",
    "ContactAnswer",
    "DetsisClient",
    "KepAddressAnswer",
    "PlaceAnswer",
    "StatusAnswer",
    "UnitAnswer",
]


class DetsisClient(UnitCalls, AddressCalls, CertificateCalls, LetterCalls, DetailCalls, ListCalls):
    """Calls DETSİS for one account. Use as an asynchronous context manager, or call ``aclose``.

    Every method raises ``DirectoryCallError`` (a ``DomainError``): ``directory-unavailable`` when the
    same call may succeed later, ``directory-refused`` when DETSİS says no. Nothing is retried here.
    """
