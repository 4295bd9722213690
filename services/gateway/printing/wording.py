"""What the cover sheet says about the print itself. Turkish, because people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.gateway.printing.orders import Obstacle, PrintOrder, SheetSection

OBSTACLES = {
    Obstacle.NOT_A_PDF: "PDF değil",
    Obstacle.BROKEN: "dosya bozuk ya da okunamıyor",
    Obstacle.ENCRYPTED: "dosya parola ile korunuyor",
    Obstacle.DYNAMIC_FORM: "dinamik XFA formu",
    Obstacle.NO_PAGES: "sayfası yok",
    Obstacle.TOO_MANY_PAGES: "sayfa sayısı sınırı aşıyor",
    Obstacle.TOO_LARGE: "çok büyük",
    Obstacle.TOO_SLOW: "yazdırılması çok uzun sürüyor",
    Obstacle.ALTERED: "çıktısı aslıyla aynı görünmüyor",
    Obstacle.NOT_PRINTABLE: "yazdırılabilir türde değil",
}


def finding_lines(*, codes: bool, code_line: bool, on_back: bool, letter_pages: int) -> SheetSection:
    """What was seen on the pages of the letter."""
    lines = [("Belgenin sayfa sayısı", str(letter_pages))]
    lines.append(("Karekod", "çıktıda okundu" if codes else "Belgede karekod ya da barkod bulunamadı."))
    if not code_line:
        lines.append(("Doğrulama kodu", "Belgenin metninde doğrulama kodu satırı bulunamadı."))
    if on_back:
        lines.append(("Kayıt etiketi", "ilk sayfanın arkasında"))
    return SheetSection(heading="Sayfa görüntüsü", lines=lines)


def annex_lines(order: PrintOrder, printed: Sequence[int], left_out: Mapping[int, Obstacle]) -> list[SheetSection]:
    """Which annexes the print contains, and which not; nothing when the letter has none."""
    lines = [(_numbered(number), order.annexes[number].name + " (yazdırıldı)") for number in printed]
    lines += [
        (_numbered(number), f"{order.annexes[number].name} (yazdırılmadı: {OBSTACLES[reason]})")
        for number, reason in left_out.items()
    ]
    lines.sort(key=lambda line: int(line[0].partition(" ")[2]))
    lines += [("Ek", f"{annex.name} (yazdırılmadı)") for annex in order.not_printed]
    return [SheetSection(heading="Ekler", lines=lines)] if lines else []


def _numbered(number: int) -> str:
    return f"Ek {number + 1}"
