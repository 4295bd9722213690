"""What the small operations tell: invented, but consistent from one operation to the next."""

from __future__ import annotations

import pytest

from services.sandbox.detsis.codes import CATEGORIES, STATUSES, places
from services.sandbox.detsis.names import BRANCHES, dative
from services.sandbox.detsis.people import contacts, posts, register_number
from tests.unit.sandbox_detsis.service import A_UNIT, A, Answer, B, Service


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(size=3000)


def texts(answer: Answer, row: str, *fields: str) -> list[tuple[str | None, ...]]:
    return list(zip(*(answer.values(row, field) for field in fields), strict=True))


async def test_managers_agree_with_the_letter(service: Service) -> None:
    now = await service.ask("IYEMKurumYoneticisiGetirWs", KurumID=A)
    history = await service.ask("IYEMTumYoneticileriGetirWs", KurumID=A)
    row = "IyemYoneticiObj"
    assert len(now.rows(row)) == 1
    ((code, name),) = texts(now, row, "YoneticiKodu", "YoneticiAdiSoyadi")
    assert (code, name) in texts(history, row, "YoneticiKodu", "YoneticiAdiSoyadi")
    assert history.values(row, "Aktifmi").count("true") == 1
    letter = await service.ask("eYazismaPaketi", gonderenDetsisID=A_UNIT, muhatapDetsisIDs=[B])
    signers = texts(letter, "EyazismaImzaYetkilisi", "TCYoneticiKodu", "DetsisNo")
    assert [number for _, number in signers] == [str(A_UNIT), str(A)]
    assert (code, str(A)) in signers
    mine = await service.ask("IYEMYoneticiIDdenGorevListesiGetirWs", YoneticiID=code)
    assert set(mine.values(row, "YoneticiAdiSoyadi")) == {name}
    assert mine.values(row, "ID")[-1] == now.values(row, "ID")[0]


async def test_managers_carry_what_a_reader_has_to_leave_out(service: Service) -> None:
    answer = await service.ask("IYEMTumYoneticileriGetirWs", KurumID=B)
    for born, age in texts(answer, "IyemYoneticiObj", "DogumTarihi", "Yasi"):
        assert born
        assert 2026 - int(born[:4]) - int(age or 0) in {0, 1}


async def test_managers_of_a_day_follow_each_other(service: Service) -> None:
    unit = next(unit for unit in service.register.units() if len(posts(unit)) > 3)
    for post in posts(unit):
        for day, expected in ((post.began, True), (post.ended, False)):
            if day is not None:
                answer = await service.ask("IYEMKurumYoneticisiGetirWs", KurumID=unit.number, Tarih=f"{day}T12:00:00")
                assert ([str(post.number)] == answer.values("IyemYoneticiObj", "ID")) is expected
    early = await service.ask("IYEMKurumYoneticisiGetirWs", KurumID=unit.number, Tarih="2001-01-01T00:00:00")
    assert early.rows("IyemYoneticiObj") == []
    assert (await service.ask("IYEMKurumYoneticisiGetirWs", KurumID=1)).rows("IyemYoneticiObj") == []


async def test_contacts_are_told_alike_everywhere(service: Service) -> None:
    kinds = set()
    several = 0
    for unit in list(service.register.main_institutions()):
        kinds |= {contact.kind for contact in contacts(unit)}
        several += sum(contact.kind == 4 for contact in contacts(unit)) > 1
    assert kinds == {1, 2, 3, 4, 5, 6}
    assert several
    one = await service.ask("KurumBirimIletisimBilgileriGetirWs", detsisId=A)
    row = "IletisimBilgileriWS"
    every = await service.ask("AnakurumIletisimBilgileriWs")
    assert set(texts(one, row, "DetsisNo", "IletisimTip", "Iletisim", "IletisimAdi")) < set(
        texts(every, row, "DetsisNo", "IletisimTip", "Iletisim", "IletisimAdi")
    )
    own = await service.ask("BirimleriminIletisimBilgileriniGetir")
    assert set(own.numbers("KurumBirimIletisim", "KurumBirimId")) == {A, A_UNIT}
    letter = await service.ask("eYazismaPaketi", gonderenDetsisID=A, muhatapDetsisIDs=[B])
    assert letter.root.findtext(".//{*}GonderenTelefonNumarasi") in one.values(row, "Iletisim")
    silent = next(unit for unit in service.register.units() if not list(contacts(unit)))
    nothing = await service.ask("KurumBirimIletisimBilgileriGetirWs", detsisId=silent.number)
    assert (nothing.failed, nothing.rows(row)) == ("false", [])


async def test_statuses_say_how_a_name_becomes_an_addressee(service: Service) -> None:
    answer = await service.ask("TumTip2KodlariGetirWs")
    row = "ResKurumBirimTipleri2"
    assert len(answer.rows(row)) == len(STATUSES)
    parts = {
        int(number or 0): (cut, added)
        for number, cut, added in texts(
            answer, row, "ID", "ResmiYaziKesilecekMuhatapBolumu", "ResmiYaziEklenecekMuhatapBolumu"
        )
    }
    used = set()
    for unit in service.register.units():
        cut, added = parts[unit.status_id]
        if cut is not None and added is not None:
            used.add(unit.status_id)
            assert unit.name.removesuffix(cut) + added == dative(unit.name)
    assert len(used) > 6
    assert "false" in answer.values(row, "Used")
    assert "false" in answer.values(row, "Aktifmi")


