"""Which words of the register somebody meant."""

from __future__ import annotations

import pytest

from services.detsis_sync.mirror.choices import shortest_name
from services.detsis_sync.mirror.vocabulary import Vocabulary

WORDS = Vocabulary(
    {
        "belediye": 900, "belediyeler": 3, "baskanligi": 800, "universitesi": 200, "fakultesi": 700, "saglik": 400,
        "sagliki": 1, "mudurlugu": 5000, "kitap": 5, "isparta": 30, "il": 90, "su": 40, "100": 2,
    }.items()
)  # fmt: skip


@pytest.mark.parametrize(
    ("word", "condition"),
    [
        ("belediye", "(belediye | belediyeler)"),
        ("bel", "(belediye | belediyeler)"),
        ("belediyesi", "(belediye)"),
        ("belediyesinin", "(belediye)"),
        ("baskanlik", "(baskanligi)"),
        ("kitabi", "(kitap)"),
        ("ispartada", "(isparta)"),
        ("su", "(su)"),
        ("100", "(100)"),
    ],
)
def test_what_is_in_the_register_is_not_guessed(word: str, condition: str) -> None:
    (choice,) = WORDS.choose([word])
    assert (choice.condition, choice.guesses) == (condition, ())


@pytest.mark.parametrize(
    ("word", "guesses"),
    [
        ("beldiye", ("belediye",)),
        ("univeristesi", ("universitesi",)),
        ("mudrulgu", ("mudurlugu",)),
        ("saglki", ("saglik", "sagliki")),  # the commoner first
        ("asglik", ("saglik",)),  # the first two letters swapped
        ("qaglik", ("saglik",)),  # the first letter wrong: the end tells
        ("mudurlgu", ("mudurlugu",)),
        ("ispatra", ("isparta",)),
        ("xyzxyzxyz", ()),
        ("sx", ()),
        ("999", ()),
    ],
)
def test_what_is_not_is_taken_for_the_nearest(word: str, guesses: tuple[str, ...]) -> None:
    (choice,) = WORDS.choose([word])
    assert choice.guesses == guesses
    assert set(guesses) <= set(choice.words)
    assert bool(choice.prefixes) is not bool(guesses)


def test_a_beginning_that_many_words_have_stays_one() -> None:
    """PostgreSQL skips through the units of a few words; written out, hundreds would only make the question long."""
    many = Vocabulary([(f"okul{number}", number) for number in range(1, 101)])
    (choice,) = many.choose(["okul"])
    assert choice.condition == "(okul:*)"
    (choice,) = many.choose(["okul1"])
    assert set(choice.words) == {"okul1", "okul100", *(f"okul1{digit}" for digit in range(10))}


def test_how_many_units_have_a_word_at_most() -> None:
    found = WORDS.choose(["bel", "kitabi", "mudrulgu", "hicyok"])
    assert [choice.most_units for choice in found] == [903, 5, 5000, 0]
    cut_off = Vocabulary([("belediye", 900)], whole=False)
    (choice,) = cut_off.choose(["bel"])
    assert (choice.most_units, choice.condition) == (None, "(bel:*)"), "there may be other words"


def test_only_a_few_words_of_one_query_are_guessed() -> None:
    wrong = ["beldiye", "univeristesi", "mudrulgu", "ispatra", "saglki"]
    guessed = [bool(choice.guesses) for choice in WORDS.choose([*wrong, "saglik"])]
    assert guessed == [True, True, True, True, False, False]


def test_without_a_vocabulary_every_word_is_taken_as_it_is() -> None:
    assert Vocabulary().choose(["belediyesi"])[0].condition == "(belediyesi:*)"


def test_words_too_long_are_not_kept_and_cost_nothing() -> None:
    assert len(Vocabulary([("x" * 41, 1), ("y", 1)])) == 1
    assert WORDS.choose(["z" * 100_000])[0].guesses == ()


@pytest.mark.parametrize(
    ("query", "length"),
    [
        ("belediye baskanligi", 19),
        ("bel", 8),
        ("isparta su il", 13),
        ("bel belediye", 8),
        ("saglik", 6),
        ("ispartada", 7),
    ],
)
def test_no_name_that_holds_the_words_is_shorter(query: str, length: int) -> None:
    """Words that may be one and the same word of the name are counted once."""
    assert shortest_name(WORDS.choose(query.split())) == length
