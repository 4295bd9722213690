"""The proof of a letter, made from rows and blobs, and checked without them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.kep_relay.proof.bundle import Proofs
from services.kep_relay.routes.proofs import proof_routes
from services.kep_relay.tables import ListedEvidenceRow
from services.signer.checks.timestamps import read_timestamp
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS
from services.signer.routes.timestamps import timestamp_routes
from services.signer.timestamping import Stamp
from shared.clients.signer import SignerClient
from shared.errors import DomainError, ErrorCode
from shared.http import internal_app
from shared.proof import MANIFEST, TIMESTAMP, Checked, ProofFileKind, check
from shared.telemetry.metrics import HttpMetrics, new_registry
from tests.support.gateway import serving
from tests.support.pki import build_pki
from tests.support.relay import PACKAGE, START, Relay, running_relay
from tests.support.tenants import Belongings
from tests.unit.signer.signing import timestamp

OURS, THEIRS = {"institution": 10000001}, {"institution": 10000002}
TOKEN = SecretStr("t")


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(database_url, tmp_path / "blobs") as running:
        yield running


@pytest.fixture
async def owned(relay: Relay) -> Belongings:
    return await Belongings(relay).acquire()


def app_of(relay: Relay, signer: SignerClient) -> httpx.AsyncClient:
    app = internal_app("kep_relay", tokens={"gateway": TOKEN}, metrics=HttpMetrics(new_registry()))
    proofs = Proofs(relay.deps.database, relay.deps.blobs, signer, relay.clock)
    app.include_router(proof_routes(proofs), prefix="/internal/v1")
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relay/internal/v1", headers={"Authorization": "Bearer t"}
    )


@pytest.fixture
async def http(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with app_of(relay, relay.deps.signer) as client:
        yield client


async def fetched(http: httpx.AsyncClient, letter: str, into: Path) -> Checked:
    answer = await http.get(f"/outbound-messages/{letter}/proof", params=OURS)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-content-sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert int(answer.headers["content-length"]) == len(answer.content)
    into.write_bytes(answer.content)
    return check(into)


async def test_everything_is_in_it_byte_for_byte(owned: Belongings, http: httpx.AsyncClient, tmp_path: Path) -> None:
    letter = owned.identifiers["outbound"]
    recipient = (await owned.relay.letter(UUID(letter))).recipients[0]
    await owned.relay.submit(recipient.recipient_id)
    async with owned.relay.deps.database.unit_of_work() as work:
        work.session.add(
            ListedEvidenceRow(
                mailbox_id="a-1", provider_id="delil-7", recipient_id=recipient.recipient_id, code=10,
                words="Kabul edildi", at=START, at_text="2026-11-20T12:00:00", provider="hs98", fits=True,
                first_seen_at=START,
            )
        )  # fmt: skip
    found = await fetched(http, letter, tmp_path / "proof.zip")
    assert found.intact, found.faults
    assert (str(found.manifest.message_id), found.manifest.institution_no) == (letter, 10000001)
    assert found.manifest.made_at == owned.relay.clock.now()
    kinds = [item.kind for item in found.manifest.files]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        set(ProofFileKind) - {ProofFileKind.VERDICT, ProofFileKind.NOTICE}, 1
    )
    with zipfile.ZipFile(tmp_path / "proof.zip") as archive:
        assert archive.read("package/letter.eyp") == PACKAGE
        assert archive.read("evidence/001-10.xml") == b"<evidence-content-of-A/>"
        assert json.loads(archive.read("listed/001.json")) == [
            {
                "provider_id": "delil-7", "code": 10, "words": "Kabul edildi", "at": "2026-11-20T12:00:00",
                "provider": "hs98", "recipient": None, "counts": True, "first_seen_at": START.isoformat(),
            }
        ]  # fmt: skip
        assert archive.read("evidence/001-10.eml").startswith(b"evidence-mail-content")
        sent = archive.read("sent/001.eml")
        assert recipient.message_id_header.encode() in sent
        told = json.loads(archive.read("letter.json"))
        assert told["recipients"][0]["kep_address"] == recipient.kep_address or "kurum.10000002@hs99.kep.tr"
        events = json.loads(archive.read("events.json"))
        assert [line["kind"] for line in events] == [event.kind for event in await owned.relay.events(UUID(letter))]
        assert "manifest.json" in archive.read("OKU-BENI.txt").decode()
        assert TIMESTAMP not in archive.namelist(), "nobody could be asked for one"


async def test_a_letter_on_its_way_is_proven_as_far_as_it_is(
    relay: Relay, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    letter = await relay.hand_over(10000002)
    found = await fetched(http, str(letter), tmp_path / "proof.zip")
    assert found.intact
    assert {item.kind for item in found.manifest.files} == {
        ProofFileKind.EXPLANATION, ProofFileKind.LETTER, ProofFileKind.EVENTS, ProofFileKind.PACKAGE,
    }  # fmt: skip


async def test_letters_of_others_and_letters_nobody_has(owned: Belongings, http: httpx.AsyncClient) -> None:
    for letter, params in ((owned.identifiers["outbound"], THEIRS), (str(uuid4()), OURS)):
        answer = await http.get(f"/outbound-messages/{letter}/proof", params=params)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_bytes_that_are_gone_or_damaged_are_told_before_anything_is_sent(
    owned: Belongings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    letter = owned.identifiers["outbound"]
    digest = hashlib.sha256(PACKAGE).hexdigest()
    (stored,) = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and digest[4:] in path.name]
    stored.chmod(0o600)
    stored.write_bytes(PACKAGE[:-1] + b"x")
    damaged = await http.get(f"/outbound-messages/{letter}/proof", params=OURS)
    assert (damaged.status_code, damaged.json()["code"]) == (503, "durability-unavailable")
    stored.unlink()
    gone = await http.get(f"/outbound-messages/{letter}/proof", params=OURS)
    assert gone.status_code in {404, 503}
    assert gone.json()["code"] in {"not-found", "durability-unavailable"}


async def test_the_manifest_is_time_stamped_by_signer(owned: Belongings, tmp_path: Path) -> None:
    pki = build_pki()
    away = False

    async def stamp(content: bytes) -> bytes:
        if away:
            raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, "the authority is away")
        return timestamp(pki.tsa, content, START)

    async with serving(_signer(stamp)) as url:
        signer = SignerClient(url, TOKEN)
        try:
            async with app_of(owned.relay, signer) as http:
                found = await fetched(http, owned.identifiers["outbound"], tmp_path / "proof.zip")
                assert found.timestamp is not None
                _is_about(found, tmp_path / "proof.zip")
                with pytest.raises(DomainError) as caught:
                    await signer.timestamp(b"")
                assert caught.value.code is ErrorCode.VALIDATION_FAILED
                away = True
                assert (await fetched(http, owned.identifiers["outbound"], tmp_path / "bare.zip")).timestamp is None
        finally:
            await signer.aclose()


def _signer(stamp: Stamp) -> FastAPI:
    app = internal_app("signer", tokens={"kep_relay": TOKEN}, metrics=HttpMetrics(new_registry()))
    app.include_router(timestamp_routes(stamp, limit=10_000_000), prefix="/internal/v1")
    return app


def _is_about(found: Checked, file: Path) -> None:
    """By our own reader, which raises when a token is about other bytes or its signature does not hold."""
    with zipfile.ZipFile(file) as archive:
        manifest = archive.read(MANIFEST)
    assert found.timestamp is not None
    assert read_timestamp(found.timestamp, manifest, DEFAULT_LIMITS).generated_at == START
    with pytest.raises(CheckFailed):
        read_timestamp(found.timestamp, manifest + b" ", DEFAULT_LIMITS)
