"""HİZMETE ÖZEL letters: encrypted by the gateway, or unencrypted by a recorded decision; real directory and signer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from services.detsis_sync.tables import CertificateOwnerRecord, CertificateRecord, EypVersionRecord
from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clock import FixedClock, SystemClock
from shared.eyp import DegreeChange, PackageKind, SecurityCode, inspect
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.neighbours import Line, ServedDirectory, ServedRelay, served_directory, served_relay
from tests.support.pki import PASSWORD, Hierarchy, Holder, Pki, build_pki, make_hierarchy, rsa_key, usage
from tests.unit.eyp import letters, wrappers
from tests.unit.signer import enveloping
from tests.unit.signer.signing import sign

A, B, C, D = 10000001, 10000002, 10000003, 10000004
"""A writes; B and C have certificates, D has none."""
RESTRICTED = letters.package(security_code=SecurityCode.RESTRICTED)
SECRET = letters.package(security_code=SecurityCode.SECRET)
DECISION = {"decided_by": "Deneme BAŞKAN, genel müdür", "reason": "alıcının sertifikası yok, süreli iş"}
NOW = SystemClock().now().replace(microsecond=0)


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return make_hierarchy("encryption", now=NOW)


@pytest.fixture(scope="module")
def certificates(tree: Hierarchy) -> dict[int, Holder]:
    return {
        number: tree.issuing.issue(f"Kurum {number}", now=NOW, key=rsa_key(2048, number), key_usage=usage(key_encipherment=True))
        for number in (B, C)
    }  # fmt: skip


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki(NOW)


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    directory: ServedDirectory
    signer: Line
    key: str
    database_url: str

    async def post(self, path: str, package: bytes, message: dict[str, Any], **headers: str) -> httpx.Response:
        files = {
            "message": (None, json.dumps(message), "application/json"),
            "package": ("yazı.eyp", package, "application/octet-stream"),
        }
        return await self.gateway.http.post(
            path, files=files, headers={"X-Api-Key": self.key, "Accept-Language": "en", **headers}
        )

    async def submit(
        self, package: bytes = RESTRICTED, *recipients: int, idempotency_key: str = "k1", **message: Any
    ) -> httpx.Response:
        to = [{"detsis_no": number} for number in recipients or (B,)]
        body = {"institution_no": A, "recipients": to, **message}
        return await self.post("/v1/outbound-messages", package, body, **{"Idempotency-Key": idempotency_key})

    async def inspect(self, package: bytes, institution: int) -> Any:
        fields = {"institution": (None, str(institution)), "package": ("a", package)}
        answer = await self.gateway.http.post(
            "/v1/package-inspections", files=fields, headers={"X-Api-Key": self.key}
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def events(self, letter: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"/v1/outbound-messages/{letter['message_id']}/events"
        return list((await self.gateway.http.get(path, headers={"X-Api-Key": self.key})).json())

    async def stored(self, letter: dict[str, Any]) -> bytes:
        return await self.relay.relay.deps.blobs.get(letter["package_sha256"], limit=20_000_000)

    async def policy(self, **policy: Any) -> None:
        await self.gateway.institution(A, **{"signatures": "pass", **policy})

    async def add(self, *rows: object) -> None:
        async with self.directory.database.unit_of_work() as work:
            work.session.add_all(rows)

    async def encrypted_elsewhere(self, letter: bytes = RESTRICTED) -> bytes:
        """An .eyps as a document system of B's correspondents makes it."""
        answer = await self.post("/v1/package-encryptions", letter, {"institution_no": A, "recipients": [B]})
        assert answer.status_code == 200, answer.text
        return answer.content

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def letters(self) -> int:
        return int(self.rows("SELECT count(*) FROM kep_relay.outbound_messages")[0][0])

    def audited(self, action: str) -> list[dict[str, Any]]:
        rows = self.rows(f"SELECT detail FROM gateway.audit_log WHERE action = '{action}' ORDER BY entry_id")
        return [row[0] for row in rows]

    def spooled(self) -> list[Path]:
        return list(self.gateway.settings.spool_directory.iterdir())


def change_to(degree: SecurityCode = SecurityCode.RESTRICTED) -> DegreeChange:
    return replace(wrappers.CHANGE, new_degree=degree)


