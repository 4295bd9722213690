"""Which words of a query are the main institution's."""

from __future__ import annotations

import pytest

from services.detsis_sync.mirror.choices import WordChoice
from services.detsis_sync.mirror.mains import MainInstitutions

MAINS = MainInstitutions(
    [(1, "izmir buyuksehir belediye baskanligi"), (2, "izmir valiligi"), (3, "manisa belediye baskanligi"), (4, "su kurumu")]
)  # fmt: skip


def words(*written: str) -> list[WordChoice]:
    return [WordChoice(word, prefixes=(word,)) for word in written]


@pytest.mark.parametrize(
    ("query", "shares"),
    [
        ("izmir su isleri", [({0}, [1, 2]), ({1}, [4])]),
        ("su izmir belediye", [({1, 2}, [1]), ({0}, [4]), ({1}, [2]), ({2}, [3])]),
        ("izm bel", [({0}, [2]), ({1}, [3])]),  # all of it is the institution's own name: no share
        ("isleri", []),
        ("", []),
    ],
)
def test_ways_to_share_the_words(query: str, shares: list[tuple[set[int], list[int]]]) -> None:
    assert [(set(held), numbers) for held, numbers in MAINS.shares(words(*query.split()))] == shares


def test_whole_words_and_beginnings() -> None:
    assert MAINS.holding(WordChoice("x", words=("su", "valiligi", "unknown"))) == {2, 4}
    assert MAINS.holding(WordChoice("x", prefixes=("b",))) == {1, 3}
    assert MAINS.holding(WordChoice("x", prefixes=("zz",))) == set()


def test_what_everybody_is_called_tells_nobody_apart() -> None:
    many = MainInstitutions([(number, "belediye baskanligi") for number in range(1, 202)] + [(900, "su kurumu")])
    assert many.shares(words("belediye", "isleri")) == []
    assert many.shares(words("su", "isleri")) == [(frozenset({0}), [900])]
