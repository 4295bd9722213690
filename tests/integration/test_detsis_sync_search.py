"""Finding a unit as people write it, and showing it with its path, addresses and age."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import Unit
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import NOW, TOKEN, A, Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

UNITS = (
    PinnedUnit(A, "ISPARTA VALİLİĞİ", kep_address="isparta@hs91.kep.example"),
    PinnedUnit(10000011, "İL SAĞLIK MÜDÜRLÜĞÜ", parent_no=A),
    PinnedUnit(10000012, "SAĞLIK HİZMETLERİ ŞUBE MÜDÜRLÜĞÜ", parent_no=10000011, external_addressee=False),
    PinnedUnit(10000002, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="rektorluk@hs92.kep.example"),
    PinnedUnit(10000021, "SAĞLIK BİLİMLERİ FAKÜLTESİ DEKANLIĞI", parent_no=10000002),
    PinnedUnit(10000022, "SAĞLIK", parent_no=10000002),
    PinnedUnit(
        10000003, "SAĞLIK BAKANLIĞI", active=False, operating=False, kep_address="kapali@hs92.kep.example"
    ),
    PinnedUnit(10000004, "SAĞLIKLI YAŞAM KURUMU", kep_address="yasam@hs92.kep.example"),
)  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(database_url, detsis, "jobs") as found:
        await found.account()
        assert (await found.refresh()).state == "accepted"
        yield found


async def found(
    directory: Directory, query: str, *, sendable_only: bool = False, main_institution: int | None = None
) -> list[int]:
    page = await directory.client.search(
        query, limit=50, cursor=None, sendable_only=sendable_only, main_institution=main_institution
    )
    assert page.next_cursor is None
    return [unit.detsis_no for unit in page.units]


async def test_words_in_any_order_and_spelling(directory: Directory) -> None:
    for query in (
        "SAĞLIK BİLİMLERİ", "bilimleri sağlık", "saglik bilimleri", "fak sağ", "SAGLIK BILIMLERI", "Sağlık bilimlerı",
        "dekanlığı, fakültesi", "  sağlık   bil. ",
    ):  # fmt: skip
        assert await found(directory, query) == [10000021], query
    assert await found(directory, "ısparta") == await found(directory, "İSPARTA") == [A]
    assert await found(directory, "isparta yok") == []
    assert await found(directory, "lığı") == []  # not the beginning of a word


async def test_the_best_comes_first(directory: Directory) -> None:
    """Who can receive a letter, then the exact name, then names that begin so, then the shorter name."""
    assert await found(directory, "sağlık") == [
        10000004,  # sendable
        10000022,  # the exact name
        10000003,  # begins so, shorter
        10000012,  # of the same length as the next: by number
        10000021,
        10000011,  # does not begin so
    ]


async def test_narrowing(directory: Directory) -> None:
    assert await found(directory, "sağlık", sendable_only=True) == [10000004]
    assert await found(directory, "sağlık", main_institution=10000002) == [10000022, 10000021]
    assert await found(directory, "", main_institution=A) == [A, 10000011, 10000012]
    assert await found(directory, "", sendable_only=True) == [A, 10000002, 10000004]


async def test_a_number_finds_its_unit_only(directory: Directory) -> None:
    assert await found(directory, "10000021") == await found(directory, " 10000021. ") == [10000021]
    assert await found(directory, "10000099") == []
    assert await found(directory, "1000002") == []


async def test_queries_without_meaning_find_nothing_and_break_nothing(directory: Directory) -> None:
    for query in ("?!", "'", "%", "\\", "a:* | b", "& | !", "\x00", "🙂", "x" * 200):
        assert await found(directory, query) == [], query


async def test_pages_follow_each_other_without_gap_or_repetition(directory: Directory) -> None:
    for query in ("", "sağlık"):
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = await directory.client.search(
                query, limit=3, cursor=cursor, sendable_only=False, main_institution=None
            )
            assert 0 < len(page.units) <= 3
            seen += [unit.detsis_no for unit in page.units]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == await found(directory, query)
        assert len(seen) == len(set(seen))


async def test_parameters_out_of_bounds(directory: Directory) -> None:
    for cursor in ("nonsense", "", "LTE", "OTk5OTk5OTk5", "ş"):
        with pytest.raises(DomainError) as caught:
            await directory.client.search("", limit=3, cursor=cursor, sendable_only=False, main_institution=None)
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
    for query in ("q=" + "x" * 201, "limit=0", "limit=201", "main_institution=-1", "cursor=" + "A" * 65):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            assert (await http.get(f"{directory.url}/internal/v1/units?{query}")).status_code == 422


async def unit(directory: Directory, number: int) -> Unit:
    return (await directory.client.unit(number)).unit


async def test_one_unit_with_everything_known(directory: Directory) -> None:
    answer = await directory.client.unit(10000012)
    assert answer.unit.path == ["ISPARTA VALİLİĞİ", "İL SAĞLIK MÜDÜRLÜĞÜ", "SAĞLIK HİZMETLERİ ŞUBE MÜDÜRLÜĞÜ"]
    assert (answer.unit.parent_no, answer.unit.main_institution_no) == (10000011, A)
    assert answer.unit.main_institution_name == "ISPARTA VALİLİĞİ"
    assert (answer.unit.external_addressee, answer.unit.sendable) == (False, False)
    assert (answer.freshness.as_of, answer.freshness.stale) == (NOW, False)
    main = await unit(directory, A)
    assert (main.path, main.parent_no, main.sendable) == (["ISPARTA VALİLİĞİ"], None, True)
    assert [(item.address, item.active, item.status_text) for item in main.kep_addresses] == [
        ("isparta@hs91.kep.example", True, "Aktif")
    ]


async def test_a_unit_nobody_knows(directory: Directory) -> None:
    for number in (10000099, 0, 10**8, 10**40):
        with pytest.raises(DomainError) as caught:
            await directory.client.unit(number)
        assert caught.value.code is ErrorCode.NOT_FOUND


async def test_the_path_follows_the_parents_not_the_text_of_detsis(directory: Directory) -> None:
    """The display path disagrees with the parents in published rows (detsis.md 8)."""
    async with directory.database.unit_of_work() as work:
        await work.session.execute(
            text("UPDATE units SET path_text = 'BAMBAŞKA > BİR YOL', parent_no = 10000002 WHERE detsis_no = 10000012")
        )
    assert (await unit(directory, 10000012)).path == [
        "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", "SAĞLIK HİZMETLERİ ŞUBE MÜDÜRLÜĞÜ",
    ]  # fmt: skip


async def test_a_parent_outside_the_list_and_a_loop_among_parents(directory: Directory) -> None:
    async with directory.database.unit_of_work() as work:
        await work.session.execute(text("UPDATE units SET parent_no = 99999999 WHERE detsis_no = 10000022"))
        await work.session.execute(text("UPDATE units SET parent_no = 10000012 WHERE detsis_no = 10000011"))
        await work.session.execute(text("UPDATE units SET parent_no = detsis_no WHERE detsis_no = 10000004"))
    assert (await unit(directory, 10000022)).path == ["SAĞLIK"]
    assert (await unit(directory, 10000004)).path == ["SAĞLIKLI YAŞAM KURUMU"]
    assert (await unit(directory, 10000012)).path == ["İL SAĞLIK MÜDÜRLÜĞÜ", "SAĞLIK HİZMETLERİ ŞUBE MÜDÜRLÜĞÜ"]
    assert len(await found(directory, "")) == len(UNITS)


async def test_an_old_mirror_says_so(directory: Directory) -> None:
    directory.clock.moment += timedelta(hours=36)
    assert not (await directory.client.status()).freshness.stale
    directory.clock.moment += timedelta(seconds=1)
    answer = await directory.client.unit(A)
    assert (answer.freshness.as_of, answer.freshness.stale) == (NOW, True)
    page = await directory.client.search("", limit=1, cursor=None, sendable_only=False, main_institution=None)
    assert page.freshness == (await directory.client.status()).freshness == answer.freshness


async def test_an_empty_mirror_finds_nothing_and_is_stale(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis) as directory:
        assert await found(directory, "sağlık") == []
        freshness = (await directory.client.status()).freshness
        assert (freshness.as_of, freshness.stale, freshness.snapshot_id) == (None, True, None)
        assert directory.metric("kepgw_directory_snapshot_age_seconds") == -1
