"""Examples of tree, history and refreshes for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.gateway.schemas.directory import ReleaseBody
from shared.contracts.directory import Freshness, RefreshRun, Unit, UnitKepAddress
from shared.contracts.directory.history import (
    ChangeFeed,
    ChangeKind,
    ChangeSubject,
    DirectoryChange,
    SnapshotRef,
    UnitHistory,
)
from shared.contracts.directory.runs import RefreshList, RefreshRunAnswer, RefreshRuns
from shared.contracts.directory.tree import Ancestors, ChildPage, LineEnd

_NIGHT = datetime(2026, 3, 2, 0, 41, tzinfo=UTC)
_MAIN, _BELOW = 10000002, 10000021
_FRESHNESS = Freshness(as_of=_NIGHT, stale=False, snapshot_id=412)
_TOP = Unit(
    detsis_no=_MAIN, name="ÖRNEK BELEDİYE BAŞKANLIĞI", main_institution_no=_MAIN,
    main_institution_name="ÖRNEK BELEDİYE BAŞKANLIĞI", path=["ÖRNEK BELEDİYE BAŞKANLIĞI"], active=True, operating=True,
    external_addressee=True, sendable=True, place_name="ÖRNEKKÖY",
    kep_addresses=[UnitKepAddress(address="ornek.belediyesi@hs02.example.kep.tr", active=True, status_text="Aktif")],
)  # fmt: skip
_UNIT = Unit(
    detsis_no=_BELOW, name="YAZI İŞLERİ MÜDÜRLÜĞÜ", parent_no=_MAIN, main_institution_no=_MAIN,
    main_institution_name="ÖRNEK BELEDİYE BAŞKANLIĞI", path=["ÖRNEK BELEDİYE BAŞKANLIĞI", "YAZI İŞLERİ MÜDÜRLÜĞÜ"],
    active=True, operating=True, external_addressee=False, sendable=False, place_name="ÖRNEKKÖY",
)  # fmt: skip
_CHANGE = DirectoryChange(
    change_id=90211, snapshot_id=412, changed_at=_NIGHT, subject=ChangeSubject.UNIT, subject_key=str(_BELOW),
    detsis_no=_BELOW, kind=ChangeKind.CHANGED, old={"name": "YAZI İŞLERİ AMİRLİĞİ"},
    new={"name": "YAZI İŞLERİ MÜDÜRLÜĞÜ"},
)  # fmt: skip
_CURSOR = "WyJmZWVkIiw5MDIxMV0"

CHILDREN = ChildPage(parent_no=_MAIN, units=[_UNIT], freshness=_FRESHNESS)
ANCESTORS = Ancestors(detsis_no=_BELOW, units=[_TOP], ends=LineEnd.TOP, freshness=_FRESHNESS)
UNIT_HISTORY = UnitHistory(
    detsis_no=_BELOW, changes=[_CHANGE], snapshots=[SnapshotRef(snapshot_id=412, as_of=_NIGHT, published_at=_NIGHT)],
    first_snapshot_id=3, freshness=_FRESHNESS,
)  # fmt: skip
CHANGES = ChangeFeed(changes=[_CHANGE], next_cursor=_CURSOR, more=False, freshness=_FRESHNESS)

_REFUSED = RefreshRun(
    run_id=413, institution_no=10000001, trigger="nightly", state="refused", started_at=_NIGHT,
    finished_at=_NIGHT + timedelta(minutes=4), reason="list addresses shrank from 61204 to 48890 rows, more than 2%",
    list_states={"external": "staged", "addresses": "refused"},
)  # fmt: skip
RUNS = RefreshRuns(runs=[_REFUSED], freshness=_FRESHNESS)
RUN_ANSWER = RefreshRunAnswer(
    run=_REFUSED.model_copy(
        update={
            "lists": [
                RefreshList(
                    list_name="addresses", state="refused", started_at=_NIGHT, finished_at=_NIGHT, rows=48890,
                    bytes_read=9_981_443, reason="list addresses shrank from 61204 to 48890 rows, more than 2%",
                )
            ]
        }
    ),
    freshness=_FRESHNESS,
)  # fmt: skip
RELEASE = ReleaseBody(note="DETSİS says that one provider was closed and its addresses with it")
RELEASED = _REFUSED.model_copy(
    update={
        "state": "accepted", "reason": None, "released_by": "ornek-isletme", "release_note": RELEASE.note,
        "released_at": _NIGHT + timedelta(hours=7), "published_at": _NIGHT + timedelta(hours=7),
        "list_states": {"external": "applied", "addresses": "applied"},
    }
)  # fmt: skip
