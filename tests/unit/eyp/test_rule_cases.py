"""Every rule has a package that keeps it and one that breaks it, under both profiles."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import shared.eyp.rules
from shared.eyp import INTEROP, STRICT, Profile, inspect
from shared.eyp.findings import TOO_MANY, Rule
from tests.unit.eyp.rule_base import FAULTLESS
from tests.unit.eyp.rule_cases import CASES, ELSEWHERE

_NUMBERS = [*range(1, 45), *range(50, 59), *range(60, 65), *range(70, 77), *range(80, 84), *range(85, 91)]
"""The rules of eyp.md 6."""


def catalogue() -> list[Rule]:
    """Every rule defined anywhere in the rules folder, and the one about too many faults."""
    found: list[Rule] = [TOO_MANY]
    for module in pkgutil.iter_modules(shared.eyp.rules.__path__):
        for value in vars(importlib.import_module(f"shared.eyp.rules.{module.name}")).values():
            candidates = value.values() if isinstance(value, dict) else [value]
            found += [rule for rule in candidates if isinstance(rule, Rule)]
    return list(dict.fromkeys(found))


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    """A rule nobody can break is no rule."""
    assert {case.key for case in CASES.values()} == {rule.key for rule in catalogue()}


def test_every_rule_of_the_fact_sheet_is_somebody_s_business() -> None:
    """By its number: checked here, or by whoever can."""
    known = {rule.id for rule in catalogue()}
    assert {f"R.{number}" for number in _NUMBERS} == known | set(ELSEWHERE)
    assert not known & set(ELSEWHERE)


@pytest.mark.parametrize("package", FAULTLESS)
def test_kept(package: str) -> None:
    """The packages the cases start from break no rule at all."""
    assert inspect(FAULTLESS[package], profile=STRICT).findings == ()


@pytest.mark.parametrize("profile", [STRICT, INTEROP], ids=lambda profile: profile.name)
@pytest.mark.parametrize("name", CASES)
def test_broken(name: str, profile: Profile) -> None:
    """Found with the severity of the profile and the official library's code; what is fatal makes unacceptable."""
    case = CASES[name]
    found = case.judge(case.edit(FAULTLESS[case.package]), profile)
    severity = {"F": "fatal", "I": "important", "W": "warning"}[case.weight[profile is INTEROP]]
    assert (case.key, severity, case.code) in {(item.key, item.severity, item.code) for item in found.findings}
    assert severity != "fatal" or not found.acceptable
