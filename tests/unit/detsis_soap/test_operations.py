"""Every operation of the real client against the look-alike over TLS, and what its rows mean."""

from __future__ import annotations

from datetime import UTC, date
from hashlib import sha256

import pytest

from services.detsis_sync.rows import CodeRow, ContactRow, PlaceRow
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode
from tests.unit.detsis_soap.answers import INVOKE
from tests.unit.detsis_soap.conftest import A_UNIT, A, B, Detsis

EARLY = date(2010, 1, 1)
NOBODY = DetsisNumber(19999999)
EMPTY_HERE = {
    "ANCESTORS",
    "NUMBERS_OF_FORMER",
    "CERTIFICATES_OF_UNIT",
    "CERTIFICATE_OWNERS",
    "EYP_VERSION_CHANGES",
    "MANAGER_POSTS",
}
"""Of an institution at the top, without a certificate of its own; manager codes are not known beforehand."""


async def rows(answer: object) -> list[object]:
    async with answer as entered:  # type: ignore[attr-defined]
        found = [row async for batch in entered for row in batch]
    assert entered.outcome.rejected_rows == 0
    assert entered.outcome.unknown_elements == {}
    return found


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_every_operation_is_answered_in_both_versions(detsis: Detsis, version: str) -> None:
    """What may be empty here is read by the tests below and by those of bad answers."""
    async with detsis.client(soap_version=version) as client:
        found = {operation: await invoke(client) for operation, invoke in INVOKE.items()}
    assert {operation.name for operation, answer in found.items() if not answer.rows} <= EMPTY_HERE
    for outcome in (answer.outcome for answer in found.values() if answer.outcome is not None):
        assert (outcome.rejected_rows, outcome.unknown_elements, outcome.nil_items) == (0, {}, 0)


async def test_children_are_a_stream_of_units(detsis: Detsis) -> None:
    async with detsis.client() as client:
        assert [row.detsis_no for row in await rows(client.children(A))] == [A_UNIT]  # type: ignore[attr-defined]
        assert await rows(client.children(NOBODY)) == []


async def test_units_by_name(detsis: Detsis) -> None:
    async with detsis.client() as client:
        everywhere = await client.units_by_name("YAZI İŞLERİ")
        inside = await client.units_by_name("YAZI İŞLERİ", A)
        with pytest.raises(DirectoryCallError) as caught:
            await client.units_by_name("YAZI")
    assert A_UNIT in {unit.detsis_no for unit in everywhere}
    assert {unit.main_institution_no for unit in inside} == {A}
    assert caught.value.reason is FailureReason.IN_BAND


@pytest.mark.parametrize("name", ["", "   ", "A" * 501, "A" * 10_000, "A\x00BCDE", "A\x1fBCDE"])
async def test_a_name_that_cannot_be_asked_for_is_refused_before_it_is_sent(detsis: Detsis, name: str) -> None:
    async with detsis.client() as client:
        with pytest.raises(DomainError) as caught:
            await client.units_by_name(name)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


@pytest.mark.parametrize("name", ["%' OR 1=1 --", "</ad><ad>BAŞKANLIĞI", "& <BAŞKANLIK>", "]]>BAŞKANLIK", "_____"])
async def test_signs_of_other_languages_are_only_text(detsis: Detsis, name: str) -> None:
    async with detsis.client() as client:
        assert await client.units_by_name(name) == []


async def test_units_by_detail(detsis: Detsis) -> None:
    async with detsis.client() as client:
        sample = await client.unit(B)
        assert sample is not None
        found = await client.units_by_detail(category_id=sample.category_id, status_id=sample.status_id)
        assert B in {unit.detsis_no for unit in found}
        assert {(unit.category_id, unit.status_id) for unit in found} == {(sample.category_id, sample.status_id)}
        for conditions in ({}, {"place_code": 0}, {"province_code": -1}, {"category_id": 2**31}):
            with pytest.raises(DomainError) as caught:
                await client.units_by_detail(**conditions)
            assert caught.value.code is ErrorCode.VALIDATION_FAILED


async def test_former_numbers_lead_to_units(detsis: Detsis) -> None:
    """More of them than one call takes, with unknown ones between."""
    async with detsis.client() as client:
        known = {}
        for number in list(detsis.register.numbers())[:400]:
            if (text := _former(detsis, number)) is not None:
                known[text] = number
        wanted = [text for pair in zip(known, (f"yok-{n}" for n in range(len(known))), strict=True) for text in pair]
        found = await client.numbers_of_former(wanted)
        assert await client.numbers_of_former([]) == []
    assert len(wanted) > 200
    assert {row.former_number: row.detsis_no for row in found} == known
    assert {row.active_text for row in found} == {None}


