"""What the architecture tests look at: our own modules, parsed once."""

from __future__ import annotations

import ast
import subprocess
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
def modules() -> tuple[Module, ...]:
    """Every module that is shipped."""
    paths = sorted(path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module(path, text := path.read_text(encoding="utf-8"), ast.parse(text)) for path in paths)


@cache
def texts() -> dict[str, list[str]]:
    """The lines of every text file of the repository, by name; what git ignores is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    kinds = {".py", ".md", ".toml", ".txt", ".in", ".yaml", ".yml", ".sh", ".sql", ".wsdl", ".json", ""}
    files = {name: ROOT / name for name in sorted(listed) if name and (ROOT / name).suffix in kinds}
    return {
        name: path.read_text(encoding="utf-8", errors="replace").splitlines()
        for name, path in files.items()
        if path.is_file()
    }


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
