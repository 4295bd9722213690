"""Which words of the register somebody meant."""

from __future__ import annotations

import pytest

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
        ("belediye", "(belediye:*)"),
        ("bel", "(bel:*)"),
        ("belediyesi", "(belediye)"),
        ("belediyesinin", "(belediye)"),
        ("baskanlik", "(baskanlig:*)"),
        ("kitabi", "(kitap)"),
        ("ispartada", "(isparta)"),
        ("su", "(su:*)"),
        ("100", "(100:*)"),
    ],
)
def test_what_is_in_the_register_is_not_guessed(word: str, condition: str) -> None:
    choice = WORDS.choose(word)
    assert (choice.condition, choice.guesses) == (condition, ())


@pytest.mark.parametrize(
    ("word", "guesses"),
    [
        ("beldiye", ("belediye",)),
        ("univeristesi", ("universitesi",)),
        ("mudrulgu", ("mudurlugu",)),
        ("saglki", ("saglik", "sagliki")),  # the commoner first
        ("ispatra", ("isparta",)),
        ("xyzxyzxyz", ()),
        ("sx", ()),
        ("999", ()),
    ],
)
def test_what_is_not_is_taken_for_the_nearest(word: str, guesses: tuple[str, ...]) -> None:
    choice = WORDS.choose(word)
    assert choice.guesses == guesses
    assert choice.condition == "(" + " | ".join(f"{guess}:*" for guess in guesses or (word,)) + ")"


def test_without_a_vocabulary_every_word_is_taken_as_it_is() -> None:
    assert Vocabulary().choose("belediyesi").condition == "(belediyesi:*)"


def test_words_too_long_are_not_kept_and_cost_nothing() -> None:
    assert len(Vocabulary([("x" * 41, 1), ("y", 1)])) == 1
    assert WORDS.choose("z" * 100_000).guesses == ()
