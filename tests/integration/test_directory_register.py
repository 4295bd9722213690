"""KEP addresses, certificates, versions and codes through the gateway: real DETSİS lists, real refresh, real signer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from services.detsis_sync.tables import CertificateOwnerRecord, EypVersionRecord, KepAddressRecord, UnitRecord
from services.sandbox.detsis.register import PinnedUnit
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clock import FixedClock
from shared.contracts.directory import UnitAnswer, UnitPage
from tests.support.detsis import NOW, TOKEN, A, B, Detsis, Directory, running_detsis, running_directory
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.neighbours import Line
from tests.support.pki import Hierarchy, Holder, make_hierarchy, rsa_key, usage
from tests.unit.detsis_soap.conftest import Authority, make_authority
from tests.unit.signer.httpd import Web
from tests.unit.signer.httpd import serving as serving_lists

ENCRYPTION = usage(key_encipherment=True)
MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="Kurum.A@HS91.kep.example")
MAIN_B = PinnedUnit(B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example")
FACULTY = PinnedUnit(10000021, "FEN FAKÜLTESİ DEKANLIĞI", parent_no=B, kep_address="fen.b@hs92.kep.example")
MAIN_C = PinnedUnit(10000003, "IŞIKLI BELEDİYE BAŞKANLIĞI", kep_address="c@hs92.kep.example")
UNITS = (MAIN_A, MAIN_B, FACULTY, MAIN_C)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Where revocation lists are fetched."""
    with serving_lists(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def tree(web: Web) -> Hierarchy:
    return make_hierarchy("encryption", now=NOW, crl_base=web.url(""))


def holder(tree: Hierarchy, **options: Any) -> Holder:
    defaults: dict[str, Any] = {"now": NOW, "key": rsa_key(), "key_usage": ENCRYPTION}
    return tree.issuing.issue("Çınaraltı Üniversitesi", **(defaults | options))


def sha256(certificate: Holder) -> str:
    return hashlib.sha256(certificate.der).hexdigest()


@dataclass
class World:
    """The four programs one question passes, and the key to ask with."""

    detsis: Detsis
    directory: Directory
    gateway: RunningGateway
    signer: Line
    web: Web
    tree: Hierarchy
    key: str

    async def get(self, path: str, *, expect: int = 200, **options: Any) -> Any:
        headers = {"X-Api-Key": self.key} | options.pop("headers", {})
        answer = await self.gateway.http.get(f"/v1/directory{path}", headers=headers, **options)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def certificates(self, number: int) -> Any:
        return await self.get(f"/units/{number}/certificates")

    async def hold(self, number: int, *holders: Holder | bytes) -> None:
        """DETSİS lists these certificates of one unit, uploaded one day after the other, and a night passes."""
        places = {unit.detsis_no: index for index, unit in enumerate(UNITS)}
        for certificate in holders:
            content = certificate if isinstance(certificate, bytes) else certificate.der
            self.detsis.register.upload_certificate(places[number], content)
            self.detsis.register.day += 1
        await self.directory.refresh()

    async def both_active(self) -> None:
        """As in the days of a renewal; the look-alike closes the older one at once."""
        async with self.directory.database.unit_of_work() as work:
            await work.session.execute(text("UPDATE certificates SET active = true"))

    def publish_lists(self, *revoked: Holder) -> None:
        """The revocation lists of both authorities, with these certificates on them."""
        for certificate in revoked:
            self.tree.issuing.revoke(certificate, NOW - timedelta(days=1))
        self.web.put("/encryption-root.crl", self.tree.root.crl(NOW))
        self.web.put("/encryption-issuing.crl", self.tree.issuing.crl(NOW))
        self.tree.issuing.revoked.clear()


@pytest.fixture
async def world(
    database_url: str, authority: Authority, tree: Hierarchy, web: Web, tmp_path: Path
) -> AsyncIterator[World]:
    tokens = TOKENS | {"gateway": TOKEN}
    for purpose, certificate in (("seal", tree.root), ("intermediates", tree.issuing)):
        (tmp_path / "trust" / purpose).mkdir(parents=True)
        (tmp_path / "trust" / purpose / "one.pem").write_bytes(certificate.pem)
    settings = SignerSettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": tokens, "trust_directory": tmp_path / "trust",
         "fetch_timeout_seconds": 1, "fetch_allow_private": True,
         "fetch_allowed_hosts": ["127.0.0.1"]}
    )  # fmt: skip

    async with AsyncExitStack() as stack:
        detsis = await stack.enter_async_context(running_detsis(authority, *UNITS))
        directory = await stack.enter_async_context(
            running_directory(database_url, detsis, "jobs", shrink_limit_ratio=1.0)
        )
        await directory.account()
        service = await build_signer(settings, FixedClock(NOW))
        await stack.enter_async_context(service.resources)
        line = Line(service.app)
        gateway = await stack.enter_async_context(
            running_gateway(
                database_url, tmp_path, service_tokens=tokens, detsis_sync_url=directory.url,
                signer_url=await stack.enter_async_context(serving(line)),
            )
        )  # fmt: skip
        await gateway.institution(A)
        key = await gateway.key("directory:read", institutions=(A,))
        running = World(detsis, directory, gateway, line, web, tree, key)
        running.publish_lists()
        yield running