def record(number: int, holder: Holder, **changes: Any) -> CertificateRecord:
    certificate = holder.certificate
    fields: dict[str, Any] = {
        "detsis_no": number, "sha256": hashlib.sha256(holder.der).hexdigest(), "der": holder.der, "active": True,
        "not_before": certificate.not_valid_before_utc, "not_after": certificate.not_valid_after_utc,
        "serial": f"{certificate.serial_number:x}", "registered_at": NOW, "content_hash": b"", "changed_run_id": 1,
    }  # fmt: skip
    return CertificateRecord(**(fields | changes))


def written_keys(directory: Path, certificates: dict[int, Holder]) -> Path:
    (directory / "password").write_bytes(PASSWORD)
    keys = []
    for number, holder in certificates.items():
        holder.write_pkcs12(directory / f"{number}.p12")
        keys.append(
            {"key_id": f"decrypt-{number}", "institution_no": number, "purposes": ["package-decryption"],
             "pkcs12": f"{number}.p12", "password_file": "password"}
        )  # fmt: skip
    (directory / "keys.json").write_text(json.dumps(keys))
    return directory / "keys.json"


def trusted(directory: Path, tree: Hierarchy, pki: Pki) -> dict[str, Path]:
    pki.write_trust(directory / "trust")
    for purpose, certificate in (("encryption", tree.root), ("intermediates", tree.issuing)):
        (directory / "trust" / purpose).mkdir(parents=True)
        (directory / "trust" / purpose / "one.pem").write_bytes(certificate.pem)
    (directory / "lists").mkdir()
    for number, encoded in enumerate([*tree.crls(NOW), *pki.crls(NOW)]):
        (directory / "lists" / f"{number}.crl").write_bytes(encoded)
    return {"trust_directory": directory / "trust", "revocation_directory": directory / "lists"}


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, tree: Hierarchy, certificates: dict[int, Holder], pki: Pki
) -> AsyncIterator[World]:
    settings = SignerSettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": TOKENS, "keys_file": written_keys(tmp_path, certificates)}
        | trusted(tmp_path, tree, pki)
    )
    service = await build_signer(settings, FixedClock(NOW))
    line = Line(service.app)
    async with (
        service.resources,
        serving(line) as signer_url,
        served_relay(database_url, tmp_path / "blobs") as relay,
        served_directory(database_url) as directory,
        running_gateway(
            database_url, tmp_path, kep_relay_url=relay.url, detsis_sync_url=directory.url, signer_url=signer_url
        ) as gateway,
    ):
        for number in (B, C, D):
            await directory.unit(number, f"Kurum {number}", address=f"kurum.{number}@hs99.kep.tr")
        for number in (A, B, C):
            await gateway.institution(number, signatures="pass")
        scopes = ("messages:send", "messages:read", "packages:inspect", "packages:write")
        key = await gateway.key(*scopes, institutions=(A, B, C))
        world = World(gateway, relay, directory, line, key, database_url)
        await world.add(*(record(number, holder) for number, holder in certificates.items()))
        yield world


def refused(answer: httpx.Response, status: int, code: str, *pointers: str) -> str:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert [item["pointer"] for item in problem["errors"]] == list(pointers)
    return str(problem["detail"])


# Encrypted by the gateway


async def test_it_is_encrypted_for_the_recipients_certificate_and_opens_there_byte_for_byte(
    world: World, certificates: dict[int, Holder]
) -> None:
    answer = await world.submit()
    assert answer.status_code == 202, answer.text
    letter = answer.json()
    package = await world.stored(letter)
    assert inspect(package).kind is PackageKind.ENCRYPTED
    assert hashlib.sha256(package).hexdigest() == letter["package_sha256"]
    assert letter["package_filename"].endswith(".eyps")
    assert letter["document_id"] == letters.DOCUMENT_ID
    inside = hashlib.sha256(RESTRICTED).hexdigest()
    assert letter["confidentiality"] == {
        "degree": "restricted", "declared": False, "rule": "L.26", "rules_of": "2022-04-26", "encryption": "gateway",
        "certificates": [
            {"recipient_nos": [B], "holder_no": B, "serial": f"{certificates[B].certificate.serial_number:x}",
             "sha256": hashlib.sha256(certificates[B].der).hexdigest()}
        ],
        "inner_sha256": inside, "inner_size": len(RESTRICTED), "decision": None,
    }  # fmt: skip
    opened = await world.inspect(package, B)
    assert (opened["opening"], opened["acceptable"]) == ("opened", True)
    assert (opened["inner"]["sha256"], opened["inner"]["security_code"]) == (inside, "restricted")
    assert (await world.inspect(package, C))["opening"] == "not-a-recipient"
    event = next(item for item in await world.events(letter) if item["kind"] == "encrypted")
    assert "L.26 (rules of 2022-04-26)" in event["detail"]
    assert inside in event["detail"]
    assert letter["package_sha256"] in event["detail"]
    (audited,) = world.audited("letter.encrypt")
    assert (audited["rule"], audited["inner_sha256"], audited["recipients"]) == ("L.26", inside, [str(B)])
    assert world.rows("SELECT subject_withheld FROM kep_relay.outbound_messages") == [(True,)]
    assert world.spooled() == []


