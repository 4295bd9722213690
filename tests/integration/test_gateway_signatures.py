"""Packages and signatures through the gateway, judged by the real signer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clients.signer import SignerClient
from shared.clock import FixedClock
from shared.eyp import PackageDraft
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.neighbours import ServedRelay, served_relay
from tests.support.pki import NOW, PASSWORD, Pki, build_pki
from tests.unit.eyp import letters, wrappers
from tests.unit.signer.enveloping import Recipients, build_recipients
from tests.unit.signer.signing import sign


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


def tampered(cms: bytes) -> bytes:
    """The signature value, the last bytes of the CMS, changed."""
    return cms[:-5] + bytes([cms[-5] ^ 1]) + cms[-4:]


def signed_package(pki: Pki, *, broken: bool = False) -> bytes:
    """A package with a real signature and a real seal; ``broken``: the signature's value does not fit."""
    started: PackageDraft = letters.draft()
    signature = sign(pki.signer, started.digest_to_be_signed())
    signed = started.with_signature(tampered(signature) if broken else signature)
    unsealed = signed.with_final_metadata(letters.FINAL, created=letters.MOMENT)
    return unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed())).to_bytes()


@dataclass
class World:
    gateway: RunningGateway
    key: str
    signer: SignerClient
    recipients: Recipients

    async def post(self, path: str, *, files: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.gateway.http.post(path, files=files, headers={"X-Api-Key": self.key, **headers})

    async def inspect(self, package: bytes, **fields: str) -> httpx.Response:
        given: dict[str, Any] = {name: (None, value) for name, value in fields.items()}
        return await self.post("/v1/package-inspections", files={"package": ("a.eyp", package), **given})

    async def encrypted(self, letter: bytes, *certificates: bytes, around: bytes | None = None) -> bytes:
        """An .eyps for these certificates; ``around``: what the envelope holds instead of the letter."""
        async with self.signer.encrypt(letter if around is None else around, certificates) as stream:
            envelope = b"".join([chunk async for chunk in stream])
        return wrappers.encrypted(letter, envelope=envelope)


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
        {"key_id": "decrypt-1", "institution_no": 10000001, "purposes": ["package-decryption"],
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
        running_gateway(database_url, tmp_path, signer_url=url, kep_relay_url=relay.url) as gateway,
    ):
        await gateway.institution(10000001)
        key = await gateway.key("packages:inspect", "signatures:verify", "messages:send", institutions=(10000001,))
        client = SignerClient(url, SecretStr(TOKENS["gateway"]))
        yield World(gateway, key, client, recipients)
        await client.aclose()


async def test_an_inspection_says_what_a_package_is_and_what_its_signatures_are_worth(world: World, pki: Pki) -> None:
    package = signed_package(pki)
    answer = await world.inspect(package)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["sha256"] == hashlib.sha256(package).hexdigest()
    assert (found["kind"], found["acceptable"], found["conclusion"]) == ("plain", True, "passed")
    assert (found["document_no"], found["originator"]["number"]) == ("E-10000001-000-1", "10000001")
    assert found["distributions"][0]["recipient"]["number"] == "10000002"
    assert {item["kind"] for item in found["signatures"]} == {"signature", "seal"}
    assert all(item["verification"]["report"]["conclusion"] == "passed" for item in found["signatures"])
    assert list(world.gateway.settings.spool_directory.iterdir()) == []


async def test_who_signed_is_held_against_whom_the_package_names(world: World, pki: Pki) -> None:
    """Its own list: who signed changes neither the package nor the verdict on the signature."""
    package = signed_package(pki)
    answer = (await world.inspect(package)).json()
    said = {finding["rule"]: finding["part"] for finding in answer["signer_findings"]}
    assert said == {"R.75.name": "/Imzalar/ImzaCades.imz"}
    assert answer["acceptable"]
    assert answer["conclusion"] == "passed"
    levels = (await world.inspect(package, levels="true", profile="strict")).json()["signer_findings"]
    assert [(item["rule"], item["severity"]) for item in levels] == [
        ("R.73.level", "fatal"), ("R.73.level", "fatal"), ("R.75.name", "warning"),
    ]  # fmt: skip
    assert {item["message_en"].rpartition(": ")[2] for item in levels[:2]} == {
        "CAdES-B < CAdES-XL.", "CAdES-B < CAdES-A.",
    }  # fmt: skip


async def test_an_encrypted_letter_is_opened_with_the_institutions_key_and_judged(world: World, pki: Pki) -> None:
    letter = signed_package(pki)
    package = await world.encrypted(letter, world.recipients.p256.der, world.recipients.rsa.der)
    answer = await world.inspect(package)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["kind"], found["opening"], found["acceptable"], found["conclusion"]) == (
        "encrypted", "opened", True, "passed",
    )  # fmt: skip
    assert (found["inner"]["sha256"], found["inner"]["size"]) == (hashlib.sha256(letter).hexdigest(), len(letter))
    assert (found["inner"]["document_no"], found["inner"]["opening"]) == ("E-10000001-000-1", None)
    assert [item["kind"] for item in found["inner"]["signatures"]] == ["signature", "seal"]
    assert found["signatures"] == []
    assert list(world.gateway.settings.spool_directory.iterdir()) == []
    await world.gateway.institution(10000002)
    key = await world.gateway.key("packages:inspect", institutions=(10000001, 10000002))
    several = World(world.gateway, key, world.signer, world.recipients)
    assert (await several.inspect(package)).json()["opening"] == "not-asked"
    assert (await several.inspect(package, institution="10000001")).json()["opening"] == "opened"
    assert (await several.inspect(package, institution="10000002")).json()["opening"] == "no-key"