async def test_code_lists_cover_what_units_say(service: Service) -> None:
    categories = await service.ask("TumTip1KodlariGetirWs")
    assert {branch.category_id for branch in BRANCHES} <= set(categories.numbers("ResKurumBirimTipleri1", "ID"))
    assert len(categories.rows("ResKurumBirimTipleri1")) == len(CATEGORIES)
    found = await service.ask("TumYerKodlariGetirWs")
    numbers = set(found.numbers("ResYerKodlari", "ID"))
    assert {unit.place_id for unit in service.register.units() if unit.place_id} <= numbers
    assert len(numbers) == len(places())
    budgets = await service.ask("AnaKurumlarButceTurleriGetirWs")
    assert all(budgets.values("AnaKurumlarButceTurleri", "ButceTuru"))
    assert all(budgets.values("AnaKurumlarButceTurleri", "TuzelKisilik"))


async def test_a_search_by_place_takes_its_codes_from_the_list_of_places(service: Service) -> None:
    place = places()[90]
    by_code = await service.ask("DetayBilgilereGoreSorgulaKurumBirimWs", yerKodu=place.code)
    expected = [unit.number for unit in service.register.units() if unit.place_id == place.number]
    assert by_code.numbers() == expected != []
    by_province = await service.ask("DetayBilgilereGoreSorgulaKurumBirimWs", IlKodu=place.province_code)
    within = {other.number for other in places() if other.province_code == place.province_code}
    assert by_province.numbers() == [u.number for u in service.register.units() if u.place_id in within]
    assert set(expected) < set(by_province.numbers())


async def test_former_numbers_lead_to_units(service: Service) -> None:
    old = [unit for unit in service.register.units() if register_number(unit)][:3]
    asked = [register_number(unit) for unit in old]
    answer = await service.ask(
        "KutukNodanDetsisNoGetir", kutukNoList=[*asked, "99.99.99.99.00.01", "x", "1.2.3.4.00.01", "٢٤.09.06.15.00.01"]
    )
    row = "DevletTeskilatiKutukWs"
    assert answer.numbers(row) == [unit.number for unit in old]
    assert answer.values(row, "DevletTeskilatiKutukNo") == asked
    assert answer.numbers(row, "AnaKurumDetsisNo") == [unit.main_no for unit in old]


async def test_file_plans_have_headings_and_lines(service: Service) -> None:
    answer = await service.ask("KurumSDPKodlariGetirWs", IdariKimlikKodu=A)
    row = "KodlarWsObj"
    for code, level, *parts in texts(answer, row, "Kod", "Seviye", "AnaKod", "AltKod1", "AltKod2", "AltKod3"):
        assert code == ".".join(part for part in parts if part)
        assert int(level or 0) == sum(part is not None for part in parts)
    assert set(answer.values(row, "Seviye")) == {"1", "2", "3", "4"}
    assert None in answer.values(row, "SaklamaSuresi")
    assert "false" in answer.values(row, "Aktifmi")
    other = await service.ask("KurumSDPKodlariGetirWs", IdariKimlikKodu=B)
    assert set(other.values(row, "Kod")) != set(answer.values(row, "Kod"))
    assert (await service.ask("KurumSDPKodlariGetirWs", IdariKimlikKodu=1)).rows(row) == []


async def test_eyp_versions_and_who_was_updated(service: Service) -> None:
    register = service.register
    lists = await service.ask("EypGuncellenenleriGetir")
    updated = [int(element.text or "") for element in lists.rows("int")]
    assert len(lists.rows("YeniEYazismaVersiyonListe")) == (len(updated) + 99) // 100
    seen = set()
    for unit in register.main_institutions():
        answer = await service.ask("KurumEypVersiyonuGetir", DetsisIDs=unit.number)
        versions = tuple(answer.values("ElektronikYazismaVersiyon", "Versiyon"))
        seen.add(versions)
        assert ("2.0" in versions) is (unit.number in updated)
    assert {("1.3",), ("1.3", "2.0"), ("2.0",)} <= seen


async def test_uets_numbers_and_officers(service: Service) -> None:
    assert len((await service.ask("TebligatNumarasiGetir", DetsisId=A)).rows("TebligatNumarasiWs")) == 1
    deep = next(unit for unit in service.register.units() if unit.level > 1)
    assert (await service.ask("TebligatNumarasiGetir", DetsisId=deep.number)).rows("TebligatNumarasiWs") == []
    mine = await service.ask("DetsisIslemYetkilisiBilgileriWs")
    assert len(set(texts(mine, "DetsisKullanici", "Adi", "Soyadi", "Email"))) == 2
    other = await service.ask("DetsisIslemYetkilisiBilgileriWs", institution=B)
    assert mine.values("DetsisKullanici", "Email") != other.values("DetsisKullanici", "Email")


@pytest.mark.parametrize("text", ["", "gestern", "2026-13-01T00:00:00"])
async def test_an_impossible_moment_is_a_fault(service: Service, text: str) -> None:
    answer = await service.ask("SertifikalariGetir", baslangicTarihi=text or " ")
    assert answer.status == 500
    assert "unable to read request" in answer.text


async def test_a_search_by_name_may_be_kept_to_one_institution(service: Service) -> None:
    operation = "AdaGoreKurumBirimSorgulaWs"
    everywhere = (await service.ask(operation, ad="MÜDÜRLÜĞÜ")).numbers()
    assert everywhere == [unit.number for unit in service.register.units() if "MÜDÜRLÜĞÜ" in unit.name]
    below = (await service.ask(operation, ad="MÜDÜRLÜĞÜ", anaKurumIdareKimlikKodu=A)).numbers()
    assert below == [A_UNIT]
    assert (await service.ask(operation, ad="MÜDÜRLÜĞÜ", anaKurumIdareKimlikKodu=1)).numbers() == []
    assert (await service.ask(operation, ad="MÜDÜ")).failed == "true"
