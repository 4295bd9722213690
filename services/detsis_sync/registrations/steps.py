"""The step that no published service of DETSİS offers: entering an address. Pluggable; today a person does it.

``KEPAdresiKaydet`` stands in the circular and in no WSDL (detsis.md 4). Should a call be offered to
authorised institutions one day, it becomes another ``RegistrationStep``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.contracts.directory.registrations import Instructions, Officer, RegistrationRecord, RegistrationState


class RegistrationStep(Protocol):
    """One way to get an address into DETSİS."""

    @property
    def name(self) -> str:
        """Written down with every registration that went this way."""
        ...

    def instructions(self, registration: RegistrationRecord, officers: Sequence[Officer] | None) -> Instructions | None:
        """What people have to do now; None when nothing is left to do. ``officers`` None: could not be asked."""
        ...


@dataclass(frozen=True)
class PortalStep:
    """An officer of the institution enters the address at the portal (EK-1/2, EK-2/2)."""

    portal_url: str
    name: str = "portal"

    def instructions(self, registration: RegistrationRecord, officers: Sequence[Officer] | None) -> Instructions | None:
        """In Turkish and English, with the exact values to enter."""
        texts = _TEXTS.get(registration.state)
        if texts is None:
            return None
        values = {
            "portal": self.portal_url,
            "number": registration.detsis_no,
            "unit": registration.unit_name or "?",
            "address": registration.kep_address,
            "previous_tr": _or(registration.previous_address, "yok"),
            "previous_en": _or(registration.previous_address, "none"),
        }
        turkish, english = ([line.format_map(values) for line in lines] for lines in texts)
        return Instructions(
            step=self.name,
            portal_url=self.portal_url,
            lines_tr=turkish,
            lines_en=english,
            officers=list(officers or ()),
            officers_known=officers is not None,
        )


def _or(text: str | None, otherwise: str) -> str:
    return otherwise if text is None else text


_TEXTS: dict[RegistrationState, tuple[tuple[str, ...], tuple[str, ...]]] = {
    RegistrationState.AWAITING_ENTRY: (
        (
            "DETSİS işlem yetkilisi {portal} adresine girer.",
            "Birim: {number} ({unit}).",
            "KEP adresi alanına aynen şunu yazar: {address}",
            "Önceki adres ({previous_tr}) silinmez ve kapatılmaz: yenisi etkin oluncaya kadar açık kalır.",
            "Kayıttan sonra DETSİS yeni adrese bir doğrulama iletisi gönderir.",
        ),
        (
            "A DETSİS officer of the institution signs in at {portal}.",
            "Unit: {number} ({unit}).",
            "Enter as the KEP address exactly: {address}",
            "Do not delete or close the previous address ({previous_en}): it stays open until the new one is active.",
            "DETSİS then sends a verification mail to the new address.",
        ),
    ),
    RegistrationState.ENTERED: (
        (
            "{address} DETSİS'e girildi; doğrulama iletisi bekleniyor.",
            "İleti gelmezse DETSİS işlem yetkilisi {portal} adresinden yeniden gönderilmesini ister.",
        ),
        (
            "{address} is entered; the verification mail is waited for.",
            "If it does not come, a DETSİS officer has it sent again at {portal}.",
        ),
    ),
    RegistrationState.VERIFICATION_RECEIVED: (
        (
            "Doğrulama iletisi geldi. Yetkili kişi göndericiyi, zarfın doğrulandığını ve bağlantının sunucusunu denetler.",
            "Uyarı yoksa bağlantıyı açar, sonra bunu buraya işler. Açıldıktan sonra öteki kurumlar hemen gönderir.",
        ),
        (
            "The verification mail is here. An authorised person checks sender, verified envelope and the link's host.",
            "Without warnings the person opens the link and records that here. From then on others send at once.",
        ),
    ),
    RegistrationState.CONFIRMED: (
        ("DETSİS'in {address} adresini etkin göstermesi bekleniyor; önceki posta kutusu o zamana kadar okunur.",),
        ("DETSİS is to show {address} as active; until then the previous mailbox is read as well.",),
    ),
}
