"""Finds where on a page nothing stands: the label is never put over text, code or QR (L.19)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from services.gateway.printing.orders import Position

MM = 72 / 25.4
"""Points in a millimetre."""
_EDGE = 5 * MM
"""Printers leave so much of a sheet's edge white."""
_CLEARANCE = 1.5 * MM
_STEP = 2 * MM
_DEEPEST, _FARTHEST = 20 * MM, 30 * MM
"""How far from its corner something may move inwards, down and across."""
_PAPER = 250
"""Grey from which on a dot is paper."""
_ORDER = (Position.TOP_RIGHT, Position.TOP_LEFT, Position.BOTTOM_RIGHT, Position.BOTTOM_LEFT)


@dataclass(frozen=True)
class Box:
    """A rectangle on a page as it is shown: points from the lower left corner."""

    x: float
    y: float
    width: float
    height: float


class FreeSpace:
    """The white of one page."""

    def __init__(self, image: Image.Image, width: float, height: float) -> None:
        """``width`` and ``height`` of the page in points."""
        self._grey = image.convert("L")
        self._width, self._height = width, height

    def place(self, position: Position, width: float, height: float) -> tuple[Position, Box] | None:
        """A free rectangle of this size near a corner, the nearest one; it is taken from then on. None: there is none."""
        if position is Position.BACK:
            return None
        for corner in _ORDER if position is Position.AUTO else (position,):
            for box in self._candidates(corner, width, height):
                if self._free(box):
                    self._take(box)
                    return corner, box
        return None

    def _candidates(self, corner: Position, width: float, height: float) -> Iterator[Box]:
        right = corner in {Position.TOP_RIGHT, Position.BOTTOM_RIGHT}
        top = corner in {Position.TOP_RIGHT, Position.TOP_LEFT}
        steps = [
            (across * _STEP, down * _STEP)
            for across in range(int(_FARTHEST / _STEP) + 1)
            for down in range(int(_DEEPEST / _STEP) + 1)
        ]
        for across, down in sorted(steps, key=lambda step: step[0] + step[1]):
            x = self._width - _EDGE - width - across if right else _EDGE + across
            y = self._height - _EDGE - height - down if top else _EDGE + down
            if min(x, y) >= _EDGE and x + width <= self._width - _EDGE and y + height <= self._height - _EDGE:
                yield Box(x, y, width, height)

    def _free(self, box: Box) -> bool:
        darkest, _ = self._grey.crop(self._dots(box)).getextrema()
        return isinstance(darkest, int) and darkest >= _PAPER

    def _take(self, box: Box) -> None:
        self._grey.paste(0, self._dots(box))

    def _dots(self, box: Box) -> tuple[int, int, int, int]:
        across, down = self._grey.width / self._width, self._grey.height / self._height
        left, right = box.x - _CLEARANCE, box.x + box.width + _CLEARANCE
        upper, lower = self._height - box.y - box.height - _CLEARANCE, self._height - box.y + _CLEARANCE
        return int(left * across), int(upper * down), int(right * across) + 1, int(lower * down) + 1
