"""The recipients of a package by number: never by position, and what contradicts itself is not used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from services.detsis_sync.rows import CorrespondencePackage, PackageRecipient
from shared.domain.identifiers import DetsisNumber


@dataclass(frozen=True)
class Entries:
    """What a package says about the recipients that were asked for."""

    by_number: Mapping[DetsisNumber, PackageRecipient]
    repeated: Collection[DetsisNumber]
    """Named more than once, always with the same values."""
    contradicting: Mapping[DetsisNumber, tuple[str, ...]]
    """Named more than once with different values: the fields that differ, which are None in ``by_number``."""
    foreign: tuple[DetsisNumber, ...]
    """Named although nobody asked; nothing of these is used."""


def entries(package: CorrespondencePackage, asked: Collection[DetsisNumber]) -> Entries:
    """Join the package's recipients to the asked numbers."""
    by_number: dict[DetsisNumber, PackageRecipient] = {}
    repeated: set[DetsisNumber] = set()
    differing: dict[DetsisNumber, set[str]] = {}
    foreign: dict[DetsisNumber, None] = {}
    wanted = frozenset(asked)
    for entry in package.recipients:
        number = entry.detsis_no
        if number not in wanted:
            foreign[number] = None
            continue
        first = by_number.setdefault(number, entry)
        if first is not entry:
            repeated.add(number)
            names = {field.name for field in fields(entry) if getattr(first, field.name) != getattr(entry, field.name)}
            if names:
                differing.setdefault(number, set()).update(names)
    for number, names in differing.items():
        nothing: dict[str, Any] = dict.fromkeys(names)
        by_number[number] = replace(by_number[number], **nothing)
    return Entries(
        by_number,
        repeated - differing.keys(),
        {number: tuple(sorted(names)) for number, names in differing.items()},
        tuple(foreign),
    )