def _former(detsis: Detsis, number: int) -> str | None:
    from services.sandbox.detsis.wire_records import register_number

    unit = detsis.register.unit(number)
    return None if unit is None else register_number(unit)


async def test_uets_numbers(detsis: Detsis) -> None:
    async with detsis.client() as client:
        (number,) = await client.uets_numbers(A)
        assert number.isdigit()
        assert await client.uets_numbers(NOBODY) == []


async def test_certificates(detsis: Detsis) -> None:
    async with detsis.client() as client:
        (own,) = [row for row in await client.certificates_of(B) if row.active]
        every = await rows(client.certificates(EARLY))
        later = await rows(client.certificates(date(9000, 1, 1)))
        owners = await rows(client.certificate_owners(EARLY))
    assert own.der == b"DER"
    assert own.sha256 == sha256(b"DER").hexdigest()
    assert own.registered_at is not None
    assert own.registered_at.tzinfo is UTC
    assert own in every
    assert later == []
    assert all(row.unit_no != row.owner_no for row in owners)  # type: ignore[attr-defined]
    assert "DER" not in repr(own)


async def test_eyp_versions(detsis: Detsis) -> None:
    async with detsis.client() as client:
        assert all(version[0].isdigit() for version in await client.eyp_versions(B))
        updated = await client.eyp_version_changes()
    assert len(updated) == len(set(updated))
    assert updated == list(dict.fromkeys(detsis.register.eyp_updated()))


async def test_contacts_keep_their_kinds_and_their_number(detsis: Detsis) -> None:
    async with detsis.client() as client:
        own = await rows(client.own_contacts())
        main = await rows(client.main_institution_contacts())
        one = await client.contacts(A_UNIT)
        assert await client.contacts(NOBODY) == []
    assert {row.detsis_no for row in one} == {A_UNIT}
    assert {1, 2, 4} <= {row.kind for row in one}
    assert {(row.kind, row.value) for row in own if row.detsis_no == A_UNIT} == {(row.kind, row.value) for row in one}  # type: ignore[attr-defined]
    kinds = {row.kind for row in main}  # type: ignore[attr-defined]
    assert {1, 2, 3, 4, 5, 6} <= kinds
    assert all(isinstance(row, ContactRow) and row.label for row in own)


async def test_officers(detsis: Detsis) -> None:
    async with detsis.client() as client:
        found = await client.officers()
    assert found
    assert all(officer.given_name and officer.surname and officer.email and officer.role for officer in found)


async def test_managers_on_a_day_over_time_and_by_code(detsis: Detsis) -> None:
    async with detsis.client() as client:
        history = await client.manager_history(A)
        (now,) = await client.managers(A)
        (then,) = await client.managers(A, date(2018, 1, 1))
        posts = await client.manager_posts(now.manager_code)
        with pytest.raises(DomainError):
            await client.manager_posts(-1)
    assert now in history
    assert now in posts
    assert now.active
    assert then.from_day is not None
    assert then.from_day <= date(2018, 1, 1)
    assert now.from_day is not None
    assert now.to_day is None
    assert then != now
    assert "born" not in repr(now)
    assert not {"born", "birth", "birth_date", "age", "age_group"} & set(type(now).__slots__)


async def test_code_lists(detsis: Detsis) -> None:
    async with detsis.client() as client:
        categories, statuses = await rows(client.categories()), await rows(client.statuses())
        places, budgets = await rows(client.places()), await rows(client.main_institution_budgets())
        plan = await client.file_plan(A)
    by_id = {row.code_id: row for row in categories if isinstance(row, CodeRow)}
    assert by_id[127].parent_id == 19
    assert by_id[16].parent_id is None
    assert by_id[19].opens_status_id == 1
    assert {row.used for row in categories} == {None}  # type: ignore[attr-defined]
    assert any(row.addressee_added for row in statuses)  # type: ignore[attr-defined]
    assert {row.used for row in statuses} <= {True, False}  # type: ignore[attr-defined]
    assert {row.opens_status_id for row in statuses} == {None}  # type: ignore[attr-defined]
    assert all(isinstance(place, PlaceRow) for place in places)
    assert any(place.place_id != place.place_code for place in places)  # type: ignore[attr-defined]
    assert {A, B} <= {row.detsis_no for row in budgets}  # type: ignore[attr-defined]
    assert any(entry.sub_codes for entry in plan)
    assert all(entry.code and entry.title for entry in plan)
