"""What the architecture tests look at: our own modules, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("gateway", "detsis_sync", "kep_relay", "signer", "sandbox", "cli")


@dataclass(frozen=True)
class Module:
    """One module of shared/ or services/."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path below the root, as messages show it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def is_wire(self) -> bool:
        """Whether foreign names may live here."""
        stem = self.path.stem
        return stem == "wire" or stem.startswith("wire_") or bool({"wire", "wsdl"} & set(self.path.parent.parts))

    def at(self, node: ast.AST) -> str:
        """Where ``node`` stands."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}"


@cache
def modules(*, tests: bool = False) -> tuple[Module, ...]:
    """Every module that is shipped, and the tests if asked."""
    folders = ["shared", "services", *(["tests"] if tests else [])]
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module(path, text := path.read_text(encoding="utf-8"), ast.parse(text)) for path in paths)


def dotted(node: ast.AST) -> str:
    """``a.b.c`` for a chain of attributes, else the empty string."""
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else f".{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the name it is made by."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def strings(module: Module) -> Iterator[tuple[ast.Constant, str]]:
    """Every text constant, docstrings included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value
