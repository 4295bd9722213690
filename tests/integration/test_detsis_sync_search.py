"""Finding a unit as people write it, and showing it with its path, addresses and age."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from services.detsis_sync.mirror.search import Narrowing, search
from services.detsis_sync.mirror.vocabulary import Vocabulary
from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import Unit
from shared.errors import DomainError, ErrorCode
from tests.support.database import fresh_database
from tests.support.detsis import NOW, TOKEN, A, Detsis, Directory, first_night, running_detsis, running_directory
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
    async with running_directory(filled_url, detsis, "jobs") as found:
        await found.account()
        yield found


async def found(directory: Directory, query: str, **narrowing: bool | int) -> list[int]:
    page = await directory.client.search(query, limit=50, **narrowing)
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
    """Who can receive a letter, then who is open; the exact name, names that begin so, the shorter, the higher one."""
    assert await found(directory, "sağlık") == [
        10000004,  # sendable
        10000022,  # the exact name
        10000012,  # begins so, shorter
        10000021,
        10000011,  # does not begin so
        10000003,  # closed
    ]


async def test_narrowing(directory: Directory) -> None:
    assert await found(directory, "sağlık", sendable_only=True) == [10000004]
    assert await found(directory, "sağlık", main_institution=10000002) == [10000022, 10000021]
    assert await found(directory, "", main_institution=A) == [A, 10000011, 10000012]
    assert await found(directory, "", sendable_only=True) == [A, 10000002, 10000004]
    assert await found(directory, "sağlık", active=False) == [10000003]
    assert await found(directory, "sağlık", external_addressee=False) == [10000012]
    one = await unit(directory, 10000021)
    assert one.place_name
    assert 10000021 in await found(directory, "sağlık", place_id=10000021 % 81 + 1)
    assert await found(directory, "sağlık", category_id=-1) == await found(directory, "sağlık", status_id=-1) == []


async def test_a_number_finds_its_unit_only(directory: Directory) -> None:
    assert await found(directory, "10000021") == await found(directory, " 10000021. ") == [10000021]
    assert await found(directory, "10000099") == []
    assert await found(directory, "1000002") == []
    assert await found(directory, "10000021", sendable_only=True) == []
    with pytest.raises(DomainError) as caught:
        await found(directory, "100000210")
    assert (caught.value.code, caught.value.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/query/q")


async def test_queries_without_meaning_find_nothing_and_break_nothing(directory: Directory) -> None:
    for query in ("?!", "'", "%", "\\", "a:* | b", "& | !", "\x00", "🙂", "x" * 200):
        assert await found(directory, query) == [], query


async def test_pages_follow_each_other_without_gap_or_repetition(directory: Directory) -> None:
    for query in ("", "sağlık"):
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = await directory.client.search(query, limit=3, cursor=cursor)
            assert 0 < len(page.units) <= 3
            seen += [unit.detsis_no for unit in page.units]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == await found(directory, query)
        assert len(seen) == len(set(seen))


async def test_parameters_out_of_bounds(directory: Directory) -> None:
    for cursor in ("nonsense", "", "LTE", "OTk5OTk5OTk5", "czo5OTk5OTk", "eDox", "ş"):
        with pytest.raises(DomainError) as caught:
            await directory.client.search("", limit=3, cursor=cursor)
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
    page = await directory.client.search("", limit=1)
    assert page.freshness == (await directory.client.status()).freshness == answer.freshness


async def test_an_empty_mirror_finds_nothing_and_is_stale(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis) as directory:
        assert await found(directory, "sağlık") == []
        freshness = (await directory.client.status()).freshness
        assert (freshness.as_of, freshness.stale, freshness.snapshot_id) == (None, True, None)
        assert directory.metric("kepgw_directory_snapshot_age_seconds") == -1


async def test_typing_errors_are_taken_for_the_nearest_words_and_told(spelling: Directory) -> None:
    for query, taken_as in {
        "fakutlesi": "fakultesi",  # two letters swapped
        "rektrlugu": "rektorlugu",  # one missing
        "unviersitesi": "universitesi",
        "mudurlugug": "mudurlugu",  # one too many
        "sağlkı": "saglik",
    }.items():
        page = await spelling.client.search(query, limit=50)
        assert [(item.taken_as, page.units != []) for item in page.corrections] == [([taken_as], True)], query
        assert sorted(await found(spelling, query)) == sorted(await found(spelling, taken_as)), query
    assert (await spelling.client.search("sağlık fakülte", limit=5)).corrections == []
    assert await found(spelling, "zzzzzzz") == []
    assert await found(spelling, "sğk") == []  # too short to guess


async def test_turkish_endings_are_understood(spelling: Directory) -> None:
    for query, expected in {
        "isparta valiliğinin": [A],
        "Isparta'ya": [A],
        "üniversitesinden rektörlüğüne": [10000002],
        "bakanlık": [10000003],  # k before a vowel is ğ
        "kurumlar": [10000004],
    }.items():
        assert (await found(spelling, query))[:1] == expected, query
        assert (await spelling.client.search(query, limit=5)).corrections == [], query


async def test_words_may_be_shared_with_the_main_institution(spelling: Directory) -> None:
    assert await found(spelling, "ısparta sağlık") == [10000011, 10000012]
    assert await found(spelling, "sağlık şube isparta") == [10000012]
    assert await found(spelling, "çınaraltı sağlık") == [10000022, 10000021]
    first = await spelling.client.search("ısparta sağlık", limit=1)
    assert first.next_cursor is not None
    second = await spelling.client.search("ısparta sağlık", limit=1, cursor=first.next_cursor)
    assert [item.detsis_no for item in (*first.units, *second.units)] == [10000011, 10000012]
    assert second.next_cursor is None


async def many_alike(directory: Directory, count: int) -> None:
    """Units 30000001 …: every third closed, every fifth one that can be written to."""
    async with directory.database.unit_of_work() as work:
        await work.session.execute(
            text(
                "INSERT INTO units (detsis_no, name, folded_name, category_id, status_id, level, active, operating,"
                " external_addressee, reachable, content_hash, first_run_id, changed_run_id) SELECT 30000000 + n,"
                " 'ORTAK BİRİM ' || n, 'ortak birim ' || n, 1, 1, 1, n % 3 > 0, true, true, n % 5 = 0, '', 1, 1"
                f" FROM generate_series(1, {count}) AS n"
            )
        )


def in_order(count: int) -> list[int]:
    """The same by rank, length and number."""

    def place(n: int) -> tuple[int, int, int]:
        rank = 2 if n % 3 == 0 else 0 if n % 5 == 0 else 1
        return rank, len(str(n)), n

    return [30000000 + n for n in sorted(range(1, count + 1), key=place)]


async def test_common_words_are_paged_like_others(directory: Directory) -> None:
    """So many hits are not sorted one by one: the pages walk along the order, and still hold each unit once."""
    await many_alike(directory, 10_200)
    seen: list[int] = []
    cursor: str | None = None
    for _page in range(30):
        page = await directory.client.search("ortak birim", limit=200, cursor=cursor)
        seen += [unit.detsis_no for unit in page.units]
        cursor = page.next_cursor
        assert cursor is not None
    assert seen == in_order(10_200)[:6000]
    assert await found(directory, "ortak birim 5200") == [30005200]


async def test_words_known_to_be_common_are_looked_for_at_the_top_first(directory: Directory) -> None:
    """From the top, then sorted when the top has no full page, then along the whole order: it is one order."""
    await many_alike(directory, 6000)
    known = Vocabulary([("ortak", 6000), ("birim", 6000), ("baska", 6000), ("sube", 7000)])
    seen: list[int] = []
    cursor: str | None = None
    async with directory.database.reading() as session:
        while True:
            page = await search(session, known, "birim ortak", limit=200, cursor=cursor, narrowing=Narrowing())
            seen += [unit.detsis_no for unit in page.units]
            if (cursor := page.next_cursor) is None:
                break
        closed = await search(
            session, known, "ortak birim", limit=3, cursor=None, narrowing=Narrowing(active=False)
        )  # fmt: skip
        never = await search(session, known, "ortak baska", limit=3, cursor=None, narrowing=Narrowing())
        lone = await search(session, known, "sube", limit=3, cursor=None, narrowing=Narrowing())
    assert seen == in_order(6000)
    assert [unit.detsis_no for unit in closed.units] == [30000003, 30000006, 30000009]
    assert never.units == []
    assert [unit.detsis_no for unit in lone.units] == [10000012]


@pytest.fixture
async def spelling(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    """A directory that has read its vocabulary."""
    async with running_directory(database_url, detsis, "jobs", "vocabulary") as found:
        await found.account()
        assert (await found.refresh()).state == "accepted"
        for _attempt in range(200):
            if (await found.client.search("fakutlesi", limit=1)).corrections:
                break
            await asyncio.sleep(0.05)
        yield found
