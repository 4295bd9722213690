"""Passwords at rest."""

from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr

from shared.errors import DomainError, ErrorCode
from shared.secrets import SecretBox

OLD, NEW = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n"))


def box(*keys: str) -> SecretBox:
    return SecretBox(SecretStr("\n".join(keys)))


def test_what_is_encrypted_comes_back() -> None:
    token = box(OLD).encrypt("Gizli-çğıİ")
    assert b"Gizli" not in token
    assert box(OLD).decrypt(token).get_secret_value() == "Gizli-çğıİ"


def test_a_new_key_on_top_takes_over_and_the_old_one_still_opens() -> None:
    before = box(OLD).encrypt("x")
    rotated = box(NEW, OLD)
    assert rotated.decrypt(before).get_secret_value() == "x"
    assert box(NEW).decrypt(rotated.encrypt("y")).get_secret_value() == "y"


def test_a_secret_without_its_key_is_an_operator_s_problem() -> None:
    for token in (box(OLD).encrypt("x"), b"not a token", b""):
        with pytest.raises(DomainError) as caught:
            box(NEW).decrypt(token)
        assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


def test_blank_lines_are_ignored() -> None:
    assert box("", f"  {OLD}  ", "").decrypt(box(OLD).encrypt("x")).get_secret_value() == "x"


@pytest.mark.parametrize("keys", ["", "\n \n", "not-a-key", f"{OLD}\nshort", OLD[:-2]])
def test_unusable_keys_are_refused_without_quoting_them(keys: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        SecretBox(SecretStr(keys))
    assert OLD[:20] not in str(caught.value)
