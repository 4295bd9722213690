"""The table of what proves what names tests that exist, for everything that has to be proved."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from services.signer.policy import PROFILES
from services.signer.standing import PURPOSES
from tests.unit.signer.rule_table import LIMITS, TRAPS, Proof, markdown, rules

HERE = Path(__file__).parent
EVERYTHING = [*rules(), *TRAPS.items(), *LIMITS.items()]


@cache
def written_in(module: str) -> frozenset[str]:
    names = set()
    for node in ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{item.name}" for item in methods}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return frozenset(names)


@pytest.mark.parametrize(("name", "proof"), EVERYTHING, ids=[name for name, _proof in EVERYTHING])
def test_what_it_names_exists(name: str, proof: Proof) -> None:
    assert proof.accepted, name
    assert proof.refused, name
    for test in (*proof.accepted, *proof.refused):
        module, _, function = test.partition("[")[0].partition(".")
        assert function in written_in(module), test


def test_it_is_complete() -> None:
    wanted = sum(len(profile.rules) for profile in PROFILES.values())
    wanted += sum(len(purpose.requirements) for purpose in PURPOSES.values())
    assert len(rules()) == wanted
    assert list(TRAPS) == [f"3.{number}" for number in range(1, 13)]
    assert {name.split()[0] for name in LIMITS} == {f"8.{number}" for number in range(1, 13)}
    assert len(markdown().splitlines()) == 2 + len(EVERYTHING)
