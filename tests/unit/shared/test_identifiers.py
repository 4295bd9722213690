"""Identifiers are checked once, at the border."""

from __future__ import annotations

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.identifiers import (
    ascii_lower,
    bare_message_id,
    detsis_number,
    kep_address,
    new_id,
    sha256_hex,
)

LOCAL = st.text(string.ascii_letters + string.digits + "._-+", min_size=1, max_size=64).filter(
    lambda text: ".." not in text
)
DOMAIN = st.from_regex(r"[a-zA-Z0-9]{1,10}(\.[a-zA-Z0-9]{1,10}){0,3}", fullmatch=True)


@given(st.integers(10_000_000, 99_999_999))
def test_eight_digits_are_a_detsis_number(number: int) -> None:
    assert detsis_number(number) == detsis_number(f" {number}\n") == number


@given(st.integers().filter(lambda number: not 10_000_000 <= number <= 99_999_999))
def test_other_integers_are_not(number: int) -> None:
    with pytest.raises(ValueError, match="eight digits"):
        detsis_number(number)


@given(st.text())
def test_no_text_gives_anything_else(text: str) -> None:
    try:
        number = detsis_number(text)
    except ValueError:
        return
    assert text.strip() == str(number)
    assert 10_000_000 <= number <= 99_999_999


@pytest.mark.parametrize(
    "text", ["", "1234567", "123456789", "01234567", "1234567x", "-1234567", "１２３４５６７８", "12 34567"]
)
def test_texts_that_only_look_like_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="eight digits"):
        detsis_number(text)


@given(LOCAL, DOMAIN)
def test_addresses_are_normalised_once(local: str, domain: str) -> None:
    address = kep_address(f" {local}@{domain} ")
    assert address == f"{local}@{domain}".lower()
    assert kep_address(address) == address


@given(st.text())
def test_no_text_gives_an_address_that_could_do_harm(text: str) -> None:
    try:
        address = kep_address(text)
    except ValueError:
        return
    assert address.isascii()
    assert address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(' <>,;:"\\()[]')


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a@", "@b", "a b@c.tr", "a@b@c", "a..b@c.tr", "a@b..tr", "a@-b.tr", "a@b.tr-", "çınar@c.tr", "a@ç.tr",
        "a@b.tr\r\nRCPT TO:<x@y>", "a@b.tr,c@d.tr", "<a@b.tr>", f"{'a' * 65}@b.tr", f"a@{'b' * 300}",
    ],
)  # fmt: skip
def test_texts_that_are_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="KEP address"):
        kep_address(text)


def test_letters_are_lowered_as_in_english_not_as_in_turkish() -> None:
    assert kep_address("KURUM.ILICA@HS01.KEP.TR") == "kurum.ilica@hs01.kep.tr"
    assert ascii_lower("İIıÇ") == "İiıÇ"


@given(st.binary(min_size=32, max_size=32))
def test_digests(digest: bytes) -> None:
    assert sha256_hex(f" {digest.hex().upper()} ") == digest.hex()


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "٠" * 64])
def test_texts_that_are_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        sha256_hex(text)


def test_ids_are_in_the_order_they_were_made_and_all_different() -> None:
    made = [new_id() for _ in range(1000)]
    assert sorted(made) == made
    assert len(set(made)) == 1000
    assert {(found.version, type(found)) for found in made} == {(7, UUID)}


@pytest.mark.parametrize("text", ["a@b", "<a@b>", " <a@b> ", "< a@b >", "a@b>"])
def test_message_ids_are_compared_without_brackets(text: str) -> None:
    assert bare_message_id(text) == "a@b"
