"""Examples of KEP registrations for the OpenAPI document: one address on its way, step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.gateway.schemas.registrations import (
    CancellationBody,
    ConfirmationBody,
    EnteredBody,
    KepRegistration,
    RegistrationBody,
    RegistrationList,
)
from shared.contracts.directory import AddressSource
from shared.contracts.directory.registrations import (
    Instructions,
    ListedAddress,
    Officer,
    RegistrationEventRecord,
    RegistrationRecord,
    RegistrationState,
    Standing,
)
from shared.contracts.verification_mails import IntakeCheck, VerificationLink, VerificationMail
from shared.domain.verdict import Conclusion

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_ENTERED, _MAILED, _SAID = (_NOW + timedelta(minutes=minutes) for minutes in (40, 42, 55))
_MAIL = UUID("0195579b-0c44-7e21-8d5f-6a7b8c9d0e1f")
_NEW, _OLD = "ornek.bakanligi@hs03.example.kep.tr", "ornek.bakanligi@hs01.example.kep.tr"
_PORTAL = "https://yetkili.detsis.gov.tr"

OPENING = RegistrationBody(kep_address=_NEW, note="Hizmet sağlayıcı değişikliği")
ENTERING = EnteredBody(entered_by="Ayşe Örnek")
CONFIRMING = ConfirmationBody(verification_mail_id=_MAIL, confirmed_by="Mehmet Örnek")
CANCELLING = CancellationBody(reason="Adres yanlış yazılmış")

_REGISTRATION = RegistrationRecord(
    registration_id=UUID("0195578f-3a2b-7c4d-9e1f-778899aabbcc"), institution_no=10000001, detsis_no=10000001,
    unit_name="ÖRNEK BAKANLIĞI", kep_address=_NEW, previous_address=_OLD, mailbox_id="ornek-bakanligi-yeni",
    state=RegistrationState.AWAITING_ENTRY, note="Hizmet sağlayıcı değişikliği", opened_by="client:ornek-ebys",
    opened_at=_NOW, updated_at=_NOW, checked_at=_NOW,
)  # fmt: skip
_CHECKS = [
    IntakeCheck(id="mailbox", ok=True, detail="ornek-bakanligi-yeni"),
    IntakeCheck(id="active", ok=True, detail="it is read"),
    IntakeCheck(id="account", ok=True, detail="in use"),
    IntakeCheck(id="polling", ok=True, detail="last read at 2026-03-02T08:59:31+00:00"),
    IntakeCheck(id="verification-senders", ok=True, detail="1 configured"),
]
_EVENTS = [
    RegistrationEventRecord(position=1, happened_at=_NOW, actor="client:ornek-ebys", what="opened"),
    RegistrationEventRecord(position=2, happened_at=_ENTERED, actor="person:Ayşe Örnek", what="entered"),
    RegistrationEventRecord(
        position=3, happened_at=_MAILED, actor="kep_relay", what="verification-received",
        detail={"message_id": str(_MAIL)},
    ),
    RegistrationEventRecord(
        position=4, happened_at=_SAID, actor="person:Mehmet Örnek", what="confirmed",
        detail={"message_id": str(_MAIL), "client": "ornek-ebys", "warnings": []},
    ),
]  # fmt: skip
_VERIFICATION = VerificationMail(
    message_id=_MAIL, institution_no=10000001, mailbox_id="ornek-bakanligi-yeni", mailbox_address=_NEW,
    recognised_by="sender", sender_address="detsis@hs01.example.kep.tr", subject="KEP adresi doğrulama",
    received_at=_MAILED, raw_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    envelope=Conclusion.PASSED, links_left_out=0, warnings=[],
    links=[
        VerificationLink(
            url="https://yetkili.detsis.gov.tr/kep-dogrulama?anahtar=2f7c", host="yetkili.detsis.gov.tr", warnings=[]
        )
    ],
)  # fmt: skip


def _addresses(new: Standing, old: Standing, at: datetime) -> list[ListedAddress]:
    return [
        ListedAddress(address=address, standing=standing, source=AddressSource.LIVE, as_of=at)
        for address, standing in ((_NEW, new), (_OLD, old))
    ]


def _instructions(turkish: str, english: str, *, officers: list[Officer]) -> Instructions:
    return Instructions(
        step="portal", portal_url=_PORTAL, lines_tr=[turkish], lines_en=[english], officers=officers,
        officers_known=bool(officers),
    )  # fmt: skip


OPENED = KepRegistration(
    registration=_REGISTRATION,
    checks=_CHECKS,
    instructions=Instructions(
        step="portal", portal_url=_PORTAL,
        lines_tr=[
            f"DETSİS işlem yetkilisi {_PORTAL} adresine girer.",
            "Birim: 10000001 (ÖRNEK BAKANLIĞI).",
            f"KEP adresi alanına aynen şunu yazar: {_NEW}",
        ],
        lines_en=[
            f"A DETSİS officer of the institution signs in at {_PORTAL}.",
            "Unit: 10000001 (ÖRNEK BAKANLIĞI).",
            f"Enter as the KEP address exactly: {_NEW}",
        ],
        officers=[Officer(given_name="Ayşe", surname="Örnek", email="ayse.ornek@kurum.example", role="Kurum Yetkilisi")],
        officers_known=True,
    ),
    addresses=_addresses(Standing.NOT_LISTED, Standing.ACTIVE, _NOW),
    verification_mails=[],
    events=_EVENTS[:1],
)  # fmt: skip


def _later(state: RegistrationState, at: datetime) -> RegistrationRecord:
    return _REGISTRATION.model_copy(update={"state": state, "updated_at": at, "checked_at": at})


ENTERED = OPENED.model_copy(
    update={
        "registration": _later(RegistrationState.ENTERED, _ENTERED),
        "instructions": _instructions(
            f"{_NEW} DETSİS'e girildi; doğrulama iletisi bekleniyor.",
            f"{_NEW} is entered; the verification mail is waited for.",
            officers=[],
        ),
        "addresses": _addresses(Standing.WAITING, Standing.ACTIVE, _ENTERED),
        "events": _EVENTS[:2],
    }
)
WAITING = OPENED.model_copy(
    update={
        "registration": _later(RegistrationState.VERIFICATION_RECEIVED, _MAILED),
        "instructions": _instructions(
            "Uyarı yoksa bağlantıyı açar, sonra bunu buraya işler. Açıldıktan sonra öteki kurumlar hemen gönderir.",
            "Without warnings the person opens the link and records that here. From then on others send at once.",
            officers=[],
        ),
        "addresses": _addresses(Standing.WAITING, Standing.ACTIVE, _MAILED),
        "verification_mails": [_VERIFICATION],
        "events": _EVENTS[:3],
    }
)
CONFIRMED = WAITING.model_copy(
    update={
        "registration": _later(RegistrationState.CONFIRMED, _SAID),
        "instructions": _instructions(
            f"DETSİS'in {_NEW} adresini etkin göstermesi bekleniyor; önceki posta kutusu o zamana kadar okunur.",
            f"DETSİS is to show {_NEW} as active; until then the previous mailbox is read as well.",
            officers=[],
        ),
        "verification_mails": [_VERIFICATION.model_copy(update={"settled_at": _SAID, "settled_by": "Mehmet Örnek"})],
        "events": _EVENTS,
    }
)
CANCELLED = OPENED.model_copy(
    update={
        "registration": _later(RegistrationState.CANCELLED, _ENTERED),
        "instructions": None,
        "events": [
            _EVENTS[0],
            RegistrationEventRecord(
                position=2, happened_at=_ENTERED, actor="client:ornek-ebys", what="cancelled",
                detail={"reason": CANCELLING.reason},
            ),
        ],
    }
)  # fmt: skip
LISTED = RegistrationList(registrations=[WAITING.registration], next_cursor=None)
