"""What the process that makes a print is told, and what it answers."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract


class Position(StrEnum):
    """Where on the first page the register label goes; on the back is a page of its own behind it (31(5))."""

    AUTO = "auto"
    TOP_RIGHT = "top-right"
    TOP_LEFT = "top-left"
    BOTTOM_RIGHT = "bottom-right"
    BOTTOM_LEFT = "bottom-left"
    BACK = "back"


class Obstacle(StrEnum):
    """Why a file cannot be printed, or not faithfully."""

    NOT_A_PDF = "not-a-pdf"
    BROKEN = "broken"
    ENCRYPTED = "encrypted"
    DYNAMIC_FORM = "dynamic-form"
    """An XFA form whose pages only exist once a program has run."""
    NO_PAGES = "no-pages"
    TOO_MANY_PAGES = "too-many-pages"
    TOO_LARGE = "too-large"
    """It takes more memory than a print may have."""
    TOO_SLOW = "too-slow"
    ALTERED = "altered"
    """The print would not show the same as the file (L.19)."""
    NOT_PRINTABLE = "not-printable"
    """Of a kind that has no pages."""


class Label(Contract):
    """The register label (L.20), as it is drawn."""

    body: str
    register_no: str
    registered_on: str | None = None
    file_code: str | None = None
    unit: str | None = None
    annexes: int = 0


class Stamp(Contract):
    """The stamp of profile P-2015."""

    text: str
    day: str
    name: str
    title: str | None = None


class SheetSection(Contract):
    """Lines of the cover sheet under a heading: what, and its value."""

    heading: str
    lines: list[tuple[str, str]]


class AnnexFile(Contract):
    """An annex that came with the letter; its bytes go another way."""

    name: str
    """As people know it."""
    file_name: str | None = None
    media_type: str | None = None


class PrintOrder(Contract):
    """Everything about a print but the bytes of the files."""

    label: Label | None = None
    position: Position = Position.AUTO
    stamp: Stamp | None = None
    watermark: str | None = None
    sheet: list[SheetSection] | None = None
    """None: no cover sheet. What is found out while printing is added to it."""
    annexes: list[AnnexFile] = Field(default_factory=list)
    not_printed: list[AnnexFile] = Field(default_factory=list)
    """Annexes that are no files of the package."""
    max_pages: int = 200
    """Of letter and annexes together."""
    max_pixels: int = 8_000_000
    """Of one page, rendered."""


class LeftOut(Contract):
    """An annex that the print does not contain."""

    name: str
    reason: Obstacle


class PrintReport(Contract):
    """How making a print went; with ``obstacle`` there is no print."""

    obstacle: Obstacle | None = None
    pages: int = 0
    letter_pages: int = 0
    label_position: Position | None = None
    codes: int = 0
    """QR and bar codes read on the pages of the letter."""
    left_out: list[LeftOut] = Field(default_factory=list)


class UnprintableError(Exception):
    """A file stands in the way of its print."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle
