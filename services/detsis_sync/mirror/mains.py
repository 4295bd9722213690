"""Names of the main institutions, in memory: which of the words of a query are theirs."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from services.detsis_sync.mirror.choices import WordChoice

_MOST_INSTITUTIONS = 200
"""Words that more of them share than this say nothing about which one is meant."""
_MOST_SHARES = 4


class MainInstitutions:
    """Numbers by the words of their names (folded)."""

    def __init__(self, named: Iterable[tuple[int, str]] = ()) -> None:
        held: dict[str, set[int]] = defaultdict(set)
        for number, name in named:
            for word in name.split():
                held[word].add(number)
        self._numbers = dict(held)
        self._words = sorted(held)

    def holding(self, choice: WordChoice) -> set[int]:
        """Those whose name holds the word."""
        found: set[int] = set()
        for word in choice.words:
            found |= self._numbers.get(word, set())
        for prefix in choice.prefixes:
            for place in range(bisect_left(self._words, prefix), len(self._words)):
                if not self._words[place].startswith(prefix):
                    break
                found |= self._numbers[self._words[place]]
        return found

    def shares(self, choices: Sequence[WordChoice]) -> list[tuple[frozenset[int], list[int]]]:
        """Ways to read some of the words, but not all, as a main institution's: places of these words, and whose they are.

        Most words first; few ways, and none that fits everybody.
        """
        places: dict[int, set[int]] = defaultdict(set)
        for place, choice in enumerate(choices):
            for number in self.holding(choice):
                places[number].add(place)
        by_places: dict[frozenset[int], list[int]] = defaultdict(list)
        for number, held in places.items():
            if len(held) < len(choices):
                by_places[frozenset(held)].append(number)
        found = [(held, sorted(numbers)) for held, numbers in by_places.items() if len(numbers) <= _MOST_INSTITUTIONS]
        return sorted(found, key=lambda item: (-len(item[0]), sorted(item[0])))[:_MOST_SHARES]
