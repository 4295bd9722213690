"""Prints through the gateway: by whom, under which verdict, as what, and that each of them is on record."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pikepdf
import psycopg
import pypdfium2
import pytest
from pydantic import SecretStr

from services.gateway.printing.rendering import codes, opened
from services.kep_relay.tables import InboundMessageRow, InboundVerificationRow, RawMailRow
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clients.signer import SignerClient
from shared.clock import FixedClock
from shared.contracts.inbound import InboundVerification
from shared.domain.identifiers import new_id
from shared.domain.verdict import Conclusion
from shared.eyp import FinalMetadata, PackageDraft, SecurityCode
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.neighbours import ServedRelay, served_relay
from tests.support.pki import NOW, PASSWORD, Pki, build_pki
from tests.support.relay import START
from tests.unit.eyp import letters, wrappers
from tests.unit.gateway.printing import pdfs
from tests.unit.signer.enveloping import Recipients, build_recipients
from tests.unit.signer.signing import sign

HERE, ELSEWHERE = 10000001, 10000002
REGISTERED = {"register_no": "2026/4711", "registered_at": "2026-03-03T08:15:00Z"}
AUTHORISATION = {
    "name": "Çiğdem ÖRNEK", "title": "Memur", "document_no": "E-10000001-903.07-118", "authorised_on": "2020-01-05",
    "valid_from": "2020-01-05", "scope": "Gelen belgeler",
}  # fmt: skip


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


def package(
    pki: Pki,
    *,
    cover_letter: bytes | None = None,
    date: datetime = letters.MOMENT,
    broken: bool = False,
    **changes: Any,
) -> bytes:
    """A letter as an office would write it, with a real signature and a real seal."""
    started = PackageDraft.create(
        letters.letter(**changes),
        cover_letter=cover_letter or pdfs.letter(),
        annex_files={letters.ANNEX_ID: "Ğöl çizimi".encode(), letters.UNSIGNED_ANNEX_ID: b"a;b\n1;2\n"},
    )
    signature = sign(pki.signer, started.digest_to_be_signed())
    if broken:
        signature = signature[:-5] + bytes([signature[-5] ^ 1]) + signature[-4:]
    final = FinalMetadata(letters.FINAL.document_no, date, letters.FINAL.signatories)
    unsealed = started.with_signature(signature).with_final_metadata(final, created=letters.MOMENT)
    return unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed())).to_bytes()


def texts(content: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(content)
    return [" ".join(document[number].get_textpage().get_text_range().split()) for number in range(len(document))]


def codes_on(content: bytes) -> list[set[str]]:
    with opened(content, 8_000_000) as renderer:
        return [{code.content.decode() for code in codes(renderer.page(number))} for number in range(len(renderer))]


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    key: str
    stranger: str
    signer: SignerClient
    recipients: Recipients

    async def arrive(self, content: bytes, *, verdict: Conclusion | None = Conclusion.PASSED, **changes: Any) -> UUID:
        """An incoming letter with this package, verified or not yet."""
        deps = self.relay.relay.deps
        raw, sha256 = b"From: x\r\n\r\nmail\r\n", hashlib.sha256(content).hexdigest()
        for stored in (content, raw):
            await deps.blobs.put(stored, limit=10_000_000)
        message_id, raw_id, raw_sha256 = new_id(), new_id(), hashlib.sha256(raw).hexdigest()
        async with deps.database.unit_of_work() as work:
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id="a-1", institution_no=HERE, folder="INBOX", uidvalidity=1,
                    uid=raw_id.int % 2**31, sha256=raw_sha256, size=len(raw), received_at=START, state="ingested",
                )
            )  # fmt: skip
            await work.session.flush()
            fields: dict[str, Any] = {
                "message_id": message_id, "institution_no": HERE, "mailbox_id": "a-1",
                "mailbox_address": "kurum.a@hs98.kep.tr", "raw_mail_id": raw_id, "raw_sha256": raw_sha256,
                "raw_size": len(raw), "kind": "letter", "state": "available", "message_key": str(message_id),
                "original_sha256": raw_sha256, "original_size": len(raw), "package_sha256": sha256,
                "package_size": len(content), "package_filename": "yazı.eyp", "received_at": START,
                "sender_address": "12345678901@hs01.kep.tr", "message_id_header": "<m-1@hs01.kep.tr>",
                "conclusion": verdict.value if verdict else None, "available_at": START, "visible_at": START,
                "updated_at": START,
            }  # fmt: skip
            work.session.add(InboundMessageRow(**{**fields, **changes}))
            await work.session.flush()
            if verdict is not None:
                found = InboundVerification(
                    message_id=message_id, conclusion=verdict, components=[], findings=[], verified_at=START
                )
                work.session.add(
                    InboundVerificationRow(
                        message_id=message_id, sequence=1, conclusion=verdict.value,
                        verdict=found.model_dump(mode="json"), verified_at=START,
                    )
                )  # fmt: skip
        return message_id

    async def print_message(self, message_id: UUID, *, key: str | None = None, **options: str) -> httpx.Response:
        return await self.gateway.http.get(
            f"/v1/inbound-messages/{message_id}/print", params=options, headers={"X-Api-Key": key or self.key}
        )

    async def print_package(self, content: bytes, *, key: str | None = None, **options: Any) -> httpx.Response:
        files: dict[str, Any] = {"package": ("a.eyp", content)}
        if options:
            files["options"] = (None, json.dumps(options), "application/json")
        return await self.gateway.http.post("/v1/prints", files=files, headers={"X-Api-Key": key or self.key})

    async def prints(self, *, key: str | None = None, **filters: str) -> dict[str, Any]:
        answer = await self.gateway.http.get("/v1/prints", params=filters, headers={"X-Api-Key": key or self.key})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def policy(self, **policy: Any) -> None:
        answer = await self.gateway.admin(
            "PUT", f"/v1/institutions/{HERE}", json={"name": "T.C. Örnek Belediyesi", "policy": policy}
        )
        assert answer.status_code == 200, answer.text

    async def authorise(self, name: str = "yazi-1", **changes: Any) -> httpx.Response:
        return await self.gateway.admin(
            "PUT", f"/v1/institutions/{HERE}/print-authorisations/{name}", json={**AUTHORISATION, **changes}
        )


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[ServedRelay]:
    async with served_relay(database_url, tmp_path / "blobs") as served:
        yield served


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, pki: Pki, relay: ServedRelay, recipients: Recipients
) -> AsyncIterator[World]:
    lists = tmp_path / "lists"
    lists.mkdir()
    for number, encoded in enumerate(pki.crls()):
        (lists / f"{number}.crl").write_bytes(encoded)
    (tmp_path / "password").write_bytes(PASSWORD)
    recipients.rsa.write_pkcs12(tmp_path / "decrypt.p12")
    keys = [
        {"key_id": "decrypt-1", "institution_no": HERE, "purposes": ["package-decryption"],
         "pkcs12": "decrypt.p12", "password_file": "password"}
    ]  # fmt: skip
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    settings = SignerSettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": TOKENS, "trust_directory": pki.write_trust(tmp_path / "trust"),
         "revocation_directory": lists, "keys_file": tmp_path / "keys.json"}
    )  # fmt: skip
    service = await build_signer(settings, FixedClock(NOW))
    async with (
        service.resources,
        serving(service.app) as url,
        running_gateway(
            database_url, tmp_path, clock=FixedClock(NOW), signer_url=url, kep_relay_url=relay.url
        ) as gateway,
    ):
        await gateway.institution(HERE)
        await gateway.institution(ELSEWHERE)
        key = await gateway.key("documents:print", institutions=(HERE,))
        stranger = await gateway.key("documents:print", institutions=(ELSEWHERE,), client_id="other")
        client = SignerClient(url, SecretStr(TOKENS["gateway"]))
        found = World(gateway, relay, key, stranger, client, recipients)
        await found.policy()
        yield found
        await client.aclose()
        assert list(gateway.settings.spool_directory.iterdir()) == []


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> None:
    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    if pointer is not None:
        assert [item["pointer"] for item in found["errors"]] == [pointer]


async def test_an_incoming_letter_is_printed_with_its_label_and_the_print_is_on_record(world: World, pki: Pki) -> None:
    content = package(pki)
    message_id = await world.arrive(content, state="consumed", registry_no="2026/4711", consumed_at=START)
    assert (await world.authorise()).status_code == 200
    answer = await world.print_message(message_id, authorisation="yazi-1", purpose="Encümen toplantısı")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert (answer.headers["print-profile"], answer.headers["print-copy-number"]) == ("P-2020", "1")
    assert codes_on(answer.content) == [{pdfs.VERIFICATION, "2026/4711"}]
    (text,) = texts(answer.content)
    assert "T.C. Örnek Belediyesi" in text
    assert "GİBİDİR" not in text
    (record,) = (await world.prints(message_id=str(message_id)))["prints"]
    assert record["print_id"] == answer.headers["print-id"]
    assert record["print_sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert record["package_sha256"] == hashlib.sha256(content).hexdigest()
    assert record["letter_sha256"] == hashlib.sha256(pdfs.letter()).hexdigest()
    assert (record["profile"], record["profile_edition"], record["conclusion"]) == ("P-2020", "2020-07-01", "passed")
    assert (record["purpose"], record["register_no"], record["codes"]) == ("Encümen toplantısı", "2026/4711", 1)
    assert (record["printer"]["name"], record["printer"]["document_no"]) == (
        AUTHORISATION["name"], AUTHORISATION["document_no"],
    )  # fmt: skip
    assert "L.19" in record["rules"]


async def test_the_cover_sheet_says_what_is_known_and_masks_identity_numbers(world: World, pki: Pki) -> None:
    await world.authorise()
    answer = await world.print_package(
        package(pki, subject="12345678901 sayılı kişi"), authorisation="yazi-1", cover_sheet=True, annexes=True,
        kep_message_id="<m-7@hs01.kep.tr>", sender_address="98765432109@hs01.kep.tr", evidence_id="D-40-1",
        evidence_at="2026-03-02T10:00:00Z", **REGISTERED,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    *_, sheet = texts(answer.content)
    assert "Bu sayfa belgenin parçası değildir." in sheet
    for words in (
        "Sonuç GEÇERLİ", "12*******01 sayılı kişi", "98*******09@hs01.kep.tr (yazdıranın beyanı)", "D-40-1",
        "Kayıt no 2026/4711", "Kayıt tarihi 03.03.2026 11:15", "Kopya no 1", "Yazdıran Çiğdem ÖRNEK, Memur",
        "Çizim (Cizim(1).txt) (yazdırıldı)", "Karekod çıktıda okundu", "Kâğıt çıktı çalışma kopyasıdır.",
    ):  # fmt: skip
        assert words in sheet, (words, sheet)
    assert "12345678901" not in sheet
    assert "İmza " in sheet
    assert "Sertifikayı veren" in sheet
    assert any("Ğöl çizimi" in text for text in texts(answer.content))


@pytest.mark.parametrize("verdict", [None, Conclusion.INDETERMINATE, Conclusion.FAILED])
async def test_without_a_passed_verdict_there_is_only_a_working_copy(
    world: World, pki: Pki, verdict: Conclusion | None
) -> None:
    """L.5: whatever was asked for, and without authorisation or register number."""
    message_id = await world.arrive(package(pki), verdict=verdict)
    answer = await world.print_message(message_id, profile="P-2020", cover_sheet="true")
    assert answer.status_code == 200, answer.text
    assert answer.headers["print-profile"] == "none"
    page, sheet = texts(answer.content)
    assert "DOĞRULANAMADI - resmî işlemde kullanılmaz" in page
    assert codes_on(answer.content)[0] == {pdfs.VERIFICATION}
    expected = {None: "HENÜZ DOĞRULANMADI", Conclusion.FAILED: "GEÇERSİZ"}.get(verdict, "KESİN SONUÇ YOK")
    assert f"Sonuç {expected}" in sheet
    (record,) = (await world.prints())["prints"]
    assert (record["conclusion"], record["printer"]["name"]) == (verdict and verdict.value, None)


async def test_a_broken_signature_makes_a_working_copy_of_a_package_kept_elsewhere(world: World, pki: Pki) -> None:
    await world.authorise()
    answer = await world.print_package(package(pki, broken=True), authorisation="yazi-1", **REGISTERED)
    assert (answer.status_code, answer.headers["print-profile"]) == (200, "none"), answer.text
    answer = await world.print_package(package(pki), profile="none")
    assert "ÇALIŞMA KOPYASI - resmî işlemde kullanılmaz" in texts(answer.content)[0]
    assert "DOĞRULANAMADI" not in texts(answer.content)[0]


async def test_an_official_print_needs_an_authorisation_that_holds(world: World, pki: Pki) -> None:
    content = package(pki)
    refused(await world.print_package(content, **REGISTERED), 403, "print-unauthorised")
    for name, changes in (("old", {"valid_until": "2020-02-01"}), ("later", {"valid_from": "2090-01-01"})):
        assert (await world.authorise(name, **changes)).status_code == 200
        refused(await world.print_package(content, authorisation=name, **REGISTERED), 403, "print-unauthorised")
    refused(await world.print_package(content, authorisation="nobody", **REGISTERED), 403, "print-unauthorised")
    assert (await world.prints())["prints"] == []
    await world.policy(print_needs_authorisation=False)
    answer = await world.print_package(content, printed_by="Deneme KİŞİ", **REGISTERED)
    assert (answer.status_code, answer.headers["print-profile"]) == (200, "P-2020"), answer.text
    (record,) = (await world.prints())["prints"]
    assert (record["printer"]["authorisation"], record["printer"]["name"]) == (None, "Deneme KİŞİ")


async def test_an_official_print_comes_after_registering(world: World, pki: Pki) -> None:
    await world.authorise()
    refused(
        await world.print_package(package(pki), authorisation="yazi-1"),
        422,
        "validation-failed",
        "/options/register_no",
    )
    message_id = await world.arrive(package(pki))
    refused(
        await world.print_message(message_id, authorisation="yazi-1"), 422, "validation-failed", "/query/register_no"
    )
    answer = await world.print_message(message_id, authorisation="yazi-1", **REGISTERED)
    assert answer.status_code == 200, answer.text


async def test_the_stamp_is_for_letters_of_its_time_or_bodies_that_ask_for_it(world: World, pki: Pki) -> None:
    await world.authorise()
    older, newer = package(pki, date=datetime(2018, 5, 2, 9, tzinfo=UTC)), package(pki)
    options = {"authorisation": "yazi-1", **REGISTERED}
    refused(await world.print_package(newer, profile="P-2015", **options), 422, "validation-failed", "/options/profile")
    stamped = "BELGENİN ASLI ELEKTRONİK İMZALIDIR 20.11.2026 Çiğdem ÖRNEK Memur"
    answer = await world.print_package(older, profile="P-2015", **options)
    assert answer.headers["print-profile"] == "P-2015", answer.text
    assert stamped.partition(" 20")[0] in " ".join(texts(answer.content))
    assert (await world.print_package(older, **options)).headers["print-profile"] == "P-2020"
    await world.policy(print_profile="by-date")
    assert (await world.print_package(older, **options)).headers["print-profile"] == "P-2015"
    assert (await world.print_package(newer, **options)).headers["print-profile"] == "P-2020"
    await world.policy(print_profile="P-2015")
    answer = await world.print_package(newer, stamp="same-as-original", **options)
    assert "Güvenli Elektronik İmzalı Aslı ile Aynıdır" in " ".join(texts(answer.content))
    await world.policy(print_profile="P-2015", print_needs_authorisation=False)
    refused(await world.print_package(newer, **REGISTERED), 422, "validation-failed", "/options/printed_by")


async def test_copies_are_numbered_also_when_they_are_made_at_once(world: World, pki: Pki) -> None:
    content = package(pki)
    answers = await asyncio.gather(*(world.print_package(content, profile="none", cover_sheet=True) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text[:200] for answer in answers]
    assert {answer.headers["print-copy-number"] for answer in answers} == {"1", "2", "3"}
    for answer in answers:
        assert f"Kopya no {answer.headers['print-copy-number']} " in texts(answer.content)[-1]
    page = await world.prints(package_sha256=hashlib.sha256(content).hexdigest(), limit="2")
    rest = await world.prints(cursor=page["next_cursor"])
    assert len(page["prints"]) + len(rest["prints"]) == 3
    assert len((await world.prints(document_id=letters.DOCUMENT_ID.lower()))["prints"]) == 3


async def test_the_list_of_prints_only_grows_and_every_print_has_its_audit_line(
    world: World, pki: Pki, database_url: str
) -> None:
    await world.print_package(package(pki), profile="none")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in ("UPDATE gateway.prints SET copy_number = 9", "DELETE FROM gateway.prints"):
            with pytest.raises(psycopg.errors.RaiseException):
                connection.execute(statement)
        line = connection.execute(
            "SELECT subject, detail->>'profile' FROM gateway.audit_log WHERE action = 'letter.print'"
        ).fetchall()
    (record,) = (await world.prints())["prints"]
    assert line == [(record["print_id"], "none")]


@pytest.mark.parametrize("degree", [SecurityCode.SECRET, SecurityCode.TOP_SECRET, None])
async def test_classified_letters_are_never_printed(world: World, pki: Pki, degree: SecurityCode | None) -> None:
    """L.27: nor those whose degree nobody understands."""
    content = package(pki, security_code=degree or SecurityCode.UNCLASSIFIED)
    if degree is None:
        content = letters.changed(content, Ustveri=letters.replacing("GuvenlikKodu>YOK<", "GuvenlikKodu>XXX<"))
    refused(await world.print_package(content, profile="none"), 422, "confidentiality-forbidden")
    assert (await world.prints())["prints"] == []


async def test_an_encrypted_letter_is_opened_judged_and_printed(world: World, pki: Pki, database_url: str) -> None:
    letter = package(pki)
    async with world.signer.encrypt(letter, [world.recipients.rsa.der]) as stream:
        envelope = b"".join([chunk async for chunk in stream])
    content = wrappers.encrypted(letter, envelope=envelope)
    await world.authorise()
    answer = await world.print_package(content, authorisation="yazi-1", **REGISTERED)
    assert (answer.status_code, answer.headers["print-profile"]) == (200, "P-2020"), answer.text
    message_id = await world.arrive(content, package_filename="a.eyps")
    answer = await world.print_message(message_id, authorisation="yazi-1", **REGISTERED)
    assert (answer.status_code, answer.headers["print-profile"]) == (200, "P-2020"), answer.text
    with psycopg.connect(database_url) as connection:
        lines = connection.execute("SELECT subject FROM gateway.audit_log WHERE action = 'package.open'").fetchall()
    assert lines == [(hashlib.sha256(content).hexdigest(),)] * 2
    refused(await world.print_package(wrappers.encrypted(letter)), 422, "envelope-invalid")


async def test_what_cannot_be_printed_is_a_problem_with_its_reason(world: World, pki: Pki) -> None:
    locked = pdfs.saved(pdfs.edited(pdfs.letter()), encryption=pikepdf.Encryption(user="u", owner="o"))
    for cover_letter, obstacle in (
        (b"no pdf", "not-a-pdf"), (locked, "encrypted"), (pdfs.many_pages(201), "too-many-pages"),
    ):  # fmt: skip
        answer = await world.print_package(package(pki, cover_letter=cover_letter), profile="none")
        refused(answer, 422, "letter-unprintable", "/cover_letter")
        assert answer.json()["errors"][0]["detail"] == obstacle
    refused(await world.print_package(b"no package"), 422, "not-a-package")
    refused(await world.print_package(package(pki), unknown="x"), 422, "validation-failed")
    message_id = await world.arrive(package(pki))
    refused(await world.print_message(message_id, surprise="x"), 422, "validation-failed")


async def test_another_institutions_letters_prints_and_authorisations_do_not_exist(world: World, pki: Pki) -> None:
    content = package(pki)
    message_id = await world.arrive(content)
    await world.authorise()
    assert (await world.print_message(message_id)).status_code == 422
    refused(await world.print_message(message_id, key=world.stranger), 404, "not-found")
    assert (await world.print_message(message_id, profile="none")).status_code == 200
    assert (await world.prints(key=world.stranger))["prints"] == []
    refused(await world.print_package(content, key=world.stranger, institution_no=HERE), 403, "institution-forbidden")
    answer = await world.print_package(content, key=world.stranger, authorisation="yazi-1", **REGISTERED)
    refused(answer, 403, "print-unauthorised")
    answer = await world.gateway.http.get(
        "/v1/prints", params={"institution": HERE}, headers={"X-Api-Key": world.stranger}
    )
    refused(answer, 403, "institution-forbidden")


async def test_scopes(world: World, pki: Pki) -> None:
    reader = await world.gateway.key("messages:read", institutions=(HERE,), client_id="reader")
    message_id = await world.arrive(package(pki))
    refused(await world.print_message(message_id, key=reader), 403, "scope-missing")
    refused(await world.print_package(b"", key=reader), 403, "scope-missing")
    assert (await world.prints(key=reader))["prints"] == []
    path = f"/v1/institutions/{HERE}/print-authorisations/yazi-1"
    refused(
        await world.gateway.http.put(path, json=AUTHORISATION, headers={"X-Api-Key": world.key}), 403, "scope-missing"
    )


async def test_authorisations_are_entered_changed_and_read_by_the_operator(world: World) -> None:
    stored = (await world.authorise()).json()
    assert {name: stored[name] for name in AUTHORISATION} == AUTHORISATION
    changed = (await world.authorise(title="Şef", valid_until="2030-01-01")).json()
    assert (changed["title"], changed["created_at"]) == ("Şef", stored["created_at"])
    path = f"/v1/institutions/{HERE}/print-authorisations/yazi-1"
    assert (await world.gateway.admin("GET", path)).json() == changed
    refused(await world.gateway.admin("GET", path + "9"), 404, "not-found")
    elsewhere = f"/v1/institutions/{ELSEWHERE}/print-authorisations/yazi-1"
    refused(await world.gateway.admin("GET", elsewhere), 404, "not-found")
    refused(
        await world.gateway.admin("PUT", "/v1/institutions/10000009/print-authorisations/a", json=AUTHORISATION),
        404,
        "not-found",
    )
    refused(await world.authorise(valid_until="2019-01-01"), 422, "validation-failed")
    refused(await world.authorise(name="A"), 422, "validation-failed")


async def test_printing_is_counted(world: World, pki: Pki) -> None:
    await world.print_package(package(pki), profile="none")
    await world.print_package(package(pki, cover_letter=b"no pdf"), profile="none")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in world.gateway.service.registry.collect() for sample in family.samples
    }  # fmt: skip
    assert samples["kepgw_prints_total", "none"] == 1
    assert samples["kepgw_print_obstacles_total", "not-a-pdf"] == 1
    assert samples["kepgw_print_duration_seconds_count",] == 2


async def test_real_packages_can_be_printed(world: World) -> None:
    samples = Path(__file__).parents[3] / "shared" / "samples"
    if not samples.is_dir():
        pytest.skip("no ../shared/samples here")
    for path in samples.glob("*.eyp"):
        answer = await world.print_package(path.read_bytes(), cover_sheet=True, annexes=True)
        assert answer.status_code == 200, answer.text
        assert io.BytesIO(answer.content).read(5) == b"%PDF-"
