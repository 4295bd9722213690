"""Which consumers get a letter: a table of rules and letters."""

from __future__ import annotations

import io
from typing import Any

import pytest

from services.kep_relay.inbound.consumer_rules import (
    Addressing,
    Candidate,
    Traits,
    addressing_of,
    fits,
    folded,
    route,
    together,
)
from shared import eyp
from shared.contracts.consumers import ConsumerRule, RoutingOutcome
from shared.eyp import Distribution, Organisation
from tests.unit.eyp import letters

HR, LAW, PRESS = 10000010, 10000020, 10000030
LETTER = Traits(
    sender_address="ornek.bakanligi@hs01.kep.tr",
    subject="İHALE Duyurusu: IĞDIR ve Isparta",
    has_package=True,
    addressing=Addressing(units=frozenset({HR, LAW}), senders=frozenset({10000001})),
)
BARE = Traits(sender_address="kisi@hs02.kep.tr", subject="Dilekçe")
EMPTY = Traits()


def rule(mode: str = "exclusive", **match: Any) -> ConsumerRule:
    return ConsumerRule.model_validate({"mode": mode, "match": match})


def consumer(name: str, *rules: ConsumerRule, position: int = 100) -> Candidate:
    return Candidate(name, position, rules)


CONDITIONS: list[tuple[dict[str, Any], Traits, list[str] | None]] = [
    ({}, EMPTY, []),
    ({"units": [PRESS, LAW]}, LETTER, [f"units: {LAW}"]),
    ({"units": [PRESS]}, LETTER, None),
    ({"units": [HR]}, BARE, None),
    ({"sender_detsis_nos": [10000001]}, LETTER, ["sender_detsis_nos: 10000001"]),
    ({"sender_detsis_nos": [HR]}, LETTER, None),
    ({"sender_addresses": ["ornek.bakanligi@hs01.kep.tr"]}, LETTER, ["sender_addresses: ornek.bakanligi@hs01.kep.tr"]),
    ({"sender_addresses": ["*@HS01.kep.tr"]}, LETTER, ["sender_addresses: *@HS01.kep.tr"]),
    ({"sender_addresses": ["*@hs01.kep.tr"]}, BARE, None),
    ({"sender_addresses": ["hs01.kep.tr"]}, LETTER, None),
    ({"sender_addresses": ["*"]}, EMPTY, None),
    ({"subjects": ["ihale"]}, LETTER, ["subjects: ihale"]),
    ({"subjects": ["İhale  duyurusu"]}, LETTER, ["subjects: İhale  duyurusu"]),
    ({"subjects": ["ığdır"]}, LETTER, ["subjects: ığdır"]),
    ({"subjects": ["iğdir"]}, LETTER, None),
    ({"subjects": ["ısparta"]}, LETTER, ["subjects: ısparta"]),
    ({"subjects": ["ihale*ısparta"]}, LETTER, ["subjects: ihale*ısparta"]),
    ({"subjects": ["ısparta*ihale"]}, LETTER, None),
    ({"subjects": [".*"]}, LETTER, None),
    ({"subjects": ["dilekçe"]}, BARE, ["subjects: dilekçe"]),
    ({"subjects": ["x"]}, EMPTY, None),
    ({"has_package": True}, LETTER, ["has_package: true"]),
    ({"has_package": True}, BARE, None),
    ({"has_package": False}, BARE, ["has_package: false"]),
    ({"has_package": False}, LETTER, None),
    ({"units": [HR], "subjects": ["ihale"]}, LETTER, [f"units: {HR}", "subjects: ihale"]),
    ({"units": [HR], "subjects": ["yok"]}, LETTER, None),
]


@pytest.mark.parametrize(("match", "letter", "because"), CONDITIONS)
def test_conditions(match: dict[str, Any], letter: Traits, because: list[str] | None) -> None:
    found = route(letter, [consumer("a", rule(**match))])
    assert found.consumer == ("default" if because is None else "a")
    assert [item.because for item in found.reasons] == ([] if because is None else [because])


def test_without_consumers_everything_is_the_defaults() -> None:
    found = route(LETTER, [])
    assert (found.consumer, found.copies, found.reasons) == ("default", (), ())


def test_the_first_by_position_and_name_is_responsible_and_the_others_are_told_why_not() -> None:
    found = route(
        LETTER,
        [
            consumer("z", rule(units=[HR]), position=10),
            consumer("b", rule(subjects=["ihale"])),
            consumer("a", rule(units=[LAW]), rule("copy", units=[HR])),
            consumer("none", rule(units=[PRESS]), position=1),
        ],
    )
    assert (found.consumer, found.copies) == ("z", ("a",))
    assert [(item.consumer, item.rule, item.outcome) for item in found.reasons] == [
        ("z", 1, RoutingOutcome.RESPONSIBLE),
        ("a", 1, RoutingOutcome.OUTRANKED),
        ("a", 2, RoutingOutcome.COPY),
        ("b", 1, RoutingOutcome.OUTRANKED),
    ]


def test_whoever_is_responsible_gets_no_copy_beside_and_copies_make_nobody_responsible() -> None:
    everything = rule("copy")
    found = route(LETTER, [consumer("a", everything, rule(units=[HR])), consumer("archive", everything)])
    assert (found.consumer, found.copies) == ("a", ("archive",))
    alone = route(BARE, [consumer("archive", everything)])
    assert (alone.consumer, alone.copies) == ("default", ("archive",))


def test_the_order_in_which_consumers_are_given_does_not_matter() -> None:
    given = [consumer(name, rule("copy"), rule(units=[HR])) for name in "cab"]
    assert route(LETTER, given) == route(LETTER, reversed(given))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True), ("", "a", False), ("*", "", True), ("**", "a", True), ("a*", "a", True), ("*a", "ba", True),
        ("a*a", "a", False), ("ab*ba", "aba", False), ("a*b*c", "abbc", True), ("a*b*c", "acb", False),
        ("*b*b*", "b", False), ("a?c", "abc", False), ("[a]", "a", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected


def test_a_spiteful_pattern_is_no_work() -> None:
    assert not fits("*a" * 2000 + "b*", "a" * 100_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IĞDIR", "ığdır"),
        ("İSTANBUL", "istanbul"),
        ("I\u0307zmir", "izmir"),
        ("i\u0307zmir", "izmir"),
        (" A\t\n b ", "a b"),
    ],
)
def test_turkish_without_case(text: str, expected: str) -> None:
    assert folded(text) == expected


def test_numbers_are_read_from_the_package() -> None:
    unit = Organisation("10000002", "Deneme Müdürlüğü", unit_number=str(HR))
    package = letters.package(distributions=tuple(Distribution(party) for party in (unit, Organisation("10000044"))))
    found = addressing_of(eyp.inspect(io.BytesIO(package), profile=eyp.INTEROP))
    assert found == Addressing(frozenset({10000002, HR, 10000044}), frozenset({10000001}))
    assert together([found, Addressing(frozenset({LAW}))]) == Addressing(found.units | {LAW}, found.senders)
    assert together([]) is None
