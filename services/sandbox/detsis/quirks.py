"""Everything that can be made to go wrong with an answer, as changes to its stream."""

from __future__ import annotations

from collections.abc import Iterator

from services.sandbox.detsis.wire_operations import DEEP_CHILDREN
from services.sandbox.faults import FaultBoard

FAULTS = {
    "detsis.down": "HTTP 503 without a body; with value 1 the connection drops in the middle of the answer instead.",
    "detsis.html_page": "An HTML maintenance page with HTTP 200; the value replaces the status.",
    "detsis.fault": "HTTP 500 with a generic soap:Fault.",
    "detsis.in_band_error": "HTTP 200 with the in-band failure flag and a message.",
    "detsis.truncate": "The answer ends, as if complete, after this share of its bytes (value, default 0.5).",
    "detsis.bad_character": "A forbidden character reference, a control byte and broken UTF-8 in the first texts.",
    "detsis.empty_body": "HTTP 200 without a body.",
    "detsis.unknown_element": "An element the contract does not know in every list item and in the result.",
    "detsis.repeated_rows": "Every second row of a list is a copy of the one before it.",
    "detsis.unclear_flags": "The active flag of every open unit has a text that nobody knows.",
    "detsis.slow": "The answer starts after this many seconds (value, default 5).",
}
VARIANTS = {
    DEEP_CHILDREN: "AltKurulusBirimleriListele answers everything below a unit instead of its direct children.",
}
"""Not faults, but behaviour of the real service that nobody has seen: both ways have to be lived with."""
MAINTENANCE_PAGE = (
    '<!DOCTYPE html>\n<html lang="tr"><head><meta charset="utf-8"><title>Bakım</title></head>'
    "<body><h1>Sistem bakımdadır</h1><p>Lütfen daha sonra tekrar deneyiniz.<br></body></html>\n"
)

_DIRT = b"&#x1F;\x0b\xc3("
_ROW_STARTS = (b"<KurumBirimWS>", b"<KepBilgileriWs>")
_DIRTY_TAGS = (b"<Ad>", b"<Durum>", b"<MuhatapAd>")


def truncated(pieces: Iterator[bytes], share: float) -> Iterator[bytes]:
    """The beginning of the answer. Needs the whole of it first, to know where the share ends."""
    whole = b"".join(pieces)
    yield whole[: max(1, int(len(whole) * share))]


def dirty(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Dirt at the start of the first name or status text."""
    for piece in pieces:
        tag = next((tag for tag in _DIRTY_TAGS if tag in piece), None)
        if tag is not None:
            yield piece.replace(tag, tag + _DIRT, 1)
            break
        yield piece
    yield from pieces


def extended(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """An unknown element in the middle of every list item and at the end of the result."""
    for piece in pieces:
        yield (
            piece.replace(b"</Ad>", b"</Ad><YeniAlan><Deger>1</Deger></YeniAlan>")
            .replace(b"</KepAdresi>", b"</KepAdresi><YeniAlan>1</YeniAlan>")
            .replace(b"</Sonuclar>", b"</Sonuclar><YeniSonucAlani>1</YeniSonucAlani>")
        )


def repeated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The list keeps its length and loses half of what it names."""
    original: bytes | None = None
    for piece in pieces:
        if not piece.startswith(_ROW_STARTS):
            yield piece
        elif original is None:
            original = piece
            yield piece
        else:
            yield original
            original = None


def unclear(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Another word for "true" than ever before."""
    return (piece.replace(b"<Aktifmi>True<", b"<Aktifmi>Belirsiz<") for piece in pieces)


def declare(board: FaultBoard) -> None:
    """Make the faults known to the switchboard."""
    known = FAULTS | VARIANTS
    board.declare(known, dict.fromkeys(known, frozenset({"operation"})))
