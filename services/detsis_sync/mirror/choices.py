"""What one written word is searched as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WordChoice:
    """Words and beginnings of words, any of which will do."""

    written: str
    prefixes: tuple[str, ...] = ()
    """Any word that begins so; of beginnings that few words have, these words stand in ``words`` instead."""
    words: tuple[str, ...] = ()
    """These words only."""
    guesses: tuple[str, ...] = ()
    """Beginnings that were taken because the register has no word like the one written."""
    most_units: int | None = None
    """So many units have it in their names at most; None: not known."""

    @property
    def condition(self) -> str:
        """As a part of a PostgreSQL ``tsquery``; letters and digits only, so nothing can break out of it."""
        return "(" + " | ".join((*(f"{prefix}:*" for prefix in self.prefixes), *self.words)) + ")"


def shortest_name(choices: Sequence[WordChoice]) -> int:
    """The least length of a name that holds all the words; of words that may be the same one, one counts."""
    lengths: list[int] = []
    counted: list[str] = []
    for choice in choices:
        forms = (*choice.prefixes, *choice.words)
        if not any(known.startswith(form) or form.startswith(known) for known in counted for form in forms):
            counted += forms
            lengths.append(min(map(len, forms)))
    return sum(lengths) + len(lengths) - 1
