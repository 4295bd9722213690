"""Registrations of KEP addresses: what DETSİS shows, what people say and what comes by mail, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from services.sandbox.detsis.register import PinnedUnit
from shared.clients.registrations import RegistrationsClient
from shared.contracts.directory.registrations import (
    FactReport,
    NewRegistration,
    RegistrationDetail,
    RegistrationFact,
    RegistrationState,
    Standing,
    VerificationNotice,
)
from shared.domain.identifiers import new_id
from shared.errors import DomainError, ErrorCode
from tests.support.database import fresh_database
from tests.support.detsis import NOW, TOKEN, A, B, Detsis, Directory, first_night, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

DEPARTMENT, FOREIGN, NOBODY = 10000011, 10000021, 10000099
OLD, NEW = "kurum.a@hs91.kep.tr", "yeni.a@hs91.kep.tr"
UNITS = (
    PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address=OLD),
    PinnedUnit(DEPARTMENT, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A),
    PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.tr"),
    PinnedUnit(FOREIGN, "ÇINARALTI GENEL SEKRETERLİĞİ", parent_no=B),
)
S = RegistrationState


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def after_a_night(database_server: str, authority: Authority) -> Iterator[str]:
    with first_night(database_server, authority, *UNITS) as url:
        yield url


@pytest.fixture
def filled_url(database_server: str, after_a_night: str) -> Iterator[str]:
    with fresh_database(database_server, like=after_a_night) as url:
        yield url


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(filled_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    """With an account and a filled mirror."""
    async with running_directory(filled_url, detsis, "jobs", shrink_limit_ratio=0.9) as found:
        await found.account()
        yield found


@pytest.fixture
async def client(directory: Directory) -> AsyncIterator[RegistrationsClient]:
    found = RegistrationsClient(directory.url, SecretStr(TOKEN))
    yield found
    await found.aclose()


async def opened(client: RegistrationsClient, **changes: Any) -> RegistrationDetail:
    fields: dict[str, Any] = {
        "institution_no": A, "detsis_no": A, "kep_address": NEW, "note": "yeni hizmet sağlayıcı", "opened_by": "ebys",
    }  # fmt: skip
    return await client.open(NewRegistration.model_validate(fields | changes))


async def again(directory: Directory, client: RegistrationsClient, registration_id: UUID) -> RegistrationDetail:
    """Read it when DETSİS is due to be asked again."""
    directory.clock.moment += timedelta(minutes=1)
    return await client.one([A], registration_id)


def steps(detail: RegistrationDetail) -> list[tuple[str, str]]:
    return [(item.what, item.actor) for item in detail.events]


def standings(detail: RegistrationDetail) -> dict[str, Standing | None]:
    return {item.address: item.standing for item in detail.addresses}


def fact(what: RegistrationFact, actor: str = "ebys", message_id: UUID | None = None) -> FactReport:
    return FactReport(what=what, actor=actor, message_id=message_id)


async def refused(awaited: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await awaited
    return caught.value


async def test_from_opening_to_active(directory: Directory, client: RegistrationsClient) -> None:
    first = await opened(client)
    registration_id = first.registration.registration_id
    assert first.registration.state is S.AWAITING_ENTRY
    assert first.registration.previous_address == OLD
    assert standings(first) == {NEW: Standing.NOT_LISTED, OLD: Standing.ACTIVE}
    assert first.instructions is not None
    assert first.instructions.officers_known
    directory.detsis.register.announce_kep_address(A, NEW.upper())
    entered = await again(directory, client, registration_id)
    assert entered.registration.state is S.ENTERED
    assert standings(entered) == {NEW: Standing.WAITING, OLD: Standing.ACTIVE}
    mail = new_id()
    notice = VerificationNotice(institution_no=A, kep_address=NEW, message_id=mail, received_at=directory.clock.now())
    for _ in range(2):
        await client.announce(notice)
    received = await client.one([A], registration_id)
    assert received.registration.state is S.VERIFICATION_RECEIVED
    for _ in range(2):
        confirmed = await client.report([A], registration_id, fact(RegistrationFact.CONFIRMED, "A. Yetkili", mail))
        assert confirmed.registration.state is S.CONFIRMED
    assert confirmed.registration.previous_address == OLD
    directory.detsis.register.confirm_kep_address(A)
    active = await again(directory, client, registration_id)
    assert active.registration.state is S.ACTIVE
    assert active.instructions is None
    assert standings(active) == {NEW: Standing.ACTIVE, OLD: Standing.WAITING}
    # Looked at again at once, DETSİS is not asked; what it last said counts, not the night's mirror.
    assert standings(await client.one([A], registration_id)) == standings(active)
    assert steps(active) == [
        ("opened", "ebys"), ("entered", "detsis"), ("verification-received", "kep_relay"),
        ("confirmed", "A. Yetkili"), ("active", "detsis"),
    ]  # fmt: skip


async def test_detsis_may_show_it_active_before_anybody_saw_the_mail(
    directory: Directory, client: RegistrationsClient
) -> None:
    registration_id = (await opened(client)).registration.registration_id
    directory.detsis.register.announce_kep_address(A, NEW)
    directory.detsis.register.confirm_kep_address(A)
    assert (await again(directory, client, registration_id)).registration.state is S.ACTIVE
    mail = new_id()
    await client.announce(
        VerificationNotice(institution_no=A, kep_address=NEW, message_id=mail, received_at=directory.clock.now())
    )
    late = await client.report([A], registration_id, fact(RegistrationFact.CONFIRMED, "A. Yetkili", mail))
    assert late.registration.state is S.ACTIVE
    assert [what for what, _actor in steps(late)] == ["opened", "active", "verification-received", "confirmed"]
    error = await refused(client.report([A], registration_id, fact(RegistrationFact.CANCELLED)))
    assert error.code is ErrorCode.STATE_CONFLICT


async def test_an_address_that_is_active_already_is_so_at_once(client: RegistrationsClient) -> None:
    found = await opened(client, kep_address=OLD)
    assert found.registration.state is S.ACTIVE
    assert found.registration.previous_address is None


async def test_one_open_registration_for_a_unit_and_an_address(client: RegistrationsClient) -> None:
    first = await opened(client)
    assert (await opened(client)).registration == first.registration
    for changes in ({"kep_address": "baska@hs91.kep.tr"}, {"detsis_no": DEPARTMENT}):
        error = await refused(opened(client, **changes))
        assert error.code is ErrorCode.STATE_CONFLICT
        assert str(first.registration.registration_id) in error.detail
    await opened(client, detsis_no=DEPARTMENT, kep_address="yazi@hs91.kep.tr")
    for _ in range(2):
        ended = await client.report([A], first.registration.registration_id, fact(RegistrationFact.CANCELLED))
        assert ended.registration.state is S.CANCELLED
    error = await refused(client.report([A], first.registration.registration_id, fact(RegistrationFact.ENTERED)))
    assert error.code is ErrorCode.STATE_CONFLICT
    assert (await opened(client)).registration.registration_id != first.registration.registration_id


async def test_two_that_open_at_once_get_one(client: RegistrationsClient) -> None:
    found = await asyncio.gather(
        *(opened(client, kep_address=f"yeni{number}@hs91.kep.tr") for number in range(5)), return_exceptions=True
    )
    assert sum(isinstance(item, RegistrationDetail) for item in found) == 1
    assert {item.code for item in found if isinstance(item, DomainError)} == {ErrorCode.STATE_CONFLICT}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kep_address": "kep adresi değil"}, "/body/kep_address"),
        ({"kep_address": "kurum.b@hs92.kep.tr"}, "/body/kep_address"),
        ({"detsis_no": NOBODY}, "/body/detsis_no"),
        ({"detsis_no": FOREIGN}, "/body/detsis_no"),
        ({"detsis_no": 123}, "/body/detsis_no"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(
    client: RegistrationsClient, changes: dict[str, Any], pointer: str
) -> None:
    error = await refused(opened(client, **changes))
    assert error.code is ErrorCode.VALIDATION_FAILED
    assert [item.pointer for item in error.faults] == [pointer]


async def test_a_unit_opened_today_is_found_at_detsis(directory: Directory, client: RegistrationsClient) -> None:
    newcomer = PinnedUnit(10000031, "BUGÜN AÇILAN BİRİM", parent_no=DEPARTMENT)
    directory.detsis.publish(*UNITS, newcomer)
    found = await opened(client, detsis_no=10000031)
    assert found.registration.unit_name == "BUGÜN AÇILAN BİRİM"


async def test_without_detsis_the_mirror_serves_and_nothing_is_claimed(
    directory: Directory, client: RegistrationsClient
) -> None:
    directory.detsis.order("html_page")
    found = await opened(client)
    assert found.registration.previous_address == OLD
    assert found.registration.checked_at is None
    assert found.instructions is not None
    assert not found.instructions.officers_known
    assert {item.source for item in found.addresses} == {"mirror"}
    error = await refused(opened(client, detsis_no=NOBODY))
    assert error.code is ErrorCode.DIRECTORY_UNAVAILABLE


async def test_a_later_one_supersedes_the_former(directory: Directory, client: RegistrationsClient) -> None:
    first = (await opened(client)).registration.registration_id
    directory.detsis.register.announce_kep_address(A, NEW)
    directory.detsis.register.confirm_kep_address(A)
    assert (await again(directory, client, first)).registration.state is S.ACTIVE
    second = (await opened(client, kep_address="daha.yeni@hs91.kep.tr")).registration.registration_id
    directory.detsis.register.announce_kep_address(A, "daha.yeni@hs91.kep.tr")
    directory.detsis.register.confirm_kep_address(A)
    assert (await again(directory, client, second)).registration.state is S.ACTIVE
    assert (await client.one([A], first)).registration.state is S.SUPERSEDED
    pages = await client.page([A], states=[S.ACTIVE])
    assert [item.registration_id for item in pages.registrations] == [second]


async def test_what_is_taken_back_at_the_portal_is_written_down(
    directory: Directory, client: RegistrationsClient
) -> None:
    registration_id = (await opened(client)).registration.registration_id
    directory.detsis.register.announce_kep_address(A, NEW)
    await again(directory, client, registration_id)
    directory.detsis.publish(*UNITS)
    found = await again(directory, client, registration_id)
    assert [what for what, _actor in steps(found)] == ["opened", "entered", "not-listed"]
    assert standings(found)[NEW] is Standing.NOT_LISTED
    unchanged = await again(directory, client, registration_id)
    assert steps(unchanged) == steps(found)


async def test_open_ones_are_asked_about_without_anybody_looking(
    database_url: str, directory: Directory, client: RegistrationsClient
) -> None:
    registration_id = (await opened(client)).registration.registration_id
    assert directory.metric("kepgw_kep_registrations", state="active") == 0
    directory.detsis.register.announce_kep_address(A, NEW)
    directory.detsis.register.confirm_kep_address(A)
    directory.clock.moment += timedelta(hours=1)
    directory.start("registrations")
    async with asyncio.timeout(30):
        while directory.metric("kepgw_kep_registrations", state="active") != 1:
            await asyncio.sleep(0.05)
    found = (await client.page([A])).registrations
    assert [(item.registration_id, item.state) for item in found] == [(registration_id, S.ACTIVE)]
    directory.detsis.calls.clear()
    directory.clock.moment += timedelta(hours=1)
    await asyncio.sleep(0.2)
    assert directory.detsis.calls == {}


async def test_pages_go_from_new_to_old(directory: Directory, client: RegistrationsClient) -> None:
    made = []
    for number in range(5):
        detail = await opened(client, kep_address=f"yeni{number}@hs91.kep.tr")
        made.append(detail.registration.registration_id)
        await client.report([A], made[-1], fact(RegistrationFact.CANCELLED))
        directory.clock.moment += timedelta(seconds=1)
    seen, cursor = [], None
    while True:
        found = await client.page([A], cursor=cursor, limit=2)
        seen += [item.registration_id for item in found.registrations]
        cursor = found.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]
    assert (await refused(client.page([A], cursor="x!"))).code is ErrorCode.VALIDATION_FAILED


async def test_other_institutions_see_nothing_of_it(client: RegistrationsClient) -> None:
    registration_id = (await opened(client)).registration.registration_id
    assert (await client.page([B])).registrations == []
    assert (await refused(client.one([B], registration_id))).code is ErrorCode.NOT_FOUND
    error = await refused(client.report([B], registration_id, fact(RegistrationFact.CANCELLED)))
    assert error.code is ErrorCode.NOT_FOUND
    await client.announce(VerificationNotice(institution_no=B, kep_address=NEW, message_id=new_id(), received_at=NOW))
    assert (await client.one([A], registration_id)).registration.state is S.AWAITING_ENTRY


async def test_nobody_holds_anothers_address_by_naming_it_first(client: RegistrationsClient) -> None:
    mine = await opened(client)
    theirs = await opened(client, institution_no=B, detsis_no=B)
    assert theirs.registration.state is S.AWAITING_ENTRY
    assert theirs.registration.registration_id != mine.registration.registration_id
    assert (await client.guard(B, NEW)).registration_id == theirs.registration.registration_id


async def test_a_flood_of_mails_does_not_fill_the_table(client: RegistrationsClient) -> None:
    registration_id = (await opened(client)).registration.registration_id
    for _ in range(60):
        await client.announce(
            VerificationNotice(institution_no=A, kep_address=NEW, message_id=new_id(), received_at=NOW)
        )
    assert len((await client.one([A], registration_id)).events) == 51


async def test_guard_follows_an_address_through_its_change(directory: Directory, client: RegistrationsClient) -> None:
    async def verdicts() -> tuple[str, str]:
        return (await client.guard(A, OLD)).verdict, (await client.guard(A, NEW)).verdict

    assert await verdicts() == ("listed", "free")
    registration_id = (await opened(client)).registration.registration_id
    assert await verdicts() == ("in-registration", "in-registration")
    directory.detsis.register.announce_kep_address(A, NEW)
    directory.detsis.register.confirm_kep_address(A)
    assert (await again(directory, client, registration_id)).registration.state is S.ACTIVE
    assert await verdicts() == ("free", "listed")


async def test_guard_keeps_an_only_address_that_still_waits(directory: Directory, client: RegistrationsClient) -> None:
    directory.detsis.register.announce_kep_address(DEPARTMENT, "yazi@hs91.kep.tr")
    found = await client.guard(A, "yazi@hs91.kep.tr")
    assert (found.verdict, found.standing, found.detsis_no) == ("listed", Standing.WAITING, DEPARTMENT)


async def test_guard_without_detsis_goes_by_a_fresh_mirror_only(
    directory: Directory, client: RegistrationsClient
) -> None:
    directory.detsis.order("html_page")
    assert [(await client.guard(A, item)).verdict for item in (OLD, NEW)] == ["listed", "free"]
    directory.clock.moment += timedelta(days=3)
    assert [(await client.guard(A, item)).verdict for item in (OLD, NEW)] == ["listed", "unknown"]
