"""What one written word is searched as."""

from __future__ import annotations

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