async def test_one_envelope_serves_all_recipients_and_those_that_share_a_certificate(world: World) -> None:
    await world.add(CertificateOwnerRecord(unit_no=D, owner_no=C, content_hash=b"", changed_run_id=1))
    letter = (await world.submit(RESTRICTED, B, C, D)).json()
    served = {tuple(item["recipient_nos"]): item["holder_no"] for item in letter["confidentiality"]["certificates"]}
    assert served == {(B,): B, (C, D): C}
    package = await world.stored(letter)
    for number in (B, C):
        assert (await world.inspect(package, number))["inner"]["sha256"] == hashlib.sha256(RESTRICTED).hexdigest()


async def test_one_of_the_former_degree_counts_as_restricted_and_nobody_wraps_what_breaks_rules(world: World) -> None:
    await world.policy(package_findings="pass")
    former = letters.changed(RESTRICTED, Ustveri=letters.replacing(">HZO<", ">OZL<"))
    answer = await world.submit(former)
    assert (answer.status_code, answer.json()["code"]) == (422, "package-invalid")
    letter = (await world.submit(former, D, unencrypted_decision=DECISION)).json()
    assert letter["confidentiality"]["degree"] == "confidential"


async def test_an_institution_may_want_more_encrypted(world: World) -> None:
    await world.policy(encrypted_degrees=["restricted", "unclassified"])
    letter = (await world.submit(letters.package())).json()
    assert letter["confidentiality"]["encryption"] == "gateway"
    assert world.rows("SELECT subject_withheld FROM kep_relay.outbound_messages") == [(True,)]
    refused(
        await world.submit(letters.package(), D, idempotency_key="k2"), 422, "decision-required",
        "/message/recipients/0/detsis_no",
    )  # fmt: skip


@pytest.mark.parametrize("step", ["PUT /internal/v1/packages", "PUT /internal/v1/outbound-messages"])
async def test_a_repeat_with_the_same_key_makes_no_second_letter(world: World, step: str) -> None:
    """Encrypting the same letter twice gives different bytes."""
    world.relay.line.lose_answer_of = lambda method, path: f"{method} {path}".startswith(step)
    refused(await world.submit(), 503, "service-unavailable")
    again = await world.submit()
    assert again.status_code == 202, again.text
    assert world.letters == 1
    assert hashlib.sha256(await world.stored(again.json())).hexdigest() == again.json()["package_sha256"]
    assert again.json()["confidentiality"]["encryption"] == "gateway"
    assert (await world.submit()).content == again.content


async def test_it_is_sent_again_as_it_was(world: World) -> None:
    letter = (await world.submit()).json()
    path = f"/v1/outbound-messages/{letter['message_id']}"
    headers = {"X-Api-Key": world.key}
    assert (await world.gateway.http.post(f"{path}/cancel", headers=headers)).status_code == 200
    again = await world.gateway.http.post(f"{path}/resend", headers=headers | {"Idempotency-Key": "r1"})
    assert again.status_code == 202, again.text
    assert again.json()["confidentiality"] == letter["confidentiality"]
    assert again.json()["package_sha256"] == letter["package_sha256"]
    assert [item["kind"] for item in await world.events(again.json())] == ["handed_over", "encrypted"]


# Never plain by mistake


