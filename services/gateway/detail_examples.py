"""Examples of what DETSİS itself is asked, for the OpenAPI document. Made-up institutions and people."""

from __future__ import annotations

from datetime import UTC, date, datetime

from shared.contracts.directory import AnswerSource, Freshness
from shared.contracts.directory.live import (
    DetsisOfficer,
    DetsisOfficers,
    FilePlanEntry,
    FilePlanPage,
    FormerNumber,
    FormerNumbers,
    UnitContact,
    UnitContacts,
    UnitManager,
    UnitManagers,
    UnitUetsNumbers,
)

_UNIT, _INSTITUTION = 10000002, 10000001
_LIVE = Freshness(as_of=datetime(2026, 3, 2, 9, 0, tzinfo=UTC), stale=False, snapshot_id=None, source=AnswerSource.LIVE)
_STORED = Freshness(
    as_of=datetime(2026, 3, 2, 0, 41, 7, tzinfo=UTC), stale=False, snapshot_id=None, source=AnswerSource.STORED
)

CONTACTS = UnitContacts(
    detsis_no=_UNIT,
    contacts=[
        UnitContact(kind=1, value="https://ornek.example", label="Web Adresi"),
        UnitContact(kind=2, value="iletisim@ornek.example", label="E-Posta"),
        UnitContact(kind=4, value="0 000 000 00 02", label="Telefon"),
        UnitContact(kind=5, value="0 000 000 00 05", label="Faks"),
    ],
    freshness=_STORED,
)
UETS_NUMBERS = UnitUetsNumbers(detsis_no=_UNIT, numbers=["350000010000002"], freshness=_LIVE)
MANAGERS = UnitManagers(
    detsis_no=_UNIT,
    on=date(2026, 3, 2),
    managers=[
        UnitManager(
            name="ÖRNEK KİŞİ", title="Belediye Başkanı", kind_of_post="Asaleten", legal_basis="5393 sayılı Kanun",
            manager_code=480117, from_day=date(2024, 4, 5), to_day=None, active=True,
        )
    ],
    freshness=_LIVE,
)  # fmt: skip
OFFICERS = DetsisOfficers(
    institution_no=_INSTITUTION,
    officers=[
        DetsisOfficer(
            given_name="ÖRNEK", surname="KİŞİ", phone="0 000 000 00 08", email="detsis@bakanlik.example",
            role="DETSİS Yetkilisi",
        )
    ],
    freshness=_LIVE,
)  # fmt: skip
FILE_PLAN = FilePlanPage(
    detsis_no=_INSTITUTION,
    entries=[
        FilePlanEntry(code_id=41, code="010", title="MEVZUAT İŞLERİ", level="1", active=True),
        FilePlanEntry(
            code_id=42, code="010.06", title="GENELGELER", level="2", retention_years_text="10 yıl",
            retention_phase_text="Yürürlükten kalkınca", retention_code="A", active=True,
        ),
    ],
    next_cursor="plan-200",
    freshness=_LIVE,
)  # fmt: skip
FORMER_NUMBERS = FormerNumbers(
    items=[
        FormerNumber(
            former_number="10.00.00.02.00.01", detsis_no=_UNIT, name="ÖRNEK BELEDİYE BAŞKANLIĞI",
            main_institution_no=_UNIT, active=True,
        ),
        FormerNumber(former_number="99.99.99.99.00.01", detsis_no=None),
    ],
    freshness=_LIVE,
)  # fmt: skip
