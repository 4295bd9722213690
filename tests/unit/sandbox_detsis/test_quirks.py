"""Each switch, by its effect on the bytes that leave the service."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from time import monotonic

import httpx
import pytest
from lxml import etree

from services.sandbox.detsis.app import PATH, PRIVATE_SECTOR_PATH
from services.sandbox.detsis.quirks import FAULTS, QUIRKS, VARIANTS
from services.sandbox.detsis.wire_quirks import BAD_ADDRESSES, BAD_KEYS, SPELLINGS
from services.sandbox.faults import Fault
from services.sandbox.listener import serving
from tests.unit.detsis_soap.conftest import make_authority
from tests.unit.sandbox_detsis.service import A, Answer, B, Service, envelope

EXTERNAL, ADDRESSES = "YeniDisYazismaYapanlariGetirWs", "AktifKEPAdresleriniGetir"
Check = Callable[[Service], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    def keep(function: Check) -> Check:
        assert name not in CHECKS
        CHECKS[name] = function
        return function

    return keep


async def addresses(service: Service) -> Answer:
    return await service.ask(ADDRESSES)


@pytest.mark.parametrize("name", sorted(FAULTS | QUIRKS | VARIANTS))
async def test_switch(name: str) -> None:
    await CHECKS[name.removeprefix("detsis.")](Service())


@pytest.mark.parametrize("name", sorted(QUIRKS))
async def test_a_quirk_of_one_operation_leaves_the_others_alone(name: str) -> None:
    service = Service()
    before = (await service.external()).content
    service.faults.order(Fault(name, {"operation": "SertifikalariGetir"}))
    assert (await service.external()).content == before
    service.faults.order(Fault(name, {"operation": EXTERNAL}, count=1))
    disturbed = (await service.external()).content
    assert disturbed != before or name in {"detsis.bad_addresses", "detsis.mixed_case", "detsis.year_one"}
    assert (await service.external()).content == before


@check("down")
async def _(service: Service) -> None:
    service.order("down")
    answer = await service.external()
    assert (answer.status, answer.content) == (503, b"")


@check("html_page")
async def _(service: Service) -> None:
    for value, status in ((None, 200), (503, 503), (7, 200)):
        service.order("html_page", value)
        answer = await service.external()
        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/html")
        assert "<html" in answer.text


@check("fault")
async def _(service: Service) -> None:
    service.order("fault")
    answer = await service.external()
    assert answer.status == 500
    assert "<faultcode>soap:Server</faultcode>" in answer.text


@check("in_band_error")
async def _(service: Service) -> None:
    service.order("in_band_error")
    answer = await service.external()
    assert (answer.status, answer.failed) == (200, "true")
    assert "<HataMsj>" in answer.text
    assert "<Sonuclar>" not in answer.text


@check("contradictory_success")
async def _(service: Service) -> None:
    service.order("contradictory_success")
    answer = await service.external()
    assert (answer.status, answer.failed) == (200, "false")
    assert "<HataMsj>" in answer.text
    assert "<Sonuclar>" not in answer.text
    service.order("contradictory_success", 1)
    answer = await service.external()
    assert answer.failed == "true"
    assert "<HataMsj>" in answer.text
    assert answer.numbers()


@check("empty_body")
async def _(service: Service) -> None:
    service.order("empty_body")
    answer = await service.external()
    assert (answer.status, answer.content) == (200, b"")


@check("slow")
async def _(service: Service) -> None:
    service.order("slow", 0.2)
    start = monotonic()
    assert (await service.external()).failed == "false"
    assert monotonic() - start >= 0.2


@check("drip")
async def _(service: Service) -> None:
    before = (await service.external()).content
    service.order("drip", 0.05)
    start = monotonic()
    assert (await service.external()).content == before
    assert monotonic() - start >= 0.1


@check("drop_connection")
async def _(service: Service) -> None:
    service.order("drop_connection", 5000)
    with pytest.raises(Exception, match=r"^$") as caught:
        await service.external()
    assert type(caught.value).__name__ == "_ConnectionDropped"


@check("no_gzip")
async def _(service: Service) -> None:
    assert (await service.external(encoding="gzip")).headers["content-encoding"] == "gzip"
    service.order("no_gzip")
    assert "content-encoding" not in (await service.external(encoding="gzip")).headers


@check("forced_gzip")
async def _(service: Service) -> None:
    assert "content-encoding" not in (await service.external()).headers
    service.order("forced_gzip")
    assert (await service.external()).headers["content-encoding"] == "gzip"


@check("truncate")
async def _(service: Service) -> None:
    whole = (await service.external()).content
    for value, share in ((None, 0.5), (0.25, 0.25)):
        service.order("truncate", value)
        assert (await service.external()).content == whole[: int(len(whole) * share)]


@check("no_envelope_end")
async def _(service: Service) -> None:
    whole = (await service.external()).content
    service.order("no_envelope_end")
    assert (await service.external()).content + b"</soap:Envelope>" == whole


@check("wrong_operation")
async def _(service: Service) -> None:
    service.order("wrong_operation")
    answer = await service.external()
    assert answer.numbers()
    assert "<BaskaIslemResponse xmlns=" in answer.text
    assert "<BaskaIslemResult>" in answer.text
    assert EXTERNAL not in answer.text


@check("empty_list")
async def _(service: Service) -> None:
    service.order("empty_list")
    answer = await service.external()
    assert answer.numbers() == []
    assert "<Sonuclar></Sonuclar>" in answer.text
    service.order("empty_list", 1)
    answer = await service.external()
    assert answer.failed == "false"
    assert "Sonuclar" not in answer.text


@check("shrunk_list")
async def _(service: Service) -> None:
    whole = (await service.external()).numbers()
    for value, share in ((None, 0.5), (0.9, 0.9), (0.01, 0.01)):
        service.order("shrunk_list", value)
        left = (await service.external()).numbers()
        assert len(left) == int(len(whole) * share)
        assert set(left) < set(whole)


@check("repeated_rows")
async def _(service: Service) -> None:
    whole = (await service.external()).numbers()
    service.order("repeated_rows")
    numbers = (await service.external()).numbers()
    assert len(numbers) == len(whole)
    assert numbers[0:-1:2] == numbers[1::2] == whole[0:-1:2]


@check("padded_doubles")
async def _(service: Service) -> None:
    whole = await service.external()
    service.order("padded_doubles", 5)
    doubled = await service.external()
    numbers, names = doubled.numbers(), doubled.values("KurumBirimWS", "Ad")
    assert numbers[0] == numbers[1]
    assert names[1] == f"  {names[0]} "
    assert len(numbers) == len(whole.numbers()) + (len(whole.numbers()) + 4) // 5
    assert set(numbers) == set(whole.numbers())


@check("nil_items")
async def _(service: Service) -> None:
    whole = await service.external()
    service.order("nil_items")
    answer = await service.external()
    nil = [row for row in answer.rows("KurumBirimWS") if row.get("{http://www.w3.org/2001/XMLSchema-instance}nil")]
    assert len(nil) == (len(whole.rows("KurumBirimWS")) + 9) // 10
    assert all(len(row) == 0 for row in nil)


@check("unknown_units")
async def _(service: Service) -> None:
    service.order("unknown_units", 7)
    answer = await addresses(service)
    strangers = [number for number in answer.numbers("KepBilgileriWs", "KurumDetsisNo") if number < 19_500_000]
    strangers = [number for number in strangers if service.register.unit(number) is None]
    assert strangers == [19_000_000 + place for place in range(len(strangers))]
    assert len(strangers) > 5
    found = answer.values("KepBilgileriWs", "KepAdresi")
    assert len(set(found)) == len(found)


@check("bad_keys")
async def _(service: Service) -> None:
    service.order("bad_keys")
    keys = (await service.external()).values("KurumBirimWS", "DETSISNo")
    assert tuple(keys[::10][:5]) == BAD_KEYS
    assert keys[1] == "10000011"
    for place, key in enumerate(BAD_KEYS, start=1):
        service.order("bad_keys", place)
        assert set((await addresses(service)).values("KepBilgileriWs", "KurumDetsisNo")) == {key}


@check("bad_addresses")
async def _(service: Service) -> None:
    service.order("bad_addresses")
    found = (await addresses(service)).values("KepBilgileriWs", "KepAdresi")
    assert tuple(found[::10][:6]) == BAD_ADDRESSES
    service.order("bad_addresses", 1)
    assert set((await addresses(service)).values("KepBilgileriWs", "KepAdresi")) == {BAD_ADDRESSES[0]}


@check("mixed_case")
async def _(service: Service) -> None:
    before = (await addresses(service)).values("KepBilgileriWs", "KepAdresi")
    service.order("mixed_case")
    after = (await addresses(service)).values("KepBilgileriWs", "KepAdresi")
    assert after[0] == "KuRuM.A@Hs91.kEp.eXaMpLe"
    assert [(text or "").lower() for text in after] == [(text or "").lower() for text in before]


@check("missing_element")
async def _(service: Service) -> None:
    service.order("missing_element")
    flags = (await service.external()).values("KurumBirimWS", "FaalOlupOlmadigi")
    assert set(flags[::10]) == {None}
    assert flags.count(None) == len(flags[::10])
    assert (await addresses(service)).values("KepBilgileriWs", "Aktifmi")[::10].count(None) > 3


@check("no_active_flag")
async def _(service: Service) -> None:
    service.order("no_active_flag", 3)
    flags = (await service.external()).values("KurumBirimWS", "Aktifmi")
    assert set(flags[::3]) == {None}
    assert flags.count(None) == len(flags[::3])


@check("empty_number")
async def _(service: Service) -> None:
    service.order("empty_number", 1)
    answer = await service.external()
    levels = answer.values("KurumBirimWS", "Seviye")
    kinds = answer.rows("KurumBirimTip3WS")
    assert levels.count("") + sum(1 for kind in kinds if not kind.findtext("{http://kaysis.gov.tr/}ID")) == len(levels)
    assert "" in (await addresses(service)).values("KepBilgileriWs", "KurumDetsisNo")


@check("parent_loop")
async def _(service: Service) -> None:
    service.order("parent_loop")
    answer = await service.external()
    numbers, parents = answer.numbers(), answer.numbers(field="ParentIdareKimlikKodu")
    for place in range(0, len(numbers) - 1, 10):
        assert (parents[place], parents[place + 1]) == (numbers[place + 1], numbers[place])


@check("outside_parent")
async def _(service: Service) -> None:
    service.order("outside_parent")
    answer = await service.external()
    outside = answer.numbers(field="ParentIdareKimlikKodu")[::10]
    assert len(set(outside)) == 1
    assert service.register.unit(outside[0]) is None


@check("other_path")
async def _(service: Service) -> None:
    before = (await service.external()).values("KurumBirimWS", "KurumHiyerarsik")
    service.order("other_path")
    after = (await service.external()).values("KurumBirimWS", "KurumHiyerarsik")
    assert after[::10] == [f"ESKI KURUM > {path}" for path in before[::10]]
    assert after[1] == before[1]


@check("no_path")
async def _(service: Service) -> None:
    service.order("no_path")
    paths = (await service.external()).values("KurumBirimWS", "KurumHiyerarsik")
    assert set(paths[::10]) == {None}
    assert paths[1]


@check("nil_place")
async def _(service: Service) -> None:
    service.order("nil_place")
    assert set((await service.external()).values("KurumBirimWS", "Fk_BulunduguYerID")[::10]) == {""}


@check("year_one")
async def _(service: Service) -> None:
    service.order("year_one")
    answer = await service.ask("SertifikalariGetir")
    assert answer.values("Sertifika", "KayitTarihi") == ["0001-01-01T00:00:00"]
    managers = await service.ask("IYEMTumYoneticileriGetirWs", KurumID=B)
    assert set(managers.values("IyemYoneticiObj", "GorevBaslamaTarihi")) == {"0001-01-01T00:00:00"}


@check("long_name")
async def _(service: Service) -> None:
    for value, letters in ((None, 100_000), (300, 300)):
        service.order("long_name", value)
        names = (await service.external()).values("KurumBirimWS", "Ad")
        assert names[0] == "Ğ" * letters
        assert max(len(name or "") for name in names[1:]) < 200


@check("unclear_flags")
async def _(service: Service) -> None:
    service.order("unclear_flags")
    assert set((await service.external()).values("KurumBirimWS", "Aktifmi")) == {"Belirsiz", "False"}


@check("active_spelling")
async def _(service: Service) -> None:
    plain = (await service.external()).values("KurumBirimWS", "Aktifmi")
    service.order("active_spelling")
    texts = (await service.external()).values("KurumBirimWS", "Aktifmi")
    assert texts == [SPELLINGS[place % 8][text == "False"] for place, text in enumerate(plain)]
    for place, (yes, no) in enumerate(SPELLINGS, start=1):
        service.order("active_spelling", place)
        assert set((await service.external()).values("KurumBirimWS", "Aktifmi")) == {yes, no}


@check("unknown_element")
async def _(service: Service) -> None:
    service.order("unknown_element")
    answer = await service.external()
    assert len(answer.rows("YeniAlan")) == len(answer.rows("KurumBirimWS"))
    assert answer.values("KurumBirimWS", "YeniAlan")
    assert len(answer.rows("YeniSonucAlani")) == 1


async def dirty(service: Service, name: str, *dirt: bytes) -> None:
    service.order(name)
    answer = await service.external()
    for piece in dirt:
        assert answer.content.count(piece) == 1
    with pytest.raises(etree.XMLSyntaxError):
        _ = answer.root


@check("bad_character")
async def _(service: Service) -> None:
    await dirty(service, "bad_character", b"&#x1F;", b"\x0b", b"\xc3(")


@check("control_character")
async def _(service: Service) -> None:
    await dirty(service, "control_character", b"\x0b")


@check("bad_reference")
async def _(service: Service) -> None:
    await dirty(service, "bad_reference", b"&#x1F;")


@check("bad_utf8")
async def _(service: Service) -> None:
    await dirty(service, "bad_utf8", b"\xc3(")


@check("deep_children")
async def _(service: Service) -> None:
    register = service.register
    top = max(register.main_institutions(), key=lambda unit: len(list(register.subtree(unit.number)))).number
    direct = (await service.ask("AltKurulusBirimleriListele", arananKurum=top)).numbers()
    assert direct == [unit.number for unit in register.children(top)]
    service.order("deep_children")
    deep = (await service.ask("AltKurulusBirimleriListele", arananKurum=top)).numbers()
    assert set(direct) < set(deep) == {unit.number for unit in register.subtree(top)} - {top}


@check("delta_hides_closed")
async def _(service: Service) -> None:
    service.calendar.advance(1)
    service.register.set_active(A, active=False)
    today = date(2026, 3, 3)
    assert (await service.external(today)).numbers() == [A]
    service.order("delta_hides_closed")
    assert (await service.external(today)).numbers() == []


def test_every_switch_is_tried() -> None:
    assert {f"detsis.{name}" for name in CHECKS} == FAULTS.keys() | QUIRKS.keys() | VARIANTS.keys()


async def test_quirks_pile_up_and_compress() -> None:
    service = Service()
    service.order("shrunk_list", 0.5)
    service.order("unclear_flags")
    service.order("no_envelope_end")
    answer = await service.external(encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert re.search(r"Belirsiz.*</soap:Body>$", answer.text, re.DOTALL)


async def test_a_dropped_connection_ends_in_the_middle(tmp_path: Path) -> None:
    """Over a real connection: the client sees that the answer has no end."""
    service = Service()
    whole = (await service.external()).content
    service.order("drop_connection", 20_000)
    authority = make_authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    async with (
        serving(service.app, "127.0.0.1", 0, certificate=authority.certificate_file, key=authority.key_file) as port,
        httpx.AsyncClient(verify=context, trust_env=False, base_url=f"https://localhost:{port}") as http,
    ):
        received = b""
        with pytest.raises(httpx.RemoteProtocolError):
            async with http.stream(
                "POST",
                PATH,
                content=envelope(EXTERNAL, A, {"pGun": 1, "pAy": 1, "pYil": 2010}),
                headers={
                    "Content-Type": "text/xml",
                    "SOAPAction": f"http://kaysis.gov.tr/{EXTERNAL}",
                    "Accept-Encoding": "identity",
                },
            ) as response:
                async for block in response.aiter_raw():
                    received += block
    assert received == whole[:20_000]


async def test_companies_have_no_own_tree() -> None:
    service = Service()
    refused = await service.ask("KendiTumBirimleriGetirWs", path=PRIVATE_SECTOR_PATH)
    assert refused.status == 500
    assert "did not recognize the value of HTTP Header SOAPAction" in refused.text
    assert (await service.ask("DETSISNoKurumBirimWs", path=PRIVATE_SECTOR_PATH, DETSISNo=B)).numbers() == [B]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="https://detsis.invalid") as http:
        wsdl = (await http.get(f"{PRIVATE_SECTOR_PATH}?WSDL")).text
        assert "KendiTumBirimleriGetirWs" in (await http.get(f"{PATH}?WSDL")).text
    assert "KendiTumBirimleriGetirWs" not in wsdl
    assert "eYazismaPaketi" in wsdl
    assert f'location="http://detsis.invalid{PRIVATE_SECTOR_PATH}"' in wsdl
