"""From one day to the next: repeatable, as much as was ordered, and by the rules that real data show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from services.sandbox.detsis.calendar import RegisterCalendar
from services.sandbox.detsis.evolution import FIRST_REORGANISATION, REORGANISATION_DAYS, ChangeKind, Evolution
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from services.sandbox.detsis.units import IN_FORCE, WAITING, KepEntry, Unit
from shared.clock import FixedClock
from tests.unit.sandbox_detsis.service import FIRST_DAY, NOW, PINNED, A, Service

SIZE = 4000
ROW_CHANGES = {
    ChangeKind.OPENED, ChangeKind.CLOSED, ChangeKind.STARTED, ChangeKind.RENAMED, ChangeKind.ADDRESSEE_LOST,
    ChangeKind.ADDRESSEE_GAINED, ChangeKind.REORGANISED,
}  # fmt: skip
ADDRESS_CHANGES = {ChangeKind.ADDRESS_OPENED, ChangeKind.ADDRESS_ANNOUNCED, ChangeKind.ADDRESS_CHANGED}


def lived(days: int, *, size: int = SIZE, share: float = 0.01, seed: int = 3) -> Register:
    register = generate_register(size, 7, PINNED, first_day=FIRST_DAY)
    Evolution(register, seed, share).advance_to(days)
    return register


def state(register: Register) -> tuple[dict[int, Unit], dict[int, tuple[KepEntry, ...]], list[tuple[str, ...]]]:
    units = {unit.number: unit for unit in register.units()}
    addresses = {number: register.kep_entries(number) for number in units}
    return units, addresses, [register.eyp_versions(number) for number in units]


def test_the_same_day_is_the_same_however_it_was_reached() -> None:
    register = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY)
    evolution = Evolution(register, 3, 0.01)
    for day in range(1, 41):
        evolution.advance_to(day)
    assert state(register) == state(lived(40))
    assert register.version == lived(40).version
    assert state(lived(40)) != state(lived(41))
    assert state(lived(40)) != state(lived(40, seed=4))
    assert evolution.advance_to(12) == {}
    assert register.day == 40


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
def test_each_day_something_happens_to_as_many_units_as_ordered(share: float) -> None:
    register = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY)
    evolution = Evolution(register, 3, share)
    for day in range(1, FIRST_REORGANISATION):
        units, addresses, versions = state(register)
        wanted = share * len(register)
        happened = evolution.advance_to(day)
        assert int(wanted) <= sum(happened.values()) <= int(wanted) + 1
        after, addresses_after, _ = state(register)
        changed = {number for number, unit in after.items() if units.get(number) != unit}
        assert changed == {number for number in after if register.changed_on(number) == register.today}
        assert len(changed) == sum(happened[kind] for kind in ROW_CHANGES)
        moved = {number for number in addresses if addresses[number] != addresses_after[number]}
        assert len(moved) == sum(happened[kind] for kind in ADDRESS_CHANGES)
        assert units.keys() <= after.keys()
        assert len(versions) == len(units)


def test_nothing_happens_to_pinned_units_or_without_a_share() -> None:
    before, after = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY), lived(30, share=0.1)
    for pinned in PINNED:
        assert before.unit(pinned.detsis_no) == after.unit(pinned.detsis_no)
        assert before.kep_entries(pinned.detsis_no) == after.kep_entries(pinned.detsis_no)
    assert state(before) == state(lived(30, share=0))


def test_every_kind_of_change_comes_and_does_what_it_says() -> None:
    register = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY)
    evolution = Evolution(register, 3, 0.01)
    seen: set[ChangeKind] = set()
    checks: dict[ChangeKind, Callable[[Unit, Unit], bool]] = {
        ChangeKind.CLOSED: lambda old, new: (
            (old.active, old.operating, new.active, new.operating) == (True, True, False, False)
        ),
        ChangeKind.STARTED: lambda old, new: (
            (old.active, old.operating, new.active, new.operating) == (True, False, True, True)
        ),
        ChangeKind.RENAMED: lambda old, new: old.name != new.name,
        ChangeKind.ADDRESSEE_LOST: lambda old, new: old.external_addressee and not new.external_addressee,
        ChangeKind.ADDRESSEE_GAINED: lambda old, new: new.external_addressee and not old.external_addressee,
        ChangeKind.REORGANISED: lambda old, new: old.level < new.level,
    }
    for day in range(1, 60):
        units, *_ = state(register)
        happened = evolution.advance_to(day)
        seen |= happened.keys()
        after, *_ = state(register)
        assert len(after) - len(units) == happened[ChangeKind.OPENED]
        for kind, check in checks.items():
            assert sum(check(units[number], after[number]) for number in units) == happened[kind], (day, kind)
        for unit in after.values():
            assert unit.parent_no == 0 or not unit.active or after[unit.parent_no].active
            if unit.parent_no:
                assert unit.path[:-1] == after[unit.parent_no].path
                assert unit.main_no == after[unit.parent_no].main_no
    assert seen == set(ChangeKind) - {ChangeKind.CERTIFICATE_REPLACED}


def test_a_reorganisation_takes_a_whole_branch_along_in_one_night() -> None:
    register = lived(FIRST_REORGANISATION - 1)
    before = {unit.number: unit for unit in register.units()}
    happened = Evolution(register, 3, 0.01).advance_to(FIRST_REORGANISATION)
    moved = [unit for unit in register.units() if unit.number in before and before[unit.number].level != unit.level]
    assert len(moved) == happened[ChangeKind.REORGANISED] > 1
    assert {unit.level - before[unit.number].level for unit in moved} == {1}
    (top,) = (unit for unit in moved if unit.parent_no != before[unit.number].parent_no)
    assert {unit.number for unit in register.subtree(top.number)} == {unit.number for unit in moved}
    assert top in register.children(top.parent_no)
    assert register.ancestors(top.number)[0].number == top.parent_no
    assert all(register.changed_on(unit.number) == register.today for unit in moved)
    assert top not in register.children(before[top.number].parent_no)
    assert REORGANISATION_DAYS > 1


def test_an_address_changes_in_two_steps() -> None:
    register = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY)
    evolution = Evolution(register, 3, 0.01)
    waiting: dict[int, tuple[str, str]] = {}
    finished = 0
    for day in range(1, 40):
        before = {number: register.kep_entries(number) for number in register.numbers()}
        evolution.advance_to(day)
        for number, old in before.items():
            new = register.kep_entries(number)
            if len(old) < len(new) == 2:
                assert [(entry.active, entry.status) for entry in new] == [(True, IN_FORCE), (False, WAITING)]
                assert old == new[:1]
                waiting[number] = (new[0].address, new[1].address)
            elif len(old) == 2 and new != old:
                finished += number in waiting
                assert [(entry.address, entry.active) for entry in new] == [(old[1].address, True)]
                assert register.owner(old[0].address) is None
                owner = register.owner(new[0].address)
                assert owner is not None
                assert owner.number == number
    assert finished > 10


def test_a_new_unit_is_found_everywhere() -> None:
    before, after = {unit.number for unit in lived(0).units()}, lived(20)
    opened = [unit for unit in after.units() if unit.number not in before]
    assert len(opened) > 50
    assert any(unit.active and not unit.operating for unit in opened)
    for unit in opened:
        assert after.unit(unit.number) == unit
        assert unit in after.children(unit.parent_no)
        assert unit in list(after.subtree(unit.main_no))
    assert sum(len(list(after.subtree(main.number))) for main in after.main_institutions()) == len(after)


async def test_the_external_list_honours_its_date() -> None:
    service = Service(size=2000, daily_share=0.02)
    await_days = 5
    service.calendar.advance(await_days)
    register = service.register
    everything = (await service.external()).numbers()
    assert len(everything) == len(set(everything)) == sum(1 for _ in register.correspondents())
    assert (await service.external(FIRST_DAY)).numbers() == everything
    for days in range(1, await_days + 2):
        since = FIRST_DAY + timedelta(days=days)
        expected = [number for number in register.numbers() if register.changed_on(number) >= since]
        assert (await service.external(since)).numbers() == expected
    assert expected == []


async def test_whether_a_delta_reports_what_was_closed_is_a_switch() -> None:
    service = Service(size=2000, daily_share=0.05)
    service.calendar.advance(3)
    since = FIRST_DAY + timedelta(days=1)
    told = await service.external(since)
    assert {"True", "False"} == set(told.values("KurumBirimWS", "Aktifmi"))
    service.order("delta_hides_closed")
    hidden = await service.external(since)
    assert {"True"} == set(hidden.values("KurumBirimWS", "Aktifmi"))
    assert set(hidden.values("KurumBirimWS", "DisYazismaMuhatabiOlupOlmadigi")) == {"true"}
    assert set(hidden.numbers()) < set(told.numbers())
    assert "False" in (await service.external()).values("KurumBirimWS", "Aktifmi")


async def test_the_own_tree_honours_its_date() -> None:
    service = Service()
    assert (await service.ask("KendiTumBirimleriGetirWs")).numbers() == [A, 10000011]
    service.calendar.advance(2)
    service.register.set_active(10000011, active=False)
    for since, expected in (("2026-03-02", [A, 10000011]), ("2026-03-03", [10000011]), ("2026-03-05", [])):
        answer = await service.ask("KendiTumBirimleriGetirWs", degisiklikTarihiBaslangic=f"{since}T00:00:00")
        assert answer.numbers() == expected


def calendar(file: Path, clock: FixedClock, *, share: float = 0) -> RegisterCalendar:
    register = generate_register(1000, 7, PINNED, first_day=FIRST_DAY)
    return RegisterCalendar(register, clock, seed=3, daily_share=share, file=file)


def test_ordered_days_and_their_shares_outlive_a_restart(tmp_path: Path) -> None:
    file, clock = tmp_path / "days.json", FixedClock(NOW)
    first = calendar(file, clock)
    clock.moment = NOW + timedelta(days=4)
    assert sum(first.advance(2, share=0.01).values()) == 20
    clock.moment = NOW + timedelta(days=5)
    first.catch_up()
    assert first.register.day == 7
    second = calendar(file, clock)
    assert second.is_behind()
    second.catch_up()
    assert not second.is_behind()
    assert second.register.day == 7
    assert state(second.register) == state(first.register)


def test_the_register_follows_the_clock_but_not_back(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    found = calendar(tmp_path / "days.json", clock, share=0.01)
    assert not found.is_behind()
    clock.moment = NOW.replace(hour=21)
    assert found.is_behind()
    assert sum(found.catch_up().values()) == 10
    assert found.register.today == date(2026, 3, 3)
    clock.moment = NOW
    assert found.catch_up() == {}
    assert found.register.today == date(2026, 3, 3)
    with pytest.raises(ValueError, match="ends with day"):
        found.advance(30_000)


def test_a_unit_moved_by_order_is_in_its_new_tree_only() -> None:
    register = generate_register(SIZE, 7, PINNED, first_day=FIRST_DAY)
    branch = next(unit for unit in register.units() if unit.level == 1 and register.children(unit.number))
    family = {unit.number for unit in register.subtree(branch.number)}
    index, target = register.forest.index(branch.number), register.forest.index(A)
    assert index is not None
    assert target is not None
    assert register.move_to(index, target) == len(family)
    assert family <= {unit.number for unit in register.subtree(A)}
    assert not family & {unit.number for unit in register.subtree(branch.main_no)}
    home = register.forest.index(branch.main_no)
    assert home is not None
    register.move_to(index, home)
    again = [unit.number for unit in register.subtree(branch.main_no)]
    assert family <= set(again)
    assert len(again) == len(set(again))
    with pytest.raises(ValueError, match="below itself"):
        register.move_to(index, register.forest.children(index)[0])
    with pytest.raises(ValueError, match="main institution"):
        register.move_to(home, index)


def test_four_hundred_thousand_units_take_tens_of_megabytes() -> None:
    register = generate_register(400_000, 7, [PinnedUnit(A, "A")])
    forest = register.forest
    arrays = sum(array.itemsize * len(array) for array in (forest.parents, forest.words, forest.changed)) + sum(
        map(len, (forest.flags, forest.kep, forest.home_levels))
    )
    assert arrays < 8_000_000
    Evolution(register, 3, 0.001).advance_to(10)
    assert len(register) > 400_000
