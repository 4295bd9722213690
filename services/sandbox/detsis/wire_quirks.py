"""Quirks of single rows, as changes to the stream of an answer.

Each function takes the pieces of an answer, of which those that start with ``item`` are one row each, and the amount
that was ordered. Where a quirk meets only some rows it is every tenth, or every so manieth as the amount says,
beginning with the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from tempfile import SpooledTemporaryFile

Pieces = Iterator[bytes]
Quirk = Callable[[Pieces, bytes, float | None], Pieces]
"""Pieces, how a row starts (``<Name>``), and the ordered amount → the pieces sent instead."""

UNKNOWN_UNITS_FROM = 19_000_000
"""Numbers that no register holds, unless someone pins a unit there."""
_EVERY = 10
_KEYS = re.compile(rb"<(DETSISNo|KurumDetsisNo|DetsisId|KurumBirimId|DetsisNo|ID)>[^<]*</\1>")
_PARENT = re.compile(rb"<ParentIdareKimlikKodu>[^<]*<")
_PLACE = re.compile(rb"<Fk_BulunduguYerID>[^<]*</Fk_BulunduguYerID>")
_PATH = re.compile(rb"<KurumHiyerarsik>([^<]*)</KurumHiyerarsik>")
_ADDRESS = re.compile(rb"<KepAdresi>([^<]*)</KepAdresi>")
_DAY = re.compile(rb">\d{4}-\d\d-\d\dT00:00:00<")
_NAME = re.compile(rb"<Ad>[^<]*</Ad>")
_TEXTS = re.compile(rb"<(Ad|Durum|KepAdresi|Adres|YerAdi|KurumHiyerarsik)>([^<]*)</\1>")
_REQUIRED = (
    re.compile(rb"<FaalOlupOlmadigi>[^<]*</FaalOlupOlmadigi>"),
    re.compile(rb"<(Aktifmi|IletisimTip|IletisimTipId|SertifikaSahibiKurumId)>[^<]*</\1>"),
)
_FLAG = re.compile(rb"<Aktifmi>[^<]*</Aktifmi>")
_NUMBER = re.compile(rb"<(Seviye|IletisimTip|IletisimTipId|KurumDetsisNo|DetsisId|KurumBirimId|ID)>[^<]*</\1>")
_ACTIVE = re.compile(rb"<Aktifmi>(True|False)</Aktifmi>")
_DIRTY_TAGS = (b"<Ad>", b"<Durum>", b"<MuhatapAd>")

SPELLINGS = (
    ("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("1", "0"),
    ("Aktif", "Pasif"), ("AKTİF", "PASİF"), ("E", "H"), ("Evet", "Hayır"),
)  # fmt: skip
"""Known and likely texts of a unit's active flag."""
BAD_KEYS = ("2000000", "200000000", "0", "-20000000", "ABC")
BAD_ADDRESSES = ("birim.hs98.kep.tr", "bi rim@hs98.kep.tr", "a@b@hs98.kep.tr", "bırım@hs98.kep.tr", "@", "x" * 400 + "@hs98.kep.tr")  # fmt: skip


def _changed(
    pieces: Pieces, item: bytes, every: float | None, change: Callable[[bytes, int], bytes | Iterable[bytes]]
) -> Pieces:
    """Give every so manieth row, with the number of the hit, to ``change``."""
    step, rows, hits = max(1, int(every or _EVERY)), count(), count()
    for piece in pieces:
        if not piece.startswith(item) or next(rows) % step:
            yield piece
            continue
        changed = change(piece, next(hits))
        if isinstance(changed, bytes):
            yield changed
        else:
            yield from changed


def _each(change: Callable[[bytes, int], bytes | Iterable[bytes]]) -> Quirk:
    return lambda pieces, item, amount: _changed(pieces, item, amount, change)


def _every_row(change: Callable[[bytes, int], bytes | Iterable[bytes]]) -> Quirk:
    return lambda pieces, item, _amount: _changed(pieces, item, 1, change)


