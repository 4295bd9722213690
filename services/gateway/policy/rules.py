"""The rules about degrees of confidentiality, as data with dates (legal.md 5, L.26, L.37). Pure.

A new regulation is a new row; nothing else in the code knows which degree may travel how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from shared.eyp import SecurityCode

_S = SecurityCode


class Treatment(StrEnum):
    """What a degree means for sending by KEP."""

    OPEN = "open"
    """May travel as it is."""
    PROTECTED = "protected"
    """Travels encrypted, or unencrypted by a person's recorded decision."""
    FORBIDDEN = "forbidden"
    """Does not travel by KEP at all."""


@dataclass(frozen=True)
class DegreeRule:
    """One degree: how secret it is beside the others, and what follows."""

    rank: int
    treatment: Treatment


@dataclass(frozen=True)
class ConfidentialityRules:
    """The rules of one period."""

    rule: str
    """Id under which the rule is recorded with every letter it was applied to."""
    in_force_since: date
    basis: str
    """The texts it follows from, for people."""
    degrees: Mapping[SecurityCode, DegreeRule]

    def treatment(self, degree: SecurityCode) -> Treatment:
        """What follows from a degree; one that the table does not know is forbidden."""
        known = self.degrees.get(degree)
        return Treatment.FORBIDDEN if known is None else known.treatment

    def exceeds(self, degree: SecurityCode | None, other: SecurityCode) -> bool:
        """Whether ``degree`` is, or may be, more secret than ``other``: an unknown one may be anything."""
        if degree is None or degree not in self.degrees or other not in self.degrees:
            return True
        return self.degrees[degree].rank > self.degrees[other].rank


CONFIDENTIALITY = (
    ConfidentialityRules(
        rule="L.26",
        in_force_since=date(2020, 7, 1),
        basis="Regulation 2646 (RG 31151) arts. 25, 31(3): what is more secret than HİZMETE ÖZEL travels on paper",
        degrees={
            _S.UNCLASSIFIED: DegreeRule(0, Treatment.OPEN),
            _S.PERSONAL: DegreeRule(1, Treatment.OPEN),
            _S.RESTRICTED: DegreeRule(1, Treatment.PROTECTED),
            _S.CONFIDENTIAL: DegreeRule(2, Treatment.FORBIDDEN),
            _S.SECRET: DegreeRule(3, Treatment.FORBIDDEN),
            _S.TOP_SECRET: DegreeRule(4, Treatment.FORBIDDEN),
        },
    ),
    ConfidentialityRules(
        rule="L.26",
        in_force_since=date(2022, 4, 26),
        basis="Decision 5529 (RG 31821) and regulation 2646 arts. 25, 31(3): ÖZEL is gone, what bears it counts as "
        "HİZMETE ÖZEL",
        degrees={
            _S.UNCLASSIFIED: DegreeRule(0, Treatment.OPEN),
            _S.PERSONAL: DegreeRule(1, Treatment.OPEN),
            _S.RESTRICTED: DegreeRule(1, Treatment.PROTECTED),
            _S.CONFIDENTIAL: DegreeRule(1, Treatment.PROTECTED),
            _S.SECRET: DegreeRule(2, Treatment.FORBIDDEN),
            _S.TOP_SECRET: DegreeRule(3, Treatment.FORBIDDEN),
        },
    ),
)
"""Oldest first. KİŞİYE ÖZEL says who may read, not how secret a letter is; an annex that bears it needs a letter that
is not for everybody either."""


def rules_of(day: date) -> ConfidentialityRules:
    """The rules in force on a day in Turkey; before the first ones, those."""
    found = [rules for rules in CONFIDENTIALITY if rules.in_force_since <= day]
    return found[-1] if found else CONFIDENTIALITY[0]
