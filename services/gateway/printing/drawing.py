"""What a print adds to a letter: register label, stamp, watermark, the page behind the first one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.pdfgen.canvas import Canvas

from services.gateway.printing.lettering import BOLD, REGULAR, in_lines, load_fonts, shortened, showable, width
from services.gateway.printing.orders import Label, Stamp
from services.gateway.printing.placement import MM, Box

LABEL_SHAPES = ((72 * MM, 25 * MM), (92 * MM, 18 * MM))
"""Width and height in points; the flat one for a margin the other does not fit into."""
STAMP_SHAPE = (72 * MM, 25 * MM)
_PADDING = 1.5 * MM
_TEXT, _SMALLEST = 7.5, 5.5
_GREY = 0.45
_A4 = (210 * MM, 297 * MM)
_SMALLEST_BACK = 90 * MM


class WatermarkStyle(StrEnum):
    """Across the page; or above and below, where a code would not be read through it."""

    ACROSS = "across"
    EDGES = "edges"


@contextmanager
def sheet_of_paper(width: float, height: float) -> Iterator[tuple[Canvas, io.BytesIO]]:
    """A PDF to draw on, of this page size in points; finished when the block ends."""
    load_fonts()
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(width, height), invariant=1, pageCompression=1)
    yield canvas, file
    canvas.save()


def page_overlay(
    size: tuple[float, float],
    *,
    label: tuple[Label, Box] | None = None,
    stamp: tuple[Stamp, Box] | None = None,
    watermark: str | None = None,
    style: WatermarkStyle = WatermarkStyle.ACROSS,
) -> bytes:
    """A transparent page of this size with what goes over a page of the letter."""
    with sheet_of_paper(*size) as (canvas, file):
        if watermark is not None:
            _draw_watermark(canvas, size, watermark, style)
        if label is not None:
            _draw_label(canvas, *label)
        if stamp is not None:
            _draw_stamp(canvas, *stamp)
        canvas.showPage()
    return file.getvalue()


def back_page(size: tuple[float, float], label: Label | None, stamp: Stamp | None) -> bytes:
    """The page behind the first one, with what found no room on it (31(5)); A4 where the first one is tiny."""
    broad, high = size if min(size) >= _SMALLEST_BACK else _A4
    with sheet_of_paper(broad, high) as (canvas, file):
        top = high - 20 * MM
        if label is not None:
            across, down = LABEL_SHAPES[0]
            _draw_label(canvas, label, Box((broad - across) / 2, top - down, across, down))
            top -= down + 8 * MM
        if stamp is not None:
            across, down = STAMP_SHAPE
            _draw_stamp(canvas, stamp, Box((broad - across) / 2, top - down, across, down))
        canvas.setFont(REGULAR, 7)
        canvas.setFillGray(_GREY)
        for line in in_lines("Belgenin ilk sayfasının arka yüzü: kayıt bilgileri", REGULAR, 7, broad - 10 * MM, 2):
            canvas.drawCentredString(broad / 2, 8 * MM, line)
        canvas.showPage()
    return file.getvalue()


def _draw_label(canvas: Canvas, label: Label, box: Box) -> None:
    canvas.setLineWidth(0.6)
    canvas.rect(box.x, box.y, box.width, box.height)
    side = box.height - 2 * _PADDING
    _draw_qr(canvas, label.register_no, box.x + _PADDING, box.y + _PADDING, side)
    left = box.x + side + 2 * _PADDING
    room = box.width - side - 3 * _PADDING
    lines = [("Kayıt no", label.register_no)]
    if label.registered_on:
        lines.append(("Kayıt tarihi", label.registered_on))
    file_and_unit = [(name, value) for name, value in (("Dosya", label.file_code), ("Birim", label.unit)) if value]
    lines += file_and_unit
    lines.append(("Ek sayısı", str(label.annexes)))
    heading = in_lines(label.body, BOLD, _TEXT, room, 2)
    size = min(_TEXT, (box.height - 2 * _PADDING) / (1.25 * (len(heading) + len(lines))))
    if size < _SMALLEST:
        size = _SMALLEST
        heading = in_lines(label.body, BOLD, size, room, 1)
        lines = _in_pairs(lines)
    step = (box.height - 2 * _PADDING) / (len(heading) + len(lines))
    step = min(step, 1.4 * size)
    y = box.y + box.height - _PADDING - size
    for line in heading:
        canvas.setFont(BOLD, size)
        canvas.drawString(left, y, line)
        y -= step
    for name, value in lines:
        canvas.setFont(REGULAR, size)
        canvas.drawString(left, y, shortened(f"{name}: {value}", REGULAR, size, room))
        y -= step


def _in_pairs(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first one alone, the others two in a line: what a flat label has room for."""
    first, *rest = lines
    texts = [f"{name}: {value}" for name, value in rest]
    pairs = [" · ".join(texts[start : start + 2]) for start in range(0, len(texts), 2)]
    return [first, *(tuple(pair.split(": ", 1)) for pair in pairs)]  # type: ignore[list-item]


def _draw_stamp(canvas: Canvas, stamp: Stamp, box: Box) -> None:
    canvas.setLineWidth(1)
    canvas.rect(box.x, box.y, box.width, box.height)
    room, middle = box.width - 4 * _PADDING, box.x + box.width / 2
    texts = [(text, BOLD, 8.5) for text in in_lines(stamp.text, BOLD, 8.5, room, 2)]
    texts.append((stamp.day, REGULAR, _TEXT))
    texts.append((shortened(stamp.name, BOLD, _TEXT, room), BOLD, _TEXT))
    if stamp.title:
        texts.append((shortened(stamp.title, REGULAR, _TEXT, room), REGULAR, _TEXT))
    step = (box.height - 2 * _PADDING) / (len(texts) + 1)
    y = box.y + box.height - _PADDING - 0.85 * step
    for text, font, size in texts:
        canvas.setFont(font, size)
        canvas.drawCentredString(middle, y, text)
        y -= step
    canvas.setFont(REGULAR, _SMALLEST)
    canvas.drawString(box.x + 2 * _PADDING, y + 1, "İmza:")


def _draw_watermark(canvas: Canvas, size: tuple[float, float], text: str, style: WatermarkStyle) -> None:
    broad, high = size
    text = showable(text)
    canvas.saveState()
    canvas.setFillGray(0.5, alpha=0.35)
    if style is WatermarkStyle.EDGES:
        largest = min(14.0, 14.0 * (broad - 10 * MM) / width(text, BOLD, 14))
        canvas.setFont(BOLD, largest)
        for y in (high - 5 * MM - largest, 5 * MM):
            canvas.drawCentredString(broad / 2, y, text)
    else:
        diagonal = (broad**2 + high**2) ** 0.5
        canvas.setFont(BOLD, 30.0 * 0.72 * diagonal / width(text, BOLD, 30))
        canvas.translate(broad / 2, high / 2)
        canvas.rotate(_slope(broad, high))
        canvas.drawCentredString(0, 0, text)
    canvas.restoreState()


def _slope(broad: float, high: float) -> float:
    from math import atan2, degrees

    return degrees(atan2(high, broad))


def _draw_qr(canvas: Canvas, text: str, x: float, y: float, side: float) -> None:
    code = QrCodeWidget(text, barLevel="M", barBorder=2)
    left, lower, right, upper = code.getBounds()
    drawing = Drawing(side, side, transform=[side / (right - left), 0, 0, side / (upper - lower), 0, 0])
    drawing.add(code)
    renderPDF.draw(drawing, canvas, x, y)