def _cycle(values: tuple[str, ...], change: Callable[[bytes, bytes], bytes]) -> Quirk:
    """Every so manieth row gets the next of ``values``; an amount chooses one of them for all rows (from 1)."""

    def quirk(pieces: Pieces, item: bytes, amount: float | None) -> Pieces:
        chosen = values if amount is None else (values[(int(amount) - 1) % len(values)],)
        return _changed(
            pieces,
            item,
            None if amount is None else 1,
            lambda row, hit: change(row, chosen[hit % len(chosen)].encode()),
        )

    return quirk


def _with_key(row: bytes, key: bytes) -> bytes:
    return _KEYS.sub(lambda found: b"<%b>%b</%b>" % (found[1], key, found[1]), row, count=1)


def _key(row: bytes) -> bytes:
    found = _KEYS.search(row)
    return b"0" if found is None else found[0].partition(b">")[2].partition(b"<")[0]


def truncated(pieces: Pieces, _item: bytes, share: float | None) -> Pieces:
    """The beginning of the answer; its whole length has to be known first."""
    with SpooledTemporaryFile(max_size=8 * 1024 * 1024) as whole:
        for piece in pieces:
            whole.write(piece)
        left = max(1, int(whole.tell() * (0.5 if share is None else share)))
        whole.seek(0)
        while left > 0 and (block := whole.read(min(left, 64 * 1024))):
            left -= len(block)
            yield block


def without_end(pieces: Pieces, _item: bytes, _amount: float | None) -> Pieces:
    """Everything but the closing Envelope."""
    for piece in pieces:
        yield piece.removesuffix(b"</soap:Envelope>")


def dirt(what: bytes) -> Quirk:
    """Put ``what`` at the start of the first name or status text."""

    def quirk(pieces: Pieces, _item: bytes, _amount: float | None) -> Pieces:
        for piece in pieces:
            tag = next((tag for tag in _DIRTY_TAGS if tag in piece), None)
            if tag is not None:
                yield piece.replace(tag, tag + what, 1)
                break
            yield piece
        yield from pieces

    return quirk


def extended(pieces: Pieces, _item: bytes, _amount: float | None) -> Pieces:
    """An unknown element in the middle of every list item and at the end of the result."""
    for piece in pieces:
        yield (
            piece.replace(b"</Ad>", b"</Ad><YeniAlan><Deger>1</Deger></YeniAlan>")
            .replace(b"</KepAdresi>", b"</KepAdresi><YeniAlan>1</YeniAlan>")
            .replace(b"</Sonuclar>", b"</Sonuclar><YeniSonucAlani>1</YeniSonucAlani>")
        )


def repeated(pieces: Pieces, item: bytes, _amount: float | None) -> Pieces:
    """The list keeps its length and loses half of what it names."""
    original: bytes | None = None
    for piece in pieces:
        if not piece.startswith(item):
            yield piece
        elif original is None:
            original = piece
            yield piece
        else:
            yield original
            original = None


def unclear(pieces: Pieces, _item: bytes, _amount: float | None) -> Pieces:
    """Another word for "true" than ever before."""
    return (piece.replace(b"<Aktifmi>True<", b"<Aktifmi>Belirsiz<") for piece in pieces)


def spelled(pieces: Pieces, item: bytes, amount: float | None) -> Pieces:
    """The active flag of units in each known spelling by turns, or in the one that was ordered (from 1)."""
    chosen = SPELLINGS if amount is None else (SPELLINGS[(int(amount) - 1) % len(SPELLINGS)],)

    def change(row: bytes, hit: int) -> bytes:
        yes, no = chosen[hit % len(chosen)]
        return _ACTIVE.sub(lambda found: f"<Aktifmi>{yes if found[1] == b'True' else no}</Aktifmi>".encode(), row)

    return _changed(pieces, item, 1, change)


def shrunk(pieces: Pieces, item: bytes, share: float | None) -> Pieces:
    """Only this share of the rows."""
    kept = 0.5 if share is None else share
    rows = count()
    for piece in pieces:
        if piece.startswith(item):
            row = next(rows)
            if int((row + 1) * kept) == int(row * kept):
                continue
        yield piece


