"""Numbers, moments, days and certificates of the wire, and the rows of the smaller lists."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest

from services.detsis_sync import translate
from services.detsis_sync.soap.wire import (
    WireBudget,
    WireCategory,
    WireCertificate,
    WireCertificateOwner,
    WireContact,
    WireFilePlanEntry,
    WireFormerNumber,
    WirePackage,
    WirePlace,
    WireRecipient,
    WireRowError,
    WireSignatory,
    WireStatus,
)
from services.detsis_sync.translate import texts

DER = b"\x30\x82" + b"x" * 900
ENCODED = base64.b64encode(DER).decode()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T04:05:06", datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)),
        ("2026-03-01T01:05:06Z", datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)),
        ("2026-03-01T04:05:06+03:00", datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)),
        ("2026-03-01T00:05:06-01:00", datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)),
        ("2026-03-01T04:05:06.1234567", datetime(2026, 3, 1, 1, 5, 6, 123456, tzinfo=UTC)),
        ("2026-03-01T04:05:06.5", datetime(2026, 3, 1, 1, 5, 6, 500000, tzinfo=UTC)),
        (" 2026-03-01T04:05:06\n", datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)),
        ("2015-01-15T12:00:00", datetime(2015, 1, 15, 10, tzinfo=UTC)),  # winter time, until 2016
        ("2015-07-15T12:00:00", datetime(2015, 7, 15, 9, tzinfo=UTC)),
        ("2026-03-01T00:00:00", datetime(2026, 2, 28, 21, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 20, 59, 59, 999999, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+02:00", None),
    ],
)
def test_a_moment_without_a_zone_is_turkish_and_the_year_one_is_none(text: str, moment: datetime | None) -> None:
    assert texts.moment("registered_at", text) == moment


@pytest.mark.parametrize(
    "text",
    [
        None, "", " ", "yok", "2026-03-01", "01.03.2026 04:05:06", "2026-02-30T00:00:00", "2026-03-01T24:00:00",
        "2026-03-01T04:05:60", "2026-03-01 04:05:06", "20260301T040506", "2026-W09-7T00:00:00", "2026-03-01T04:05:06+99:00",
        "٢٠٢٦-03-01T04:05:06", "2026-03-01T04:05:06." + "1" * 500, "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00",
        "12026-01-01T00:00:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_a_fault_and_not_a_guess(text: str | None) -> None:
    with pytest.raises(WireRowError, match="registered_at"):
        texts.moment("registered_at", text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (None, None),
        ("", None),
        ("0001-01-01T00:00:00", None),
        ("2026-03-01T00:00:00", date(2026, 3, 1)),
        ("2026-03-01T23:59:59.9999999", date(2026, 3, 1)),
        ("2026-02-28T22:00:00Z", date(2026, 3, 1)),
    ],
)
def test_a_day_is_the_turkish_one(text: str | None, day: date | None) -> None:
    assert texts.day("from_day", text) == day


@pytest.mark.parametrize("text", ["bugün", "2026-13-01T00:00:00", "9999-12-31T23:59:59-14:00"])
def test_what_is_no_day_is_a_fault(text: str) -> None:
    with pytest.raises(WireRowError, match="from_day"):
        texts.day("from_day", text)


@pytest.mark.parametrize(("text", "number"), [("7", 7), (" 7\n", 7), ("-7", -7), ("+7", 7), ("007", 7)])
def test_numbers_as_xml_schema_spells_them(text: str, number: int) -> None:
    assert texts.integer("level", text) == number


@pytest.mark.parametrize("text", [None, "", "1_0", "٣", "1.0", "1e3", "0x1", "1 0", "9" * 41, "½"])
def test_numbers_as_nobody_should_spell_them(text: str | None) -> None:
    with pytest.raises(WireRowError, match="level"):
        texts.integer("level", text)


def certificate(**changed: str | None) -> WireCertificate:
    values: dict[str, str | None] = {
        "number": "10000001",
        "encoded": ENCODED,
        "registered_at": "2026-03-01T04:05:06",
        "updated_at": "0001-01-01T00:00:00",
        "stated_expiry": " 01.03.2029 ",
        "active": "true",
    }
    return WireCertificate(**(values | changed))


def test_a_certificate() -> None:
    row = translate.certificate_row(certificate())
    assert (row.der, row.sha256) == (DER, sha256(DER).hexdigest())
    assert row.registered_at == datetime(2026, 3, 1, 1, 5, 6, tzinfo=UTC)
    assert row.updated_at is None
    assert row.stated_expiry == "01.03.2029"
    assert row.active


def test_the_stated_expiry_is_only_a_text() -> None:
    assert translate.certificate_row(certificate(stated_expiry="süresiz")).stated_expiry == "süresiz"
    assert translate.certificate_row(certificate(stated_expiry=None)).stated_expiry is None


def test_base64_in_lines_is_read() -> None:
    lines = "\r\n".join(ENCODED[start : start + 64] for start in range(0, len(ENCODED), 64))
    assert translate.certificate_row(certificate(encoded=lines)).der == DER


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (None, "empty"),
        ("", "empty"),
        ("  ", "empty"),
        ("%%%", "not base64"),
        (ENCODED[:-1], "not base64"),
        (ENCODED + "ğ", "not base64"),
        (f"-----BEGIN CERTIFICATE-----\n{ENCODED}\n-----END CERTIFICATE-----", "not base64"),
        (base64.b64encode(b"x" * (64 * 1024 + 1)).decode(), "longer"),
        (" " * 10_000_000, "empty"),
        ("A" * 10_000_000, "longer"),
    ],
)
def test_a_certificate_that_is_none_is_a_fault_of_its_row(encoded: str | None, reason: str) -> None:
    """zeep's decoder would drop the strange letters and go on."""
    with pytest.raises(WireRowError, match=reason) as caught:
        translate.certificate_row(certificate(encoded=encoded))
    assert caught.value.field == "der"


