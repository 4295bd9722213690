"""Search in Turkish: neither case nor diacritics matter, and the four i are one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detsis_sync.mirror.folding import fold, prefix_query

TURKISH = st.text("abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZ .-0123456789", max_size=60)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ISPARTA VALİLİĞİ", "isparta valiligi"),
        ("Isparta Valiliği", "isparta valiligi"),
        ("ısparta valılıgı", "isparta valiligi"),
        ("İl", "il"),
        ("I\u0307L", "il"),  # İ as two characters
        ("ÇĞÖŞÜ çğöşü", "cgosu cgosu"),
        ("C\u0327INAR", "cinar"),
        ("  BİLGİ-İŞLEM\t(MERKEZİ)  ", "bilgi islem merkezi"),
        ("T.C. 75. YIL", "t c 75 yil"),
        ("Â Î Û â î û", "a i u a i u"),
        ("ﬁliz", "filiz"),
        ("", ""),
        ("—…!", ""),
    ],
)
def test_examples(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_what_is_folded_is_plain_and_stays_as_it_is(text: str) -> None:
    folded = fold(text)
    assert re.fullmatch(r"([0-9a-z]+( [0-9a-z]+)*)?", folded)
    assert fold(folded) == folded


def upper(text: str) -> str:
    return text.replace("i", "İ").replace("ı", "I").upper()


def lower(text: str) -> str:
    return text.replace("İ", "i").replace("I", "ı").lower()


@given(TURKISH)
def test_case_does_not_matter_neither_in_turkish_nor_in_english(text: str) -> None:
    assert fold(upper(text)) == fold(lower(text)) == fold(text) == fold(text.upper()) == fold(text.lower())


@given(TURKISH, TURKISH)
def test_words_are_folded_one_by_one(one: str, other: str) -> None:
    assert fold(f"{one} {other}") == f"{fold(one)} {fold(other)}".strip()


@given(st.text())
def test_a_query_can_hold_nothing_but_words(text: str) -> None:
    query = prefix_query(text)
    assert query is None or re.fullmatch(r"[0-9a-z]+:\*( & [0-9a-z]+:\*){0,11}", query)


def test_a_query_asks_for_each_word_as_a_beginning() -> None:
    assert prefix_query("BİL Üniv.") == "bil:* & univ:*"
    assert prefix_query("'); DROP TABLE units; --") == "drop:* & table:* & units:*"
    assert prefix_query("?!") is None
    assert prefix_query(" ".join("abcdefghijklmnop")).count("&") == 11  # type: ignore[union-attr]
