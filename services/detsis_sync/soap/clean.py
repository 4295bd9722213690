"""Cleaning answer bytes so that a strict parser can read them: ASP.NET writes characters that XML 1.0 forbids.

Only single characters are replaced; nothing is removed, so no replacement can form a new forbidden
reference, cleaning twice changes nothing, and a cut answer stays cut.
"""

from __future__ import annotations

import codecs
import re

_CONTROLS = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D})
_TO_SPACE = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
_NONCHARACTER = re.compile(rb"\xef\xbf[\xbe\xbf]")
_MOST_DIGITS = 16
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,16})|([0-9]{1,16}));")
_REFERENCE_START = re.compile(rb"&(?:#(?:x[0-9A-Fa-f]{0,16}|[0-9]{0,16})?)?\Z")
_LONGEST_START = _MOST_DIGITS + 3


class ByteCleaner:
    """Cleans one answer, fed in pieces of any size; the pieces' borders make no difference.

    Control characters, as bytes or as references, become spaces. Bytes that are not UTF-8,
    noncharacters and references to anything else XML 1.0 forbids become U+FFFD.
    """

    def __init__(self) -> None:
        self.repaired = 0
        """How many characters were replaced so far."""
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be judged so far, cleaned; the rest is held until the next piece."""
        return self._clean(self._held + self._without_controls(piece), last=False)

    def close(self) -> bytes:
        """Return the held rest, cleaned."""
        return self._clean(self._held, last=True)

    def _without_controls(self, piece: bytes) -> bytes:
        forbidden = len(piece) - len(piece.translate(None, _CONTROLS))
        if not forbidden:
            return piece
        self.repaired += forbidden
        return piece.translate(_TO_SPACE)

    def _clean(self, data: bytes, *, last: bool) -> bytes:
        try:
            _, judged = codecs.utf_8_decode(data, "strict", last)
            sound = data[:judged]
        except UnicodeDecodeError:
            text, judged = codecs.utf_8_decode(data, "replace", last)
            sound = text.encode()
            self.repaired += text.count("\N{REPLACEMENT CHARACTER}") - data.count(_REPLACEMENT)
        held = data[judged:]
        if not held and not last and (start := _REFERENCE_START.search(sound, max(0, len(sound) - _LONGEST_START))):
            held = sound[start.start() :]
            sound = sound[: start.start()]
        self._held = held
        if b"\xef\xbf" in sound:
            sound, replaced = _NONCHARACTER.subn(_REPLACEMENT, sound)
            self.repaired += replaced
        return _REFERENCE.sub(self._reference, sound) if b"&#" in sound else sound

    def _reference(self, match: re.Match[bytes]) -> bytes:
        hexadecimal, decimal = match.groups()
        code = int(hexadecimal, 16) if hexadecimal is not None else int(decimal)
        if code in {0x09, 0x0A, 0x0D} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD:
            return match.group()
        if 0x10000 <= code <= 0x10FFFF:
            return match.group()
        self.repaired += 1
        return b" " if code < 0x20 else _REPLACEMENT
