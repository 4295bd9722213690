"""Encrypted and classified letters through the gateway, from the mail to whoever may have them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from services.gateway.tables import AuditEntry
from shared.clock import FixedClock
from shared.db.session import Database
from shared.eyp import SecurityCode
from shared.http import internal_app
from shared.telemetry.metrics import HttpMetrics, new_registry
from tests.support.gateway import TOKENS, RunningGateway, running_gateway, serving
from tests.support.inbound import SENDER_NO, Inbound, running_inbound
from tests.support.pki import NOW, Pki, build_pki
from tests.support.real_letters import RealSigner, real_signer
from tests.unit.signer.enveloping import Recipients, build_recipients

OTHER_NO = 10000006
REASON = {"reason": "Olay incelemesi"}
DECISION = {"decision": "Kopya tutanakla imha edilecek", "decided_by": "Güvenlik görevlisi"}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


@dataclass
class World:
    gateway: RunningGateway
    relay: Inbound
    signer: RealSigner
    ebys: str
    officer: str
    stranger: str
    audit: Database

    async def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": key or self.ebys, **options.pop("headers", {})}
        return await self.gateway.http.request(method, f"/v1{path}", headers=headers, **options)

    async def arrive(self, name: str, package: bytes, *, uid: int = 1) -> str:
        """The path of the one letter that this mail makes."""
        await self.relay.take_in(self.signer.mail((name, package), subject="Bir konu"), uid=uid)
        (row,) = await self.relay.letters()
        return f"/inbound-messages/{row.message_id}"

    async def audited(self, action: str) -> list[dict[str, Any]]:
        async with self.audit.reading() as session:
            rows = await session.scalars(select(AuditEntry).where(AuditEntry.action == action))
            return [row.detail for row in rows]


@pytest.fixture
async def world(database_url: str, tmp_path: Path, pki: Pki, recipients: Recipients) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    app = internal_app(
        "kep_relay",
        tokens={name: SecretStr(token) for name, token in TOKENS.items()},
        metrics=HttpMetrics(new_registry()),
    )
    async with (
        real_signer(pki, recipients, tmp_path / "signer", clock, keys=[recipients.rsa]) as signer,
        running_inbound(
            database_url, tmp_path / "blobs", signer_url=signer.url, signer_token=TOKENS["kep_relay"], clock=clock
        ) as relay,
        serving(app) as relay_url,
        running_gateway(database_url, tmp_path, clock=clock, kep_relay_url=relay_url, signer_url=signer.url) as gateway,
    ):
        for router in relay.parts.routers:
            app.include_router(router, prefix="/internal/v1")
        await relay.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        await gateway.institution(SENDER_NO)
        await gateway.institution(OTHER_NO)
        ebys = await gateway.key("inbound:consume", "messages:read", institutions=(SENDER_NO,))
        officer = await gateway.key("classified:handle", institutions=(SENDER_NO,), client_id="officer")
        stranger = await gateway.key(
            "classified:handle", "inbound:consume", institutions=(OTHER_NO,), client_id="stranger"
        )
        audit = Database(database_url, schema="gateway")
        yield World(gateway, relay, signer, ebys, officer, stranger, audit)
        await audit.aclose()


async def test_a_document_system_without_keys_gets_the_package_inside(world: World) -> None:
    inside = world.signer.package()
    package = await world.signer.encrypted(inside)
    path = await world.arrive("yazı.eyps", package)
    assert (await world.call("GET", f"{path}/package")).content == package
    assert await world.audited("inbound.open") == []
    head = await world.call("HEAD", f"{path}/package", params={"form": "opened"})
    digest = hashlib.sha256(inside).digest()
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(inside)))
    assert head.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert await world.audited("inbound.open") == []
    opened = await world.call("GET", f"{path}/package", params={"form": "opened"}, headers={"Range": "bytes=5-"})
    assert (opened.status_code, opened.content) == (200, inside)
    assert opened.headers["accept-ranges"] == "none"
    assert "yaz%C4%B1.eyp" in opened.headers["content-disposition"]
    assert ".eyps" not in opened.headers["content-disposition"]
    assert await world.audited("inbound.open") == [{"institution": SENDER_NO, "sha256": digest.hex()}]
    held = await world.call(
        "GET", f"{path}/package", params={"form": "opened"}, headers={"If-None-Match": opened.headers["etag"]}
    )
    assert held.status_code == 304
    assert len(await world.audited("inbound.open")) == 1
    assert list(world.gateway.settings.spool_directory.iterdir()) == []
    foreign = await world.call("GET", f"{path}/package", params={"form": "opened"}, key=world.stranger)
    assert foreign.status_code == 404
    assert (await world.call("GET", f"{path}/package", params={"form": "x"})).status_code == 422


async def test_what_is_not_encrypted_is_the_same_in_both_forms(world: World) -> None:
    package = world.signer.package()
    path = await world.arrive("a.eyp", package)
    for form in ("received", "opened"):
        assert (await world.call("GET", f"{path}/package", params={"form": form})).content == package
    part = await world.call("GET", f"{path}/package", params={"form": "opened"}, headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"PK")


async def test_an_envelope_that_nobody_opened_is_opened_for_nobody(world: World, recipients: Recipients) -> None:
    package = await world.signer.encrypted(world.signer.package())
    await world.signer.hold()
    path = await world.arrive("a.eyps", package)
    opened = await world.call("GET", f"{path}/package", params={"form": "opened"})
    assert (opened.status_code, opened.json()["code"]) == (409, "state-conflict")
    await world.signer.hold(recipients.rsa)
    again = await world.call("POST", f"{path}/verify")
    assert (again.status_code, again.json()["opening"]) == (202, "no-key")
    assert (await world.call("POST", f"{path}/verify", key=world.stranger)).status_code == 404
    await world.relay.run_jobs()
    assert (await world.call("GET", f"{path}/package", params={"form": "opened"})).status_code == 200
    await world.signer.hold()
    gone = await world.call("GET", f"{path}/package", params={"form": "opened"})
    assert (gone.status_code, gone.json()["code"]) == (409, "state-conflict")
    world.signer.line.down = True
    away = await world.call("GET", f"{path}/package", params={"form": "opened"})
    assert (away.status_code, away.json()["code"]) == (503, "signer-unavailable")


async def test_a_sealed_letter_is_the_security_officers_alone(world: World) -> None:
    path = await world.arrive("gizli.eyp", world.signer.package(security_code=SecurityCode.SECRET))
    shown = (await world.call("GET", path)).json()
    assert (shown["state"], shown["reason_code"], shown["subject"], shown["package_filename"]) == (
        "sealed", "classified", None, None,
    )  # fmt: skip
    for method in ("GET", "HEAD"):
        for what in ("package", "package?form=opened", "raw", "parts/1"):
            refused = await world.call(method, f"{path}/{what}")
            assert refused.status_code == 403, (method, what)
            assert not refused.content or refused.json()["code"] == "classified-sealed"
    assert (await world.call("POST", "/inbound-messages/leases", json={})).status_code == 204
    printer = await world.gateway.key("documents:print", institutions=(SENDER_NO,), client_id="printer")
    printed = await world.call("GET", f"{path}/print", key=printer, params={"profile": "none"})
    assert (printed.status_code, printed.json()["code"]) == (403, "classified-sealed")
    incidents = "/classified-incidents"
    assert (await world.call("GET", incidents)).json()["code"] == "scope-missing"
    assert (await world.call("GET", incidents, key=world.stranger)).json()["incidents"] == []
    (incident,) = (await world.call("GET", incidents, key=world.officer)).json()["incidents"]
    assert (incident["degree"], incident["closing"]) == ("secret", None)
    own = f"{incidents}/{incident['incident_id']}"
    assert (await world.call("GET", own, key=world.officer)).json() == incident
    assert (await world.call("GET", f"{own}/raw", key=world.officer)).status_code == 422
    assert await world.audited("classified.download") == []
    raw = await world.call("GET", f"{own}/raw", key=world.officer, params=REASON)
    assert hashlib.sha256(raw.content).hexdigest() == incident["raw_sha256"]
    assert await world.audited("classified.download") == [{"institution": SENDER_NO, **REASON}]
    for what, method, options in (
        ("", "GET", {}), ("/raw", "GET", {"params": REASON}), ("/close", "POST", {"json": DECISION}),
    ):  # fmt: skip
        foreign = await world.call(method, f"{own}{what}", key=world.stranger, **options)
        assert foreign.status_code == 404, what
    for _again in range(2):
        closed = await world.call("POST", f"{own}/close", key=world.officer, json=DECISION)
        assert (closed.status_code, closed.json()["closing"]["decided_by"]) == (200, DECISION["decided_by"])
    other = await world.call("POST", f"{own}/close", key=world.officer, json=DECISION | {"decided_by": "Başkası"})
    assert other.json()["code"] == "state-conflict"
    assert (await world.call("GET", f"{path}/raw")).status_code == 403
    closed_ones = await world.call("GET", incidents, key=world.officer, params={"closed": "true"})
    assert len(closed_ones.json()["incidents"]) == 1
