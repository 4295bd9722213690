"""Where a letter's recipients are reached: live, or from the mirror, marked, when DETSİS is down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import AddressSource, RegisterAccount, ResolutionProblem, ResolvedAddress
from shared.errors import DomainError, ErrorCode
from tests.support.database import fresh_database
from tests.support.detsis import NOW, A, B, Detsis, Directory, first_night, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

LETTER, ONE_UNIT = "eYazismaPaketi", "DETSISNoKurumBirimWs"
LIVE, MIRROR = AddressSource.LIVE, AddressSource.MIRROR

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
DEPARTMENT = PinnedUnit(10000011, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A)
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="Kurum.B@hs92.kep.example")
SILENT = PinnedUnit(10000003, "SESSİZ KURUM")
CLOSED = PinnedUnit(10000004, "KAPALI KURUM", active=False, operating=False, kep_address="kapali@hs92.kep.example")
INTERNAL = PinnedUnit(10000005, "İÇ KURUM", external_addressee=False, kep_address="ic@hs92.kep.example")
UNITS = (MAIN_A, DEPARTMENT, MAIN_B, SILENT, CLOSED, INTERNAL)
NEWCOMER = PinnedUnit(10000006, "YENİ KURUM", kep_address="yeni@hs91.kep.example")
NOBODY = 10000099


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


@asynccontextmanager
async def with_account(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(
        database_url, detsis, "jobs", shrink_limit_ratio=0.9, live_breaker_seconds=60
    ) as found:
        await found.account()
        yield found


@pytest.fixture
async def empty(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    """Before the first refresh."""
    async with with_account(database_url, detsis) as found:
        yield found


@pytest.fixture
async def directory(filled_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with with_account(filled_url, detsis) as found:
        yield found


def told(found: ResolvedAddress) -> tuple[str | None, ResolutionProblem | None]:
    return found.address, found.problem


EXPECTED = {
    B: ("kurum.b@hs92.kep.example", None),
    SILENT.detsis_no: (None, ResolutionProblem.NO_KEP_ADDRESS),
    CLOSED.detsis_no: (None, ResolutionProblem.INACTIVE),
    INTERNAL.detsis_no: (None, ResolutionProblem.INACTIVE),
    NOBODY: (None, ResolutionProblem.UNKNOWN),
}


async def test_live_answers_for_every_kind_of_recipient_in_the_order_asked(directory: Directory) -> None:
    numbers = [*EXPECTED, B]
    found = await directory.resolve(*numbers)
    assert [item.detsis_no for item in found] == numbers
    assert {item.detsis_no: told(item) for item in found} == EXPECTED
    assert {(item.source, item.rule, item.resolved_at) for item in found} == {(LIVE, "live.eYazismaPaketi", NOW)}
    assert directory.detsis.calls[LETTER] == 1
    assert found[0].name == MAIN_B.name
    assert directory.metric("kepgw_directory_lookups_total", kind="address", result="live") == 6


async def test_a_sender_without_account_uses_that_of_its_main_institution(directory: Directory) -> None:
    (found,) = await directory.resolve(B, sender=DEPARTMENT.detsis_no)
    assert found.source is LIVE


async def test_the_mirror_answers_the_same_and_is_marked_when_detsis_is_down(directory: Directory) -> None:
    directory.detsis.order("down")
    found = await directory.resolve(*EXPECTED)
    assert {item.detsis_no: told(item) for item in found} == EXPECTED
    assert {(item.source, item.rule) for item in found} == {(MIRROR, "mirror.detsis-down")}
    assert {item.snapshot_id for item in found} == {(await directory.client.status()).freshness.snapshot_id}
    assert directory.metric("kepgw_directory_live_up") == 0


async def test_the_mirror_can_be_asked_for_without_troubling_detsis(directory: Directory) -> None:
    found = await directory.resolve(*EXPECTED, mode="mirror")
    assert {item.detsis_no: told(item) for item in found} == EXPECTED
    assert {(item.source, item.rule) for item in found} == {(MIRROR, "mirror.asked")}
    assert not directory.detsis.calls


async def test_a_sender_whose_institution_has_no_account_is_answered_from_the_mirror(directory: Directory) -> None:
    (found,) = await directory.resolve(B, sender=B)
    assert (found.address, found.source, found.rule) == ("kurum.b@hs92.kep.example", MIRROR, "mirror.no-account")
    assert not directory.detsis.calls


async def test_what_changed_today_live_knows_and_the_mirror_does_not(directory: Directory) -> None:
    directory.detsis.publish(
        MAIN_A,
        replace(MAIN_B, kep_address="rektorluk@hs91.kep.example"),
        replace(CLOSED, active=True, operating=True),
        replace(SILENT, kep_address="sessiz@hs91.kep.example"),
        NEWCOMER,
    )
    numbers = (B, CLOSED.detsis_no, SILENT.detsis_no, NEWCOMER.detsis_no)
    live = await directory.resolve(*numbers)
    assert [told(item) for item in live] == [
        ("rektorluk@hs91.kep.example", None),
        ("kapali@hs92.kep.example", None),
        ("sessiz@hs91.kep.example", None),
        ("yeni@hs91.kep.example", None),
    ]
    assert live[3].name == NEWCOMER.name
    mirror = await directory.resolve(*numbers, mode="mirror")
    assert [told(item) for item in mirror] == [
        ("kurum.b@hs92.kep.example", None),
        (None, ResolutionProblem.INACTIVE),
        (None, ResolutionProblem.NO_KEP_ADDRESS),
        (None, ResolutionProblem.UNKNOWN),
    ]


async def test_an_address_that_was_taken_away(directory: Directory) -> None:
    directory.detsis.publish(*(replace(unit, kep_address=None) if unit is MAIN_B else unit for unit in UNITS))
    (live,) = await directory.resolve(B)
    assert told(live) == (None, ResolutionProblem.KEP_INACTIVE)
    assert (await directory.refresh()).state == "accepted"
    (mirror,) = await directory.resolve(B, mode="mirror")
    assert told(mirror) == (None, ResolutionProblem.KEP_INACTIVE)


async def test_detsis_is_left_alone_for_a_while_after_it_failed(directory: Directory) -> None:
    detsis = directory.detsis
    detsis.order("down")
    for _ in range(3):
        (found,) = await directory.resolve(B)
        assert found.rule == "mirror.detsis-down"
    assert detsis.calls[LETTER] == 1
    detsis.faults.clear()
    directory.clock.moment += timedelta(seconds=59)
    assert (await directory.resolve(B))[0].source is MIRROR
    directory.clock.moment += timedelta(seconds=2)
    assert (await directory.resolve(B))[0].source is LIVE
    assert detsis.calls[LETTER] == 2
    assert directory.metric("kepgw_directory_live_up") == 1
    assert (await directory.resolve(B))[0].source is LIVE


async def test_one_account_with_a_dead_endpoint_does_not_turn_the_others_to_the_mirror(directory: Directory) -> None:
    nowhere = RegisterAccount(institution_no=B, account_id=str(B), endpoint="https://localhost:1/", password="x")
    await directory.client.put_account(nowhere)
    assert (await directory.resolve(A, sender=B))[0].rule == "mirror.detsis-down"
    assert (await directory.resolve(B))[0].source is LIVE


@pytest.mark.parametrize("fault", ["html_page", "empty_body", "fault", "truncate"])
async def test_an_answer_that_is_none_counts_as_down(directory: Directory, fault: str) -> None:
    directory.detsis.order(fault, LETTER)
    (found,) = await directory.resolve(B)
    assert (found.address, found.rule) == ("kurum.b@hs92.kep.example", "mirror.detsis-down")


async def test_half_an_answer_is_no_answer(directory: Directory) -> None:
    """The package came, the question about a doubtful unit did not: nothing of it is used."""
    directory.detsis.publish(*UNITS, NEWCOMER)
    directory.detsis.order("down", ONE_UNIT)
    found = await directory.resolve(B, NEWCOMER.detsis_no)
    assert {item.source for item in found} == {MIRROR}


async def test_a_refusal_is_marked_as_such_and_is_asked_again_at_once(directory: Directory) -> None:
    directory.detsis.order("in_band_error", LETTER, count=1)
    assert (await directory.resolve(B))[0].rule == "mirror.detsis-refused"
    assert (await directory.resolve(B))[0].source is LIVE


async def test_detsis_that_does_not_answer_in_time(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", live_timeout_seconds=0.3) as directory:
        await directory.account()
        await directory.refresh()
        with detsis.holding(LETTER):
            (found,) = await directory.resolve(B)
        assert found.rule == "mirror.detsis-down"


async def test_before_the_first_refresh_live_works_and_without_it_there_is_no_answer(empty: Directory) -> None:
    empty.detsis.publish(*UNITS, NEWCOMER)
    found = await empty.resolve(B, CLOSED.detsis_no, NOBODY)
    assert [told(item) for item in found] == [EXPECTED[B], EXPECTED[CLOSED.detsis_no], EXPECTED[NOBODY]]
    assert found[0].snapshot_id is None
    empty.detsis.order("down")
    for mode in ("live", "mirror"):
        with pytest.raises(DomainError) as caught:
            await empty.resolve(B, mode=mode)
        assert caught.value.code is ErrorCode.DIRECTORY_UNAVAILABLE
        assert caught.value.retry_after_seconds


async def test_a_changed_password_is_used_from_the_next_call_on(directory: Directory) -> None:
    await directory.account(password="Yanlış-1")
    assert (await directory.resolve(B))[0].rule == "mirror.detsis-refused"
    await directory.account()
    assert (await directory.resolve(B))[0].source is LIVE
    kept = await directory.account(password=None)
    assert kept.password is None
    assert (await directory.resolve(B))[0].source is LIVE


async def test_numbers_that_are_none(directory: Directory) -> None:
    for numbers in ((1,), (123456789,), (-10000001,), (B, 0)):
        with pytest.raises(DomainError) as caught:
            await directory.resolve(*numbers)
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
        assert [fault.pointer for fault in caught.value.faults] == [f"/recipient_nos/{len(numbers) - 1}"]


IMPOSSIBLE: tuple[dict[str, object], ...] = (
    {"institution_no": 5}, {"institution_no": B, "password": None}, {"password": ""}, {"account_id": "a\x00b"},
    {"account_id": ""}, {"endpoint": "http://localhost/"}, {"endpoint": "https://user:secret@localhost/"},
    {"endpoint": "https://[broken/"}, {"endpoint": "nonsense"}, {"endpoint": "https://a\x00/"},
    {"endpoint": "https://localhost:99999/"}, {"endpoint": "https://a..b\u00ff_/"},
)  # fmt: skip


async def test_accounts_that_cannot_be(directory: Directory) -> None:
    good = RegisterAccount(institution_no=A, account_id=str(A), endpoint=directory.detsis.endpoint, password="x")
    for changed in IMPOSSIBLE:
        with pytest.raises(DomainError) as caught:
            await directory.client.put_account(good.model_copy(update=changed))
        assert caught.value.code is ErrorCode.VALIDATION_FAILED, changed
        assert "secret" not in caught.value.detail
    assert (await directory.resolve(B))[0].source is LIVE  # the account is what it was
