"""Whether a print shows what the letter shows: every page rendered and compared, every code read again (L.19)."""

from __future__ import annotations

import hashlib

from PIL import Image, ImageChops, ImageFilter

from services.gateway.printing.rendering import Code, codes, opened

_PAPER = 255
_WHITE = (255, 255, 255)
_SOFT_EDGE = 5
"""Dots around what was drawn that its smoothed outline may touch; odd, the width of the filter."""


def fingerprint(page: Image.Image) -> bytes:
    """The same for pages with the same dots, and for no others."""
    return hashlib.sha256(repr(page.size).encode() + page.tobytes()).digest()


class PageComparison:
    """Compares pages; what an overlay touches is worked out once, for many pages have the same."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._untouched: dict[bytes, Image.Image] = {}

    def same(self, original: Image.Image, printed: Image.Image, overlay: bytes) -> bool:
        """Whether two pages have the same dots wherever ``overlay`` draws nothing."""
        if original.size != printed.size:
            return False
        difference, counted = _differing(original, printed), self._counted(overlay)
        return difference.size == counted.size and ImageChops.multiply(difference, counted).getbbox() is None

    def _counted(self, overlay: bytes) -> Image.Image:
        """White where the overlay draws nothing, nor near."""
        if (known := self._untouched.get(overlay)) is not None:
            return known
        with opened(overlay, self._max_pixels) as renderer:
            page = renderer.page(0)
        drawn = _differing(page, Image.new("RGB", page.size, _WHITE)).filter(ImageFilter.MaxFilter(_SOFT_EDGE))
        return self._untouched.setdefault(overlay, ImageChops.invert(drawn))


def same_codes(before: frozenset[Code], printed: Image.Image, added: bytes | None) -> bool:
    """Whether the codes read before are read again, and no others but one with content ``added``, which must be."""
    after = codes(printed)
    further = {code.content for code in after - before}
    return before <= after and further == ({added} if added is not None else set())


def _differing(one: Image.Image, other: Image.Image) -> Image.Image:
    """Black where two images of one size are the same, white elsewhere."""
    channels = ImageChops.difference(one, other).split()
    greatest = channels[0]
    for channel in channels[1:]:
        greatest = ImageChops.lighter(greatest, channel)
    return greatest.point([0] + [_PAPER] * 255)
