"""What a print shows, read back from its own bytes."""

from __future__ import annotations

import io
from itertools import pairwise

import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image

from services.gateway.printing.checking import PageComparison, fingerprint, same_codes
from services.gateway.printing.drawing import LABEL_SHAPES, page_overlay
from services.gateway.printing.lettering import REGULAR, in_lines, showable, width, wrapped
from services.gateway.printing.making import make
from services.gateway.printing.orders import (
    AnnexFile,
    Label,
    Obstacle,
    Position,
    PrintOrder,
    SheetSection,
    Stamp,
    UnprintableError,
)
from services.gateway.printing.placement import Box, FreeSpace
from services.gateway.printing.rendering import codes, opened
from tests.unit.gateway.printing import pdfs

LABEL = Label(
    body="T.C. Ğüzelşehir İli Büyükşehir Belediye Başkanlığı", register_no="2026/12345", registered_on="02.03.2026 14:05",
    file_code="903.07.01", unit="Evrak Kayıt Şube Müdürlüğü", annexes=2,
)  # fmt: skip
STAMP = Stamp(text="BELGENİN ASLI ELEKTRONİK İMZALIDIR", day="02.03.2026", name="Çiğdem ÖRNEK", title="Memur")
PIXELS = 8_000_000


def texts(content: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(content)
    return [" ".join(document[number].get_textpage().get_text_range().split()) for number in range(len(document))]


def images(content: bytes) -> list[Image.Image]:
    with opened(content, PIXELS) as renderer:
        return [renderer.page(number) for number in range(len(renderer))]


def contents(image: Image.Image) -> set[str]:
    return {code.content.decode() for code in codes(image)}


def test_the_label_goes_into_a_free_margin_and_every_code_can_be_read() -> None:
    letter = pdfs.letter()
    printed, report = make(PrintOrder(label=LABEL), letter, [])
    assert (report.pages, report.letter_pages, report.codes) == (1, 1, 1)
    assert report.label_position is Position.TOP_RIGHT
    (page,) = images(printed)
    assert contents(page) == {pdfs.VERIFICATION, "2026/12345"}
    (text,) = texts(printed)
    assert "Ğüzelşehir İli Büyükşehir" in text
    for line in ("Kayıt no: 2026/12345", "02.03.2026 14:05", "Dosya: 903.07.01", "Ek sayısı: 2"):
        assert line in text
    assert "GİBİDİR" not in text
    assert page.size == images(letter)[0].size


def test_without_a_free_margin_the_label_goes_onto_a_page_behind_the_first() -> None:
    letter = pdfs.letter(pages=2, full=True, code=None)
    printed, report = make(PrintOrder(label=LABEL), letter, [])
    assert (report.pages, report.label_position) == (3, Position.BACK)
    before, after = images(letter), images(printed)
    assert [before[0], before[1]] == [after[0], after[2]]
    assert contents(after[1]) == {"2026/12345"}


@pytest.mark.parametrize("position", [Position.BOTTOM_LEFT, Position.TOP_LEFT, Position.BACK])
def test_a_body_may_choose_where_its_label_goes(position: Position) -> None:
    printed, report = make(PrintOrder(label=LABEL, position=position), pdfs.letter(), [])
    assert report.label_position is position
    assert report.pages == (2 if position is Position.BACK else 1)
    assert {"2026/12345"} <= {text for page in images(printed) for text in contents(page)}


def test_the_stamp_of_2015_names_the_authorised_printer() -> None:
    printed, _ = make(PrintOrder(label=LABEL, stamp=STAMP), pdfs.letter(), [])
    text = " ".join(texts(printed))
    assert "BELGENİN ASLI ELEKTRONİK İMZALIDIR 02.03.2026 Çiğdem ÖRNEK Memur" in text


def test_a_working_copy_has_its_watermark_on_every_page_and_still_shows_the_code() -> None:
    watermark = "DOĞRULANAMADI - resmî işlemde kullanılmaz"
    order = PrintOrder(watermark=watermark, annexes=[AnnexFile(name="ek.pdf")])
    printed, report = make(order, pdfs.letter(pages=2), [pdfs.letter(code=None)])
    assert (report.pages, report.label_position) == (3, None)
    assert all(watermark in text for text in texts(printed))
    assert contents(images(printed)[0]) == {pdfs.VERIFICATION}


def test_where_a_code_would_not_be_read_through_it_the_watermark_goes_to_the_edges() -> None:
    watermark = "DOĞRULANAMADI - resmî işlemde kullanılmaz"
    printed, report = make(PrintOrder(watermark=watermark), pdfs.pale_code(), [])
    assert report.codes == 1
    assert contents(images(printed)[0]) == {pdfs.VERIFICATION}
    assert texts(printed)[0].count(watermark) == 2


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_label_stands_upright_on_turned_and_cropped_pages(rotation: int) -> None:
    document = pdfs.edited(pdfs.letter())
    document.pages[0].obj.Rotate = rotation
    document.pages[0].obj.MediaBox = Array([-20, -10, 620, 860])
    document.pages[0].obj.CropBox = Array([0, 5, 590, 840])
    printed, report = make(PrintOrder(label=LABEL), pdfs.saved(document), [])
    (page,) = images(printed)
    assert contents(page) == {pdfs.VERIFICATION, "2026/12345"}
    with pikepdf.open(io.BytesIO(printed)) as made:
        assert made.pages[0].obj.get("/Rotate", 0) == rotation
    assert report.label_position is not None


def test_nothing_active_comes_along_and_what_is_drawn_on_the_page_does() -> None:
    letter = pdfs.active()
    printed, _ = make(PrintOrder(label=LABEL), letter, [])
    for word in (b"JavaScript", b"EmbeddedFile", b"Filespec", b"XFA", b"/URI", b"OpenAction", b"/Annots", b"AcroForm"):
        with pikepdf.open(io.BytesIO(printed)) as made:
            assert word not in pdfs.saved(made, object_stream_mode=pikepdf.ObjectStreamMode.disable), word
    red = [
        pixel for pixel in images(printed)[0].crop((200, 1080, 340, 1140)).get_flattened_data() if pixel == (255, 0, 0)
    ]
    assert len(red) > 1000


def test_annexes_that_have_pages_are_printed_and_the_others_named() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (300, 200), (10, 120, 200)).save(picture, "PNG")
    files = {
        "liste.csv": "Ğöller;şehir\n1;2\n".encode(), "ek.pdf": pdfs.letter(code=None), "foto.png": picture.getvalue(),
        "arsiv.zip": b"PK\x03\x04", "bozuk.pdf": b"%PDF-1.7 nothing", "uzun.pdf": pdfs.many_pages(30),
    }  # fmt: skip
    order = PrintOrder(
        annexes=[AnnexFile(name=name) for name in files], not_printed=[AnnexFile(name="Maket")], max_pages=10,
        sheet=[SheetSection(heading="Belge", lines=[("Konu", "Deneme")])],
    )  # fmt: skip
    printed, report = make(order, pdfs.letter(code=None), list(files.values()))
    assert {item.name: item.reason for item in report.left_out} == {
        "arsiv.zip": Obstacle.NOT_PRINTABLE, "bozuk.pdf": Obstacle.BROKEN, "uzun.pdf": Obstacle.TOO_MANY_PAGES,
        "Maket": Obstacle.NOT_PRINTABLE,
    }  # fmt: skip
    assert report.pages == 5
    found = texts(printed)
    assert "Ğöller;şehir 1;2" in found[1]
    sheet = found[-1]
    assert "Bu sayfa belgenin parçası değildir." in sheet
    assert "Kâğıt çıktı çalışma kopyasıdır." in sheet
    assert "Belgede karekod ya da barkod bulunamadı." in sheet
    for line in ("ek.pdf (yazdırıldı)", "arsiv.zip (yazdırılmadı: yazdırılabilir türde değil)", "Maket (yazdırılmadı)"):
        assert line in sheet


