"""Pages as images, by pdfium. Only the process that may be killed calls this."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium
import zxingcpp
from PIL import Image

from services.gateway.printing.orders import Obstacle, UnprintableError

DPI = 150
_POINTS_PER_INCH = 72
_SHORTEST_SIDE = 3
"""Points. A page smaller than this shows nothing."""
_FORMATS = zxingcpp.BarcodeFormats(
    [
        zxingcpp.BarcodeFormat.QRCode,
        zxingcpp.BarcodeFormat.MicroQRCode,
        zxingcpp.BarcodeFormat.DataMatrix,
        zxingcpp.BarcodeFormat.Aztec,
        zxingcpp.BarcodeFormat.PDF417,
        zxingcpp.BarcodeFormat.Code128,
    ]
)
"""Those with check symbols: the others are found in ordinary text as well."""


@dataclass(frozen=True)
class Code:
    """A QR or bar code as it was read."""

    format: str
    content: bytes


class Renderer:
    """An open PDF. Every method raises ``UnprintableError`` when pdfium gives up."""

    def __init__(self, document: pypdfium2.PdfDocument, max_pixels: int) -> None:
        self._document = document
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._document)

    def size(self, number: int) -> tuple[float, float]:
        """Width and height of a page as it is shown, in points."""
        with self._page(number) as page:
            broad, high = page.get_size()
            return float(broad), float(high)

    def page(self, number: int) -> Image.Image:
        """The page as it would come out of a printer, comments and stamps included: RGB on white.

        150 dots per inch, fewer where the page would have more than ``max_pixels``.
        """
        with self._page(number) as page:
            broad, high = page.get_size()
            if min(broad, high) < _SHORTEST_SIDE:
                raise UnprintableError(Obstacle.BROKEN)
            fitting = math.sqrt(self._max_pixels / (broad * high))
            bitmap = page.render(
                scale=min(DPI / _POINTS_PER_INCH, fitting), may_draw_forms=False, extra_flags=pdfium.FPDF_PRINTING
            )
            try:
                image: Image.Image = bitmap.to_pil()
                return image if image.mode == "RGB" else image.convert("RGB")
            finally:
                bitmap.close()

    def text(self, number: int) -> str:
        """The page's text as far as its fonts tell, without case and spaces."""
        with self._page(number) as page:
            found = page.get_textpage()
            try:
                return "".join(found.get_text_range().split()).casefold()
            finally:
                found.close()

    def flattened(self) -> bytes:
        """The document with comments and form fields drawn into its pages, where nothing can change them."""
        for number in range(len(self._document)):
            with self._page(number) as page:
                if pdfium.FPDFPage_Flatten(page, pdfium.FLAT_PRINT) == pdfium.FLATTEN_FAIL:
                    raise UnprintableError(Obstacle.BROKEN)
        kept = io.BytesIO()
        with _faults():
            self._document.save(kept)
        return kept.getvalue()

    @contextmanager
    def _page(self, number: int) -> Iterator[pypdfium2.PdfPage]:
        with _faults():
            page = self._document[number]
            try:
                yield page
            finally:
                page.close()


@contextmanager
def opened(content: bytes, max_pixels: int) -> Iterator[Renderer]:
    """Open a PDF for rendering; raises ``UnprintableError`` if pdfium cannot read it."""
    with _faults():
        document = pypdfium2.PdfDocument(content)
    try:
        yield Renderer(document, max_pixels)
    finally:
        document.close()


def codes(image: Image.Image) -> frozenset[Code]:
    """The QR and bar codes on a page. Matrix codes are found in any direction; turning the page costs as much again."""
    found = zxingcpp.read_barcodes(image.convert("L"), formats=_FORMATS, try_rotate=False)
    return frozenset(Code(str(code.format), bytes(code.bytes)) for code in found)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except pypdfium2.PdfiumError as error:
        raise UnprintableError(Obstacle.BROKEN) from error
