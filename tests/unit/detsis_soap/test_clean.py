"""The byte cleaner: what goes in dirty comes out as something a strict parser reads."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from services.detsis_sync.soap.clean import ByteCleaner

DIRT = [
    b"&#x1F;", b"&#0;", b"&#x0;", b"&#xFFFE;", b"&#xD800;", b"&#x110000;", b"&#10;", b"&#x41;", b"&#x1F600;", b"&amp;",
    b"&", b"&#", b"&#x", b"x1F;", b";", b"\x00", b"\x0b", b"\x1f", b"\t", b"\r", b"\n", b"\xff", b"\xc3", b"\xa7", b"\xed\xa0\x80",
    b"\xef\xbf\xbe", b"\xef\xbf\xbd", b"\xef\xbb\xbf", "ÇĞİÖŞÜçğıöşü".encode(), "🏛".encode(), b"<a>", b"</a>", b"&#x00000000000000001;", b"0",
]  # fmt: skip
dirty_bytes = st.lists(st.one_of(st.sampled_from(DIRT), st.binary(max_size=6)), max_size=30).map(b"".join)


def clean(*pieces: bytes) -> bytes:
    cleaner = ByteCleaner()
    return b"".join([*(cleaner.feed(piece) for piece in pieces), cleaner.close()])


@given(dirty_bytes)
def test_cleaning_twice_changes_nothing(data: bytes) -> None:
    once = clean(data)
    cleaner = ByteCleaner()
    assert cleaner.feed(once) + cleaner.close() == once
    assert cleaner.repaired == 0


@given(dirty_bytes, st.lists(st.integers(min_value=0, max_value=200), max_size=8))
def test_borders_of_pieces_make_no_difference(data: bytes, borders: list[int]) -> None:
    cuts = sorted({0, len(data), *(min(border, len(data)) for border in borders)})
    pieces = [data[start:end] for start, end in pairwise(cuts)]
    assert clean(*pieces) == clean(data)
    assert clean(*(bytes([byte]) for byte in data)) == clean(data)


@given(dirty_bytes)
def test_the_result_holds_only_characters_of_xml(data: bytes) -> None:
    text = clean(data).decode("utf-8")
    etree.Element("a").text = text  # lxml refuses anything XML 1.0 forbids


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=60))
def test_sound_text_is_untouched(text: str) -> None:
    sound = text.replace("&", "&amp;").encode()
    assert clean(sound) == sound


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        (b"A\x0bB", "A B"),
        (b"A&#x1F;B", "A B"),
        (b"A&#31;B", "A B"),
        (b"A&#xFFFF;B", "A�B"),
        (b"A\xc3(B", "A�(B"),
        (b"A\xef\xbf\xbfB", "A�B"),
        ("İIŞıiĞ ÇÖÜ".encode(), "İIŞıiĞ ÇÖÜ"),
        (b"&#x130;&#305;&#13;", "&#x130;&#305;&#13;"),
        (b"&#x&#x1;1;", "&#x 1;"),
        (b"cut &#x1", "cut &#x1"),
    ],
)
def test_single_cases(dirty: bytes, expected: str) -> None:
    assert clean(dirty).decode() == expected


def test_repairs_are_counted() -> None:
    cleaner = ByteCleaner()
    cleaner.feed(b"\x00\x01 &#x2; \xff \xef\xbf\xbe \xef\xbf\xbd")
    cleaner.close()
    assert cleaner.repaired == 5


def test_an_endless_reference_does_not_pile_up() -> None:
    cleaner = ByteCleaner()
    out = cleaner.feed(b"&#x" + b"0" * 100_000)
    assert len(out) > 99_000
