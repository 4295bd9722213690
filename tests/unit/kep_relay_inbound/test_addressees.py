"""Whom a package is for and from, against the addresses the directory knows (kep.md 7.33, 7.34)."""

from __future__ import annotations

import pytest

from services.kep_relay.inbound.addressees import judge
from services.kep_relay.inbound.consumer_rules import Addressing

US, OURS, THEM, THEIRS = 10000001, "biz@hs98.kep.tr", 20000001, "onlar@hs99.kep.tr"
UNIT, OTHER, OTHERS = 10000007, 30000001, "oteki@hs98.kep.tr"
BOOK = {US: OURS, UNIT: OURS, THEM: THEIRS, OTHER: OTHERS}


@pytest.mark.parametrize(
    ("units", "senders", "sender", "known", "rules"),
    [
        ({US}, {THEM}, THEIRS, BOOK, []),
        ({US, OTHER}, {THEM}, THEIRS, BOOK, []),
        ({UNIT}, {THEM}, THEIRS, BOOK, []),
        ({OTHER}, {THEM}, THEIRS, BOOK, ["addressed-elsewhere"]),
        ({US}, {THEM}, OTHERS, BOOK, ["sender-mismatch"]),
        ({US}, {THEM}, THEIRS.upper(), BOOK, []),
        ({OTHER}, {THEM}, OTHERS, BOOK, ["addressed-elsewhere", "sender-mismatch"]),
        ({OTHER}, {THEM}, OTHERS, {}, []),
        ({OTHER, 9}, {THEM}, THEIRS, BOOK, []),
        (set(), {THEM}, None, BOOK, []),
        (set(), set(), OTHERS, BOOK, []),
        ({US}, {THEM, OTHER}, OTHERS, BOOK, []),
    ],
)
def test_what_does_not_fit(
    units: set[int], senders: set[int], sender: str | None, known: dict[int, str], rules: list[str]
) -> None:
    addressing = Addressing(frozenset(units), frozenset(senders))
    assert [item.rule for item in judge(addressing, US, OURS.upper(), sender, known)] == rules
