"""Makes a print from bytes: read, look, draw, put together, and compare before anything is handed out.

Pure: bytes and an order in, bytes and a report out. It runs in a process of its own (``worker``), because what it
reads may be made to break it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pikepdf import Pdf

from services.gateway.printing.annexes import as_pdf, is_pdf
from services.gateway.printing.assembly import Source, assemble, lay_over, read_source, written
from services.gateway.printing.checking import PageComparison, fingerprint, same_codes
from services.gateway.printing.drawing import (
    LABEL_SHAPES,
    STAMP_SHAPE,
    WatermarkStyle,
    back_page,
    page_overlay,
)
from services.gateway.printing.orders import (
    Label,
    LeftOut,
    Obstacle,
    Position,
    PrintOrder,
    PrintReport,
    Stamp,
    UnprintableError,
)
from services.gateway.printing.placement import Box, FreeSpace
from services.gateway.printing.rendering import Code, codes, opened
from services.gateway.printing.sheet import cover_sheet
from services.gateway.printing.wording import annex_lines, finding_lines

_CODE_LINE = "doğrulamakodu"
"""Of the line 23(1) of the 2020 regulation asks for, as ``Renderer.text`` gives it."""


@dataclass(frozen=True)
class _Look:
    """What was seen on the pages of the letter before anything was added."""

    sizes: list[tuple[float, float]]
    fingerprints: list[bytes]
    codes: list[frozenset[Code]]
    code_line: bool


@dataclass(frozen=True)
class _Piece:
    """A document of the print, and where its pages are compared."""

    source: Source
    first: int
    """Number of its first page in the print."""
    overlays: list[bytes | None]
    annex: int | None = None
    """Which annex it is; None for the letter."""
    gap: int = 0
    """Pages put in behind its first one."""

    def place(self, number: int) -> int:
        return self.first + number + (self.gap if number else 0)


@dataclass(frozen=True)
class _Plan:
    """How a print is tried; each failed comparison makes the next one more careful."""

    label: tuple[Label, Box] | None = None
    stamp: tuple[Stamp, Box] | None = None
    position: Position | None = None
    on_back: tuple[Label | None, Stamp | None] = (None, None)
    style: WatermarkStyle = WatermarkStyle.ACROSS
    annexes: dict[int, Source] = field(default_factory=dict)
    left_out: dict[int, Obstacle] = field(default_factory=dict)

    @property
    def has_back(self) -> bool:
        return self.on_back != (None, None)


def make(order: PrintOrder, letter: bytes, annexes: Sequence[bytes]) -> tuple[bytes, PrintReport]:
    """The print as a PDF, and how it went. Raises ``UnprintableError`` when the letter cannot be printed faithfully.

    An annex that cannot is left out and named in the report.
    """
    if not is_pdf(letter):
        raise UnprintableError(Obstacle.NOT_A_PDF)
    source = read_source(letter, max_pages=order.max_pages, max_pixels=order.max_pixels)
    look, plan = _looked_at(order, source)
    plan = _with_annexes(order, plan, annexes, order.max_pages - len(source))
    while True:
        printed, pieces, pages = _put_together(order, source, look, plan)
        unlike = _first_difference(order, plan, look, pieces, printed)
        if unlike is None:
            break
        plan = _more_careful(order, plan, unlike)
    report = PrintReport(
        pages=pages,
        letter_pages=len(source),
        label_position=None if order.label is None else plan.position,
        codes=sum(map(len, look.codes)),
        left_out=_left_out(order, plan),
    )
    return printed, report


def _looked_at(order: PrintOrder, source: Source) -> tuple[_Look, _Plan]:
    sizes, fingerprints, found, code_line = [], [], [], False
    plan = _Plan()
    with opened(source.original, order.max_pixels) as renderer:
        if len(renderer) != len(source):
            raise UnprintableError(Obstacle.BROKEN)
        for number in range(len(renderer)):
            image = renderer.page(number)
            sizes.append(renderer.size(number))
            fingerprints.append(fingerprint(image))
            found.append(codes(image))
            code_line = code_line or _CODE_LINE in renderer.text(number)
            if number == 0:
                plan = _placed(order, FreeSpace(image, *sizes[0]))
    return _Look(sizes, fingerprints, found, code_line), plan


def _placed(order: PrintOrder, space: FreeSpace) -> _Plan:
    label, stamp, position = None, None, Position.BACK
    if order.label is not None:
        for shape in LABEL_SHAPES:
            if (found := space.place(order.position, *shape)) is not None:
                position, label = found[0], (order.label, found[1])
                break
    if order.stamp is not None and order.position is not Position.BACK:
        found = space.place(Position.AUTO, *STAMP_SHAPE)
        stamp = (order.stamp, found[1]) if found is not None else None
    on_back = (order.label if label is None else None, order.stamp if stamp is None else None)
    return _Plan(label=label, stamp=stamp, position=position, on_back=on_back)


def _with_annexes(order: PrintOrder, plan: _Plan, contents: Sequence[bytes], room: int) -> _Plan:
    ready: dict[int, Source] = {}
    left_out: dict[int, Obstacle] = {}
    for number, (annex, content) in enumerate(zip(order.annexes, contents, strict=True)):
        try:
            pages = as_pdf(annex, content, max_pages=max(1, room))
            found = read_source(pages, max_pages=room, max_pixels=order.max_pixels)
        except UnprintableError as error:
            left_out[number] = error.obstacle
            continue
        ready[number] = found
        room -= len(found)
    return replace(plan, annexes=ready, left_out=left_out)


def _put_together(order: PrintOrder, source: Source, look: _Look, plan: _Plan) -> tuple[bytes, list[_Piece], int]:
    """The print, where in it every document is, and its number of pages."""
    documents: list[Pdf] = [source.pages]
    pieces = [_Piece(source, 0, _letter_overlays(order, look, plan), gap=int(plan.has_back))]
    count = len(source) + int(plan.has_back)
    for number, annex in plan.annexes.items():
        documents.append(annex.pages)
        pieces.append(_Piece(annex, count, _annex_overlays(order, plan, annex), annex=number))
        count += len(annex)
    if order.sheet is not None:
        findings = finding_lines(
            codes=any(look.codes), code_line=look.code_line, on_back=plan.has_back, letter_pages=len(source)
        )
        listed = annex_lines(order, list(plan.annexes), plan.left_out)
        sheet = Pdf.open(io.BytesIO(cover_sheet([*order.sheet, findings, *listed])))
        documents.append(sheet)
        count += len(sheet.pages)
    target = assemble(documents)
    if plan.has_back:
        back = Pdf.open(io.BytesIO(back_page(look.sizes[0], *plan.on_back)))
        target.pages.insert(1, back.pages[0])
    for piece in pieces:
        for number, overlay in enumerate(piece.overlays):
            if overlay is not None:
                lay_over(target, piece.place(number), overlay)
    return written(target), pieces, count


def _letter_overlays(order: PrintOrder, look: _Look, plan: _Plan) -> list[bytes | None]:
    first = page_overlay(
        look.sizes[0], label=plan.label, stamp=plan.stamp, watermark=order.watermark, style=plan.style
    )  # fmt: skip
    drawn = plan.label is not None or plan.stamp is not None or order.watermark is not None
    return [first if drawn else None, *_watermarks(order, plan, look.sizes[1:])]


def _annex_overlays(order: PrintOrder, plan: _Plan, annex: Source) -> list[bytes | None]:
    with opened(annex.original, order.max_pixels) as renderer:
        return _watermarks(order, plan, [renderer.size(number) for number in range(len(annex))])


def _watermarks(order: PrintOrder, plan: _Plan, sizes: list[tuple[float, float]]) -> list[bytes | None]:
    if order.watermark is None:
        return [None] * len(sizes)
    made = {size: page_overlay(size, watermark=order.watermark, style=plan.style) for size in set(sizes)}
    return [made[size] for size in sizes]


def _first_difference(
    order: PrintOrder, plan: _Plan, look: _Look, pieces: list[_Piece], printed: bytes
) -> _Piece | None:
    """The first document whose pages do not look as they did, or whose codes are not read any more."""
    comparison = PageComparison(order.max_pixels)
    with opened(printed, order.max_pixels) as after:
        for piece in pieces:
            with opened(piece.source.original, order.max_pixels) as before:
                if len(before) != len(piece.source):
                    return piece
                for number, overlay in enumerate(piece.overlays):
                    made = after.page(piece.place(number))
                    if overlay is None:
                        # The same dots are the same codes; the letter's were looked at before.
                        known = look.fingerprints[number] if piece.annex is None else fingerprint(before.page(number))
                        if fingerprint(made) != known:
                            return piece
                        continue
                    original = before.page(number)
                    if not comparison.same(original, made, overlay):
                        return piece
                    expected = look.codes[number] if piece.annex is None else codes(original)
                    labelled = plan.label is not None and piece.annex is None and number == 0
                    added = order.label.register_no.encode() if labelled and order.label is not None else None
                    # A watermark has no code of its own.
                    if (expected or labelled) and not same_codes(expected, made, added):
                        return piece
    return None


def _more_careful(order: PrintOrder, plan: _Plan, unlike: _Piece) -> _Plan:
    """The next thing to try. Raises ``UnprintableError`` when there is none."""
    if order.watermark is not None and plan.style is WatermarkStyle.ACROSS:
        return replace(plan, style=WatermarkStyle.EDGES)
    if unlike.annex is not None:
        return replace(
            plan,
            annexes={number: annex for number, annex in plan.annexes.items() if number != unlike.annex},
            left_out=plan.left_out | {unlike.annex: Obstacle.ALTERED},
        )
    if plan.label is not None or plan.stamp is not None:
        return replace(plan, label=None, stamp=None, position=Position.BACK, on_back=(order.label, order.stamp))
    raise UnprintableError(Obstacle.ALTERED)


def _left_out(order: PrintOrder, plan: _Plan) -> list[LeftOut]:
    files = [LeftOut(name=order.annexes[number].name, reason=reason) for number, reason in plan.left_out.items()]
    return files + [LeftOut(name=annex.name, reason=Obstacle.NOT_PRINTABLE) for annex in order.not_printed]