class TestAddresses:
    async def test_the_only_active_address_is_chosen(self, world: World) -> None:
        await world.directory.refresh()
        found = await world.get(f"/units/{A}/kep-addresses")
        assert (found["chosen"], found["rule"]) == ("kurum.a@hs91.kep.example", "mirror.only-active-address")
        assert (found["level"], found["problem"], found["warnings"]) == ("ok", None, [])
        assert [(item["address"], item["state"]) for item in found["addresses"]] == [
            ("kurum.a@hs91.kep.example", "active")
        ]
        assert found["freshness"]["stale"] is False

    async def test_two_rows_while_an_address_is_replaced_then_the_old_one_is_absent(self, world: World) -> None:
        await world.directory.refresh()
        async with world.directory.database.unit_of_work() as work:
            work.session.add(
                KepAddressRecord(
                    detsis_no=A, address="a.yeni@hs92.kep.example", active=False, status_text="Doğrulama Bekliyor",
                    content_hash=b"", changed_run_id=1,
                )
            )  # fmt: skip
        during = await world.get(f"/units/{A}/kep-addresses")
        assert during["chosen"] == "kurum.a@hs91.kep.example"
        assert [item["state"] for item in during["addresses"]] == ["active", "not-active"]
        assert [item["code"] for item in during["warnings"]] == ["address-being-replaced"]
        assert during["level"] == "warning"

        world.detsis.register.set_kep_address(A, "a.yeni@hs92.kep.example")
        world.directory.clock.moment += timedelta(days=1)
        await world.directory.refresh()
        after = await world.get(f"/units/{A}/kep-addresses")
        assert after["chosen"] == "a.yeni@hs92.kep.example"
        assert [(item["address"], item["state"]) for item in after["addresses"]] == [
            ("a.yeni@hs92.kep.example", "active"),
            ("kurum.a@hs91.kep.example", "absent"),
        ]
        assert after["addresses"][1]["absent_since"] is not None
        assert (after["level"], after["warnings"]) == ("ok", []), "a change that is over is no doubt for ever"

        before = await world.get(f"/units/{A}/kep-addresses", params={"as_of": NOW.isoformat()})
        assert before["chosen"] == "kurum.a@hs91.kep.example"
        assert before["moment"] is not None

    async def test_a_closed_unit_and_one_without_address_say_why_nothing_is_chosen(self, world: World) -> None:
        world.detsis.publish(
            replace(MAIN_A, active=False, operating=False), MAIN_B, FACULTY, replace(MAIN_C, kep_address=None)
        )
        await world.directory.refresh()
        closed = await world.get(f"/units/{A}/kep-addresses")
        assert (closed["chosen"], closed["rule"], closed["problem"]) == (None, "mirror.none", "recipient-inactive")
        none = await world.get("/units/10000003/kep-addresses")
        assert (none["problem"], none["level"]) == ("recipient-kep-missing", "error")

    async def test_the_owner_of_an_address_in_any_case(self, world: World) -> None:
        await world.directory.refresh()
        found = await world.get("/kep-addresses/FEN.B@hs92.KEP.example")
        assert (found["address"], found["owner_no"], found["level"]) == ("fen.b@hs92.kep.example", 10000021, "ok")
        assert [item | {"status_text": None} for item in found["owners"]] == [
            {"detsis_no": 10000021, "name": "FEN FAKÜLTESİ DEKANLIĞI", "main_institution_no": B,
             "open_to_letters": True, "state": "active", "status_text": None, "absent_since": None}
        ]  # fmt: skip
        missing = await world.get("/kep-addresses/nobody@hs92.kep.example", expect=404)
        assert missing["code"] == "not-found"

    async def test_an_address_that_detsis_lists_twice_has_no_one_owner(self, world: World) -> None:
        await world.directory.refresh()
        async with world.directory.database.unit_of_work() as work:
            for number in (B, 19999999):
                work.session.add(
                    KepAddressRecord(
                        detsis_no=number, address="kurum.a@hs91.kep.example", active=True, content_hash=b"",
                        changed_run_id=1,
                    )
                )  # fmt: skip
        found = await world.get("/kep-addresses/kurum.a@hs91.kep.example")
        assert found["owner_no"] is None
        assert [item["detsis_no"] for item in found["owners"]] == [A, B, 19999999]
        assert [item["code"] for item in found["warnings"]] == ["several-owners", "owner-unknown"]


