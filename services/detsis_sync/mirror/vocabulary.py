"""The words of the register: which one somebody meant who wrote it with an ending or a typing error.

PostgreSQL finds words and beginnings of words; what is none of these is looked up here first. The words
are few (tens of thousands for 300,000 units), so they are kept in memory and read anew with each snapshot.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate

import structlog
from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy import select, text

from services.detsis_sync.mirror.choices import WordChoice
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.mains import MainInstitutions
from services.detsis_sync.tables import UnitRecord
from shared.db.session import Database

log = structlog.get_logger(__name__)

_MOST_WORDS = 200_000
"""What a register of this kind never has; more would be a list gone wrong, and memory and time with it."""
_LONGEST = 40
_SHORTEST_STEM, _SHORTEST_GUESS = 4, 4
_TWO_ERRORS_FROM = 7
_MOST_GUESSES = 6
_MOST_GUESSED = 4
"""Words of one query that are guessed; guessing one takes some milliseconds."""
_END = 3
_FEW = 24
_AFTER_ALL = "\x7f"
_MOST_MAINS = 50_000
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


class Vocabulary:
    """Words with the number of units that have them; and the main institutions' names."""

    def __init__(
        self, counted: Iterable[tuple[str, int]] = (), mains: Iterable[tuple[int, str]] = (), *, whole: bool = True
    ) -> None:
        """``whole``: there are no other words."""
        pairs = sorted(pair for pair in counted if len(pair[0]) <= _LONGEST)
        self._words = [word for word, _units in pairs]
        self._units = dict(pairs)
        self._summed = [0, *accumulate(units for _word, units in pairs)]
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for word in self._words:
            self._by_end[word[-_END:]].append(word)
        self._whole = whole
        self.mains = MainInstitutions(mains)

    def __len__(self) -> int:
        return len(self._words)

    def choose(self, words: Sequence[str]) -> list[WordChoice]:
        """What to search for when somebody wrote ``words`` (folded). An empty vocabulary takes every word as it is."""
        found = []
        guesses_left = _MOST_GUESSED
        for word in words:
            choice = self._choice(word, guess=guesses_left > 0)
            guesses_left -= bool(choice.guesses)
            found.append(choice)
        return found

    def _choice(self, word: str, *, guess: bool) -> WordChoice:
        if not self._words:
            return WordChoice(word, (word,))
        prefixes = tuple(prefix for prefix in (word, _softened(word)) if prefix and self._beginning(prefix))
        beginnings, stems = self._stem(word)
        prefixes = prefixes or beginnings
        guesses = self._near(word) if guess and not prefixes and not stems else ()
        return self._spelt_out(word, prefixes or guesses or (() if stems else (word,)), stems, guesses)

    def _beginning(self, prefix: str) -> range:
        """Where the words stand that begin so."""
        first = bisect_left(self._words, prefix)
        return range(first, bisect_left(self._words, prefix + _AFTER_ALL, first))

    def _spelt_out(
        self, word: str, prefixes: tuple[str, ...], stems: tuple[str, ...], guesses: tuple[str, ...]
    ) -> WordChoice:
        """PostgreSQL skips through the units of a few words, but reads those of a beginning one by one."""
        places = {place for prefix in prefixes for place in self._beginning(prefix)}
        few = self._whole and 0 < len(places) <= _FEW
        words = dict.fromkeys((*stems, *((self._words[place] for place in sorted(places)) if few else ())))
        ranges = [self._beginning(prefix) for prefix in prefixes]
        units = sum(self._summed[found.stop] - self._summed[found.start] for found in ranges)
        units += sum(self._units.get(stem, 0) for stem in stems)
        return WordChoice(word, () if few else prefixes, tuple(words), guesses, units if self._whole else None)

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
                if not beginnings and length > _SHORTEST_STEM and self._beginning(candidate):
                    beginnings = (candidate,)
        return beginnings, ()

    def _near(self, word: str) -> tuple[str, ...]:
        """The nearest words that begin, or end, as this one does: who errs twice seldom errs at both ends."""
        if len(word) < _SHORTEST_GUESS or len(word) > _LONGEST or word.isdigit():
            return ()
        errors = 2 if len(word) >= _TWO_ERRORS_FROM else 1
        lengths = range(len(word) - errors, len(word) + errors + 1)
        alike = list(self._by_end.get(word[-_END:], ()))
        for first in {word[0], word[1]}:  # the second came first, if they were swapped
            found = self._beginning(first)
            alike += self._words[found.start : found.stop]
        candidates = [candidate for candidate in alike if len(candidate) in lengths]
        near = process.extract(word, candidates, scorer=OSA.distance, score_cutoff=errors, limit=100)
        if not near:
            return ()
        least = min(distance for _word, distance, _place in near)
        nearest = {candidate for candidate, distance, _place in near if distance == least}
        return tuple(sorted(nearest, key=lambda candidate: (-self._units[candidate], candidate))[:_MOST_GUESSES])


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
            named = await session.execute(
                select(UnitRecord.detsis_no, UnitRecord.folded_name)
                .where(UnitRecord.detsis_no == UnitRecord.main_institution_no)
                .order_by(UnitRecord.search_rank, UnitRecord.detsis_no)
                .limit(_MOST_MAINS)
            )
            mains = [(number, name) for number, name in named]
        # Sorting tens of thousands of words takes longer than the loop may stand still.
        whole = len(counted) < _MOST_WORDS
        self.words = await asyncio.to_thread(Vocabulary, counted, mains, whole=whole)
        self._snapshot_id = snapshot_id
        log.info("vocabulary_read", snapshot_id=snapshot_id, words=len(self.words))


def _softened(word: str) -> str | None:
    last = _SOFTENED.get(word[-1])
    return word[:-1] + last if last and len(word) > _SHORTEST_STEM else None
