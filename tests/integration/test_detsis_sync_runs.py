"""What a refresh leaves behind: changes, reports, what a person may release; and how it goes on after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.detsis_sync.refresh.lists import PLANS
from shared.contracts.directory import RefreshRun
from shared.contracts.directory.runs import ReleaseOrder
from shared.errors import DomainError, ErrorCode
from tests.integration.test_detsis_sync_mirror import (
    ADDRESSES,
    CHAIR,
    EXTERNAL,
    FACULTY,
    MAIN_A,
    MAIN_B,
    MAIN_C,
    NEWCOMER,
    OWN,
    UNITS,
    changes,
    contents,
)
from tests.support.detsis import A, B, Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

CERTIFICATES, PLACES, STATUSES = "SertifikalariGetir", "TumYerKodlariGetirWs", "TumTip2KodlariGetirWs"
RELEASE = ReleaseOrder(released_by="ayse@kurum.example", note="DETSİS confirmed by phone: the closings are real")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=0.45) as found:
        await found.account()
        yield found


async def rows(directory: Directory, statement: str, **values: Any) -> list[Any]:
    async with directory.database.reading() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def changed(directory: Directory, run: RefreshRun, subject: str) -> list[Any]:
    return await rows(
        directory,
        "SELECT subject_key, kind, old, new FROM changes WHERE run_id = :run AND subject = :subject ORDER BY change_id",
        run=run.run_id,
        subject=subject,
    )


async def staged(directory: Directory) -> set[int]:
    found = await rows(directory, "SELECT relname FROM pg_class WHERE relname LIKE 'staged\\_%' AND relkind = 'r'")
    return {int(name.split("_")[1]) for (name,) in found}


async def swept_to(directory: Directory, runs: set[int]) -> None:
    """Wait for the sweep, which follows the end of a run that others are told."""
    async with asyncio.timeout(30):
        while await staged(directory) != runs:
            await asyncio.sleep(0.02)


# What changed


async def test_the_first_filling_of_a_table_is_no_change(directory: Directory) -> None:
    run = await directory.refresh()
    assert await rows(directory, "SELECT count(*) FROM changes") == [(0,)]
    report = await directory.client.run(run.run_id)
    assert {item.list_name: item.state for item in report.lists} == {plan.name: "applied" for plan in PLANS}
    assert sum(item.bytes_read for item in report.lists) > 1000


async def test_each_change_holds_the_fields_that_differ_and_nothing_else(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    detsis.publish(
        *(unit for unit in UNITS if unit not in {MAIN_B, FACULTY, CHAIR, MAIN_C}),
        replace(MAIN_B, kep_address="rektorluk@hs91.kep.example"),
        replace(FACULTY, active=False, operating=False),
        replace(CHAIR, name="FİZİK VE ASTRONOMİ BÖLÜMÜ"),
        NEWCOMER,
    )
    directory.clock.moment += timedelta(days=1)
    run = await directory.refresh()
    now = directory.clock.moment.isoformat()
    units = await changed(directory, run, "unit")
    by_key = {(key, kind): (old, new) for key, kind, old, new in units}
    old, new = by_key[str(FACULTY.detsis_no), "closed"]
    assert (old, new) == ({"active": True, "operating": True}, {"active": False, "operating": False})
    old, new = by_key[str(CHAIR.detsis_no), "changed"]
    assert old["name"] == CHAIR.name
    assert new["name"] == "FİZİK VE ASTRONOMİ BÖLÜMÜ"
    assert set(old) == set(new) <= {"name", "path_text"}
    old, new = by_key[str(NEWCOMER.detsis_no), "created"]
    assert old is None
    assert (new["name"], new["active"], new["detsis_no"]) == (NEWCOMER.name, True, NEWCOMER.detsis_no)
    assert not {"folded_name", "content_hash", "wire_digest", "search_words"} & set(new)
    absent = [(key, new) for key, kind, old, new in units if kind == "absent"]
    assert (str(MAIN_C.detsis_no), {"absent_since": now, "list": "external"}) in absent
    addresses = {(key, kind) for key, kind, _old, _new in await changed(directory, run, "kep_address")}
    assert addresses == {
        (f"{B} rektorluk@hs91.kep.example", "created"),
        (f"{B} kurum.b@hs92.kep.example", "absent"),
        (f"{MAIN_C.detsis_no} c@hs92.kep.example", "absent"),
        (f"{NEWCOMER.detsis_no} yeni@hs91.kep.example", "created"),
    } | {key for key in addresses if str(FACULTY.detsis_no) in key[0]}
    summary = {key: run.counts[key] for key in ("closed", "reopened", "kep_opened", "kep_moved")}
    assert summary == {"closed": 1, "reopened": 0, "kep_opened": 1, "kep_moved": 1}
    reachable = dict(await rows(directory, "SELECT detsis_no, reachable FROM units"))
    assert (reachable[B], reachable[MAIN_C.detsis_no], reachable[NEWCOMER.detsis_no]) == (True, False, True)


async def test_what_changed_in_no_visible_field_is_no_change(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    detsis.order("unknown_element")
    run = await directory.refresh()
    assert await changed(directory, run, "unit") == []
    report = await directory.client.run(run.run_id)
    external = next(item for item in report.lists if item.list_name == "external")
    assert external.unknown_elements["YeniAlan"] == 6


async def test_a_unit_that_comes_the_same_again_is_not_read_again(directory: Directory, detsis: Detsis) -> None:
    """Its bytes are known: even a mirror that was tampered with is left alone."""
    await directory.refresh()
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("UPDATE units SET content_hash = 'x' WHERE detsis_no = :no"), {"no": B})
        await work.session.execute(
            text("UPDATE units SET content_hash = 'x', wire_digest = NULL WHERE detsis_no = :no"), {"no": A}
        )
    assert changes(await directory.refresh(), "external") == {"changed": 1}
    assert await rows(directory, "SELECT detsis_no FROM units WHERE content_hash = 'x'") == [(B,)]


async def test_a_flag_nobody_understands_is_read_every_night_until_somebody_does(
    directory: Directory, detsis: Detsis
) -> None:
    await directory.refresh()
    detsis.order("unclear_flags", EXTERNAL)
    detsis.order("unclear_flags", OWN)
    detsis.order("unclear_flags", "AnaKurumlariGetirKurumBirimWs")
    run = await directory.refresh()
    assert run.state == "refused"
    report = await directory.client.run(run.run_id)
    assert {item.list_name: item.unknown_texts for item in report.lists if item.unclear_flags}["external"] == {
        "Belirsiz": 6
    }
    assert directory.metric("kepgw_directory_unclear_flags") == 6
    assert directory.metric("kepgw_directory_runs_total", result="refused") == 1


# Releasing what was refused


async def test_a_person_releases_exactly_what_was_refused(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    detsis.publish(MAIN_A)
    refused = await directory.refresh()
    assert refused.state == "refused"
    await swept_to(directory, {refused.run_id})
    detsis.publish(*UNITS)  # what is fetched now does not matter
    asked = detsis.calls.total()
    released = await directory.client.release(refused.run_id, RELEASE)
    assert detsis.calls.total() == asked
    assert (released.state, released.released_by, released.release_note) == (
        "accepted", RELEASE.released_by, RELEASE.note,
    )  # fmt: skip
    assert changes(released, "external") == {"absent": 5}
    assert (await directory.client.status()).freshness.snapshot_id == refused.run_id
    assert await staged(directory) == set()
    assert directory.metric("kepgw_directory_runs_total", result="released") == 1
    with pytest.raises(DomainError) as caught:
        await directory.client.release(refused.run_id, RELEASE)
    assert caught.value.code is ErrorCode.STATE_CONFLICT


async def test_what_was_overtaken_or_lost_is_not_released(directory: Directory, detsis: Detsis) -> None:
    accepted = await directory.refresh()
    detsis.publish(MAIN_A)
    first, second = await directory.refresh(), await directory.refresh()
    await swept_to(directory, {second.run_id})
    for run_id, code in (
        (accepted.run_id, ErrorCode.STATE_CONFLICT), (first.run_id, ErrorCode.STATE_CONFLICT),
        (10_000, ErrorCode.NOT_FOUND),
    ):  # fmt: skip
        with pytest.raises(DomainError) as caught:
            await directory.client.release(run_id, RELEASE)
        assert caught.value.code is code
    detsis.publish(*UNITS)
    assert (await directory.refresh()).state == "accepted"
    with pytest.raises(DomainError, match="accepted since"):
        await directory.client.release(second.run_id, RELEASE)
    await swept_to(directory, set())


async def test_what_never_came_whole_cannot_be_released(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    before = await contents(directory)
    detsis.order("in_band_error", ADDRESSES)
    run = await directory.refresh()
    assert run.state == "refused"
    with pytest.raises(DomainError) as caught:
        await directory.client.release(run.run_id, RELEASE)
    assert caught.value.code is ErrorCode.STATE_CONFLICT
    assert await contents(directory) == before


# Lists a night can do without


@pytest.mark.parametrize("fault", ["truncate", "fault", "html_page", "in_band_error"])
async def test_a_list_one_can_do_without_ends_alone(directory: Directory, detsis: Detsis, fault: str) -> None:
    await directory.refresh()
    before = await rows(directory, "SELECT * FROM places ORDER BY place_id")
    detsis.publish(*UNITS, NEWCOMER)
    detsis.order(fault, PLACES)
    run = await directory.refresh()
    assert run.state == "accepted"
    assert changes(run, "external") == {"new": 1}
    report = await directory.client.run(run.run_id)
    (places,) = [item for item in report.lists if item.list_name == "places"]
    assert places.state == "failed"
    assert places.reason
    assert await rows(directory, "SELECT * FROM places ORDER BY place_id") == before


async def test_a_list_one_can_do_without_may_be_released_on_its_own(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    detsis.order("shrunk_list", STATUSES, value=0.2)
    run = await directory.refresh()
    report = await directory.client.run(run.run_id)
    assert run.state == "accepted"
    (statuses,) = [item for item in report.lists if item.list_name == "statuses"]
    assert statuses.state == "refused"
    assert "shrank" in (statuses.reason or "")
    assert await rows(directory, "SELECT count(*) FROM codes WHERE absent_since IS NOT NULL") == [(0,)]
    await directory.client.release(run.run_id, RELEASE)
    ((gone,),) = await rows(directory, "SELECT count(*) FROM codes WHERE kind = 'status' AND absent_since IS NOT NULL")
    assert gone > 0
    assert await rows(directory, "SELECT count(*) FROM codes WHERE kind = 'category' AND absent_since IS NOT NULL") == [
        (0,)
    ]


async def test_an_endpoint_without_an_own_tree_is_not_asked_for_it(directory: Directory, detsis: Detsis) -> None:
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("UPDATE accounts SET has_own_tree = false"))
    run = await directory.refresh()
    assert run.state == "accepted"
    assert detsis.calls[OWN] == 0
    report = await directory.client.run(run.run_id)
    assert {item.list_name for item in report.lists if item.state == "skipped"} == {"own", "contacts_own"}


async def test_one_bad_certificate_takes_no_other_with_it(directory: Directory, detsis: Detsis) -> None:
    detsis.publish(*UNITS, replace(NEWCOMER, encryption_certificate=b"no certificate at all"))
    run = await directory.refresh()
    assert run.state == "accepted"
    found = await rows(directory, "SELECT detsis_no, unreadable FROM certificates WHERE unreadable IS NOT NULL")
    assert [number for number, _ in found] == [NEWCOMER.detsis_no]


# Deltas


async def test_a_delta_adds_and_changes_and_never_misses_anything(directory: Directory, detsis: Detsis) -> None:
    assert (await directory.ended((await directory.client.refresh(A, "delta")).run_id)).mode == "full"
    detsis.publish(*(unit for unit in UNITS if unit is not MAIN_C), NEWCOMER)
    directory.clock.moment += timedelta(days=1)
    delta = await directory.ended((await directory.client.refresh(A, "delta")).run_id)
    assert (delta.state, delta.mode) == ("accepted", "delta")
    assert changes(delta, "external").get("absent") is None
    assert await rows(directory, "SELECT count(*) FROM unit_sightings WHERE list_name = 'external' AND"
                      " absent_since IS NOT NULL") == [(0,)]  # fmt: skip
    assert (await directory.client.unit(NEWCOMER.detsis_no)).unit.name == NEWCOMER.name
    detsis.order("empty_list", EXTERNAL)
    detsis.order("empty_list", OWN)
    empty = await directory.ended((await directory.client.refresh(A, "delta")).run_id)
    assert empty.state == "accepted"
    detsis.faults.clear()
    full = await directory.refresh()
    assert full.mode == "full"
    assert changes(full, "external") == {"absent": 1}


async def test_a_full_night_comes_after_some_deltas(database_url: str, detsis: Detsis) -> None:
    async with running_directory(
        database_url, detsis, "jobs", shrink_limit_ratio=0.45, refresh_mode="delta", full_every_days=3
    ) as directory:
        await directory.account()
        modes = []
        for _night in range(6):
            modes.append((await directory.refresh()).mode)
            directory.clock.moment += timedelta(days=1)
    assert modes == ["full", "delta", "delta", "full", "delta", "delta"]


# Two accounts, and what was written in between


async def test_what_another_account_wrote_meanwhile_is_left_as_it_is(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    await directory.account(B)
    await directory.refresh(B)
    directory.clock.moment += timedelta(hours=1)
    detsis.publish(*(unit for unit in UNITS if unit is not CHAIR), replace(CHAIR, name="ESKİ AD"))
    with detsis.holding(ADDRESSES) as asked:
        slow = await directory.client.refresh(A)
        await asked.wait()
        # B's whole run happens between A's reading and A's publishing.
        detsis.publish(*(unit for unit in UNITS if unit is not CHAIR), replace(CHAIR, name="YENİ AD"))
        async with directory.database.unit_of_work() as work:
            await work.session.execute(
                text(
                    "WITH r AS (INSERT INTO runs (institution_no, trigger, state, started_at, finished_at) VALUES"
                    " (:b, 'manual', 'accepted', :now, :later) RETURNING run_id) UPDATE units SET name = 'YENİ AD',"
                    " content_hash = 'y', changed_run_id = r.run_id FROM r WHERE detsis_no = :unit"
                ),
                {
                    "b": B,
                    "now": directory.clock.moment,
                    "unit": CHAIR.detsis_no,
                    "later": directory.clock.moment + timedelta(seconds=1),
                },
            )
    run = await directory.ended(slow.run_id)
    assert run.state == "accepted"
    assert run.counts["external.overtaken"] == 1
    assert (await directory.client.unit(CHAIR.detsis_no)).unit.name == "YENİ AD"


# Going on after a crash


async def test_lists_that_are_staged_are_not_fetched_again(directory: Directory, detsis: Detsis) -> None:
    await directory.refresh()
    asked = detsis.calls[EXTERNAL]
    detsis.publish(MAIN_A)
    refused = await directory.refresh()
    assert detsis.calls[EXTERNAL] == asked + 1
    async with directory.database.unit_of_work() as work:
        # As a killed process leaves it: a run under way, lists complete, nobody at work.
        await work.session.execute(
            text("UPDATE runs SET state = 'running', finished_at = NULL, reason = NULL WHERE run_id = :run"),
            {"run": refused.run_id},
        )
        await work.session.execute(
            text("UPDATE run_lists SET state = 'staged', reason = NULL WHERE run_id = :run"), {"run": refused.run_id}
        )
        await work.session.execute(text(f"DELETE FROM staged_{refused.run_id}_addresses"))  # PostgreSQL crashed
    addresses = detsis.calls[ADDRESSES]
    directory.start("schedule")
    again = await directory.ended(refused.run_id)
    assert again.state == "refused"
    assert (detsis.calls[EXTERNAL], detsis.calls[ADDRESSES]) == (asked + 1, addresses + 1)


async def test_staged_lists_grow_old(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=0.45) as directory:
        await directory.account()
        await directory.refresh()
        detsis.publish(MAIN_A)
        refused = await directory.refresh()
        asked = detsis.calls[EXTERNAL]
        directory.clock.moment += timedelta(hours=4)
        async with directory.database.unit_of_work() as work:
            await work.session.execute(
                text("UPDATE runs SET state = 'running', finished_at = NULL, started_at = :now WHERE run_id = :run"),
                {"run": refused.run_id, "now": directory.clock.moment},
            )
            await work.session.execute(
                text("UPDATE run_lists SET state = 'staged' WHERE run_id = :run"), {"run": refused.run_id}
            )
        directory.start("schedule")
        await directory.ended(refused.run_id)
        assert detsis.calls[EXTERNAL] == asked + 1


async def test_leftovers_of_dead_runs_are_swept(directory: Directory) -> None:
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("CREATE UNLOGGED TABLE staged_77_external (detsis_no bigint)"))
        await work.session.execute(text("CREATE TABLE staged_by_somebody_else (x int)"))
    await directory.refresh()
    staged = "SELECT relname FROM pg_class WHERE relname LIKE 'staged\\_%' AND relkind = 'r'"
    async with asyncio.timeout(60):  # the run has ended a moment before it is swept
        while await rows(directory, staged) != [("staged_by_somebody_else",)]:
            await asyncio.sleep(0.02)


# A process that died between two of its own notes


async def _taken_up(directory: Directory, state: str) -> RefreshRun:
    """A run whose external list was noted as ``state`` when its process died, once another has ended it."""
    async with directory.database.unit_of_work() as work:
        run_id = await work.session.scalar(
            text(
                "INSERT INTO runs (institution_no, trigger, state, started_at)"
                " VALUES (:account, 'nightly', 'running', :now) RETURNING run_id"
            ),
            {"account": A, "now": directory.clock.moment},
        )
        await work.session.execute(
            text(
                "INSERT INTO run_lists (run_id, list_name, state, started_at, reason)"
                " VALUES (:run, 'external', :state, :now, 'list external is empty')"
            ),
            {"run": run_id, "state": state, "now": directory.clock.moment},
        )
    directory.start("schedule")
    return await directory.ended(run_id)


async def test_a_list_that_failed_just_before_is_asked_for_again(directory: Directory) -> None:
    await directory.refresh()
    run = await _taken_up(directory, "failed")
    assert run.state == "accepted"
    report = await directory.client.run(run.run_id)
    assert {item.list_name: item.state for item in report.lists}["external"] == "applied"


async def test_a_refusal_just_before_is_not_forgotten(directory: Directory) -> None:
    before = await directory.refresh()
    run = await _taken_up(directory, "refused")
    assert (run.state, run.reason) == ("refused", "list external is empty")
    assert (await directory.client.status()).freshness.snapshot_id == before.run_id
