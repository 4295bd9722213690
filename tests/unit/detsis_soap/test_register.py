"""The generated register: always the same, shaped like the real one, and steerable."""

from __future__ import annotations

from collections import Counter

import pytest

from services.sandbox.detsis.names import dative
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from shared.domain.identifiers import detsis_number, kep_address


@pytest.fixture(scope="module")
def register() -> Register:
    return generate_register(
        5000, 11, [PinnedUnit(10000001, "A", kep_address="a@b.example"), PinnedUnit(10000002, "B", 10000001)]
    )


def test_the_same_arguments_make_the_same_register() -> None:
    one, two, other = generate_register(2000, 1), generate_register(2000, 1), generate_register(2000, 2)
    assert list(one.units()) == list(two.units()) != list(other.units())


def test_numbers_are_unique_and_valid(register: Register) -> None:
    numbers = list(register.numbers())
    assert len(numbers) == len(set(numbers)) == len(register) == 5000
    assert all(detsis_number(number) for number in numbers)


def test_the_tree_holds_together(register: Register) -> None:
    units = {unit.number: unit for unit in register.units()}
    for unit in units.values():
        assert register.unit(unit.number) == unit
        assert units[unit.main_no].parent_no == 0
        assert len(unit.path) == unit.level + 1
        if unit.parent_no:
            parent = units[unit.parent_no]
            assert (parent.level, parent.path) == (unit.level - 1, unit.path[:-1])
            assert not unit.active or parent.active
    assert sum(len(list(register.subtree(main.number))) for main in register.main_institutions()) == 5000


def test_neighbours(register: Register) -> None:
    deep = next(unit for unit in register.units() if unit.level == 3)
    assert [unit.level for unit in register.ancestors(deep.number)] == [2, 1, 0]
    assert deep in register.children(deep.parent_no)
    assert [unit.number for unit in register.ancestors(10000002)] == [10000001]
    assert [unit.number for unit in register.children(10000001)] == [10000002]


def test_flags_come_in_all_four_combinations(register: Register) -> None:
    counted = Counter((unit.active, unit.operating) for unit in register.units())
    assert counted.keys() == {(True, True), (False, True), (False, False), (True, False)}
    assert counted[True, True] > 3500


def test_addresses(register: Register) -> None:
    entries = list(register.active_kep_entries())
    assert 200 < len(entries) < 2000
    assert len({kep_address(entry.address) for entry in entries}) == len(entries)
    for entry in entries:
        assert register.owner(entry.address.upper()) == entry
    assert any(entry.address != kep_address(entry.address) for entry in entries)
    assert register.owner("yok@b.example") is None
    assert register.owner("birim.99999999@hs91.kep.example") is None


def test_steering() -> None:
    register = generate_register(2000, 1, [PinnedUnit(10000001, "A", kep_address="a@b.example")])
    generated = next(unit.number for unit in register.units() if unit.number != 10000001)
    for number in (10000001, generated):
        register.set_active(number, active=False)
        unit = register.unit(number)
        assert unit is not None
        assert not unit.active
        assert not unit.operating
        register.set_active(number, active=True)
        register.set_kep_address(number, f"yeni.{number}@b.example")
        assert [entry.address for entry in register.kep_entries(number)] == [f"yeni.{number}@b.example"]
        assert register.owner(f"yeni.{number}@b.example")
        register.set_kep_address(number, None)
        assert register.kep_entries(number) == ()
    assert register.owner("a@b.example") is None
    with pytest.raises(KeyError):
        register.set_active(19999999, active=False)


@pytest.mark.parametrize(
    "pinned",
    [
        [PinnedUnit(10000001, "A"), PinnedUnit(10000001, "B")],
        [PinnedUnit(10000001, "A", parent_no=10000002)],
        [PinnedUnit(123, "A")],
        [PinnedUnit(20000000, "A")],
    ],
)
def test_contradicting_pinned_units_are_refused(pinned: list[PinnedUnit]) -> None:
    with pytest.raises(ValueError):
        generate_register(100, 1, pinned)


@pytest.mark.parametrize("size", [0, 400_001])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        generate_register(size, 1)


@pytest.mark.parametrize(
    ("name", "addressee"),
    [
        ("ÖRNEK KURUMU BAŞKANLIĞI", "ÖRNEK KURUMU BAŞKANLIĞINA"),
        ("ÇAMYAZI ÜNİVERSİTESİ REKTÖRLÜĞÜ", "ÇAMYAZI ÜNİVERSİTESİ REKTÖRLÜĞÜNE"),
        ("GÖKTEPE VALİLİĞİ", "GÖKTEPE VALİLİĞİNE"),
        ("HUKUK KURUMU", "HUKUK KURUMUNA"),
        ("SEMT KONAK", "SEMT KONAKA"),
        ("BRN", "BRN"),
    ],
)
def test_the_dative(name: str, addressee: str) -> None:
    assert dative(name) == addressee
