"""The document on A4 pages: text that can be copied out again, the verdict first, page numbers with their total."""

from __future__ import annotations

import io
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as PlacedTable

from services.gateway.printing.lettering import BOLD, REGULAR, load_fonts, showable
from services.gateway.printing.placement import MM
from services.gateway.verifications.document import Document, Section, Table, Verdict
from services.gateway.verifications.wording import STEP_WORDS
from shared.domain.verdict import Conclusion, StepResult

TITLE = "ELEKTRONİK İMZA DOĞRULAMA RAPORU"
_PAGE = (210 * MM, 297 * MM)
_LEFT, _RIGHT, _TOP, _BOTTOM = 18 * MM, 18 * MM, 22 * MM, 24 * MM
_WIDTH = _PAGE[0] - _LEFT - _RIGHT
_NAMES = 46 * MM
_INK, _SOFT, _RULE, _SHADE = (colors.HexColor(code) for code in ("#1c2530", "#5b6673", "#c4ccd4", "#f1f4f7"))
_COLOURS = {
    Conclusion.PASSED: (colors.HexColor("#1d6b3a"), colors.HexColor("#e9f4ed")),
    Conclusion.FAILED: (colors.HexColor("#a3201d"), colors.HexColor("#fbecec")),
    Conclusion.INDETERMINATE: (colors.HexColor("#8a5a00"), colors.HexColor("#fdf4e3")),
}
_MARKED = {STEP_WORDS[result] for result in (StepResult.FAILED, StepResult.INDETERMINATE, StepResult.WARNING)}
_LONGEST_VALUE = 2_000
"""Characters of one value; a page must have room for any."""


def drawn(document: Document) -> bytes:
    """The PDF; the same document gives the same bytes."""
    load_fonts()
    file = io.BytesIO()
    template = BaseDocTemplate(
        file, pagesize=_PAGE, leftMargin=_LEFT, rightMargin=_RIGHT, topMargin=_TOP, bottomMargin=_BOTTOM,
        title=f"{TITLE} {document.verification_id}", author="KEP Gateway", subject=document.verdict.headline,
        lang="tr", invariant=1, pageCompression=1,
    )  # fmt: skip
    frame = Frame(
        _LEFT, _BOTTOM, _WIDTH, _PAGE[1] - _TOP - _BOTTOM,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    template.addPageTemplates([PageTemplate(id="page", frames=[frame])])
    template.build(_story(document), canvasmaker=partial(_NumberedCanvas, document=document))
    return file.getvalue()


class _NumberedCanvas(Canvas):  # type: ignore[misc]
    """Holds the pages back until their number is known."""

    def __init__(self, *args: Any, document: Document, **options: Any) -> None:
        super().__init__(*args, **options)
        self._document_shown = document
        self._held: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._held.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, state in enumerate(self._held, 1):
            self.__dict__.update(state)
            self._frame(number, len(self._held))
            super().showPage()
        super().save()

    def _frame(self, number: int, total: int) -> None:
        document = self._document_shown
        self.setStrokeColor(_RULE)
        self.setLineWidth(0.5)
        self.line(_LEFT, _BOTTOM - 4 * MM, _PAGE[0] - _RIGHT, _BOTTOM - 4 * MM)
        self.setFillColor(_SOFT)
        self.setFont(REGULAR, 7)
        self.drawString(_LEFT, _BOTTOM - 8 * MM, f"Doğrulama no: {document.verification_id}")
        self.drawString(_LEFT, _BOTTOM - 12 * MM, f"Rapor SHA-256: {document.report_sha256}")
        self.drawRightString(_PAGE[0] - _RIGHT, _BOTTOM - 8 * MM, f"Sayfa {number} / {total}")
        if number > 1:
            self.drawString(_LEFT, _PAGE[1] - 14 * MM, TITLE)
            self.drawRightString(_PAGE[0] - _RIGHT, _PAGE[1] - 14 * MM, document.verdict.headline)
            self.line(_LEFT, _PAGE[1] - 16 * MM, _PAGE[0] - _RIGHT, _PAGE[1] - 16 * MM)


def _style(name: str, size: float, *, font: str = REGULAR, colour: Any = _INK, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.32, textColor=colour, **more)


_HEAD = _style("title", 16, font=BOLD)
_HEADING = _style("heading", 11.5, font=BOLD, spaceBefore=9, spaceAfter=3)
_UNDER = _style("under", 9, font=BOLD, colour=_SOFT, spaceBefore=6, spaceAfter=2)
_NAME = _style("name", 8.5, colour=_SOFT)
_VALUE = _style("value", 8.5, splitLongWords=1)
_CELL = _style("cell", 7.6, splitLongWords=1)
_COLUMN = _style("column", 7.6, font=BOLD)
_NOTE = _style("note", 8, colour=_SOFT, spaceBefore=4)


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    lines = text[:_LONGEST_VALUE].split("\n")
    return Paragraph("<br/>".join(escape(showable(line)) for line in lines), style)


def _story(document: Document) -> list[Flowable]:
    story: list[Flowable] = [_text(TITLE, _HEAD), Spacer(0, 3 * MM), _box(document.verdict), Spacer(0, 2 * MM)]
    for section in document.sections:
        story += _section(section)
    story += [CondPageBreak(30 * MM), _text("Bu rapor nasıl okunur", _HEADING), _text(document.reading, _NOTE)]
    return story


def _box(verdict: Verdict) -> Flowable:
    strong, pale = _COLOURS[verdict.conclusion]
    headline = _style("headline", 17, font=BOLD, colour=strong)
    ripeness = _style("ripeness", 10.5, font=BOLD, colour=strong)
    rows = [[_text(verdict.headline, headline)], [_text(verdict.ripeness, ripeness)]]
    rows += [[_text(meaning, _VALUE)] for meaning in verdict.meanings]
    rows.append([_text(verdict.code, _NOTE)])
    box = PlacedTable(rows, colWidths=[_WIDTH])
    box.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), pale),
            ("LINEBEFORE", (0, 0), (0, -1), 4, strong),
            ("LEFTPADDING", (0, 0), (-1, -1), 5 * MM),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4 * MM),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2),
            ("TOPPADDING", (0, 0), (-1, 0), 7),
            ("BOTTOMPADDING", (0, -1), (-1, -1), 7),
        ]
    )
    return box


def _section(section: Section) -> list[Flowable]:
    colour = _INK if section.conclusion is None else _COLOURS[section.conclusion][0]
    style = _style("coloured", 11.5 - 0.7 * (section.depth - 1), font=BOLD, colour=colour, spaceBefore=9, spaceAfter=3)
    placed: list[Flowable] = [CondPageBreak(32 * MM), _text(section.heading, style)]
    if section.lines:
        placed.append(_lines(section.lines))
    for title, table in section.tables:
        if title:
            placed += [CondPageBreak(22 * MM), _text(title, _UNDER)]
        placed.append(_table(table))
    return placed


def _lines(lines: list[tuple[str, str]]) -> Flowable:
    rows = [[_text(name, _NAME), _text(value, _VALUE)] for name, value in lines]
    table = PlacedTable(rows, colWidths=[_NAMES, _WIDTH - _NAMES])
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEABOVE", (0, 0), (-1, 0), 0.8, _INK),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return table


def _table(table: Table) -> Flowable:
    rows = [[_text(heading, _COLUMN) for heading in table.headings]]
    rows += [[_text(cell, _COLUMN if cell in _MARKED else _CELL) for cell in row] for row in table.rows]
    placed = PlacedTable(rows, colWidths=[share * _WIDTH for share in table.shares], repeatRows=1, splitInRow=1)
    placed.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), _SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return placed
