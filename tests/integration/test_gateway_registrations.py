"""KEP registrations through the gateway: who may, what is joined, what is audited, and the guard of open mailboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text, update

from services.gateway.tables import AuditEntry
from services.kep_relay.tables import InboundMessageRow, InboundVerificationRow, RawMailRow, VerificationMailRow
from shared.contracts.inbound import ComponentVerification, InboundVerification
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport
from shared.domain.identifiers import new_id
from shared.domain.verdict import Conclusion, Indication, SubIndication
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.neighbours import ServedDirectory, ServedRelay, served_directory, served_relay
from tests.support.relay import START

A, B, DEPARTMENT = 10000001, 10000002, 10000011
OLD, NEW = "kurum.a@hs98.kep.tr", "yeni.a@hs98.kep.tr"
LINK = {"url": "https://yetkili.detsis.gov.tr/onay?k=1", "host": "yetkili.detsis.gov.tr"}
PERSON = "Ayşe Yetkili"
INDICATIONS = {
    Conclusion.PASSED: Indication.TOTAL_PASSED,
    Conclusion.FAILED: Indication.TOTAL_FAILED,
    Conclusion.INDETERMINATE: Indication.INDETERMINATE,
}


@dataclass
class World:
    gateway: RunningGateway
    relay: ServedRelay
    directory: ServedDirectory
    key: str

    async def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": key or self.key}
        return await self.gateway.http.request(method, f"/v1/kep-registrations{path}", headers=headers, **options)

    async def open(self, **changes: Any) -> dict[str, Any]:
        answer = await self.call("POST", "", json={"kep_address": NEW} | changes)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def mailbox(self, mailbox_id: str, **changes: Any) -> httpx.Response:
        server = {"host": "127.0.0.1", "port": 9}
        body = {
            "institution_no": A, "address": OLD, "username": "x", "password": "y", "smtp": server, "imap": server,
            "signing_key_id": "key",
        }  # fmt: skip
        return await self.gateway.admin("PUT", f"/v1/mailboxes/{mailbox_id}", json=body | changes)

    async def mail(
        self, *, address: str = NEW, by: str = "sender", envelope: Conclusion | None = Conclusion.PASSED
    ) -> str:
        """A verification mail as kep_relay keeps it."""
        message_id, raw_id = new_id(), new_id()
        mailbox_id = "yeni" if address == NEW else "a-1"
        async with self.relay.relay.deps.database.unit_of_work() as work:
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id=mailbox_id, institution_no=A, folder="INBOX", uidvalidity=1,
                    uid=raw_id.int % 2**31, sha256="0" * 64, size=1, received_at=START, state="ingested",
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                InboundMessageRow(
                    message_id=message_id, institution_no=A, mailbox_id=mailbox_id, mailbox_address=address,
                    raw_mail_id=raw_id, raw_sha256="0" * 64, raw_size=1, kind="detsis_verification",
                    state="quarantined", message_key=str(message_id), original_sha256="0" * 64, original_size=1,
                    received_at=START, updated_at=START,
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                VerificationMailRow(
                    message_id=message_id,
                    institution_no=A,
                    mailbox_id=mailbox_id,
                    recognised_by=by,
                    links=[LINK],
                    received_at=START,
                )
            )
            if envelope is not None:
                work.session.add(_verdict(message_id, envelope))
        return str(message_id)

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.gateway_database().reading() as session:
            rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.at))
            return [(row.action, dict(row.detail)) for row in rows]

    def gateway_database(self) -> Any:
        return self.gateway.service.app.state.gateway.database  # type: ignore[attr-defined]


def _verdict(message_id: UUID, envelope: Conclusion) -> InboundVerificationRow:
    report = VerificationReport(
        conclusion=envelope, indication=INDICATIONS[envelope],
        sub_indication=SubIndication.TRY_LATER if envelope is Conclusion.INDETERMINATE else None,
        format=SignatureFormat.SMIME, profile=Profile.KEPHS_TRANSACTION, policy_version="t",
        trust_store_sha256="0" * 64, signatures=[], verified_at=START,
    )  # fmt: skip
    verdict = InboundVerification(
        message_id=message_id, conclusion=envelope, findings=[], verified_at=START,
        components=[ComponentVerification(component="envelope", report=report)],
    )  # fmt: skip
    return InboundVerificationRow(
        message_id=message_id, sequence=1, conclusion=envelope.value, verdict=verdict.model_dump(mode="json"),
        verified_at=START,
    )  # fmt: skip


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A has an old address and a second mailbox for a new one; DETSİS itself cannot be asked."""
    async with (
        served_relay(database_url, tmp_path / "blobs") as relay,
        served_directory(database_url) as directory,
        running_gateway(
            database_url, tmp_path, kep_relay_url=relay.url, detsis_sync_url=directory.url, request_burst=10_000
        ) as gateway,
    ):
        await gateway.institution(A)
        await gateway.institution(B)
        await directory.unit(A, "Kurum A", address=OLD)
        await directory.unit(B, "Kurum B", address="kurum.b@hs99.kep.tr")
        key = await gateway.key("registrations:manage", institutions=(A,))
        found = World(gateway, relay, directory, key)
        assert (await found.mailbox("yeni", address=NEW, sends=False)).status_code == 200
        yield found


