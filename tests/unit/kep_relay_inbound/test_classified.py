"""What a degree of confidentiality means for a letter that arrived: a table, and the doubts about it."""

from __future__ import annotations

from datetime import date

import pytest

from services.kep_relay.inbound.classified import ARRIVALS, Degree, Standing, degree_of, rules_of
from shared.contracts.classified import FoundIn
from shared.eyp import SecurityCode, inspect
from tests.support.packages import degree
from tests.unit.eyp import letters, wrappers

_S = SecurityCode
NOW = rules_of(date(2026, 11, 20))


@pytest.mark.parametrize(
    ("stated", "highest", "annexes", "standing"),
    [
        (_S.UNCLASSIFIED, _S.UNCLASSIFIED, None, Standing.OFFERED),
        (_S.RESTRICTED, _S.RESTRICTED, _S.PERSONAL, Standing.OFFERED),
        (_S.CONFIDENTIAL, _S.CONFIDENTIAL, None, Standing.OFFERED),
        (None, None, None, Standing.OFFERED),
        (None, _S.RESTRICTED, None, Standing.OFFERED),
        (_S.SECRET, _S.SECRET, None, Standing.SEALED),
        (_S.TOP_SECRET, _S.TOP_SECRET, None, Standing.SEALED),
        (None, _S.SECRET, None, Standing.SEALED),
        (_S.RESTRICTED, _S.SECRET, None, Standing.LOWERED),
        (_S.RESTRICTED, _S.SECRET, _S.SECRET, Standing.SEALED),
        (_S.UNCLASSIFIED, _S.UNCLASSIFIED, _S.SECRET, Standing.SEALED),
    ],
)
def test_what_follows_from_a_degree(
    stated: SecurityCode | None, highest: SecurityCode | None, annexes: SecurityCode | None, standing: Standing
) -> None:
    assert Degree(stated, highest, annexes).standing(NOW) is standing


def test_rules_have_dates_and_every_degree_has_a_place() -> None:
    assert [rules.in_force_since for rules in ARRIVALS] == sorted(rules.in_force_since for rules in ARRIVALS)
    before = rules_of(date(2022, 4, 25))
    assert Degree(_S.CONFIDENTIAL, _S.CONFIDENTIAL).standing(before) is Standing.SEALED
    assert Degree(_S.CONFIDENTIAL, _S.CONFIDENTIAL).in_force(NOW) is _S.RESTRICTED
    assert rules_of(date(1999, 1, 1)) is ARRIVALS[0]
    for code in SecurityCode:
        assert Degree(code, code).standing(NOW) in Standing


def test_who_may_read_does_not_outweigh_how_secret_it_is() -> None:
    assert Degree(_S.SECRET, _S.SECRET, _S.PERSONAL).most is _S.SECRET


def test_the_outermost_update_counts_and_the_highest_is_remembered() -> None:
    secret = letters.package(security_code=_S.SECRET)
    lowered = degree_of(inspect(wrappers.update(secret)))
    assert (lowered.stated, lowered.highest, lowered.found_in) == (_S.UNCLASSIFIED, _S.SECRET, FoundIn.PACKAGE)
    closed = degree_of(inspect(wrappers.encrypted(letters.package())))
    assert (closed.stated, closed.highest, closed.found_in) == (None, None, FoundIn.ENVELOPE)
    assert degree_of(inspect(degree("XYZ"))).stated is None
    raised = degree_of(inspect(letters.package()), [None, _S.TOP_SECRET])
    assert (raised.most, raised.found_in) == (_S.TOP_SECRET, FoundIn.ANNEX)
    unsure = degree_of(inspect(letters.package()), [None, _S.RESTRICTED])
    assert [item.rule for item in unsure.findings(NOW)] == ["L.27.annex-degree-unknown"]
