"""Encryption and decryption as their callers meet them: over HTTP, through the typed client, with keys from files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from services.signer.enveloping import Enveloping
from services.signer.keys import KeyRing, KeysUnreadable, load_keys
from services.signer.metrics import SignerMetrics
from shared.clients.signer import envelope_refusal
from shared.clock import FixedClock
from shared.contracts.envelopes import EnvelopeRefusal
from shared.contracts.signatures import SigningPurpose
from shared.errors import DomainError, ErrorCode
from shared.telemetry.metrics import new_registry
from tests.support.pki import NOW, PASSWORD, build_pki, rsa_key
from tests.support.signer import TOKEN, RunningSigner, running_signer
from tests.unit.signer.enveloping import RSA_USAGE, Recipients, build_recipients, cbc, gcm, transported

OWN, OTHER = 10000001, 10000002
PACKAGE = b"PK\x03\x04" + os.urandom(3_000_000)
LIMIT = 4_000_000


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


@pytest.fixture
def keys_file(recipients: Recipients, tmp_path: Path) -> Path:
    (tmp_path / "password").write_bytes(PASSWORD)
    entries = []
    for name, institution in (("rsa", OWN), ("p384", OWN), ("other_rsa", OTHER)):
        getattr(recipients, name).write_pkcs12(tmp_path / f"{name}.p12")
        entries.append(
            {"key_id": name, "institution_no": institution, "purposes": ["package-decryption"],
             "pkcs12": f"{name}.p12", "password_file": "password"}
        )  # fmt: skip
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(entries))
    return path


class Running(RunningSigner):
    def counted(self, operation: str, result: str) -> float | None:
        return self.sample("kepgw_envelopes_total", operation=operation, result=result)

    async def encrypted(self, content: Any, *certificates: bytes) -> bytes:
        async with self.client.encrypt(content, certificates) as stream:
            return b"".join([chunk async for chunk in stream])

    async def decrypted(self, envelope: Any, institution_no: int = OWN, key_id: str | None = None) -> bytes:
        async with self.client.decrypt(envelope, institution_no=institution_no, key_id=key_id) as stream:
            return b"".join([chunk async for chunk in stream])


@pytest.fixture
async def signer(keys_file: Path, tmp_path: Path) -> AsyncIterator[Running]:
    configuration: dict[str, Any] = {
        "trust_directory": build_pki().write_trust(tmp_path / "trust"),
        "keys_file": keys_file, "file_limit_bytes": LIMIT, "envelopes_at_once": 2,
    }  # fmt: skip
    async with running_signer(configuration, FixedClock(NOW)) as up:
        yield Running(up.service, up.base_url, up.client)


async def refused(work: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await work
    return caught.value


async def test_there_and_back(signer: Running, recipients: Recipients, tmp_path: Path) -> None:
    """From bytes, a file and a stream; the key is found by what the envelope says."""
    path = tmp_path / "letter.eyp"
    path.write_bytes(PACKAGE)

    async def stream(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), 100_000):
            yield content[at : at + 100_000]

    for given in (PACKAGE, path, stream(PACKAGE)):
        envelope = await signer.encrypted(given, recipients.p384.der, recipients.other_rsa.der)
        assert PACKAGE[4:1000] not in envelope
        assert await signer.decrypted(envelope) == PACKAGE
    assert await signer.decrypted(stream(envelope), OTHER) == PACKAGE
    sent = tmp_path / "letter.p7m"
    sent.write_bytes(envelope)
    assert await signer.decrypted(sent, key_id="p384") == PACKAGE
    with sent.open("rb") as handle:
        facts = await signer.client.envelope_facts(handle)
    assert facts.sha256 == hashlib.sha256(envelope).hexdigest()
    assert len(facts.recipients) == 2
    assert (signer.counted("encryption", "done"), signer.counted("decryption", "done")) == (3, 5)
    assert signer.counted("facts", "done") == 1


async def test_places_come_back(signer: Running, recipients: Recipients) -> None:
    """More than there are places, one after another and at once, with refusals between."""
    envelope = await signer.encrypted(PACKAGE, recipients.rsa.der)
    for _ in range(4):
        await refused(signer.decrypted(b"\x30\x00"))
        await refused(signer.encrypted(PACKAGE, b"x"))
        await refused(signer.client.envelope_facts(b""))
    assert await asyncio.gather(*(signer.decrypted(envelope) for _ in range(6))) == [PACKAGE] * 6
    async with signer.client.decrypt(envelope, institution_no=OWN) as stream:
        await anext(stream)  # and leaves
    assert await asyncio.gather(*(signer.decrypted(envelope) for _ in range(3))) == [PACKAGE] * 3


async def test_refusals_name_their_reason(signer: Running, recipients: Recipients) -> None:
    key = os.urandom(32)
    good = transported(recipients.rsa, key)
    reasons = {
        EnvelopeRefusal.NOT_AN_ENVELOPE: PACKAGE,
        EnvelopeRefusal.MALFORMED: cbc([good], key).dump()[:-1],
        EnvelopeRefusal.NOT_A_RECIPIENT: cbc([transported(recipients.other_rsa, key)], key).dump(),
        EnvelopeRefusal.CANNOT_BE_OPENED: gcm([transported(recipients.rsa, os.urandom(32))], key).dump(),
        EnvelopeRefusal.ALGORITHM_REFUSED: gcm([good], key).dump().replace(
            bytes.fromhex("60864801650304012e"), bytes.fromhex("60864801650304012f")
        ),
    }  # fmt: skip
    for reason, envelope in reasons.items():
        error = await refused(signer.decrypted(envelope))
        assert (error.code, envelope_refusal(error), error.retryable) == (ErrorCode.ENVELOPE_INVALID, reason, False)
    assert signer.counted("decryption", "refused") == len(reasons)
    assert envelope_refusal(DomainError(ErrorCode.NOT_FOUND, "x")) is None


async def test_content_that_is_no_package_ends_like_a_wrong_key(signer: Running, recipients: Recipients) -> None:
    """Otherwise whoever may send envelopes would learn from the difference what a key makes of them."""
    key = os.urandom(32)
    told = []
    for envelope in (
        cbc([transported(recipients.rsa, key)], key, b"any other text").dump(),
        cbc([transported(recipients.rsa, key)], key, b"").dump(),
        gcm([transported(recipients.rsa, key)], key, b"PK").dump(),
        gcm([transported(recipients.rsa, os.urandom(32))], key).dump(),
    ):
        error = await refused(signer.decrypted(envelope))
        told.append((error.code, error.detail, error.faults))
    assert len(set(told)) == 1


async def test_keys_are_bound_to_institution_and_purpose(signer: Running, recipients: Recipients) -> None:
    envelope = await signer.encrypted(PACKAGE, recipients.rsa.der)
    assert envelope_refusal(await refused(signer.decrypted(envelope, OTHER))) is EnvelopeRefusal.NOT_A_RECIPIENT
    assert envelope_refusal(await refused(signer.decrypted(envelope, key_id="p384"))) is EnvelopeRefusal.NOT_A_RECIPIENT
    assert (await refused(signer.decrypted(envelope, OTHER, "rsa"))).code is ErrorCode.INSTITUTION_FORBIDDEN
    assert (await refused(signer.decrypted(envelope, 10000003))).code is ErrorCode.NOT_FOUND
    assert (await refused(signer.decrypted(envelope, OWN, "none"))).code is ErrorCode.NOT_FOUND
    for signing in (signer.client.sign_message("rsa", b"x"), signer.client.seal("rsa", b"x")):
        assert (await refused(signing)).code is ErrorCode.INSTITUTION_FORBIDDEN
    assert {key.key_id: key.purposes for key in await signer.client.keys()} == {
        name: [SigningPurpose.PACKAGE_DECRYPTION] for name in ("other_rsa", "p384", "rsa")
    }


async def test_unfit_certificates_are_named(signer: Running, recipients: Recipients) -> None:
    error = await refused(signer.encrypted(PACKAGE, recipients.rsa.der, build_pki().signer.der, b"x"))
    assert error.code is ErrorCode.CERTIFICATE_UNFIT
    assert [(fault.pointer, fault.detail.partition(":")[0]) for fault in error.faults] == [
        ("/certificates/1", "key-usage"), ("/certificates/2", "unreadable"),
    ]  # fmt: skip


async def test_sizes_and_forms(signer: Running, recipients: Recipients) -> None:
    assert (await refused(signer.encrypted(b"x" * (LIMIT + 1), recipients.rsa.der))).code is ErrorCode.TOO_LARGE
    assert (await refused(signer.decrypted(b"x" * (LIMIT + 1)))).code is ErrorCode.TOO_LARGE
    assert (await refused(signer.client.envelope_facts(b"x" * (LIMIT + 1)))).code is ErrorCode.TOO_LARGE
    assert (await refused(signer.encrypted(b"", recipients.rsa.der))).code is ErrorCode.VALIDATION_FAILED
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{signer.base_url}/internal/v1", headers=headers) as http:
        for form in ("{", "{}", '{"certificates": []}', '{"certificates": ["*"]}'):
            bad = await http.post("/envelopes", data={"request": form}, files={"file": b"x"})
            assert (bad.status_code, bad.json()["code"]) == (422, "validation-failed")
        assert (await http.post("/envelope-openings", content=b"x")).status_code == 422
        envelope = await signer.encrypted(PACKAGE, recipients.rsa.der)
        answer = await http.post(f"/envelope-openings?institution_no={OWN}", content=envelope)
        assert (answer.headers["cache-control"], answer.headers["content-length"]) == ("no-store", str(len(PACKAGE)))


def enveloping(keys: KeyRing, at: int = 0) -> Enveloping:
    return Enveloping(keys, FixedClock(NOW + timedelta(days=at)), at_once=1, patience_seconds=0.01)


async def test_audit_line_comes_first_and_tells_no_content(
    keys_file: Path, recipients: Recipients, tmp_path: Path
) -> None:
    """Also when the opening fails afterwards."""
    key = os.urandom(32)
    works = enveloping(load_keys(keys_file))
    for content_key in (key, os.urandom(32)):
        encoded = gcm([transported(recipients.rsa, content_key)], key, b"PK\x03\x04 secret words").dump()
        path = tmp_path / "envelope"
        path.write_bytes(encoded)
        with structlog.testing.capture_logs() as lines, path.open("rb") as handle:
            try:
                assert await works.open(handle, works.decryption_keys(OWN, None), "10.0.0.7 abc")
            except DomainError:
                assert content_key != key
        [line] = [item for item in lines if item["event"] == "key_used"]
        assert line == {
            "event": "key_used", "log_level": "info", "audit": True, "key_id": "rsa", "institution_no": OWN,
            "purpose": "package-decryption", "content_sha256": hashlib.sha256(encoded).hexdigest(),
            "certificate_sha256": hashlib.sha256(recipients.rsa.der).hexdigest(), "requester": "10.0.0.7 abc",
        }  # fmt: skip
        assert "secret" not in str(lines)


async def test_a_key_opens_after_its_certificate_ended(keys_file: Path, recipients: Recipients, tmp_path: Path) -> None:
    key = os.urandom(32)
    (tmp_path / "e").write_bytes(cbc([transported(recipients.rsa, key)], key, PACKAGE).dump())
    late = enveloping(load_keys(keys_file), at=4000)
    with (tmp_path / "e").open("rb") as handle:
        assert b"".join(await late.open(handle, late.decryption_keys(OWN, None), "test")) == PACKAGE
    with pytest.raises(DomainError) as caught:
        await late.writer([recipients.rsa.der], 1)
    assert caught.value.code is ErrorCode.CERTIFICATE_UNFIT


async def test_load_is_told_as_load() -> None:
    works = enveloping(KeyRing([]))
    async with works.place():
        assert (await refused(works.take_place())).retryable
    async with works.place():
        pass


@pytest.mark.parametrize("purposes", [["package-decryption", "package-seal"], ["kep-message", "package-decryption"]])
def test_a_key_signs_or_decrypts(keys_file: Path, purposes: list[str]) -> None:
    entries = json.loads(keys_file.read_text())
    entries[0]["purposes"] = purposes
    keys_file.write_text(json.dumps(entries))
    with pytest.raises(KeysUnreadable, match="must not sign"):
        load_keys(keys_file)


def test_a_renewed_certificate_keeps_the_old_key_usable(
    keys_file: Path, recipients: Recipients, tmp_path: Path
) -> None:
    authority = build_pki().seal.issuing
    authority.issue("new", key=rsa_key(2048, 1), key_usage=RSA_USAGE).write_pkcs12(tmp_path / "new.p12")
    entries = json.loads(keys_file.read_text())
    entries.append(entries[0] | {"key_id": "new", "pkcs12": "new.p12"})
    keys_file.write_text(json.dumps(entries))
    ring = load_keys(keys_file)
    assert [key.key_id for key in ring.decryption_keys(OWN)] == ["new", "p384", "rsa"]


def test_only_the_last_decryption_key_warns_of_its_end(keys_file: Path, recipients: Recipients, tmp_path: Path) -> None:
    """An old key is kept on purpose; an alert about it would never end."""
    authority = build_pki().seal.issuing
    new = authority.issue("new", key=rsa_key(2048, 1), key_usage=RSA_USAGE, days=(0, 1000))
    new.write_pkcs12(tmp_path / "new.p12")
    entries = json.loads(keys_file.read_text())
    entries.append(entries[0] | {"key_id": "new", "pkcs12": "new.p12"})
    keys_file.write_text(json.dumps(entries))
    registry = new_registry()
    SignerMetrics(registry).note_keys(load_keys(keys_file).all())
    name = "kepgw_certificate_expiry_timestamp_seconds"
    ends = {key: registry.get_sample_value(name, {"key_id": key}) for key in ("new", "rsa", "p384", "other_rsa")}
    assert ends["new"] == new.certificate.not_valid_after_utc.timestamp()
    assert ends["rsa"] is ends["p384"] is None
    assert ends["other_rsa"] == recipients.other_rsa.certificate.not_valid_after_utc.timestamp()