async def test_while_the_directory_or_signer_is_away_nothing_leaves(world: World) -> None:
    for line, code in ((world.directory.line, "directory-unavailable"), (world.signer, "signer-unavailable")):
        line.down = True
        answer = await world.submit(unencrypted_decision=DECISION)
        assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, code, True)
        line.down = False
    assert world.letters == 0
    letter = (await world.submit(unencrypted_decision=DECISION)).json()
    assert letter["confidentiality"]["encryption"] == "gateway", "the same request, once everybody answers"


async def test_a_certificate_that_is_no_good_is_none(world: World, tree: Hierarchy) -> None:
    stranger = make_hierarchy("encryption", now=NOW).issuing.issue(
        "x", now=NOW, key=rsa_key(), key_usage=usage(key_encipherment=True)
    )
    ended = tree.issuing.issue("y", now=NOW, key=rsa_key(), key_usage=usage(key_encipherment=True), days=(-40, -2))
    await world.add(record(D, stranger), record(D, ended))
    refused(await world.submit(RESTRICTED, D), 422, "decision-required", "/message/recipients/0/detsis_no")


async def test_recipients_of_both_kinds_get_letters_of_their_own(world: World) -> None:
    for decision in ({}, {"unencrypted_decision": DECISION}):
        answer = await world.submit(RESTRICTED, B, D, **decision)
        detail = refused(answer, 422, "validation-failed", "/message/recipients/1/detsis_no")
        assert "apart" in detail
    assert world.letters == 0


async def test_an_institution_may_want_its_own_system_to_encrypt(world: World) -> None:
    await world.policy(restricted="refuse")
    detail = refused(await world.submit(), 422, "confidentiality-forbidden", "/message/recipients/0/detsis_no")
    assert ".eyps" in detail
    package = await world.encrypted_elsewhere()
    letter = (await world.submit(package, security_code="restricted", idempotency_key="k2")).json()
    assert (letter["confidentiality"]["encryption"], letter["confidentiality"]["declared"]) == ("sender", True)
    assert letter["package_sha256"] == hashlib.sha256(package).hexdigest()


# By decision


async def test_without_certificate_it_needs_a_decision_and_the_decision_is_recorded(world: World) -> None:
    refused(await world.submit(RESTRICTED, D), 422, "decision-required", "/message/recipients/0/detsis_no")
    decided_at = NOW - timedelta(hours=1)
    answer = await world.submit(
        RESTRICTED, D, unencrypted_decision={**DECISION, "decided_at": decided_at.isoformat()}
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    letter = answer.json()
    assert letter["package_sha256"] == hashlib.sha256(RESTRICTED).hexdigest()
    confidentiality = letter["confidentiality"]
    assert (confidentiality["encryption"], confidentiality["inner_sha256"]) == ("none", None)
    assert confidentiality["decision"] | {"decided_at": None} == DECISION | {"decided_at": None}
    assert datetime.fromisoformat(confidentiality["decision"]["decided_at"]) == decided_at
    event = next(item for item in await world.events(letter) if item["kind"] == "unencrypted_decision")
    for told in (*DECISION.values(), "L.26 (rules of 2022-04-26)", decided_at.isoformat()):
        assert told in event["detail"]
    (audited,) = world.audited("letter.unencrypted-decision")
    assert (audited["decided_by"], audited["reason"]) == (DECISION["decided_by"], DECISION["reason"])
    assert (audited["rule"], audited["rules_of"]) == ("L.26", "2022-04-26")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"reason": "kısa"}, "/message/unencrypted_decision/reason"),
        ({"decided_by": ""}, "/message/unencrypted_decision/decided_by"),
        ({"decided_at": "2199-01-01T00:00:00Z"}, "/message/unencrypted_decision/decided_at"),
    ],
)
async def test_a_decision_that_is_none_is_refused(world: World, change: dict[str, str], pointer: str) -> None:
    answer = await world.submit(RESTRICTED, D, unencrypted_decision=DECISION | change)
    refused(answer, 422, "validation-failed", pointer)


async def test_a_decision_is_used_only_where_it_is_needed(world: World) -> None:
    letter = (await world.submit(unencrypted_decision=DECISION)).json()
    assert (letter["confidentiality"]["encryption"], letter["confidentiality"]["decision"]) == ("gateway", None)
    ordinary = (await world.submit(letters.package(), idempotency_key="k2", unencrypted_decision=DECISION)).json()
    assert (ordinary["confidentiality"]["encryption"], ordinary["confidentiality"]["decision"]) == ("none", None)
    assert world.audited("letter.unencrypted-decision") == []


