"""Annexes as pages: PDF as it is, images and plain text set on A4 (legal.md L.19)."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError
from reportlab.lib.utils import ImageReader

from services.gateway.printing.drawing import sheet_of_paper
from services.gateway.printing.lettering import REGULAR, wrapped
from services.gateway.printing.orders import AnnexFile, Obstacle, UnprintableError
from services.gateway.printing.placement import MM

_A4 = (210 * MM, 297 * MM)
_MARGIN = 20 * MM
_SIZE, _STEP = 10.0, 13.5
_IMAGES = ("JPEG", "PNG", "TIFF")
_HEADER_WITHIN = 1024
"""Where readers look for a PDF's first line (ISO 32000-1, annex H)."""
_TEXTS = frozenset({"text/plain", "text/csv"})
_ENCODINGS = ("utf-8-sig", "cp1254")
_LARGEST_IMAGE = 60_000_000
"""Dots: an A3 page at 600 dots per inch, and a little more."""


def is_pdf(content: bytes) -> bool:
    """Whether readers would take it for a PDF."""
    return b"%PDF-" in content[:_HEADER_WITHIN]


def as_pdf(annex: AnnexFile, content: bytes, *, max_pages: int) -> bytes:
    """The annex as a PDF. Raises ``UnprintableError`` for what has no pages here."""
    if is_pdf(content):
        return content
    if (frames := _image(content)) is not None:
        return _image_pages(frames, max_pages)
    if (text := _text(annex, content)) is not None:
        return _text_pages(text, max_pages)
    raise UnprintableError(Obstacle.NOT_PRINTABLE)


def _image(content: bytes) -> Image.Image | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=_IMAGES)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None
    except Image.DecompressionBombError as error:
        raise UnprintableError(Obstacle.TOO_LARGE) from error
    return image


def _image_pages(image: Image.Image, max_pages: int) -> bytes:
    frames = int(getattr(image, "n_frames", 1))
    if frames > max_pages:
        raise UnprintableError(Obstacle.TOO_MANY_PAGES)
    broad, high = _A4[0] - 2 * _MARGIN, _A4[1] - 2 * _MARGIN
    with sheet_of_paper(*_A4) as (canvas, file):
        for number in range(frames):
            frame = _frame(image, number)
            factor = min(broad / frame.width, high / frame.height, 72 / 96)
            across, down = frame.width * factor, frame.height * factor
            canvas.drawImage(ImageReader(frame), (_A4[0] - across) / 2, (_A4[1] - down) / 2, width=across, height=down)
            canvas.showPage()
    return file.getvalue()


def _frame(image: Image.Image, number: int) -> Image.Image:
    try:
        image.seek(number)
        if image.width * image.height > _LARGEST_IMAGE:
            raise UnprintableError(Obstacle.TOO_LARGE)
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnprintableError(Obstacle.BROKEN) from error
    paper = Image.new("RGBA", upright.size, "white")
    paper.alpha_composite(upright)
    return paper.convert("RGB")


def _text(annex: AnnexFile, content: bytes) -> str | None:
    named = (annex.file_name or annex.name).lower().endswith((".txt", ".csv"))
    if not named and (annex.media_type or "").partition(";")[0].strip().lower() not in _TEXTS:
        return None
    if b"\x00" in content:
        return None
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _text_pages(text: str, max_pages: int) -> bytes:
    per_page = int((_A4[1] - 2 * _MARGIN) / _STEP)
    if len(text) > max_pages * per_page * 400:
        raise UnprintableError(Obstacle.TOO_MANY_PAGES)
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += wrapped(paragraph, REGULAR, _SIZE, _A4[0] - 2 * _MARGIN) or [""]
        if len(lines) > max_pages * per_page:
            raise UnprintableError(Obstacle.TOO_MANY_PAGES)
    with sheet_of_paper(*_A4) as (canvas, file):
        for start in range(0, len(lines), per_page):
            canvas.setFont(REGULAR, _SIZE)
            for offset, line in enumerate(lines[start : start + per_page]):
                canvas.drawString(_MARGIN, _A4[1] - _MARGIN - (offset + 1) * _STEP, line)
            canvas.showPage()
    return file.getvalue()