def test_the_largest_certificate_is_taken() -> None:
    whole = b"x" * texts.CERTIFICATE_LIMIT
    assert translate.certificate_row(certificate(encoded=base64.b64encode(whole).decode())).der == whole


def recipient(encoded: str | None) -> WireRecipient:
    return WireRecipient("10000002", "B KURUMUNA", None, "B@HS92.KEP.EXAMPLE", None, encoded)


def test_a_broken_certificate_of_a_recipient_is_told_apart_from_none() -> None:
    """The letter would go out in clear text to somebody who can be written to encrypted."""
    package = WirePackage(*[None] * 10)
    package.recipients = (recipient(None), recipient(" "), recipient(ENCODED), recipient("%%%"))
    package.signatories = (WireSignatory("7", "AYŞE", "IŞIK", None, None, "0"),)
    found = translate.correspondence_package(
        package, answered_at=datetime(2026, 3, 1, tzinfo=UTC), unknown_elements={}
    ).recipients
    assert [one.encryption_certificate for one in found] == [None, None, DER, None]
    assert [one.certificate_fault for one in found] == [None, None, None, "not base64"]


def test_an_owner_needs_two_numbers() -> None:
    row = translate.certificate_owner_row(WireCertificateOwner("10000011", "10000001"))
    assert (row.unit_no, row.owner_no) == (10000011, 10000001)
    for entry in (WireCertificateOwner("10000011", "0"), WireCertificateOwner(None, "10000001")):
        with pytest.raises(WireRowError):
            translate.certificate_owner_row(entry)


def test_a_former_number_with_an_unclear_flag_counts_as_inactive() -> None:
    row = translate.former_number_row(WireFormerNumber("10000011", "X", " 12.34 ", "0", "belki"))
    assert (row.former_number, row.main_institution_no, row.active, row.active_text) == ("12.34", None, False, "belki")
    with pytest.raises(WireRowError, match="former_number"):
        translate.former_number_row(WireFormerNumber("10000011", "X", " ", "0", "true"))


@pytest.mark.parametrize("kind", ["1", "2", "3", "4", "5", "6", "99"])
def test_contacts_of_every_kind_are_kept(kind: str) -> None:
    row = translate.contact_row(WireContact("10000011", kind, "  0312  000 ", " Santral "))
    assert (row.kind, row.value, row.label) == (int(kind), "0312 000", "Santral")


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_contact_that_says_nothing_is_a_fault(value: str | None) -> None:
    with pytest.raises(WireRowError, match="value"):
        translate.contact_row(WireContact("10000011", "4", value, "Telefon"))


def test_zero_points_to_no_other_code() -> None:
    category = translate.category_row(WireCategory("5", "İL", "İLLER", "0", "0", "true"))
    assert (category.parent_id, category.opens_status_id, category.used) == (None, None, None)
    status = translate.status_row(WireStatus("5", "MÜDÜRLÜK", None, "3", "Ğ", "ĞÜNE", "0", "false"))
    assert (status.parent_id, status.addressee_removed, status.addressee_added) == (3, "Ğ", "ĞÜNE")
    assert (status.used, status.active) == (False, False)


def test_a_place_and_a_budget() -> None:
    place = translate.place_row(WirePlace("9", "ÇANKAYA", "1231", "6", "ANKARA", "2", "İLÇE", "true", "312"))
    assert (place.place_id, place.place_code, place.province_code, place.phone_area_code) == (9, 1231, 6, "312")
    budget = translate.budget_row(WireBudget("10000001", "A", "1", "GENEL", "2", None))
    assert (budget.budget_type_id, budget.budget_type, budget.legal_person_id, budget.legal_person) == (
        1,
        "GENEL",
        2,
        None,
    )


def test_a_file_plan_entry_leaves_out_empty_parts() -> None:
    entry = WireFilePlanEntry(
        "1",
        "010.06",
        "MEVZUAT",
        "010",
        "06",
        "",
        None,
        "5 yıl",
        "Birim",
        "A",
        None,
        None,
        "true",
        None,
        None,
        "2",
        "true",
    )
    row = translate.file_plan_row(entry)
    assert (row.code, row.main_code, row.sub_codes, row.level) == ("010.06", "010", ("06",), "2")
    assert row.retention_years_text == "5 yıl"