def test_a_long_sheet_goes_on_over_pages() -> None:
    lines = [(f"Satır {number}", "Uzun bir açıklama " * 12) for number in range(60)]
    order = PrintOrder(sheet=[SheetSection(heading="Doğrulama", lines=lines)])
    printed, report = make(order, pdfs.letter(), [])
    assert report.pages > 3
    found = texts(printed)[1:]
    assert all("Bu sayfa belgenin parçası değildir." in text for text in found)
    assert "Satır 59" in found[-1]


@pytest.mark.parametrize(
    ("letter", "obstacle"),
    [
        (b"", Obstacle.NOT_A_PDF),
        (b"PK\x03\x04", Obstacle.NOT_A_PDF),
        (b"%PDF-1.7\n", Obstacle.BROKEN),
        (pdfs.letter()[:3000], Obstacle.BROKEN),
        (pdfs.saved(pdfs.edited(pdfs.letter()), encryption=pikepdf.Encryption(user="", owner="o")), Obstacle.ENCRYPTED),
        (
            pdfs.saved(pdfs.edited(pdfs.letter()), encryption=pikepdf.Encryption(user="u", owner="o")),
            Obstacle.ENCRYPTED,
        ),
        (pdfs.many_pages(11), Obstacle.TOO_MANY_PAGES),
        (pdfs.saved(pikepdf.new()), Obstacle.NO_PAGES),
    ],
)
def test_what_stands_in_the_way_of_a_print(letter: bytes, obstacle: Obstacle) -> None:
    with pytest.raises(UnprintableError) as caught:
        make(PrintOrder(max_pages=10), letter, [])
    assert caught.value.obstacle is obstacle


