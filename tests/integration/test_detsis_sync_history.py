"""What the mirror said on any day is what it says today about that day."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import Unit, UnitAnswer
from shared.contracts.directory.history import ChangeKind, ChangeSubject, DirectoryChange
from shared.contracts.directory.runs import ReleaseOrder
from shared.contracts.directory.tree import LineEnd
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import NOW, A, B, Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
OFFICE = PinnedUnit(10000021, "YAZI İŞLERİ AMİRLİĞİ", parent_no=A, kep_address="yazi@hs91.kep.example")
ARCHIVE = PinnedUnit(10000022, "ARŞİV BİRİMİ", parent_no=10000021, external_addressee=False)
UNITS = (MAIN_A, MAIN_B, OFFICE, ARCHIVE)
LATER = PinnedUnit(10000030, "SONRADAN AÇILAN MÜDÜRLÜK", parent_no=B, kep_address="yeni@hs91.kep.example")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=1) as found:
        await found.account()
        yield found


async def night(directory: Directory, detsis: Detsis, *units: PinnedUnit, account: int = A) -> int:
    """A day passes, the register holds these units, the account fetches them."""
    directory.clock.moment += DAY
    detsis.publish(*units)
    run = await directory.refresh(account)
    assert run.state == "accepted", run.reason
    return run.run_id


async def refusal(directory: Directory, number: int, as_of: str) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await directory.client.unit(number, as_of=as_of)
    return caught.value


async def all_known(directory: Directory) -> dict[int, UnitAnswer]:
    page = await directory.client.search("", limit=100)
    return {unit.detsis_no: await directory.client.unit(unit.detsis_no) for unit in page.units}


NIGHTS: dict[str, tuple[PinnedUnit, ...]] = {
    "renamed and moved": (
        MAIN_A,
        replace(MAIN_B, name="ÇINARALTI TEKNİK ÜNİVERSİTESİ"),
        replace(OFFICE, name="YAZI İŞLERİ MÜDÜRLÜĞÜ", parent_no=B),
        ARCHIVE,
    ),
    "another address": (MAIN_A, MAIN_B, replace(OFFICE, kep_address="yazi.isleri@hs92.kep.example"), ARCHIVE),
    "closed": (MAIN_A, MAIN_B, replace(OFFICE, active=False, operating=False, kep_address=None), ARCHIVE, LATER),
    "absent": (MAIN_A, MAIN_B, LATER),
    "absent again": (MAIN_A, MAIN_B, LATER),
    "returned": (*UNITS, LATER),
    "and open again": (MAIN_A, MAIN_B, OFFICE, replace(ARCHIVE, external_addressee=True), LATER),
}


async def test_every_unit_is_given_as_it_was_on_each_day(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.refresh()).state == "accepted"
    days = [(directory.clock.moment, await all_known(directory))]
    for units in NIGHTS.values():
        await night(directory, detsis, *units)
        days.append((directory.clock.moment, await all_known(directory)))
    office = [known[OFFICE.detsis_no].unit for _moment, known in days]
    assert [unit.name for unit in office[:3]] == [OFFICE.name, "YAZI İŞLERİ MÜDÜRLÜĞÜ", OFFICE.name]
    assert [len(unit.kep_addresses) for unit in office[:4]] == [1, 1, 2, 2]
    assert [unit.absent_since is not None for unit in office] == [False] * 4 + [True, True, False, False]
    assert [unit.tombstoned_at is not None for unit in office] == [False] * 5 + [True, False, False]
    assert office[1].path == ["ÇINARALTI TEKNİK ÜNİVERSİTESİ", "YAZI İŞLERİ MÜDÜRLÜĞÜ"]
    await agrees_with(directory, days)


async def agrees_with(directory: Directory, days: list[tuple[datetime, dict[int, UnitAnswer]]]) -> None:
    """What is said today about those days is what was said then, a moment and half a day after each night."""
    everybody = days[-1][1]
    for moment, known in days:
        for later in (timedelta(), DAY / 2):
            asked = moment + later
            if asked > directory.clock.moment:
                continue
            for number in everybody:
                if number not in known:
                    assert (await refusal(directory, number, asked.isoformat())).code is ErrorCode.NOT_FOUND
                    continue
                answer = await directory.client.unit(number, as_of=asked.isoformat())
                assert answer.unit == known[number].unit, (asked, number)
                assert answer.freshness == known[number].freshness
                assert answer.moment == asked


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_over_many_nights_can_be_taken_back(
    directory: Directory, detsis: Detsis, seed: int
) -> None:
    chance = random.Random(seed)
    await directory.account(B)
    units = {unit.detsis_no: unit for unit in UNITS}
    gone: dict[int, PinnedUnit] = {}
    assert (await directory.refresh()).state == "accepted"
    days = [(directory.clock.moment, await all_known(directory))]
    for turn in range(8):
        for number in [number for number in units if number not in {A, B}]:
            if chance.random() < 0.5:
                units[number] = _changed(chance, units[number], turn)
            if chance.random() < 0.25:
                gone[number] = units.pop(number)
        for number in list(gone):
            if chance.random() < 0.4:
                units[number] = gone.pop(number)
        opened = PinnedUnit(10000100 + turn, f"BİRİM {turn}", parent_no=chance.choice([A, B]))
        units[opened.detsis_no] = replace(opened, external_addressee=chance.random() < 0.7)
        await night(directory, detsis, *units.values(), account=chance.choice([A, A, B]))
        days.append((directory.clock.moment, await all_known(directory)))
    kinds = {change.kind for change in (await directory.client.changes(limit=1000)).changes}
    assert {ChangeKind.CREATED, ChangeKind.CHANGED, ChangeKind.ABSENT} <= kinds
    await agrees_with(directory, days)


def _changed(chance: random.Random, unit: PinnedUnit, turn: int) -> PinnedUnit:
    closed = chance.random() < 0.3
    return replace(
        unit,
        name=chance.choice([unit.name, f"{unit.name.split(' (')[0]} ({turn})"]),
        parent_no=chance.choice([A, B]),
        active=not closed,
        operating=not closed,
        external_addressee=chance.random() < 0.7,
        kep_address=chance.choice([unit.kep_address, None, f"b{unit.detsis_no}.{turn}@hs91.kep.example"]),
    )


async def test_a_list_that_named_it_later_was_not_there_before(directory: Directory, detsis: Detsis) -> None:
    """Gone from its only list for a day, then found in another one: that day it was absent."""
    await directory.account(B)
    faculty = PinnedUnit(10000040, "FAKÜLTE", parent_no=B)
    detsis.publish(*UNITS, faculty)
    assert (await directory.refresh()).state == "accepted"
    await night(directory, detsis, *UNITS)
    gone = directory.clock.moment
    assert (await directory.client.unit(faculty.detsis_no)).unit.absent_since == gone
    await night(directory, detsis, *UNITS, replace(faculty, external_addressee=False), account=B)
    unit = (await directory.client.unit(faculty.detsis_no)).unit
    assert (unit.absent_since, [item.list_name for item in unit.sightings]) == (None, ["external", "own"])
    then = (await directory.client.unit(faculty.detsis_no, as_of=gone.isoformat())).unit
    assert (then.absent_since, [item.list_name for item in then.sightings]) == (gone, ["external"])


async def test_a_day_means_its_end_in_turkey_and_today_means_now(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.refresh()).state == "accepted"
    await night(directory, detsis, MAIN_A, MAIN_B, replace(OFFICE, name="ERTESİ GÜN"), ARCHIVE)
    answer = await directory.client.unit(OFFICE.detsis_no, as_of="2026-03-02")
    assert (answer.unit.name, str(answer.moment)) == (OFFICE.name, "2026-03-02 20:59:59.999999+00:00")
    today = await directory.client.unit(OFFICE.detsis_no, as_of="2026-03-03")
    assert (today.unit.name, today.moment) == ("ERTESİ GÜN", NOW + DAY)
    long_after = directory.clock.moment + 9 * DAY
    directory.clock.moment = long_after
    stale = await directory.client.unit(OFFICE.detsis_no, as_of="2026-03-10")
    assert stale.freshness.stale, "by then nobody had fetched the register for a week"


async def test_what_nobody_can_know(directory: Directory) -> None:
    assert (await refusal(directory, A, NOW.isoformat())).detail == "the mirror has no snapshot yet"
    assert (await directory.refresh()).state == "accepted"
    before = await refusal(directory, A, (NOW - timedelta(seconds=1)).isoformat())
    assert (before.code, "history begins" in before.detail) == (ErrorCode.NOT_FOUND, True)
    never = await refusal(directory, 10009999, NOW.isoformat())
    assert (never.code, never.detail) == (ErrorCode.NOT_FOUND, "the mirror knows no unit 10009999")
    for wrong in ("2026-03-03", "2027-01-01T00:00:00Z", "soon", "2026-02-30", "2026-03-01 10:00", "2026-03-01T10:00"):
        error = await refusal(directory, A, wrong)
        assert (error.code, error.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/query/as_of"), wrong


async def test_a_released_night_counts_from_its_release(database_url: str, detsis: Detsis) -> None:
    """Between the refusal and the release the mirror said what it had said before."""
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=0.1) as directory:
        await directory.account()
        first = await directory.refresh()
        directory.clock.moment += DAY
        detsis.publish(MAIN_A, OFFICE, ARCHIVE)
        refused = await directory.refresh()
        assert refused.state == "refused"
        directory.clock.moment += DAY / 4
        await directory.client.release(refused.run_id, ReleaseOrder(released_by="client:isletme", note="soruldu"))
        between = await directory.client.unit(B, as_of=(NOW + DAY + DAY / 8).isoformat())
        assert (between.unit.absent_since, between.freshness.snapshot_id) == (None, first.run_id)
        after = await directory.client.unit(B, as_of=directory.clock.moment.isoformat())
        assert (after.unit.absent_since, after.freshness.snapshot_id) == (directory.clock.moment, refused.run_id)
        history = await directory.client.unit_history(B)
        assert {change.kind for change in history.changes} == {ChangeKind.ABSENT}
        assert {change.subject for change in history.changes} >= {ChangeSubject.UNIT, ChangeSubject.KEP_ADDRESS}
        (shown,) = history.snapshots
        assert (shown.as_of, shown.published_at) == (NOW + DAY, directory.clock.moment)


async def everything_after(directory: Directory, cursor: str | None, **options: object) -> list[DirectoryChange]:
    found: list[DirectoryChange] = []
    while True:
        page = await directory.client.changes(after=cursor, limit=2, **options)  # type: ignore[arg-type]
        found += page.changes
        cursor = page.next_cursor
        if not page.more:
            return found


async def test_who_reads_in_small_steps_reads_everything_once(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.refresh()).state == "accepted"
    for units in NIGHTS.values():
        await night(directory, detsis, *units)
    whole = (await directory.client.changes(limit=1000)).changes
    assert await everything_after(directory, None) == whole
    numbers = [change.change_id for change in whole]
    assert numbers == sorted(set(numbers))
    addresses = await everything_after(directory, None, types=[ChangeSubject.KEP_ADDRESS])
    assert addresses == [change for change in whole if change.subject is ChangeSubject.KEP_ADDRESS]
    of_unit = await directory.client.unit_history(OFFICE.detsis_no, limit=100)
    assert of_unit.changes == [change for change in whole if change.detsis_no == OFFICE.detsis_no][::-1]
    paged, cursor = [], None
    while True:
        page = await directory.client.unit_history(OFFICE.detsis_no, limit=3, cursor=cursor)
        paged += page.changes
        if (cursor := page.next_cursor) is None:
            break
    assert paged == of_unit.changes


async def test_a_cursor_that_is_not_of_this_feed_is_refused(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.refresh()).state == "accepted"
    end = (await directory.client.changes()).next_cursor
    await night(directory, detsis, *NIGHTS["renamed and moved"])
    ahead = (await directory.client.changes()).next_cursor
    assert (await directory.client.changes(after=end)).changes != []
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("DELETE FROM changes"))
    for wrong in (ahead, "WyJjaGlsZHJlbiIsMV0", "x", "'; --", "é" * 40):
        with pytest.raises(DomainError) as caught:
            await directory.client.changes(after=wrong)
        assert (caught.value.code, caught.value.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/query/after")


async def test_children_come_open_ones_first_and_then_by_name(directory: Directory, detsis: Detsis) -> None:
    below = [
        PinnedUnit(10000201, "ZEYTİNLİK ŞEFLİĞİ", parent_no=A),
        PinnedUnit(10000202, "ÇAY ŞEFLİĞİ", parent_no=A),
        PinnedUnit(10000203, "ARI ŞEFLİĞİ", parent_no=A, active=False, operating=False),
        PinnedUnit(10000204, "ÇAY ŞEFLİĞİ", parent_no=A),
        PinnedUnit(10000205, "İPEK ŞEFLİĞİ", parent_no=A, active=False),
    ]
    detsis.publish(MAIN_A, MAIN_B, *below)
    assert (await directory.refresh()).state == "accepted"
    wanted = [10000202, 10000204, 10000201, 10000203, 10000205]
    for limit in (1, 2, 5, 100):
        assert await _children(directory, limit=limit) == wanted
    assert await _children(directory, limit=2, open_only=True) == wanted[:3]


async def _children(directory: Directory, **options: object) -> list[int]:
    found: list[Unit] = []
    cursor = None
    while True:
        page = await directory.client.children(A, cursor=cursor, **options)  # type: ignore[arg-type]
        found += page.units
        if (cursor := page.next_cursor) is None:
            return [unit.detsis_no for unit in found]


async def test_a_loop_among_parents_ends_the_line(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.refresh()).state == "accepted"
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text(f"UPDATE units SET parent_no = {ARCHIVE.detsis_no} WHERE detsis_no = {A}"))
        await work.session.execute(text(f"UPDATE units SET parent_no = 10009999 WHERE detsis_no = {B}"))
    line = await directory.client.ancestors(ARCHIVE.detsis_no)
    assert ([unit.detsis_no for unit in line.units], line.ends) == ([OFFICE.detsis_no, A], LineEnd.LOOP)
    broken = await directory.client.ancestors(B)
    assert (broken.units, broken.ends) == ([], LineEnd.UNKNOWN)
    assert (await directory.client.unit(ARCHIVE.detsis_no, as_of=NOW.isoformat())).unit.path[-1] == ARCHIVE.name
