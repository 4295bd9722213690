"""The catalogue of everything that can be made to go wrong with an answer; every entry can be narrowed to an operation."""

from __future__ import annotations

from collections.abc import Iterator

from services.sandbox.detsis import wire_quirks
from services.sandbox.detsis.wire_operations import DEEP_CHILDREN, DELTA_HIDES_CLOSED
from services.sandbox.faults import FaultBoard

FAULTS = {
    "detsis.down": "HTTP 503 without a body; with value 1 the connection drops in the middle of the answer instead.",
    "detsis.drop_connection": "The connection drops after this many bytes of the answer (value, default 65536).",
    "detsis.html_page": "An HTML maintenance page with HTTP 200; the value replaces the status.",
    "detsis.fault": "HTTP 500 with a generic soap:Fault.",
    "detsis.in_band_error": "HTTP 200 with the in-band failure flag and a message.",
    "detsis.contradictory_success": (
        "HTTP 200, the flag says success, yet there is a message and no list; with value 1 the flag says failure, "
        "yet there is a list."
    ),
    "detsis.empty_body": "HTTP 200 without a body.",
    "detsis.slow": "The answer starts after this many seconds (value, default 5).",
    "detsis.drip": "After its first block the answer stops for this many seconds between blocks (value, default 5).",
    "detsis.no_gzip": "The answer is not compressed, although that was offered.",
    "detsis.forced_gzip": "The answer is compressed, although nobody asked for it.",
}
QUIRKS: dict[str, tuple[str, wire_quirks.Quirk]] = {
    "detsis.empty_list": ("The list has no rows; with value 1 there is no list at all.", wire_quirks.emptied),
    "detsis.shrunk_list": ("Only this share of the rows is left (value, default 0.5).", wire_quirks.shrunk),
    "detsis.repeated_rows": ("Every second row of a list is a copy of the one before it.", wire_quirks.repeated),
    "detsis.parent_loop": (
        "Every so manieth row (value, default 10) and the next one are each other's parents.",
        wire_quirks.looped,
    ),
    "detsis.padded_doubles": (
        "Every so manieth row (value, default 10) comes twice, the second time with blanks around its texts.",
        wire_quirks.padded_doubles,
    ),
    "detsis.nil_items": (
        "Before every so manieth row (value, default 10) stands one that is nil.",
        wire_quirks.nil_items,
    ),
    "detsis.unknown_units": (
        "After every so manieth row (value, default 10) comes one about a unit that is in no list of units.",
        wire_quirks.unknown_units,
    ),
    "detsis.bad_keys": (
        (
            "Every tenth row has a bad number: 7 digits, 9 digits, 0, negative, letters by turns; a value chooses one of "
            "them (1 to 5) for all rows."
        ),
        wire_quirks.bad_keys,
    ),
    "detsis.bad_addresses": (
        (
            "Every tenth row has a malformed KEP address, of six sorts by turns; a value chooses one of them (1 to 6) for "
            "all rows."
        ),
        wire_quirks.bad_addresses,
    ),
    "detsis.mixed_case": ("KEP addresses have every other letter in upper case.", wire_quirks.mixed_case),
    "detsis.missing_element": (
        "Every so manieth row (value, default 10) lacks a required element.",
        wire_quirks.without_required,
    ),
    "detsis.no_active_flag": (
        "Every so manieth row (value, default 10) lacks its active flag, which a unit's row need not have.",
        wire_quirks.without_flag,
    ),
    "detsis.empty_number": (
        "Every so manieth row (value, default 10) has an empty number.",
        wire_quirks.empty_numbers,
    ),
    "detsis.other_path": (
        "Every so manieth row (value, default 10) has a path text that disagrees with its parents.",
        wire_quirks.other_paths,
    ),
    "detsis.no_path": ("Every so manieth row (value, default 10) has no path text.", wire_quirks.without_paths),
    "detsis.outside_parent": (
        "Every so manieth row (value, default 10) has a parent that is in no list.",
        wire_quirks.outside_parents,
    ),
    "detsis.nil_place": ("Every so manieth row (value, default 10) has no place.", wire_quirks.nil_places),
    "detsis.year_one": ("Every date is 0001-01-01T00:00:00.", wire_quirks.year_one),
    "detsis.long_name": (
        "The first row's name has this many letters (value, default 100000).",
        wire_quirks.long_name,
    ),
    "detsis.unclear_flags": (
        "The active flag of every open unit has a text that nobody knows.",
        wire_quirks.unclear,
    ),
    "detsis.active_spelling": (
        (
            "The active flag of units is spelled in every known way by turns: true, True, TRUE, 1, Aktif, AKTİF, E, Evet; "
            "a value chooses one (1 to 8)."
        ),
        wire_quirks.spelled,
    ),
    "detsis.unknown_element": (
        "An element the contract does not know in every list item and in the result.",
        wire_quirks.extended,
    ),
    "detsis.bad_character": (
        "A forbidden character reference, a control byte and broken UTF-8 in the first texts.",
        wire_quirks.dirt(b"&#x1F;\x0b\xc3("),
    ),
    "detsis.control_character": ("A control byte in the first text.", wire_quirks.dirt(b"\x0b")),
    "detsis.bad_reference": ("A forbidden character reference in the first text.", wire_quirks.dirt(b"&#x1F;")),
    "detsis.bad_utf8": ("Broken UTF-8 in the first text.", wire_quirks.dirt(b"\xc3(")),
    "detsis.wrong_operation": ("The answer is wrapped as that of another operation.", wire_quirks.foreign),
    "detsis.no_envelope_end": ("Everything is there but the closing Envelope.", wire_quirks.without_end),
    "detsis.truncate": (
        "The answer ends, as if complete, after this share of its bytes (value, default 0.5).",
        wire_quirks.truncated,
    ),
}
"""In the order in which they take effect."""
VARIANTS = {
    DEEP_CHILDREN: "AltKurulusBirimleriListele answers everything below a unit instead of its direct children.",
    DELTA_HIDES_CLOSED: "A list of changes leaves out what was closed or may no longer be written to from outside.",
}
"""Not faults, but behaviour of the real service that nobody has seen: both ways have to be lived with."""
MAINTENANCE_PAGE = (
    '<!DOCTYPE html>\n<html lang="tr"><head><meta charset="utf-8"><title>Bakım</title></head>'
    "<body><h1>Sistem bakımdadır</h1><p>Lütfen daha sonra tekrar deneyiniz.<br></body></html>\n"
)


def drawn(board: FaultBoard, operation: str) -> list[tuple[wire_quirks.Quirk, float | None]]:
    """The quirks ordered for this answer; uses up one of each order's count."""
    ordered = ((quirk, board.draw(name, operation=operation)) for name, (_, quirk) in QUIRKS.items())
    return [(quirk, order.value) for quirk, order in ordered if order is not None]


def apply(
    quirks: list[tuple[wire_quirks.Quirk, float | None]], pieces: Iterator[bytes], item: bytes
) -> Iterator[bytes]:
    """The pieces with every quirk of ``drawn`` in them. ``item`` is how a row starts."""
    for quirk, amount in quirks:
        pieces = quirk(pieces, item, amount)
    return pieces


def declare(board: FaultBoard) -> None:
    """Make all of it known to the switchboard."""
    known = FAULTS | {name: sentence for name, (sentence, _) in QUIRKS.items()} | VARIANTS
    board.declare(known, dict.fromkeys(known, frozenset({"operation"})))
