"""The cover sheet: what is known about a letter, on paper that is not part of it (legal.md 8)."""

from __future__ import annotations

from reportlab.pdfgen.canvas import Canvas

from services.gateway.printing.drawing import sheet_of_paper
from services.gateway.printing.lettering import BOLD, REGULAR, wrapped
from services.gateway.printing.orders import SheetSection
from services.gateway.printing.placement import MM

TITLE = "YAZDIRMA BİLGİ SAYFASI"
NOT_PART = "Bu sayfa belgenin parçası değildir."
WORKING_COPY = (
    "Kâğıt çıktı çalışma kopyasıdır. Belgenin aslı elektronik ortamdadır: e-Yazışma paketi, KEP iletisi ve delilleri. "
    "Yazdırılmış olması aslının silinmesi için gerekçe olamaz."
)
"""L.22, 4(1) of the 2020 regulation."""
_A4 = (210 * MM, 297 * MM)
_LEFT, _RIGHT, _TOP, _BOTTOM = 20 * MM, 190 * MM, 275 * MM, 22 * MM
_NAMES = 48 * MM
_SIZE, _STEP = 9.0, 12.0


def cover_sheet(sections: list[SheetSection]) -> bytes:
    """The sheet as a PDF; as many pages as its lines need."""
    with sheet_of_paper(*_A4) as (canvas, file):
        _Writer(canvas).write(sections)
    return file.getvalue()


class _Writer:
    """Where on the sheet the next line goes."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._y = _TOP
        self._open()

    def write(self, sections: list[SheetSection]) -> None:
        for section in sections:
            self._room(3 * _STEP)
            self._y -= 0.5 * _STEP
            self._canvas.setFont(BOLD, _SIZE + 1)
            self._canvas.drawString(_LEFT, self._y, section.heading)
            self._canvas.setLineWidth(0.4)
            self._canvas.line(_LEFT, self._y - 3, _RIGHT, self._y - 3)
            self._y -= 1.4 * _STEP
            for name, value in section.lines:
                self._line(name, value)
        self._close()

    def _line(self, name: str, value: str) -> None:
        names = wrapped(name, BOLD, _SIZE, _NAMES - 2 * MM)
        values = wrapped(value, REGULAR, _SIZE, _RIGHT - _LEFT - _NAMES)
        for number in range(max(len(names), len(values))):
            self._room(_STEP)
            if number < len(names):
                self._canvas.setFont(BOLD, _SIZE)
                self._canvas.drawString(_LEFT, self._y, names[number])
            if number < len(values):
                self._canvas.setFont(REGULAR, _SIZE)
                self._canvas.drawString(_LEFT + _NAMES, self._y, values[number])
            self._y -= _STEP
        self._y -= 2

    def _room(self, needed: float) -> None:
        if self._y - needed < _BOTTOM:
            self._close()
            self._open()

    def _open(self) -> None:
        self._y = _TOP
        self._canvas.setFont(BOLD, 14)
        self._canvas.drawString(_LEFT, self._y, TITLE)
        self._y -= 16
        self._canvas.setFont(BOLD, 10)
        self._canvas.drawString(_LEFT, self._y, NOT_PART)
        self._y -= 1.5 * _STEP

    def _close(self) -> None:
        y = _BOTTOM - 8
        self._canvas.setFont(REGULAR, 7.5)
        for line in wrapped(WORKING_COPY, REGULAR, 7.5, _RIGHT - _LEFT):
            self._canvas.drawString(_LEFT, y, line)
            y -= 10
        self._canvas.showPage()