def emptied(pieces: Pieces, item: bytes, amount: float | None) -> Pieces:
    """No rows; with amount 1 not even the list."""
    for piece in pieces:
        if not piece.startswith(item) and not (amount == 1 and piece in {b"<Sonuclar>", b"</Sonuclar>"}):
            yield piece


def looped(pieces: Pieces, item: bytes, every: float | None) -> Pieces:
    """Two rows that are each other's parents."""
    step, rows = max(2, int(every or _EVERY)), count()
    held: bytes | None = None
    for piece in pieces:
        row = next(rows) if piece.startswith(item) else -1
        if row >= 0 and row % step == 0:
            held = piece
        elif held is not None:
            if row < 0:
                yield from (held, piece)
            else:
                yield _with_parent(held, _key(piece))
                yield _with_parent(piece, _key(held))
            held = None
        else:
            yield piece


def _with_parent(row: bytes, parent: bytes) -> bytes:
    return _PARENT.sub(b"<ParentIdareKimlikKodu>%b<" % parent, row)


def long_name(pieces: Pieces, item: bytes, amount: float | None) -> Pieces:
    """The first row's name has this many letters."""
    name = "Ğ" * int(amount or 100_000)
    return _changed(
        pieces, item, 10**9, lambda row, _: _NAME.sub(lambda _found: f"<Ad>{name}</Ad>".encode(), row, count=1)
    )


def foreign(pieces: Pieces, item: bytes, _amount: float | None) -> Pieces:
    """The answer of another operation."""
    for piece in pieces:
        yield (
            piece
            if piece.startswith(item)
            else re.sub(rb"(</?)\w+?(Response|Result)(?=[ >])", rb"\1BaskaIslem\2", piece)
        )


def _nil(row: bytes, _hit: int) -> Iterable[bytes]:
    return (b"<" + row[1 : row.index(b">")] + b' xsi:nil="true" />', row)


def _double(row: bytes, _hit: int) -> Iterable[bytes]:
    return (row, _TEXTS.sub(rb"<\1>  \2 </\1>", row))


def _stranger(row: bytes, hit: int) -> Iterable[bytes]:
    number = str(UNKNOWN_UNITS_FROM + hit).encode()
    return (row, _ADDRESS.sub(rb"<KepAdresi>yok." + number + rb".\1</KepAdresi>", _with_key(row, number)))


def _bad_address(row: bytes, address: bytes) -> bytes:
    return _ADDRESS.sub(lambda _: b"<KepAdresi>" + address + b"</KepAdresi>", row)


def _mixed(row: bytes, _hit: int) -> bytes:
    return _ADDRESS.sub(lambda found: b"<KepAdresi>" + _alternating(found[1].decode()).encode() + b"</KepAdresi>", row)


def _alternating(address: str) -> str:
    return "".join(letter.upper() if place % 2 == 0 else letter.lower() for place, letter in enumerate(address))


def _stripped(row: bytes, _hit: int) -> bytes:
    for required in _REQUIRED:
        if required.search(row):
            return required.sub(b"", row, count=1)
    return row


def _emptied_number(row: bytes, _hit: int) -> bytes:
    return _NUMBER.sub(rb"<\1></\1>", row, count=1)


mixed_case = _every_row(_mixed)
year_one = _every_row(lambda row, _: _DAY.sub(b">0001-01-01T00:00:00<", row))
bad_keys = _cycle(BAD_KEYS, _with_key)
bad_addresses = _cycle(BAD_ADDRESSES, _bad_address)
without_required = _each(_stripped)
without_flag = _each(lambda row, _: _FLAG.sub(b"", row))
empty_numbers = _each(_emptied_number)
nil_items = _each(_nil)
padded_doubles = _each(_double)
unknown_units = _each(_stranger)
other_paths = _each(lambda row, _: _PATH.sub(rb"<KurumHiyerarsik>ESKI KURUM &gt; \1</KurumHiyerarsik>", row))
without_paths = _each(lambda row, _: _PATH.sub(b"", row))
outside_parents = _each(lambda row, _: _with_parent(row, str(UNKNOWN_UNITS_FROM - 1).encode()))
nil_places = _each(lambda row, _: _PLACE.sub(b'<Fk_BulunduguYerID xsi:nil="true" />', row))
