"""What DETSİS itself is asked for people: the register without a copy (EK-3/3), and details of units."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from services.sandbox.detsis.people import contacts, manager_on, officers, register_number, uets_number
from services.sandbox.detsis.register import PinnedUnit
from shared.clients.live import LiveClient
from shared.contracts.directory import AnswerSource, RegisterAccount
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import NOW, PASSWORD, TOKEN, A, B, Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
DEPARTMENT = PinnedUnit(10000011, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A)
OFFICE = PinnedUnit(10000012, "IRMAK ŞUBE MÜDÜRLÜĞÜ", parent_no=10000011, kep_address="sube@hs91.kep.example")
SHUT = PinnedUnit(10000013, "ARŞİV DAİRESİ BAŞKANLIĞI", parent_no=A, active=False, operating=False)
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
UNITS = (MAIN_A, DEPARTMENT, OFFICE, SHUT, MAIN_B)
NOBODY = 10000099


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(
        database_url, detsis, live_cache_seconds=300, live_cache_keep_seconds=3600, live_breaker_seconds=0
    ) as found:
        await account(found, keeps_copy=False)
        yield found


@pytest.fixture
async def live(directory: Directory) -> AsyncIterator[LiveClient]:
    client = LiveClient(directory.url, SecretStr(TOKEN))
    yield client
    await client.aclose()


async def account(directory: Directory, number: int = A, *, keeps_copy: bool) -> None:
    await directory.client.put_account(
        RegisterAccount(
            institution_no=number, account_id=str(number), endpoint=directory.detsis.endpoint, password=PASSWORD,
            keeps_copy=keeps_copy,
        )
    )  # fmt: skip


async def code_of(question: object) -> tuple[ErrorCode, list[str]]:
    with pytest.raises(DomainError) as caught:
        await question  # type: ignore[misc]
    return caught.value.code, [fault.pointer for fault in caught.value.faults]


class TestRegister:
    async def test_main_institutions_then_units_below_then_one(self, live: LiveClient) -> None:
        main = await live.main_institutions(A)
        assert [unit.detsis_no for unit in main.units] == [B, A], "by name: Ç before Ö"
        below = await live.children(A, A)
        assert [unit.detsis_no for unit in below.units] == [10000011, 10000013], "open ones first"
        assert [unit.detsis_no for unit in (await live.children(A, A, open_only=True)).units] == [10000011]
        answer = await live.unit(A, 10000012)
        assert (answer.unit.name, answer.unit.sendable) == (OFFICE.name, True)
        assert answer.unit.path == [MAIN_A.name, DEPARTMENT.name, OFFICE.name]
        assert [item.address for item in answer.unit.kep_addresses] == ["sube@hs91.kep.example"]
        for freshness in (main.freshness, below.freshness, answer.freshness):
            assert (freshness.source, freshness.as_of, freshness.stale, freshness.snapshot_id) == (
                AnswerSource.LIVE, NOW, False, None,
            )  # fmt: skip

    async def test_ancestors_nearest_first(self, live: LiveClient) -> None:
        assert [unit.detsis_no for unit in (await live.ancestors(A, 10000012)).units] == [10000011, A]
        assert (await live.ancestors(A, A)).units == []

    async def test_pages(self, live: LiveClient) -> None:
        first = await live.main_institutions(A, limit=1)
        assert first.next_cursor
        second = await live.main_institutions(A, limit=1, cursor=first.next_cursor)
        assert [page.units[0].detsis_no for page in (first, second)] == [B, A]
        assert second.next_cursor is None
        assert await code_of(live.main_institutions(A, cursor="plan-1")) == (ErrorCode.VALIDATION_FAILED, ["/cursor"])

    @pytest.mark.parametrize("deep", [False, True])
    async def test_units_below_are_direct_ones_whatever_detsis_means_by_it(
        self, live: LiveClient, detsis: Detsis, deep: bool
    ) -> None:
        if deep:
            detsis.order("deep_children")
        assert {unit.detsis_no for unit in (await live.children(A, A)).units} == {10000011, 10000013}

    @pytest.mark.parametrize("text", ["çınaraltı üniversitesi", "ÇINARALTI", "10000002"])
    async def test_search_by_name_in_any_case_or_by_number(self, live: LiveClient, text: str) -> None:
        assert [unit.detsis_no for unit in (await live.search(A, text)).units] == [B]

    async def test_turkish_letters_are_capitalised_as_turkish_ones(self, live: LiveClient) -> None:
        assert [unit.detsis_no for unit in (await live.search(A, "ırmak şube")).units] == [10000012]
        assert (await live.search(A, "IRMAK ŞUBE", main_institution=B)).units == []

    async def test_searches_detsis_would_not_do(self, live: LiveClient, detsis: Detsis) -> None:
        for text in ("", "kısa", "%_' "):
            assert await code_of(live.search(A, text)) == (ErrorCode.VALIDATION_FAILED, ["/q"]), text
        assert (await live.search(A, "%' OR 1=1 --")).units == []
        assert (await live.search(A, str(NOBODY))).units == []
        assert set(detsis.calls) == {"AdaGoreKurumBirimSorgulaWs", "DETSISNoKurumBirimWs"}

    async def test_a_unit_detsis_does_not_know(self, live: LiveClient) -> None:
        for question in (live.unit(A, NOBODY), live.children(A, NOBODY), live.ancestors(A, NOBODY)):
            assert await code_of(question) == (ErrorCode.NOT_FOUND, [])

    async def test_answers_are_remembered_for_the_account_that_got_them(
        self, live: LiveClient, directory: Directory, detsis: Detsis
    ) -> None:
        await account(directory, B, keeps_copy=False)
        for _ in range(3):
            await live.main_institutions(A)
        assert detsis.calls["AnaKurumlariGetirKurumBirimWs"] == 1
        await live.main_institutions(B)
        assert detsis.calls["AnaKurumlariGetirKurumBirimWs"] == 2
        directory.clock.moment += timedelta(seconds=301)
        detsis.order("down")
        kept = await live.main_institutions(A)
        assert (kept.freshness.stale, kept.freshness.as_of) == (True, NOW)
        directory.clock.moment += timedelta(seconds=3600)
        assert (await code_of(live.main_institutions(A)))[0] is ErrorCode.DIRECTORY_UNAVAILABLE
        assert directory.metric("kepgw_directory_lookups_total", kind="live_register", result="failed") == 1

    @pytest.mark.parametrize("fault", ["down", "html_page", "empty_body", "truncate", "no_envelope_end", "fault"])
    async def test_bad_lists_are_no_lists(self, live: LiveClient, detsis: Detsis, fault: str) -> None:
        detsis.order(fault)
        for question in (live.main_institutions(A), live.children(A, A), live.unit(A, A), live.search(A, "ÖRNEK A")):
            assert (await code_of(question))[0] is ErrorCode.DIRECTORY_UNAVAILABLE
        detsis.faults.clear()
        assert len((await live.main_institutions(A)).units) == 2

    async def test_a_refusal_is_told_with_the_words_of_detsis(self, live: LiveClient, detsis: Detsis) -> None:
        detsis.order("in_band_error")
        assert (await code_of(live.main_institutions(A)))[0] is ErrorCode.DIRECTORY_REFUSED

    async def test_an_institution_without_account_cannot_ask(self, live: LiveClient) -> None:
        assert (await code_of(live.unit(B, A)))[0] is ErrorCode.STATE_CONFLICT

    async def test_live_is_for_those_who_keep_no_copy(self, live: LiveClient, directory: Directory) -> None:
        assert (await live.choice([A, B])).institution_no == A
        assert (await live.choice([B])).institution_no is None
        assert (await live.choice([])).institution_no is None
        await account(directory, B, keeps_copy=True)
        assert (await live.choice([A, B])).institution_no is None
        assert (await live.choice([A])).institution_no == A


class TestDetails:
    async def test_contacts_are_read_once_a_day_and_kept(
        self, live: LiveClient, directory: Directory, detsis: Detsis
    ) -> None:
        unit = detsis.register.unit(B)
        assert unit is not None
        first = await live.contacts(A, B)
        assert [(item.kind, item.value) for item in first.contacts] == [(c.kind, c.text) for c in contacts(unit)]
        assert first.freshness.source is AnswerSource.LIVE
        second = await live.contacts(A, B)
        assert (second.contacts, second.freshness.source) == (first.contacts, AnswerSource.STORED)
        assert detsis.calls["KurumBirimIletisimBilgileriGetirWs"] == 1
        directory.clock.moment += timedelta(hours=25)
        detsis.order("down")
        third = await live.contacts(A, B)
        assert (third.contacts, third.freshness.stale, third.freshness.as_of) == (first.contacts, True, NOW)
        assert (await code_of(live.contacts(A, 10000012)))[0] is ErrorCode.DIRECTORY_UNAVAILABLE

    async def test_who_has_no_account_sees_what_is_stored(self, live: LiveClient) -> None:
        assert (await code_of(live.contacts(B, B)))[0] is ErrorCode.DIRECTORY_UNAVAILABLE
        await live.contacts(A, B)
        assert (await live.contacts(B, B)).freshness.source is AnswerSource.STORED

    async def test_contacts_that_went_away_are_not_kept(
        self, live: LiveClient, directory: Directory, detsis: Detsis
    ) -> None:
        before = (await live.contacts(A, A)).contacts
        directory.clock.moment += timedelta(hours=25)
        with detsis.editing(
            "KurumBirimIletisimBilgileriGetirWs", lambda body: body.replace(b"<IletisimTip>1<", b"<IletisimTip>x<")
        ):
            after = (await live.contacts(A, A)).contacts
        assert after == before[1:]
        assert (await live.contacts(A, A)).contacts == after

    async def test_uets_numbers_versions_and_former_numbers(self, live: LiveClient, detsis: Detsis) -> None:
        unit = detsis.register.unit(B)
        assert unit is not None
        assert (await live.uets_numbers(A, B)).numbers == [uets_number(unit)]
        versions = await live.eyp_versions(A, B)
        assert [item.version for item in versions.versions] == list(detsis.register.eyp_versions(B))
        assert (versions.source, versions.checked_at) == (AnswerSource.LIVE, NOW)
        known = next(u for u in (detsis.register.unit(n) for n in (A, B, 10000011)) if u and register_number(u))
        found = await live.former_numbers(A, [str(register_number(known)), "99.99.99.99.00.01"])
        assert [item.detsis_no for item in found.items] == [known.number, None]

    async def test_managers_without_what_nobody_needs(self, live: LiveClient, detsis: Detsis) -> None:
        unit = detsis.register.unit(B)
        assert unit is not None
        post = manager_on(unit, NOW.date())
        assert post is not None
        (found,) = (await live.managers(A, B, NOW.date())).managers
        assert (found.name, found.title, found.manager_code) == (
            f"{post.given_name} {post.surname}", post.title, post.manager_code,
        )  # fmt: skip
        assert str(post.born.year) not in found.model_dump_json(exclude={"manager_code"})
        assert set(type(found).model_fields) == {
            "name", "title", "kind_of_post", "legal_basis", "manager_code", "from_day", "to_day", "active",
        }  # fmt: skip

    async def test_whom_to_call_to_have_data_corrected(self, live: LiveClient) -> None:
        found = await live.officers(A)
        assert [(person.given_name, person.surname, person.phone, person.email) for person in found.officers] == [
            (person.given_name, person.surname, person.phone, person.email) for person in officers(A)
        ]

    async def test_the_file_plan_in_pages(self, live: LiveClient, detsis: Detsis) -> None:
        whole = await live.file_plan(A, A, limit=1000)
        assert len(whole.entries) > 3
        codes, cursor = [], None
        while True:
            page = await live.file_plan(A, A, limit=3, cursor=cursor)
            codes += [entry.code_id for entry in page.entries]
            if (cursor := page.next_cursor) is None:
                break
        assert codes == [entry.code_id for entry in whole.entries]
        assert detsis.calls["KurumSDPKodlariGetirWs"] == 1

    async def test_details_are_remembered_and_marked_while_detsis_is_down(
        self, live: LiveClient, directory: Directory, detsis: Detsis
    ) -> None:
        first = await live.officers(A)
        directory.clock.moment += timedelta(seconds=301)
        detsis.order("down")
        kept = await live.officers(A)
        assert kept.officers == first.officers
        assert (kept.freshness.source, kept.freshness.stale) == (AnswerSource.STORED, True)
        assert (await code_of(live.uets_numbers(A, B)))[0] is ErrorCode.DIRECTORY_UNAVAILABLE
