"""Cover letters for the tests of printing: as offices write them, and as nobody should."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from services.gateway.printing.lettering import BOLD, REGULAR, load_fonts

MM = 72 / 25.4
VERIFICATION = "https://dogrulama.example.org/belge?kod=ABCD-1234-EFGH"


def qr(canvas: Canvas, text: str, x: float, y: float, side: float, *, grey: float = 0) -> None:
    code = QrCodeWidget(text, barFillColor=Color(grey, grey, grey))
    left, lower, right, upper = code.getBounds()
    drawing = Drawing(side, side, transform=[side / (right - left), 0, 0, side / (upper - lower), 0, 0])
    drawing.add(code)
    renderPDF.draw(drawing, canvas, x, y)


def letter(
    *,
    pages: int = 1,
    full: bool = False,
    code: str | None = VERIFICATION,
    size: tuple[float, float] = A4,
    head: Sequence[str] = ("T.C.", "ÖRNEK BELEDİYE BAŞKANLIĞI", "Yazı İşleri Müdürlüğü"),
) -> bytes:
    """An official letter with its QR code; ``full``: no margin anywhere."""
    load_fonts()
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=size, invariant=1)
    broad, high = size
    for number in range(pages):
        y = high - 25 * MM
        for line in head:
            canvas.setFont(BOLD, 11)
            canvas.drawCentredString(broad / 2, y, line)
            y -= 14
        canvas.setFont(REGULAR, 11)
        canvas.drawString(25 * MM, y - 20, "Sayı : E-10000001-903.07-1")
        canvas.drawRightString(broad - 25 * MM, y - 20, "02.03.2026")
        canvas.drawString(25 * MM, y - 36, "Konu : Ğüzel bir deneme, ışık ve şölen")
        y -= 80
        while y > 60 * MM:
            canvas.drawString(25 * MM, y, "İlgili yazınızda istenen bilgiler aşağıda sunulmuştur. " * 2)
            y -= 16
        canvas.setFont(REGULAR, 8)
        canvas.drawString(25 * MM, 30 * MM, "Bu belge, güvenli elektronik imza ile imzalanmıştır.")
        canvas.drawString(25 * MM, 26 * MM, f"Belge Doğrulama Kodu: ABCD-1234-EFGH  Sayfa {number + 1}")
        if code is not None:
            qr(canvas, code, broad - 45 * MM, 15 * MM, 22 * MM)
        if full:
            canvas.setFont(REGULAR, 6)
            for row in range(int(high / 8)):
                canvas.drawString(0, row * 8, "dolu sayfa " * 60)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def pale_code() -> bytes:
    """A page with a light grey code in its middle, which grey letters across it would hide."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1)
    qr(canvas, VERIFICATION, A4[0] / 2 - 60, A4[1] / 2 - 60, 120, grey=0.7)
    canvas.save()
    return file.getvalue()


def edited(content: bytes) -> Pdf:
    return Pdf.open(io.BytesIO(content))


def saved(document: Pdf, **options: object) -> bytes:
    file = io.BytesIO()
    document.save(file, **options)
    return file.getvalue()


def active() -> bytes:
    """A letter with a program, an embedded file, a link, a form and a comment that is drawn on it."""
    document = edited(letter())
    program = Dictionary(S=Name.JavaScript, JS="app.alert('x')", Type=Name.Action)
    document.Root.OpenAction = document.make_indirect(program)
    document.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array(["a", program])))
    document.attachments["gizli.exe"] = b"MZ" * 100
    document.Root.AcroForm = Dictionary(Fields=Array([]), XFA=pikepdf.Stream(document, b"<xdp/>"))
    page = document.pages[0]
    looks = pikepdf.Stream(document, b"1 0 0 rg 0 0 60 20 re f")
    looks.Type, looks.Subtype, looks.BBox = Name.XObject, Name.Form, Array([0, 0, 60, 20])
    comment = Dictionary(
        Type=Name.Annot, Subtype=Name.Stamp, Rect=Array([100, 300, 160, 320]), AP=Dictionary(N=looks), F=4
    )
    link = Dictionary(
        Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 50, 50]),
        A=Dictionary(S=Name.URI, URI="http://example.org/"),
    )  # fmt: skip
    page.obj.Annots = document.make_indirect(Array([document.make_indirect(comment), document.make_indirect(link)]))
    page.obj.AA = Dictionary(O=program)
    return saved(document)


def endless() -> bytes:
    """A page whose content calls one form that calls others, a billion drawings in the end."""
    document = edited(letter())
    inner = pikepdf.Stream(document, b"0 0 500 800 re f\n" * 50)
    inner.Type, inner.Subtype, inner.BBox = Name.XObject, Name.Form, Array([0, 0, 600, 850])
    for _ in range(6):
        outer = pikepdf.Stream(document, b"/F Do\n" * 40)
        outer.Type, outer.Subtype, outer.BBox = Name.XObject, Name.Form, Array([0, 0, 600, 850])
        outer.Resources = Dictionary(XObject=Dictionary(F=document.make_indirect(inner)))
        inner = outer
    page = document.pages[0]
    page.add_resource(inner, Name.XObject, Name("/Bomb"))
    page.contents_add(b"/Bomb Do\n")
    return saved(document)


def huge_image() -> bytes:
    """A page with an image of 10 gigapixels in a few kilobytes."""
    document = edited(letter())
    image = pikepdf.Stream(document, zlib.compress(bytes(20_000_000)))
    image.Type, image.Subtype = Name.XObject, Name.Image
    image.Width, image.Height, image.BitsPerComponent = 100_000, 100_000, 8
    image.ColorSpace, image.Filter = Name.DeviceRGB, Name.FlateDecode
    page = document.pages[0]
    page.add_resource(image, Name.XObject, Name("/Huge"))
    page.contents_add(b"q 500 0 0 500 0 0 cm /Huge Do Q\n")
    return saved(document)


def many_pages(count: int) -> bytes:
    """One page, listed so many times."""
    document = edited(letter())
    for _ in range(count - 1):
        document.pages.append(document.pages[0])
    return saved(document)