async def test_what_was_encrypted_must_be_what_is_announced_outside(world: World, pki: Pki) -> None:
    other = letters.package(subject="Başka bir konu")
    package = await world.encrypted(signed_package(pki), world.recipients.rsa.der, around=other)
    found = (await world.inspect(package)).json()
    assert (found["opening"], found["acceptable"]) == ("opened", False)
    assert "R.83" in {item["rule"].rpartition(".")[0] for item in found["findings"]}


async def test_an_envelope_that_stays_closed_says_why(world: World, pki: Pki) -> None:
    letter = signed_package(pki)
    for package, outcome in (
        (await world.encrypted(letter, world.recipients.other_rsa.der), "not-a-recipient"),
        (wrappers.encrypted(letter), "malformed"),
        (await world.encrypted(letter, world.recipients.rsa.der, around=b"no package"), "cannot-be-opened"),
    ):
        found = (await world.inspect(package)).json()
        assert (found["kind"], found["opening"], found["inner"]) == ("encrypted", outcome, None)
    foreign = await world.inspect(letter, institution="10000002")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "institution-forbidden")
    assert (await world.inspect(letter, institution="7")).status_code == 422
    assert (await world.inspect(letter)).json()["opening"] is None


async def test_an_update_is_judged_with_the_package_it_is_about(world: World, pki: Pki) -> None:
    """The degree in force, the change, and the signatures of both levels, each where it belongs."""

    def update(original: bytes) -> bytes:
        unsealed = wrappers.unsealed(original)
        return unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed())).to_bytes()

    original = signed_package(pki)
    answer = await world.inspect(update(original))
    found = answer.json()
    assert (answer.status_code, found["kind"], found["acceptable"]) == (200, "update", True), answer.text
    assert (found["security_code"], found["conclusion"]) == ("unclassified", "passed")
    assert found["updates"][0]["decision_document_no"] == wrappers.CHANGE.decision_document_no
    assert found["digests"] == [
        {"kind": "update-digest", "part": "/NihaiOzet/NihaiOzet.xml", "references": 3, "mismatches": []}
    ]
    assert [item["kind"] for item in found["signatures"]] == ["seal"]
    assert [item["kind"] for item in found["inner"]["signatures"]] == ["signature", "seal"]
    assert found["inner"]["sha256"] == hashlib.sha256(original).hexdigest()
    assert (found["inner"]["document_no"], found["inner"]["inner"]) == ("E-10000001-000-1", None)
    broken = (await world.inspect(update(signed_package(pki, broken=True)))).json()
    assert [broken[key] for key in ("acceptable", "conclusion")] == [True, "failed"]
    assert broken["signatures"][0]["verification"]["report"]["conclusion"] == "passed"