async def test_the_whole_way_is_joined_and_audited(world: World) -> None:
    opened = await world.open(note="yeni sağlayıcı")
    registration = opened["registration"]
    assert (registration["state"], registration["previous_address"]) == ("awaiting_entry", OLD)
    assert registration["mailbox_id"] == "yeni"
    assert {item["id"]: item["ok"] for item in opened["checks"]} == {
        "mailbox": True, "active": True, "account": True, "polling": False, "verification-senders": False,
    }  # fmt: skip
    assert not opened["instructions"]["officers_known"]
    assert (await world.open())["registration"]["registration_id"] == registration["registration_id"]
    one = f"/{registration['registration_id']}"
    entered = (await world.call("POST", f"{one}/entered", json={"entered_by": "Mehmet Memur"})).json()
    assert entered["registration"]["state"] == "entered"
    mail = await world.mail()
    seen = (await world.call("GET", one)).json()
    assert seen["registration"]["state"] == "verification_received"
    assert [(item["message_id"], item["warnings"]) for item in seen["verification_mails"]] == [(mail, [])]
    body = {"verification_mail_id": mail, "confirmed_by": PERSON}
    for _ in range(2):
        answer = await world.call("POST", f"{one}/confirm", json=body)
        assert answer.status_code == 200, answer.text
    confirmed = answer.json()
    assert confirmed["registration"]["state"] == "confirmed"
    assert [(item["what"], item["actor"]) for item in confirmed["events"]] == [
        ("opened", "client:ebys"), ("entered", "person:Mehmet Memur"), ("verification-received", "kep_relay"),
        ("confirmed", f"person:{PERSON}"),
    ]  # fmt: skip
    assert confirmed["verification_mails"][0]["settled_by"] == PERSON
    other = await world.call("POST", f"{one}/confirm", json=body | {"confirmed_by": "Başka Biri"})
    assert (other.status_code, other.json()["code"]) == (409, "state-conflict")
    actions = [action for action, _detail in await world.audited()]
    for action in ("kep-registration.open", "kep-registration.entered", "kep-registration.confirm"):
        assert action in actions
    listed = (await world.call("GET", "", params={"institution": A, "state": "confirmed"})).json()
    assert [item["registration_id"] for item in listed["registrations"]] == [registration["registration_id"]]
    assert (await world.call("GET", "", params={"state": "active"})).json()["registrations"] == []
    cancelled = await world.call("POST", f"{one}/cancel", json={"reason": "vazgeçildi"})
    assert cancelled.json()["registration"]["state"] == "cancelled"
    assert cancelled.json()["instructions"] is None


@pytest.mark.parametrize("by", ["sender", "hint"])
async def test_a_forged_mail_moves_nothing_and_confirms_nothing(world: World, by: str) -> None:
    one = f"/{(await world.open())['registration']['registration_id']}"
    mail = await world.mail(by=by, envelope=Conclusion.FAILED)
    seen = (await world.call("GET", one)).json()
    assert seen["registration"]["state"] == "awaiting_entry"
    assert "envelope-not-verified" in seen["verification_mails"][0]["warnings"]
    answer = await world.call("POST", f"{one}/confirm", json={"verification_mail_id": mail, "confirmed_by": PERSON})
    assert (answer.status_code, answer.json()["code"]) == (409, "state-conflict")
    assert (await world.call("GET", one)).json()["registration"]["state"] == "awaiting_entry"


async def test_a_hint_counts_once_a_person_vouches_for_it(world: World) -> None:
    one = f"/{(await world.open())['registration']['registration_id']}"
    mail = await world.mail(by="hint")
    assert (await world.call("GET", one)).json()["registration"]["state"] == "awaiting_entry"
    answer = await world.call("POST", f"{one}/confirm", json={"verification_mail_id": mail, "confirmed_by": PERSON})
    assert answer.json()["registration"]["state"] == "confirmed"
    event = answer.json()["events"][-1]
    assert event["detail"]["warnings"] == ["sender-not-configured"]


async def test_a_mail_to_another_mailbox_confirms_nothing(world: World) -> None:
    one = f"/{(await world.open())['registration']['registration_id']}"
    elsewhere = await world.mail(address=OLD)
    for mail, status in ((elsewhere, 409), (str(new_id()), 404)):
        answer = await world.call("POST", f"{one}/confirm", json={"verification_mail_id": mail, "confirmed_by": PERSON})
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"kep_address": "a@gmail.com"}, 422, "/body/kep_address"),
        ({"kep_address": "a@b@hs98.kep.tr"}, 422, "/body/kep_address"),
        ({"kep_address": "x" * 400 + "@hs98.kep.tr"}, 422, "/body/kep_address"),
        ({"mailbox_id": "a-1"}, 422, "/body/mailbox_id"),
        ({"mailbox_id": "yok"}, 422, "/body/mailbox_id"),
        ({"detsis_no": B}, 422, "/body/detsis_no"),
        ({"detsis_no": 123456789}, 422, "/body/detsis_no"),
        ({"note": "iki\nsatır"}, 422, "/body/note"),
        ({"adres": "x"}, 422, "/body/adres"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(
    world: World, changes: dict[str, Any], status: int, pointer: str
) -> None:
    answer = await world.call("POST", "", json={"kep_address": NEW} | changes)
    assert answer.status_code == status, answer.text
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]
    assert (await world.call("GET", "")).json()["registrations"] == []