def test_a_form_whose_pages_a_program_makes_is_refused() -> None:
    document = pdfs.edited(pdfs.letter())
    document.Root.NeedsRendering = True
    with pytest.raises(UnprintableError) as caught:
        make(PrintOrder(), pdfs.saved(document), [])
    assert caught.value.obstacle is Obstacle.DYNAMIC_FORM


def test_layers_stay_as_they_are_shown() -> None:
    document = pdfs.edited(pdfs.letter())
    layer = document.make_indirect(Dictionary(Type=Name.OCG, Name="gizli"))
    document.Root.OCProperties = Dictionary(OCGs=Array([layer]), D=Dictionary(OFF=Array([layer]), Order=Array([layer])))
    page = document.pages[0]
    page.obj.Resources.Properties = Dictionary(L=layer)
    page.contents_add(b"/OC /L BDC 0 0 400 400 re f EMC\n")
    hidden = pdfs.saved(document)
    printed, _ = make(PrintOrder(label=LABEL, position=Position.TOP_RIGHT), hidden, [])
    assert images(printed)[0].getpixel((100, 1600)) == (255, 255, 255)


def test_an_unbalanced_page_is_printed_unchanged() -> None:
    document = pdfs.edited(pdfs.letter())
    document.pages[0].contents_add(b"0.5 0 0 0.5 30 40 cm q q q\n")
    printed, report = make(PrintOrder(label=LABEL), pdfs.saved(document), [])
    assert "2026/12345" in {text for page in images(printed) for text in contents(page)}
    assert report.label_position is not None


def test_a_difference_outside_of_what_was_drawn_is_seen() -> None:
    page = images(pdfs.letter())[0]
    overlay = page_overlay((595.28, 841.89), label=(LABEL, Box(300, 700, *LABEL_SHAPES[0])))
    comparison = PageComparison(PIXELS)
    assert comparison.same(page, page.copy(), overlay)
    changed = page.copy()
    changed.putpixel((5, 5), (254, 255, 255))
    assert not comparison.same(page, changed, overlay)
    assert not comparison.same(page, page.resize((10, 10)), overlay)
    assert not comparison.same(page, page, page_overlay((100, 100)))
    assert fingerprint(page) == fingerprint(page.copy())
    assert fingerprint(page) not in {fingerprint(changed), fingerprint(page.resize((10, 10)))}


def test_a_code_that_is_gone_or_new_is_seen() -> None:
    with_code, without = images(pdfs.letter())[0], images(pdfs.letter(code=None))[0]
    known = codes(with_code)
    assert same_codes(known, with_code, None)
    assert not same_codes(known, without, None)
    assert not same_codes(frozenset(), with_code, None)
    assert same_codes(frozenset(), with_code, pdfs.VERIFICATION.encode())
    assert not same_codes(known, with_code, b"2026/1")


def test_free_space_is_white_and_taken_once() -> None:
    space = FreeSpace(Image.new("RGB", (1240, 1754), "white"), 595, 842)
    first, second = space.place(Position.AUTO, 200, 70), space.place(Position.AUTO, 200, 70)
    assert first is not None
    assert second is not None
    assert first[0] is Position.TOP_RIGHT
    one, other = first[1], second[1]
    assert one.x + one.width <= other.x or other.x + other.width <= one.x or other.y + other.height <= one.y
    assert space.place(Position.BACK, 10, 10) is None
    assert space.place(Position.AUTO, 590, 70) is None
    assert FreeSpace(Image.new("RGB", (1240, 1754), (240, 240, 240)), 595, 842).place(Position.AUTO, 20, 20) is None


def test_lines_fit_and_turkish_letters_are_kept() -> None:
    assert showable("ğĞıİşŞçÇöÖüÜâîû\tx\u0000\U0001f600") == "ğĞıİşŞçÇöÖüÜâîû x ?"
    assert showable("g\u0306") == "ğ"
    lines = wrapped("kısa " * 30 + "w" * 300, REGULAR, 9, 200)
    assert all(width(line, REGULAR, 9) <= 200 for line in lines)
    assert "".join(lines).count("w") == 300
    assert all(len(one) <= 80 for one, _ in pairwise(lines))
    assert in_lines("bir iki üç dört beş altı", REGULAR, 9, 40, 2)[-1].endswith("…")
    assert wrapped("", REGULAR, 9, 40) == []
