"""Text on prints: an embedded font with the Turkish letters, and lines that fit."""

from __future__ import annotations

import io
import unicodedata
from functools import cache

import pymupdf_fonts
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "Print", "Print-Bold"
_FACES = {REGULAR: "notos", BOLD: "notosbo"}
_UNKNOWN = "?"


@cache
def load_fonts() -> frozenset[int]:
    """Make ``REGULAR`` and ``BOLD`` known to reportlab; the code points both can show."""
    shown: frozenset[int] | None = None
    for name, face in _FACES.items():
        font = TTFont(name, io.BytesIO(pymupdf_fonts.myfont(face)))
        pdfmetrics.registerFont(font)
        known = frozenset(font.face.charToGlyph)
        shown = known if shown is None else shown & known
    return shown or frozenset()


def showable(text: str) -> str:
    """The text without what the font cannot show: a question mark stands there, a space for control characters."""
    known = load_fonts()
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        " " if unicodedata.category(letter).startswith("C") else letter if ord(letter) in known else _UNKNOWN
        for letter in composed
    )


def width(text: str, font: str, size: float) -> float:
    """Width of a line, in points."""
    return float(pdfmetrics.stringWidth(text, font, size))


def wrapped(text: str, font: str, size: float, room: float) -> list[str]:
    """Lines no wider than ``room`` points; a word that is wider is cut."""
    lines, line = [], ""
    for word in showable(text).split():
        candidate = f"{line} {word}" if line else word
        if width(candidate, font, size) <= room:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, font, size, room)
        lines += full
    return [*lines, line] if line else lines


def shortened(text: str, font: str, size: float, room: float) -> str:
    """One line no wider than ``room`` points, with an ellipsis where something is missing."""
    line = " ".join(showable(text).split())
    if width(line, font, size) <= room:
        return line
    while line and width(line + "…", font, size) > room:
        line = line[:-1]
    return line.rstrip() + "…"


def in_lines(text: str, font: str, size: float, room: float, most: int) -> list[str]:
    """At most ``most`` lines; the last one with an ellipsis where something is missing."""
    lines = wrapped(text, font, size, room)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], shortened(" ".join(lines[most - 1 :]), font, size, room)]


def _pieces(word: str, font: str, size: float, room: float) -> list[str]:
    pieces, piece = [], ""
    for letter in word:
        if piece and width(piece + letter, font, size) > room:
            pieces.append(piece)
            piece = ""
        piece += letter
    return [*pieces, piece]