async def test_links_are_for_those_who_look_after_addresses(world: World) -> None:
    one = f"/{(await world.open())['registration']['registration_id']}"
    others = await world.gateway.key(
        "directory:read", "messages:read", "inbound:consume", institutions=(A,), client_id="baska"
    )
    operator = await world.gateway.key("admin", client_id="isletmen")
    for method, path in (("GET", ""), ("GET", one), ("POST", f"{one}/cancel"), ("POST", "")):
        answer = await world.call(method, path, key=others, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing"), path
    assert (await world.call("GET", one, key=operator)).status_code == 200
    assert len((await world.call("GET", "", key=operator)).json()["registrations"]) == 1
    assert (await world.call("POST", f"{one}/cancel", key=operator, json={"reason": "xx"})).status_code == 403


async def test_services_behind_that_are_away_are_said_so(world: World) -> None:
    one = f"/{(await world.open())['registration']['registration_id']}"
    world.relay.line.down = True
    assert (await world.call("GET", one)).json()["code"] == "service-unavailable"
    world.relay.line.down, world.directory.line.down = False, True
    assert (await world.call("GET", one)).json()["code"] == "directory-unavailable"


# The guard


async def closing(world: World, mailbox_id: str = "a-1", **changes: Any) -> tuple[int, str | None]:
    answer = await world.mailbox(mailbox_id, **({"active": False} | changes))
    return answer.status_code, answer.json().get("code")


async def test_a_listed_address_keeps_its_mailbox(world: World) -> None:
    assert await closing(world) == (409, "kep-address-listed")
    assert await closing(world, active=True, address="baska.a@hs98.kep.tr") == (409, "kep-address-listed")
    # Anything else may change, and so may what is not read anyway.
    assert await closing(world, active=True, username="yeni") == (200, None)
    assert await closing(world, active=True, address=OLD.upper()) == (200, None)


async def test_an_open_registration_keeps_both_mailboxes(world: World) -> None:
    assert await closing(world, "yeni", address=NEW, sends=False) == (200, None)
    assert await closing(world, "yeni", address=NEW, sends=False, active=True) == (200, None)
    one = f"/{(await world.open())['registration']['registration_id']}"
    assert await closing(world, "yeni", address=NEW, sends=False) == (409, "kep-address-listed")
    await world.call("POST", f"{one}/cancel", json={"reason": "vazgeçildi"})
    assert await closing(world, "yeni", address=NEW, sends=False) == (200, None)


async def test_what_is_not_known_to_be_free_is_not_closed(world: World) -> None:
    async with world.directory.database.unit_of_work() as work:
        await work.session.execute(text("UPDATE runs SET finished_at = finished_at - interval '9 days'"))
    assert await closing(world, "yeni", address=NEW, sends=False) == (503, "directory-unavailable")
    world.directory.line.down = True
    assert await closing(world, "yeni", address=NEW, sends=False) == (503, "directory-unavailable")


async def test_force_needs_a_reason_and_leaves_a_trace(world: World) -> None:
    assert await closing(world, force_reason="kısa") == (422, "validation-failed")
    assert await closing(world, force_reason="Hesap parolası ele geçirildi, olay 2026/17") == (200, None)
    (detail,) = [detail for action, detail in await world.audited() if action == "mailbox.closed-by-force"]
    assert detail["address"] == OLD
    assert detail["reason"] == "Hesap parolası ele geçirildi, olay 2026/17"
    # What is closed already may be changed at will.
    assert await closing(world, active=True, address="baska.a@hs98.kep.tr") == (200, None)


async def test_a_reason_without_need_is_no_trace(world: World) -> None:
    assert await closing(world, active=True, force_reason="gerek yok ama yazıldı") == (200, None)
    assert "mailbox.closed-by-force" not in [action for action, _detail in await world.audited()]


async def test_a_mail_settled_long_ago_is_not_shown_again(world: World) -> None:
    mail = await world.mail()
    async with world.relay.relay.deps.database.unit_of_work() as work:
        await work.session.execute(
            update(VerificationMailRow)
            .where(VerificationMailRow.message_id == UUID(mail))
            .values(settled_at=START, settled_by=PERSON)
        )
    opened = await world.open()
    assert opened["verification_mails"] == []
    assert opened["registration"]["state"] == "awaiting_entry"
