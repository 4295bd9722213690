"""The words of the register: which one somebody meant who wrote it with an ending or a typing error.

PostgreSQL finds words and beginnings of words; what is none of these is looked up here first. The words
are few (tens of thousands for 300,000 units), so they are kept in memory and read anew with each snapshot.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy import text

from services.detsis_sync.mirror.freshness import MirrorAge
from shared.db.session import Database

log = structlog.get_logger(__name__)

_MOST_WORDS = 200_000
"""What a register of this kind never has; more would be a list gone wrong, and memory and time with it."""
_LONGEST = 40
_SHORTEST_STEM, _SHORTEST_GUESS = 4, 4
_TWO_ERRORS_FROM = 7
_MOST_GUESSES = 6
_SOFTENED = {"k": "g", "p": "b", "t": "d"}
"""Consonants that soften before a vowel: BAŞKANLIK, BAŞKANLIĞI. ç and c are one letter here already."""
_HARDENED = {soft: hard for hard, soft in _SOFTENED.items()}
_VOWELS = "aeiou"
_ENDINGS = frozenset(
    ending.replace("A", low).replace("I", high)
    for ending in [
        "I",
        "sI",
        "yI",
        "nI",
        "nIn",
        "In",
        "A",
        "yA",
        "nA",
        "sInA",
        "InA",
        "dA",
        "dAn",
        "tA",
        "tAn",
        "ndA",
        "ndAn",
        "sIndA",
        "sIndAn",
        "IndA",
        "IndAn",
        "lAr",
        "lArI",
        "lArIn",
        "lArInA",
        "lA",
        "ylA",
        "ca",
        "ce",
        "sInIn",
        "InIn",
        "nInI",
        "lIk",
        "lIgI",
        "lIgInA",
        "lI",
        "ki",
        "si",
    ]
    for low in "ae"
    for high in "iu"
)
"""Case, plural and possessive endings, in folded letters."""


@dataclass(frozen=True)
class WordChoice:
    """What one written word is searched as."""

    written: str
    prefixes: tuple[str, ...]
    """Any word that begins so."""
    words: tuple[str, ...]
    """These words only."""
    guesses: tuple[str, ...] = ()
    """Those of ``prefixes`` that were taken because the register has no word like the one written."""

    @property
    def condition(self) -> str:
        """As a part of a PostgreSQL ``tsquery``; letters and digits only, so nothing can break out of it."""
        return "(" + " | ".join((*(f"{prefix}:*" for prefix in self.prefixes), *self.words)) + ")"


class Vocabulary:
    """Words with the number of units that have them."""

    def __init__(self, counted: Iterable[tuple[str, int]] = ()) -> None:
        pairs = sorted(pair for pair in counted if len(pair[0]) <= _LONGEST)
        self._words = [word for word, _units in pairs]
        self._units = dict(pairs)

    def __len__(self) -> int:
        return len(self._words)

    def choose(self, word: str) -> WordChoice:
        """What to search for when somebody wrote ``word`` (folded). An empty vocabulary takes every word as it is."""
        if not self._words:
            return WordChoice(word, (word,), ())
        prefixes = tuple(prefix for prefix in (word, _softened(word)) if prefix and self._begins_a_word(prefix))
        beginnings, stems = self._stem(word)
        prefixes = prefixes or beginnings
        guesses = () if prefixes or stems else self._near(word)
        return WordChoice(word, prefixes or guesses or (() if stems else (word,)), stems, guesses)

    def _begins_a_word(self, prefix: str) -> bool:
        place = bisect_left(self._words, prefix)
        return place < len(self._words) and self._words[place].startswith(prefix)

    def _stem(self, word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of which word (or beginning of words) ``word`` is a form: BELEDİYE for "belediyesi", KURUM… for "kurumlar"."""
        beginnings: tuple[str, ...] = ()
        for length in range(len(word) - 1, max(_SHORTEST_STEM, len(word) - 6) - 1, -1):
            stem, ending = word[:length], word[length:]
            if ending not in _ENDINGS:
                continue
            hardened = _HARDENED.get(stem[-1]) if ending[0] in _VOWELS else None
            for candidate in (stem, stem[:-1] + hardened) if hardened else (stem,):
                if candidate in self._units:
                    return (), (candidate,)
                if not beginnings and length > _SHORTEST_STEM and self._begins_a_word(candidate):
                    beginnings = (candidate,)
        return beginnings, ()

    def _near(self, word: str) -> tuple[str, ...]:
        if len(word) < _SHORTEST_GUESS or len(word) > _LONGEST or word.isdigit():
            return ()
        errors = 2 if len(word) >= _TWO_ERRORS_FROM else 1
        found = process.extract(word, self._words, scorer=OSA.distance, score_cutoff=errors, limit=50)
        if not found:
            return ()
        least = min(distance for _word, distance, _place in found)
        nearest = [candidate for candidate, distance, _place in found if distance == least]
        return tuple(sorted(nearest, key=lambda candidate: -self._units[candidate])[:_MOST_GUESSES])


class VocabularyKeeper:
    """Reads the words of each new snapshot."""

    def __init__(self, database: Database, age: MirrorAge, *, check_seconds: float) -> None:
        self._database = database
        self._age = age
        self._check_seconds = check_seconds
        self._snapshot_id: int | None = None
        self.words = Vocabulary()

    async def run(self, stop: asyncio.Event) -> None:
        """Look for a new snapshot every ``check_seconds``, until ``stop`` is set."""
        while not stop.is_set():
            await self.update()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._check_seconds)

    async def update(self) -> None:
        """Read the words if there is another snapshot than the one they were read from."""
        async with self._database.reading() as session:
            snapshot_id = (await self._age.of(session)).snapshot_id
            if snapshot_id == self._snapshot_id:
                return
            rows = await session.execute(
                text(
                    "SELECT word, ndoc FROM ts_stat('SELECT search_words FROM units')"
                    " ORDER BY ndoc DESC, word LIMIT :most"
                ),
                {"most": _MOST_WORDS},
            )
            counted = [(word, units) for word, units in rows]
        # Sorting tens of thousands of words takes longer than the loop may stand still.
        self.words = await asyncio.to_thread(Vocabulary, counted)
        self._snapshot_id = snapshot_id
        log.info("vocabulary_read", snapshot_id=snapshot_id, words=len(self.words))


def _softened(word: str) -> str | None:
    last = _SOFTENED.get(word[-1])
    return word[:-1] + last if last and len(word) > _SHORTEST_STEM else None
