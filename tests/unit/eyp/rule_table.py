"""Prints every rule with the tests that prove it: ``python -m tests.unit.eyp.rule_table``, as Markdown."""

from __future__ import annotations

from tests.unit.eyp.rule_cases import CASES, ELSEWHERE

_SEVERITIES = {"F": "fatal", "I": "important", "W": "warning"}


def rows() -> list[tuple[str, ...]]:
    """One row for each rule and each kind of package it was broken in."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, case in CASES.items():
        found.setdefault((case.key, case.package), []).append(name)
    ordered = sorted(found.items(), key=lambda item: (int(item[0][0].split(".")[1]), item[0]))
    return [_row(key, package, names) for (key, package), names in ordered] + [
        (rule, "—", "—", reason, "—") for rule, reason in ELSEWHERE.items()
    ]


def _row(key: str, package: str, names: list[str]) -> tuple[str, ...]:
    cases = [CASES[name] for name in names]
    return (
        key,
        ", ".join(dict.fromkeys("/".join(_SEVERITIES[letter] for letter in case.weight) for case in cases)),
        ", ".join(dict.fromkeys("—" if case.code is None else str(case.code) for case in cases)),
        f"`test_kept[{package}]`",
        "<br>".join(f"`test_broken[{name}-strict]`" for name in names),
    )


def markdown() -> str:
    """The table; the tests stand in ``tests/unit/eyp/test_rule_cases.py``, each once more under ``interop``."""
    lines = ["| rule | strict/interop | code | kept | broken |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows())])


if __name__ == "__main__":
    print(markdown())