async def test_an_encrypted_package_and_the_options_of_an_inspection(world: World) -> None:
    """Where the envelope lies; weights and recipient as asked; a wrong option is a problem."""
    found = (await world.inspect(wrappers.encrypted())).json()
    assert (found["kind"], found["acceptable"], found["inner"]) == ("encrypted", True, None)
    assert found["encrypted_content"].startswith("/SifreliIcerik/")
    package = ("a.eyp", letters.package())
    for fields, profile in (({}, "interop"), ({"profile": "strict", "recipient": "10000002"}, "strict")):
        files: dict[str, Any] = {name: (None, value) for name, value in fields.items()}
        answer = await world.post("/v1/package-inspections", files={"package": package, **files})
        assert answer.json()["profile"] == profile
    answer = await world.post("/v1/package-inspections", files={"package": package, "profile": (None, "lenient")})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert answer.json()["errors"][0]["pointer"] == "/profile"


async def test_a_broken_signature_is_told_or_refused_as_the_policy_says(world: World, pki: Pki) -> None:
    assert (await world.inspect(signed_package(pki, broken=True))).json()["conclusion"] == "failed"
    good, broken = signed_package(pki), signed_package(pki, broken=True)

    async def submit(key: str, package: bytes) -> httpx.Response:
        message = (None, '{"recipients":[{"detsis_no":10000002}]}', "application/json")
        files = {"message": message, "package": ("a.eyp", package)}
        return await world.post("/v1/outbound-messages", files=files, **{"Idempotency-Key": key})

    def rules(answer: httpx.Response) -> set[str]:
        return {item["rule"] for item in answer.json()["package_findings"]}

    warned = await submit("a", broken)
    assert (warned.status_code, "signature.failed" in rules(warned)) == (202, True), warned.text
    await world.gateway.institution(10000001, signatures="refuse")
    accepted = await submit("b", good)
    assert (accepted.status_code, rules(accepted)) == (202, {"R.19.file-name"}), accepted.text
    refused = await submit("c", broken)
    assert (refused.status_code, refused.json()["code"]) == (422, "signature-invalid"), refused.text
    await world.gateway.institution(10000001, signatures="pass")
    passed = await submit("c", broken)
    assert (passed.status_code, rules(passed)) == (202, {"R.19.file-name"})


async def test_signatures_of_any_file_are_verified(world: World, pki: Pki) -> None:
    content = b"the letter"
    attached = sign(pki.signer, content)
    answer = await world.post("/v1/signature-verifications", files={"file": ("a.p7s", attached)})
    assert (answer.status_code, answer.json()["conclusion"]) == (200, "passed"), answer.text
    assert answer.json()["signed_content_sha256"] == hashlib.sha256(content).hexdigest()
    detached = sign(pki.signer, content, attached=False)
    files: dict[str, Any] = {
        "file": ("a.p7s", detached),
        "content": ("a.txt", content),
        "profile": (None, "integrity-only"),
    }
    answer = await world.post("/v1/signature-verifications", files=files)
    assert (answer.json()["conclusion"], answer.json()["profile"]) == ("passed", "integrity-only")
    files["content"] = ("a.txt", b"another letter")
    answer = await world.post("/v1/signature-verifications", files=files)
    assert (answer.status_code, answer.json()["conclusion"]) == (200, "failed")
    for fields, code in (
        ({"profile": (None, "unknown")}, "validation-failed"),
        ({"moment": (None, "2026-13-01T00:00:00Z")}, "validation-failed"),
        ({"surprise": (None, "x")}, "validation-failed"),
    ):
        answer = await world.post("/v1/signature-verifications", files={"file": ("a", attached), **fields})
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_what_is_no_signature_is_a_verdict_or_a_refusal_but_never_an_accident(world: World) -> None:
    for content in (b"", b"hello", b"\x30\x80" + b"\x00" * 50, b"PK\x03\x04", bytes(range(256)) * 100):
        answer = await world.post("/v1/signature-verifications", files={"file": ("a", content)})
        assert answer.status_code < 500, answer.text
        assert answer.status_code != 200 or answer.json()["conclusion"] != "passed"


async def test_real_packages_can_be_looked_into(world: World) -> None:
    samples = Path(__file__).parents[3] / "shared" / "samples"
    if not samples.is_dir():
        pytest.skip("no ../shared/samples here")
    for path in samples.glob("*.eyp"):
        answer = await world.inspect(path.read_bytes())
        assert answer.status_code == 200, answer.text
        assert answer.json()["document_id"]