async def test_an_update_cannot_be_encrypted_and_is_decided_about(world: World) -> None:
    update = wrappers.update(letters.package(), change_to())
    refused(await world.submit(update), 422, "decision-required", "/message/recipients/0/detsis_no")
    letter = (await world.submit(update, unencrypted_decision=DECISION)).json()
    assert letter["confidentiality"]["decision"]["decided_by"] == DECISION["decided_by"]


# What never leaves


async def test_secret_annexes_and_letters_are_refused_in_every_wrapper(world: World) -> None:
    await world.policy(package_findings="pass")
    annexed = wrappers.edited(letters.package(), "ImzasizEkler/", lambda _old: SECRET)
    open_eyps = wrappers.edited(wrappers.encrypted(RESTRICTED), "SifreliIcerik/", lambda _old: SECRET)
    for number, (package, message, pointer) in enumerate(
        [
            (SECRET, {}, "/package"),
            (wrappers.update(RESTRICTED, change_to(SecurityCode.TOP_SECRET)), {}, "/package"),
            (wrappers.encrypted(SECRET), {"security_code": "secret"}, "/message/security_code"),
            (annexed, {}, "/package/~1ImzasizEkler~1liste.csv"),
            (wrappers.edited(letters.package(), "ImzasizEkler/", lambda _old: RESTRICTED), {}, "/package/~1ImzasizEkler~1liste.csv"),
            (wrappers.edited(letters.package(), "ImzasizEkler/", lambda _old: wrappers.encrypted()), {}, "/package/~1ImzasizEkler~1liste.csv"),
            (open_eyps, {"security_code": "restricted"}, f"/package/~1SifreliIcerik~1{str(wrappers.PACKAGE_ID).upper()}"),
        ]
    ):  # fmt: skip
        answer = await world.submit(package, idempotency_key=f"k{number}", **message)
        refused(answer, 422, "confidentiality-forbidden", pointer)
    assert world.letters == 0
    ordinary = wrappers.edited(letters.package(), "ImzasizEkler/", lambda _old: letters.package())
    assert (await world.submit(ordinary, idempotency_key="k")).status_code == 202


async def test_an_update_lowers_a_degree_only_if_it_is_proven(world: World, pki: Pki) -> None:
    """Whatever the policy says about findings and signatures: anybody can write an update."""
    await world.policy(package_findings="pass")
    unsealed = wrappers.unsealed(SECRET, change_to(SecurityCode.UNCLASSIFIED))
    proven = unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed(), at=NOW)).to_bytes()
    other = letters.package(subject="Başka", security_code=SecurityCode.TOP_SECRET)
    for number, forged in enumerate(
        [
            wrappers.sealed(unsealed),
            unsealed.with_seal(sign(pki.signer, unsealed.seal_to_be_signed(), at=NOW)).to_bytes(),
            wrappers.edited(proven, "OrijinalPaket/", lambda _old: other),
        ]
    ):
        refused(await world.submit(forged, idempotency_key=f"k{number}"), 422, "confidentiality-forbidden", "/package")
    world.signer.down = True
    refused(await world.submit(proven, idempotency_key="p"), 503, "signer-unavailable")
    world.signer.down = False
    letter = (await world.submit(proven, idempotency_key="p")).json()
    assert letter["confidentiality"]["degree"] == "unclassified"
    raised = wrappers.update(letters.package(), change_to(SecurityCode.RESTRICTED))
    assert (await world.submit(raised, idempotency_key="r")).json()["code"] == "decision-required", "not forbidden"


async def test_an_encrypted_package_is_declared_and_closed(world: World, certificates: dict[int, Holder]) -> None:
    await world.policy(package_findings="pass")
    package = await world.encrypted_elsewhere()
    refused(await world.submit(package), 422, "validation-failed", "/message/security_code")
    open_eyps = wrappers.edited(wrappers.encrypted(RESTRICTED), "SifreliIcerik/", lambda _old: RESTRICTED)
    refused(await world.submit(open_eyps, security_code="restricted"), 422, "package-invalid", "/package")
    world.signer.down = True
    refused(await world.submit(package, security_code="restricted"), 503, "signer-unavailable")
    world.signer.down = False
    letter = (await world.submit(package, security_code="restricted")).json()
    confidentiality = letter["confidentiality"]
    assert (confidentiality["degree"], confidentiality["encryption"]) == ("restricted", "sender")
    serial = f"{certificates[B].certificate.serial_number:x}"
    assert [int(item["serial"], 16) for item in confidentiality["certificates"]] == [int(serial, 16)]
    (event,) = [item for item in await world.events(letter) if item["kind"] == "encrypted"]
    assert "as the sender declared" in event["detail"]


