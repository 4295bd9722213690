"""Texts of the wire get their meaning here, and only here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.detsis_sync import translate
from services.detsis_sync.soap.wire import WireKepAddress, WireRowError, WireUnit

UNIT = WireUnit(
    number="10000011",
    name="  YAZI   İŞLERİ\u00a0DAİRESİ ",
    parent="10000001",
    second_parent="0",
    main_institution="10000001",
    place=None,
    place_name="",
    category="128",
    status="2",
    path="A >B  > C",
    active="True",
    operating="true",
    level="1",
    external_addressee="1",
    postal_address=None,
    kinds=(("9", "OKUL"), ("3", None)),
)


def test_a_unit_becomes_a_typed_normalised_row() -> None:
    row = translate.unit_row(UNIT)
    assert (row.detsis_no, row.parent_no, row.second_parent_no) == (10000011, 10000001, None)
    assert row.name == "YAZI İŞLERİ DAİRESİ"
    assert row.path_text == "A >B > C"
    assert (row.place_id, row.place_name) == (None, None)
    assert [kind.kind_id for kind in row.kinds] == [3, 9]
    assert row.open_to_letters


@pytest.mark.parametrize("text", ["true", "True", "TRUE", " 1 ", "Aktif", "AKTİF", "E", "e", "Evet"])
def test_every_spelling_of_active(text: str) -> None:
    row = translate.unit_row(replace(UNIT, active=text))
    assert row.active
    assert row.active_text is None


@pytest.mark.parametrize("text", ["false", "False", "0", "Pasif", "PASİF", "H", "Hayır", "HAYIR"])
def test_every_spelling_of_inactive(text: str) -> None:
    row = translate.unit_row(replace(UNIT, active=text))
    assert not row.active
    assert row.active_text is None


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "9" * 30, "9" * 5000, "", "1.5"])
def test_a_number_that_is_no_int_of_the_contract_breaks_the_row(text: str) -> None:
    """The database could not hold it: one such row would end every refresh with an error of the database."""
    with pytest.raises(WireRowError, match="level"):
        translate.unit_row(replace(UNIT, level=text))


@pytest.mark.parametrize("text", ["belki", "", None, "2", "truee", "true" + " " * 100])
def test_an_unknown_active_text_is_flagged_and_closes_the_unit(text: str | None) -> None:
    row = translate.unit_row(replace(UNIT, active=text))
    assert not row.active
    assert not row.open_to_letters
    assert row.active_text == (text or "")[:80]


@pytest.mark.parametrize("number", [None, "", "0", "1234567", "123456789", "01234567", "1234567a", "١٢٣٤٥٦٧٨"])
def test_a_unit_without_an_eight_digit_number_is_refused(number: str | None) -> None:
    with pytest.raises(WireRowError) as caught:
        translate.unit_row(replace(UNIT, number=number))
    assert caught.value.field == "detsis_no"


@pytest.mark.parametrize("parent", ["0", None, "", "-1", "7"])
def test_a_parent_that_is_none_is_normal(parent: str | None) -> None:
    assert translate.unit_row(replace(UNIT, parent=parent)).parent_no is None


@pytest.mark.parametrize("field", ["operating", "external_addressee", "level", "category", "status"])
def test_a_missing_required_field_refuses_the_row(field: str) -> None:
    with pytest.raises(WireRowError):
        translate.unit_row(replace(UNIT, **{field: None}))


def test_an_overlong_text_refuses_the_row() -> None:
    with pytest.raises(WireRowError, match="longer"):
        translate.unit_row(replace(UNIT, name="A" * 10_000))


def test_addresses_are_lower_cased_in_ascii_only() -> None:
    row = translate.kep_address_row(WireKepAddress("10000001", " KURUM.IL@HS01.KEP.EXAMPLE ", "true", "Aktif"))
    assert row.address == "kurum.il@hs01.kep.example"
    assert row.active


@pytest.mark.parametrize(
    "entry",
    [
        WireKepAddress("0", None, "false", None),
        WireKepAddress("10000001", "İL@hs01.kep.example", "true", None),
        WireKepAddress("10000001", None, "true", None),
        WireKepAddress("10000001", "a@b.example", "Aktif", None),
    ],
)
def test_an_unusable_address_row_is_refused(entry: WireKepAddress) -> None:
    with pytest.raises(WireRowError):
        translate.kep_address_row(entry)
