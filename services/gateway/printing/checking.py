"""Whether a print shows what the letter shows: every page rendered and compared, every code read again (L.19)."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from services.gateway.printing.rendering import Code, codes, opened

_PAPER = 255
_WHITE = (255, 255, 255)
_SOFT_EDGE = 5
"""Dots around what was drawn that its smoothed outline may touch; odd, the width of the filter."""


def same_page(original: Image.Image, printed: Image.Image, overlay: bytes | None, max_pixels: int) -> bool:
    """Whether two pages have the same dots wherever ``overlay``, if any, draws nothing."""
    if original.size != printed.size:
        return False
    difference = _differing(original, printed)
    if difference.getbbox() is None:
        return True
    if overlay is None:
        return False
    with opened(overlay, max_pixels) as renderer:
        drawn = _differing(renderer.page(0), Image.new("RGB", original.size, _WHITE))
    if drawn.size != difference.size:
        return False
    touched = drawn.filter(ImageFilter.MaxFilter(_SOFT_EDGE))
    return ImageChops.multiply(difference, ImageChops.invert(touched)).getbbox() is None


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
