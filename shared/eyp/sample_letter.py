"""The page image of a made-up letter: an embedded font with the Turkish letters, and a code that can be scanned."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache, lru_cache

import pymupdf_fonts
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

_FONT = "Sample"
_MARGIN, _TOP, _LEADING = 70, 770, 18
_FOOT, _CODE_SIZE = 50, 70
_REMEMBERED = 64


def sample_cover_letter_pdf(lines: Sequence[str], *, title: str = "", code: str = "", address: str = "") -> bytes:
    """A one-page A4 PDF with ``lines``, the same bytes for the same arguments.

    The verification ``code`` and the ``address`` to verify it at stand at the foot with the sentence that the letter
    is signed and a QR code, as signed letters have them. Lines are not wrapped; what runs beyond the page's foot is
    left out.
    """
    return _drawn(tuple(lines), title, code, address)


@lru_cache(_REMEMBERED)
def _drawn(lines: tuple[str, ...], title: str, code: str, address: str) -> bytes:
    known = _load_font()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, lang="tr-TR")
    canvas.setTitle(title)
    body = canvas.beginText(_MARGIN, _TOP)
    body.setFont(_FONT, 12, _LEADING)
    for line in lines[: (_TOP - _FOOT - _CODE_SIZE) // _LEADING]:
        body.textLine("".join(letter if ord(letter) in known else "?" for letter in line))
    canvas.drawText(body)
    if code:
        _draw_code(canvas, code, address)
    canvas.save()
    return buffer.getvalue()


def _draw_code(canvas: Canvas, code: str, address: str) -> None:
    canvas.setFont(_FONT, 8)
    left = _MARGIN + _CODE_SIZE + 8
    canvas.drawString(left, _FOOT + 40, "Bu belge, güvenli elektronik imza ile imzalanmıştır.")
    canvas.drawString(left, _FOOT + 26, f"Belge Doğrulama Kodu: {code}")
    canvas.drawString(left, _FOOT + 12, f"Belge Doğrulama Adresi: {address}")
    picture = QrCodeWidget(f"{address}/{code}", barWidth=_CODE_SIZE, barHeight=_CODE_SIZE)
    drawing = Drawing(_CODE_SIZE, _CODE_SIZE)
    drawing.add(picture)
    renderPDF.draw(drawing, canvas, _MARGIN, _FOOT)


@cache
def _load_font() -> frozenset[int]:
    """Make the font known to reportlab; the code points it shows."""
    font = TTFont(_FONT, io.BytesIO(pymupdf_fonts.myfont("notos")))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)