@pytest.mark.parametrize("weakness", ["cipher", "broken"])
async def test_what_is_encrypted_in_vain_counts_as_not_encrypted(
    world: World, certificates: dict[int, Holder], weakness: str
) -> None:
    await world.policy(package_findings="pass")
    sealed = enveloping.cbc([enveloping.transported(certificates[B], bytes(32))], bytes(32), RESTRICTED)
    if weakness == "cipher":
        sealed.cipher = enveloping.algorithm("1.2.840.113549.3.7", enveloping.octets(bytes(8)))
    envelope = sealed.dump() if weakness == "cipher" else wrappers.ENVELOPE
    package = wrappers.encrypted(RESTRICTED, envelope=envelope)
    refused(await world.submit(package, security_code="restricted"), 422, "package-invalid", "/package")
    assert (await world.submit(package, security_code="unclassified")).status_code == 202, "nothing asks for encryption"


async def test_a_version_the_recipient_cannot_read_is_a_finding(world: World) -> None:
    await world.add(EypVersionRecord(detsis_no=B, version="1.3", changed_run_id=1))
    package = letters.package()
    refused(await world.submit(package), 422, "package-invalid", "/message/recipients/0/detsis_no")
    await world.policy(package_findings="warn")
    found = (await world.submit(package)).json()["package_findings"]
    assert [item["rule"] for item in found if item["rule"].startswith("policy.")] == ["policy.version"]
    await world.policy(package_findings="pass")
    assert (await world.submit(package, idempotency_key="k2")).json()["package_findings"] == []
    await world.policy()
    assert (await world.submit(package, C, idempotency_key="k3")).status_code == 202, "nothing is known of C"


# For those who send by themselves


async def test_a_package_is_encrypted_for_those_who_send_it_themselves(world: World) -> None:
    message = {"institution_no": A, "recipients": [B, C]}
    answer = await world.post("/v1/package-encryptions", letters.package(), message)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].partition(";")[0] == "attachment"
    assert ".eyps" in answer.headers["content-disposition"]
    for number in (B, C):
        opened = await world.inspect(answer.content, number)
        assert opened["inner"]["sha256"] == hashlib.sha256(letters.package()).hexdigest()
    (audited,) = world.audited("package.encrypt")
    assert (audited["recipients"], len(audited["certificates"])) == ([str(B), str(C)], 2)
    assert world.spooled() == []
    assert world.letters == 0


async def test_what_is_not_encrypted_is_told_why(world: World) -> None:
    path = "/v1/package-encryptions"
    to_b = {"institution_no": A, "recipients": [B]}
    for package, message, code, pointer in (
        (RESTRICTED, {**to_b, "recipients": [B, D]}, "certificate-unfit", "/message/recipients/1"),
        (RESTRICTED, {**to_b, "recipients": [B, 19999999]}, "certificate-unfit", "/message/recipients/1"),
        (RESTRICTED, {**to_b, "recipients": [B, B]}, "validation-failed", "/message/recipients"),
        (SECRET, to_b, "confidentiality-forbidden", "/package"),
        (wrappers.encrypted(), to_b, "validation-failed", "/package"),
        (wrappers.update(SECRET), to_b, "validation-failed", "/package"),
        (wrappers.edited(RESTRICTED, "Ekler/", lambda _old: SECRET), to_b, "confidentiality-forbidden", None),
        (letters.changed(RESTRICTED, Ustveri=letters.replacing("deneme", "DENEME")), to_b, "package-invalid", None),
    ):
        problem = (await world.post(path, package, message)).json()
        assert problem["code"] == code, problem
        assert pointer is None or [item["pointer"] for item in problem["errors"]] == [pointer]
    world.directory.line.down = True
    answer = await world.post(path, RESTRICTED, to_b)
    assert (answer.status_code, answer.json()["code"]) == (503, "directory-unavailable")
    assert world.audited("package.encrypt") == []