class TestCertificates:
    async def test_the_newest_of_a_renewal_that_passes_is_chosen(self, world: World) -> None:
        old, new = holder(world.tree, days=(-900, 500)), holder(world.tree)
        await world.hold(B, old, new)
        await world.both_active()
        found = await world.certificates(B)
        assert [item["sha256"] for item in found["certificates"]] == [sha256(new), sha256(old)]
        assert found["chosen"] == {
            "sha256": sha256(new), "holder": "own", "holder_no": B, "rule": "own-newest", "established": True,
        }  # fmt: skip
        assert found["warnings"] == []
        newest, older = found["certificates"]
        assert newest["check"]["conclusion"] == "passed"
        assert older["check"] is None, "nothing is asked beyond the first that passes"
        assert base64.b64decode(newest["der_base64"]) == new.der
        assert newest["subject"].startswith("CN=Çınaraltı Üniversitesi")
        assert int(newest["serial"], 16) == new.certificate.serial_number

    async def test_a_unit_without_its_own_has_its_owners(self, world: World) -> None:
        own = holder(world.tree, days=(-1, 15))
        await world.hold(B, own)
        found = await world.certificates(10000021)
        assert found["owner_no"] == B
        assert found["chosen"] == {
            "sha256": sha256(own), "holder": "owner", "holder_no": B, "rule": "owner-newest", "established": True,
        }  # fmt: skip
        assert [item["code"] for item in found["warnings"]] == ["certificate-expires-soon"]

    @pytest.mark.parametrize(
        ("options", "refusal"),
        [({"days": (-100, -1)}, "expired"), ({"days": (1, 100)}, "not-yet-valid")],
        ids=["expired", "not yet valid"],
    )
    async def test_out_of_date_is_not_asked_about(self, world: World, options: dict[str, Any], refusal: str) -> None:
        await world.hold(B, holder(world.tree, **options))
        world.signer.calls.clear()
        found = await world.certificates(B)
        assert [(item["refusal"], item["check"]) for item in found["certificates"]] == [(refusal, None)]
        assert found["chosen"] is None
        assert [item["code"] for item in found["warnings"]] == ["no-encryption-certificate"]
        assert world.signer.calls == []

    async def test_what_signer_finds_bad_is_not_chosen_and_shows_why(self, world: World) -> None:
        stranger = holder(make_hierarchy("encryption", now=NOW))
        signing = holder(world.tree, key_usage=usage(digital_signature=True))
        await world.hold(A, stranger)
        await world.hold(B, signing)
        for number, sub_indication in ((A, "CHAIN"), (B, "CHAIN_CONSTRAINTS_FAILURE")):
            found = await world.certificates(number)
            assert found["chosen"] is None
            assert sub_indication in found["certificates"][0]["check"]["sub_indication"]
            assert [item["code"] for item in found["warnings"]] == ["no-encryption-certificate"]

    async def test_revoked_is_passed_over_for_the_one_before(self, world: World) -> None:
        old, revoked = holder(world.tree), holder(world.tree)
        world.publish_lists(revoked)
        await world.hold(B, old, revoked)
        await world.both_active()
        found = await world.certificates(B)
        checks = {item["sha256"]: item["check"] for item in found["certificates"]}
        assert (checks[sha256(revoked)]["conclusion"], checks[sha256(revoked)]["sub_indication"]) == (
            "failed",
            "REVOKED",
        )
        assert (found["chosen"]["sha256"], found["chosen"]["established"]) == (sha256(old), True)

    async def test_its_owners_serves_when_its_own_is_revoked(self, world: World) -> None:
        own, owners = holder(world.tree), holder(world.tree)
        world.publish_lists(own)
        await world.hold(10000021, own)
        await world.hold(B, owners)
        async with world.directory.database.unit_of_work() as work:
            work.session.add(CertificateOwnerRecord(unit_no=10000021, owner_no=B, content_hash=b"", changed_run_id=1))
        found = await world.certificates(10000021)
        assert [item["holder"] for item in found["certificates"]] == ["own", "owner"]
        assert (found["chosen"]["sha256"], found["chosen"]["rule"]) == (sha256(owners), "owner-newest")

    async def test_without_a_revocation_list_the_choice_is_open(self, world: World) -> None:
        own = holder(world.tree)
        await world.hold(B, own)
        world.web.answers.clear()
        found = await world.certificates(B)
        check = found["certificates"][0]["check"]
        assert (check["conclusion"], check["sub_indication"]) == ("indeterminate", "TRY_LATER")
        assert check["retry_after_seconds"] == 300
        assert (found["chosen"]["sha256"], found["chosen"]["established"]) == (sha256(own), False)
        assert [item["code"] for item in found["warnings"]] == ["certificate-not-established"]

    async def test_signer_down_leaves_the_choice_with_a_warning(self, world: World) -> None:
        own = holder(world.tree)
        await world.hold(B, own)
        world.signer.down = True
        found = await world.certificates(B)
        assert found["certificates"][0]["check"] is None
        assert (found["chosen"]["sha256"], found["chosen"]["established"]) == (sha256(own), False)
        assert [item["code"] for item in found["warnings"]] == ["certificate-not-checked"]

    async def test_bytes_that_are_no_certificate_are_shown_and_refused(self, world: World) -> None:
        await world.hold(B, b"-----BEGIN CERTIFICATE-----\nno")
        found = await world.certificates(B)
        assert [item["refusal"] for item in found["certificates"]] == ["unreadable"]
        assert found["certificates"][0]["unreadable"] is not None
        assert found["chosen"] is None

    async def test_one_that_detsis_lists_no_longer_or_not_as_active_is_refused(self, world: World) -> None:
        await world.hold(B, holder(world.tree), holder(world.tree))
        async with world.directory.database.unit_of_work() as work:
            await work.session.execute(
                text("UPDATE certificates SET active = false WHERE ctid = (SELECT min(ctid) FROM certificates)")
            )
            await work.session.execute(text("UPDATE certificates SET absent_since = now() WHERE active"))
        found = await world.certificates(B)
        assert {item["refusal"] for item in found["certificates"]} == {"inactive", "absent"}
        assert found["chosen"] is None

    async def test_the_same_answer_is_not_sent_twice(self, world: World) -> None:
        await world.hold(B, holder(world.tree))
        headers = {"X-Api-Key": world.key}
        path = f"/v1/directory/units/{B}/certificates"
        first = await world.gateway.http.get(path, headers=headers)
        assert first.headers["etag"].startswith('W/"')
        again = await world.gateway.http.get(path, headers=headers | {"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


class TestVersionsAndCodes:
    async def test_versions_of_a_unit_are_its_main_institutions(self, world: World) -> None:
        await world.directory.refresh()
        found = await world.get("/units/10000021/eyp-versions")
        assert found["answered_for"] == B
        assert [item["version"] for item in found["versions"]] == list(world.detsis.register.eyp_versions(B))
        assert (found["source"], found["wanted"]) == ("stored", False)
        assert found["checked_at"] is not None
        async with world.directory.database.unit_of_work() as work:
            await work.session.execute(text("DELETE FROM eyp_versions"))
            await work.session.execute(text("UPDATE eyp_version_checks SET checked_at = NULL, wanted_at = now()"))
        never = await world.get("/units/10000003/eyp-versions")
        assert (never["answered_for"], never["versions"], never["checked_at"], never["wanted"]) == (
            None,
            [],
            None,
            True,
        )

    async def test_code_lists(self, world: World) -> None:
        await world.directory.refresh()
        statuses = await world.get("/codes/status")
        assert statuses["kind"] == "status"
        assert any(item["status"]["addressee_added"] for item in statuses["codes"])
        categories = await world.get("/codes/category")
        assert all(item["category"] is not None and item["status"] is None for item in categories["codes"])
        assert "category, status, place" in (await world.get("/codes/colour", expect=404))["detail"]

    @pytest.mark.parametrize("path", ["/codes/place", "/codes/status", "/places"])
    async def test_pages_together_are_the_whole_list(self, world: World, path: str) -> None:
        await world.directory.refresh()
        member = "places" if path == "/places" else "codes"
        whole = (await world.get(path, params={"limit": 1000}))[member]
        assert len(whole) > 2
        collected: list[Any] = []
        cursor: str | None = None
        while True:
            params = {"limit": len(whole) // 2} | ({} if cursor is None else {"cursor": cursor})
            page = await world.get(path, params=params)
            collected += page[member]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert collected == whole[: len(collected)] == whole

    async def test_places_of_one_province(self, world: World) -> None:
        await world.directory.refresh()
        whole = (await world.get("/places", params={"limit": 1000}))["places"]
        code = whole[0]["province_code"]
        found = (await world.get("/places", params={"province": code, "limit": 1000}))["places"]
        assert found == [item for item in whole if item["province_code"] == code]

    async def test_main_institutions_by_name_and_by_budget(self, world: World) -> None:
        await world.directory.refresh()
        whole = (await world.get("/main-institutions"))["institutions"]
        assert [item["detsis_no"] for item in whole] == [B, 10000003, A], "by name: Ç, I, Ö"
        found = (await world.get("/main-institutions", params={"q": "isikli beled"}))["institutions"]
        assert [item["detsis_no"] for item in found] == [10000003]
        assert (await world.get("/main-institutions", params={"q": "%"}))["institutions"] == []
        budget = whole[0]["budget_type_id"]
        by_budget = (await world.get("/main-institutions", params={"budget_type": budget}))["institutions"]
        assert by_budget == [item for item in whole if item["budget_type_id"] == budget]
        page = await world.get("/main-institutions", params={"limit": 2})
        rest = await world.get("/main-institutions", params={"limit": 2, "cursor": page["next_cursor"]})
        assert page["institutions"] + rest["institutions"] == whole
        assert rest["next_cursor"] is None


class TestWarnings:
    async def resolve(self, world: World, *numbers: int, **more: Any) -> dict[int, tuple[str, list[str]]]:
        answer = await world.gateway.http.post(
            "/v1/directory/resolve", headers={"X-Api-Key": world.key}, json={"recipients": list(numbers)} | more
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["freshness"]["as_of"] is not None
        return {
            item["detsis_no"]: (item["level"], [warning["code"] for warning in item["warnings"]])
            for item in answer.json()["recipients"]
        }

    async def test_nothing_speaks_against_a_plain_recipient(self, world: World) -> None:
        await world.directory.refresh()
        for mode in ("live", "mirror"):
            assert await self.resolve(world, B, mode=mode) == {B: ("ok", [])}

    @pytest.mark.parametrize("mode", ["live", "mirror"])
    async def test_what_the_mirror_knows_about_the_units(self, world: World, mode: str) -> None:
        await world.directory.refresh()
        async with world.directory.database.unit_of_work() as work:
            await work.session.execute(
                text("UPDATE unit_sightings SET absent_since = now() WHERE detsis_no = 10000003")
            )
            work.session.add(
                KepAddressRecord(
                    detsis_no=B, address="yeni@hs91.kep.example", active=False, content_hash=b"", changed_run_id=1
                )
            )
        found = await self.resolve(world, A, B, 10000003, 10000099, mode=mode)
        assert found[A] == ("ok", [])
        assert found[B] == ("warning", ["address-being-replaced"])
        assert found[10000003] == ("warning", ["unit-absent"])
        assert found[10000099] == ("error", [])

    async def test_a_unit_half_open_is_an_error_that_says_so(self, world: World) -> None:
        await world.directory.refresh()
        async with world.directory.database.unit_of_work() as work:
            await work.session.execute(update(UnitRecord).where(UnitRecord.detsis_no == B).values(operating=False))
        assert await self.resolve(world, B, mode="mirror") == {B: ("error", ["unit-half-open"])}

    async def test_a_stale_mirror_is_a_warning(self, world: World) -> None:
        await world.directory.refresh()
        world.directory.clock.moment += timedelta(hours=37)
        assert await self.resolve(world, B, mode="mirror") == {B: ("warning", ["mirror-stale"])}
        assert await self.resolve(world, B, mode="live") == {B: ("ok", [])}

    @pytest.mark.parametrize("mode", ["live", "mirror"])
    async def test_versions_and_certificates_only_when_asked(self, world: World, mode: str) -> None:
        await world.hold(B, holder(world.tree, days=(-1, 15)))
        async with world.directory.database.unit_of_work() as work:
            await work.session.execute(text("DELETE FROM eyp_versions"))
            work.session.add(EypVersionRecord(detsis_no=B, version="1.3", changed_run_id=1))
        assert await self.resolve(world, A, B, mode=mode) == {A: ("ok", []), B: ("ok", [])}
        assert await self.resolve(world, A, B, 10000021, mode=mode, eyp_version="2.0") == {
            A: ("warning", ["eyp-version-unknown"]),
            B: ("warning", ["eyp-version-lower"]),
            10000021: ("warning", ["eyp-version-lower"]),
        }
        assert await self.resolve(world, B, mode=mode, eyp_version="1.3") == {B: ("ok", [])}
        assert await self.resolve(world, A, B, 10000021, mode=mode, encrypted=True) == {
            A: ("warning", ["no-encryption-certificate"]),
            B: ("warning", ["certificate-expires-soon"]),
            10000021: ("warning", ["certificate-expires-soon"]),
        }


HOSTILE = [
    "0",
    "1234567",
    "123456789",
    "-1",
    "12345678901234567890123",
    "1e7",
    "abc",
    "%00",
    "'; DROP TABLE units--",
]


@pytest.mark.parametrize("part", ["kep-addresses", "certificates", "eyp-versions"])
async def test_what_is_no_number_is_a_problem_that_points(world: World, part: str) -> None:
    for number in HOSTILE:
        answer = await world.get(f"/units/{number}/{part}", expect=422)
        assert answer["code"] == "validation-failed", number
        assert answer["errors"][0]["pointer"] == "/path/detsis_no", number
    assert (await world.get(f"/units/19999998/{part}", expect=404))["code"] == "not-found"


@pytest.mark.parametrize(
    "address",
    ["a" * 10_000 + "@b.c", "nobody", "a@b@c", "a..b@c.d", "a%09b@c.d", "a%00@c.d", "%F0%9F%92%A9@c.d", "ı@c.d",
     "'%20OR%201=1--", "%25%25%25@c.d%22", "a@-c.d"],
)  # fmt: skip
async def test_what_is_no_address_is_a_problem_that_points(world: World, address: str) -> None:
    answer = await world.get(f"/kep-addresses/{address}", expect=422)
    assert answer["code"] == "validation-failed"
    assert answer["errors"][0]["pointer"] == "/path/address"


async def test_addresses_with_unusual_but_permitted_characters_are_only_unknown(world: World) -> None:
    for address in ("o'neil%25_@c.d", "a%0d%0ab@c.d", "a/b@c.d", "a%2Fb@c.d", "{x}|y~@c.d"):
        assert (await world.get(f"/kep-addresses/{address}", expect=404))["code"] == "not-found", address


@pytest.mark.parametrize(
    ("path", "params", "pointer"),
    [
        ("/codes/status", {"cursor": "xx"}, "/query/cursor"),
        ("/codes/status", {"limit": 0}, "/query/limit"),
        ("/codes/status", {"limit": 1001}, "/query/limit"),
        ("/places", {"province": -1}, "/query/province"),
        ("/places", {"province": 2**31}, "/query/province"),
        ("/places", {"province": "06 OR 1=1"}, "/query/province"),
        ("/main-institutions", {"q": "a" * 10_000}, "/query/q"),
        ("/main-institutions", {"q": "a\x00b"}, "/query/q"),
        ("/main-institutions", {"budget_type": "x"}, "/query/budget_type"),
    ],
)
async def test_bad_questions_point_at_what_is_wrong(world: World, path: str, params: Any, pointer: str) -> None:
    answer = await world.get(path, expect=422, params=params)
    assert answer["code"] == "validation-failed"
    assert answer["errors"][0]["pointer"] == pointer


async def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    await world.directory.refresh()
    cursor = (await world.get("/codes/place", params={"limit": 1}))["next_cursor"]
    assert (await world.get("/codes/status", expect=422, params={"cursor": cursor}))["code"] == "validation-failed"


async def test_every_answer_can_be_asked_for_on_condition(world: World) -> None:
    await world.directory.refresh()
    headers = {"X-Api-Key": world.key}
    for path in (
        f"/units/{A}/kep-addresses", "/kep-addresses/kurum.a@hs91.kep.example", f"/units/{A}/certificates",
        f"/units/{A}/eyp-versions", "/codes/category", "/places", "/main-institutions", f"/units/{A}", "/units?q=kurum",
        "/status", "/runs",
    ):  # fmt: skip
        url = f"/v1/directory{path}"
        first: httpx.Response = await world.gateway.http.get(url, headers=headers)
        kept = "no-cache" if path in {"/status", "/runs"} else "max-age=60"
        assert first.headers["cache-control"] == f"private, {kept}", path
        assert first.json()["freshness"]["snapshot_id"] is not None, path
        again = await world.gateway.http.get(url, headers=headers | {"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304, path


async def test_what_is_passed_on_unread_is_what_the_contract_says(world: World) -> None:
    await world.directory.refresh()
    assert UnitAnswer.model_validate(await world.get(f"/units/{A}")) == await world.directory.client.unit(A)
    page = UnitPage.model_validate(await world.get("/units", params={"q": "kurum", "limit": 1}))
    assert page == await world.directory.client.search("kurum", limit=1)
    assert [unit.detsis_no for unit in page.units] == [A]


@pytest.mark.parametrize(
    "query",
    ["%", "_", "a%", "'; DROP TABLE units--", "\\", "kurum & !x | (y:*", "<->", "🙂", "\u202e", "ﷺ" * 100, "x " * 99],
)
async def test_search_text_of_any_sort_finds_nothing_or_something(world: World, query: str) -> None:
    assert isinstance((await world.get("/units", params={"q": query}))["units"], list)


@pytest.mark.parametrize("query", ["a" * 10_000, "a\x00b", "a\nb", "\x1b[31m", "123456789", "99999999999999999999"])
async def test_search_text_out_of_bounds_is_a_problem_that_points(world: World, query: str) -> None:
    answer = await world.get("/units", expect=422, params={"q": query})
    assert (answer["code"], answer["errors"][0]["pointer"]) == ("validation-failed", "/query/q")
