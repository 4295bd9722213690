"""Whether a letter that arrived is more secret than KEP may carry (legal.md 5, L.27). Pure; the rules are dated data.

Doubt never lowers a degree (record 0018): what an update takes down counts only when that update is proven, and
what a package among the annexes states counts like what the letter states itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto

from shared.contracts.classified import FoundIn
from shared.contracts.inbound import PackageFinding
from shared.eyp import Inspection, PackageKind, SecurityCode, Severity

_S = SecurityCode
_RANK: Mapping[SecurityCode, int] = {
    _S.UNCLASSIFIED: 0, _S.PERSONAL: 1, _S.RESTRICTED: 2, _S.CONFIDENTIAL: 3, _S.SECRET: 4, _S.TOP_SECRET: 5,
}  # fmt: skip
"""``PERSONAL`` says who may read, not how secret a letter is: it outweighs no degree."""


@dataclass(frozen=True)
class ArrivalRules:
    """The rules of one period about what arrives."""

    rule: str
    """Id under which the rule is recorded with every letter it was applied to."""
    in_force_since: date
    basis: str
    """The texts it follows from, for people."""
    sealed: frozenset[SecurityCode]
    """Degrees that seal a letter."""
    retired: Mapping[SecurityCode, SecurityCode] = field(default_factory=dict)
    """Degrees that exist no more, and what bears them counts as."""


ARRIVALS = (
    ArrivalRules(
        rule="L.27",
        in_force_since=date(2020, 7, 1),
        basis="Regulation 2646 (RG 31151) arts. 25, 31(3): what is more secret than HİZMETE ÖZEL travels on paper",
        sealed=frozenset({_S.CONFIDENTIAL, _S.SECRET, _S.TOP_SECRET}),
    ),
    ArrivalRules(
        rule="L.27",
        in_force_since=date(2022, 4, 26),
        basis="Decision 5529 (RG 31821) and regulation 2646 arts. 25, 31(3): ÖZEL is gone, what bears it counts as "
        "HİZMETE ÖZEL",
        sealed=frozenset({_S.SECRET, _S.TOP_SECRET}),
        retired={_S.CONFIDENTIAL: _S.RESTRICTED},
    ),
)
"""Oldest first."""


def rules_of(day: date) -> ArrivalRules:
    """The rules in force on a day in Turkey; before the first ones, those."""
    found = [rules for rules in ARRIVALS if rules.in_force_since <= day]
    return found[-1] if found else ARRIVALS[0]


class Standing(Enum):
    """What is to be done with a letter of some degree."""

    OFFERED = auto()
    LOWERED = auto()
    """An update takes a degree down that would seal the letter: it is offered only if every update is proven."""
    SEALED = auto()


@dataclass(frozen=True)
class Degree:
    """How confidential a package is, as far as it could be seen."""

    stated: SecurityCode | None = None
    """In force by what the package says; None if that is not known."""
    highest: SecurityCode | None = None
    """The highest one it names on any level."""
    annexes: SecurityCode | None = None
    """The highest one of the packages among its parts."""
    encrypted: bool = False
    annexes_unknown: bool = False
    """There are packages among its parts whose degree nobody can tell."""

    def standing(self, rules: ArrivalRules) -> Standing:
        """What follows; a letter whose degree is not known is offered, and flagged."""
        if self.annexes in rules.sealed:
            return Standing.SEALED
        if self.highest not in rules.sealed:
            return Standing.OFFERED
        return Standing.SEALED if self.stated is None or self.stated in rules.sealed else Standing.LOWERED

    @property
    def most(self) -> SecurityCode | None:
        """The highest one found anywhere."""
        return _highest((self.highest, self.annexes))

    @property
    def found_in(self) -> FoundIn:
        """Where the highest one stood."""
        if _rank(self.annexes) > _rank(self.highest):
            return FoundIn.ANNEX
        return FoundIn.ENVELOPE if self.encrypted else FoundIn.PACKAGE

    def in_force(self, rules: ArrivalRules) -> SecurityCode | None:
        """The degree a letter that is offered is treated by."""
        return None if self.stated is None else rules.retired.get(self.stated, self.stated)

    def findings(self, rules: ArrivalRules) -> Iterator[PackageFinding]:
        """What a person should know about the degree of a letter that is offered."""
        if self.stated is None:
            yield _finding(
                rules, "degree-unknown", "Gizlilik derecesi bilinmiyor.", "The degree of confidentiality is not known."
            )
        elif self.stated in rules.retired:
            yield _finding(
                rules, "degree-retired", "ÖZEL derecesi kaldırıldı; belge HİZMETE ÖZEL sayılır.",
                "The degree ÖZEL is retired; the letter counts as HİZMETE ÖZEL.",
            )  # fmt: skip
        if self.annexes_unknown:
            yield _finding(
                rules, "annex-degree-unknown", "Ekteki bir paketin gizlilik derecesi bilinmiyor.",
                "The degree of confidentiality of a package among the annexes is not known.",
            )  # fmt: skip
        if self.standing(rules) is Standing.LOWERED:
            yield _finding(
                rules, "degree-lowered", "Gizlilik derecesi bir güncelleme ile düşürülmüş.",
                "An update has lowered the degree of confidentiality.",
            )  # fmt: skip


def degree_of(inspection: Inspection, annexes: Iterable[SecurityCode | None] = ()) -> Degree:
    """The degree of an inspected package, opened or not; ``annexes``: of the packages among its parts."""
    found = list(annexes)
    return Degree(
        stated=_stated(inspection),
        highest=_highest(code for level in _levels(inspection) for code in _said(level)),
        annexes=_highest(found),
        encrypted=inspection.kind is PackageKind.ENCRYPTED,
        annexes_unknown=None in found,
    )


def _stated(inspection: Inspection) -> SecurityCode | None:
    """The outermost update's; metadata that have no place in their package may only raise it."""
    found: SecurityCode | None = None
    for level in _levels(inspection):
        if level.kind is PackageKind.ENCRYPTED:
            if level.inner is None:
                return None  # whoever has not opened it cannot say
            continue
        if level.kind is PackageKind.UPDATE:
            changes = level.update.degree_changes if level.update else ()
            if level.update is None or not changes or any(change.new_degree is None for change in changes):
                return None
            found = _highest(change.new_degree for change in changes)
        else:
            found = level.metadata.security_code if level.metadata else None
        break
    if found is None:
        return None
    return _highest([found, *(level.stray_degree for level in _levels(inspection))])


def _said(level: Inspection) -> Iterator[SecurityCode | None]:
    yield level.metadata.security_code if level.metadata else None
    yield level.stray_degree
    for change in level.update.degree_changes if level.update else ():
        yield change.new_degree


def _levels(inspection: Inspection) -> Iterator[Inspection]:
    level: Inspection | None = inspection
    while level is not None:
        yield level
        level = level.inner


def _highest(codes: Iterable[SecurityCode | None]) -> SecurityCode | None:
    return max(codes, key=_rank, default=None)


def _rank(code: SecurityCode | None) -> int:
    return -1 if code is None else _RANK[code]


def _finding(rules: ArrivalRules, what: str, turkish: str, english: str) -> PackageFinding:
    return PackageFinding(
        rule=f"{rules.rule}.{what}", severity=Severity.IMPORTANT.value, part=None, message_tr=turkish,
        message_en=english,
    )  # fmt: skip
