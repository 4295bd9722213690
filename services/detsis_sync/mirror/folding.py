"""Turkish text folded for search: case and diacritics do not matter, and I is i is İ is ı."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TURKISH = str.maketrans("İIı", "iii")
_USUAL = str.maketrans("İIıÇçĞğÖöŞşÜüÂâÎîÛû", "iiiccggoossuuaaiiuu")
_WORD = re.compile(r"[0-9a-z]+")
_LONGEST_REMEMBERED = 40


def fold(text: str) -> str:
    """``text`` in lower-case ASCII letters and digits, words parted by single spaces.

    The dotted and dotless i become one letter before lower-casing: plain ``lower()`` would leave
    a combining dot behind İ and make ISPARTA and ısparta two words.
    """
    # Names are made of few words: remembering them takes a fifth of the time.
    words = [_known_word(word) if len(word) <= _LONGEST_REMEMBERED else _folded(word) for word in text.split()]
    return " ".join([word for word in words if word])


def _folded(text: str) -> str:
    usual = text.translate(_USUAL)
    if usual.isascii():
        return " ".join(_WORD.findall(usual.lower()))
    decomposed = unicodedata.normalize("NFKD", text.translate(_TURKISH)).casefold()
    letters = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(_WORD.findall(letters.replace("ı", "i")))


_known_word = lru_cache(maxsize=16_384)(_folded)


def prefix_query(text: str) -> str | None:
    """A PostgreSQL ``tsquery`` that asks for every word of ``text`` as a prefix, in any order; None if it has no word."""
    words = fold(text).split()[:12]
    return " & ".join(f"{word}:*" for word in words) or None
