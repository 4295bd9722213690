"""A KEP address is replaced without a gap: opened here, entered at the portal, confirmed by a person, and only then
is the old mailbox closed (circular EK-2/2-5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.cli.api import ApiError
from tests.support.launch import running_stack
from tests.support.stack import PATIENCE, A, B, Stack, codes, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

NEW = "yeni.kurum@hs99.kep.tr"
OLD_MAILBOX, NEW_MAILBOX = f"kep-{A}", "yeni-kurum"
PERSON = "Ayşe Yetkili"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Not the shared one: A's address changes."""
    with running_stack() as running:
        yield running


def new_mailbox(stack: Stack, **changes: Any) -> dict[str, Any]:
    """Its configuration; the provider has opened it."""
    provider = next(item for item in stack.world["providers"] if item["name"] == "hs99")
    return {
        "institution_no": A, "address": NEW, "username": NEW, "sends": False, "poll_interval_seconds": 1,
        "smtp": provider["smtp"] | {"ca_file": stack.world["tls_ca_file"]},
        "imap": provider["imap"] | {"ca_file": stack.world["tls_ca_file"]},
        "signing_key_id": f"kep-{A}",
    } | changes  # fmt: skip


def old_mailbox(stack: Stack, **changes: Any) -> dict[str, Any]:
    """Its configuration as it stands."""
    found = stack.admin.json("GET", f"/mailboxes/{OLD_MAILBOX}")["configuration"]
    return {name: value for name, value in found.items() if name != "password"} | changes


def refused(stack: Stack, method: str, path: str, **options: Any) -> str:
    """The code of the problem that the operator gets."""
    with pytest.raises(ApiError) as caught:
        stack.admin.json(method, path, **options)
    return str(caught.value.problem.get("code"))


def registration(stack: Stack, registration_id: str) -> dict[str, Any]:
    return dict(stack.sender.json("GET", f"/kep-registrations/{registration_id}"))


def standings(found: dict[str, Any]) -> dict[str, str]:
    return {item["address"]: item["standing"] for item in found["addresses"]}


def test_an_address_is_replaced_without_a_gap(stack: Stack) -> None:
    old = stack.institution(A)["kep_address"]
    stack.control("POST", "/providers/hs99/mailboxes", json={
        "kep_address": NEW, "institution_no": A, "password": "parola-yeni-kurum",
    })  # fmt: skip

    # Opened before the mailbox is read here: the checks say so, and what to enter where.
    opened = stack.sender.json("POST", "/kep-registrations", json={"kep_address": NEW, "note": "sağlayıcı değişiyor"})
    registration_id = opened["registration"]["registration_id"]
    assert opened["registration"]["state"] == "awaiting_entry"
    assert opened["registration"]["previous_address"] == old
    assert {"mailbox": False, "verification-senders": True}.items() <= {
        item["id"]: item["ok"] for item in opened["checks"]
    }.items()
    assert any(NEW in line for line in opened["instructions"]["lines_tr"])
    assert opened["instructions"]["officers_known"]
    stack.admin.json("PUT", f"/mailboxes/{NEW_MAILBOX}", json=new_mailbox(stack, password="parola-yeni-kurum"))
    wait_until(
        lambda: all(item["ok"] for item in registration(stack, registration_id)["checks"]),
        PATIENCE,
        "the mailbox is read",
    )

    # Entered at the portal. The old address stays in force, and neither mailbox may be closed.
    entered = stack.control("POST", "/detsis/kep-registrations", json={"detsis_no": A, "kep_address": NEW}).json()
    received = wait_until(
        lambda: (found := registration(stack, registration_id))["verification_mails"]
        and found["registration"]["state"] == "verification_received"
        and found,
        PATIENCE, "the verification mail is recognised",
    )  # fmt: skip
    assert standings(received) == {NEW: "waiting", old: "active"}
    (mail,) = received["verification_mails"]
    assert mail["recognised_by"] == "sender"
    assert mail["envelope"] == "passed"
    assert mail["sender_address"] == entered["sender"]
    assert entered["confirmation_url"] in [link["url"] for link in mail["links"]]
    for mailbox_id, body in (
        (OLD_MAILBOX, old_mailbox(stack, active=False)),
        (OLD_MAILBOX, old_mailbox(stack, address="baska@hs98.kep.tr")),
        (NEW_MAILBOX, new_mailbox(stack, active=False)),
    ):
        assert refused(stack, "PUT", f"/mailboxes/{mailbox_id}", json=body) == "kep-address-listed"

    # It is nobody's letter.
    assert stack.sender.json("POST", "/inbound-messages/leases", json={"wait": 0}) is None
    assert stack.sender.json("GET", f"/inbound-messages/{mail['message_id']}")["state"] == "quarantined"
    folder = stack.control("GET", f"/providers/hs99/mailboxes/{NEW}/messages", params={"folder": "INBOX"}).json()
    assert [item["seen"] for item in folder["messages"] if item["kind"] == "letter"] == [False]

    # Both mailboxes are read meanwhile.
    for mailbox_id in (OLD_MAILBOX, NEW_MAILBOX):
        checks = stack.admin.json("GET", f"/mailboxes/{mailbox_id}/readiness")["checks"]
        assert [item["ok"] for item in checks if item["id"] == "polling"] == [True], mailbox_id

    # A person opens the link, and says so.
    assert httpx.post(mail["links"][0]["url"], trust_env=False).status_code == 200
    answer = stack.sender.json(
        "POST", f"/kep-registrations/{registration_id}/confirm",
        json={"verification_mail_id": mail["message_id"], "confirmed_by": PERSON},
    )  # fmt: skip
    assert answer["registration"]["state"] in {"confirmed", "active"}
    again = stack.sender.json(
        "POST", f"/kep-registrations/{registration_id}/confirm",
        json={"verification_mail_id": mail["message_id"], "confirmed_by": PERSON},
    )  # fmt: skip
    assert [item["what"] for item in again["events"]].count("confirmed") == 1
    active = wait_until(
        lambda: (found := registration(stack, registration_id))["registration"]["state"] == "active" and found,
        PATIENCE, "DETSİS shows it active",
    )  # fmt: skip
    assert standings(active) == {NEW: "active", old: "waiting"}
    assert active["verification_mails"][0]["settled_by"] == PERSON
    assert stack.sender.json("GET", f"/inbound-messages/{mail['message_id']}")["state"] == "archived"
    whats = [item["what"] for item in active["events"]]
    assert whats[0] == "opened"
    assert set(whats) == {"opened", "entered", "verification-received", "confirmed", "active"}
    wait_until(
        lambda: stack.metric("detsis_sync", "kepgw_kep_registrations", state="active") == 1, PATIENCE, "it is counted"
    )
    wait_until(
        lambda: stack.metric("kep_relay", "kepgw_verification_mails_waiting", recognised_by="sender") == 0,
        PATIENCE, "nothing waits",
    )  # fmt: skip

    # Only now may the old mailbox be closed; the new one takes over sending.
    stack.admin.json("PUT", f"/mailboxes/{OLD_MAILBOX}", json=old_mailbox(stack, active=False))
    stack.admin.json("PUT", f"/mailboxes/{NEW_MAILBOX}", json=new_mailbox(stack, sends=True))
    assert (
        refused(stack, "PUT", f"/mailboxes/{NEW_MAILBOX}", json=new_mailbox(stack, active=False))
        == "kep-address-listed"
    )
    sent = stack.send(recipient_no=B)
    stack.wait_for(sent["message_id"], "delivered", "read")
    assert 40 in codes(stack.evidence(sent["message_id"]))
    assert stack.ledger()["inbound"]["imbalance"] == 0


def test_a_stolen_account_can_be_shut_off_at_once(stack: Stack) -> None:
    body = new_mailbox(stack, active=False, force_reason="Hesap parolası ele geçirildi, olay 2026/17")
    assert stack.admin.json("PUT", f"/mailboxes/{NEW_MAILBOX}", json=body)["configuration"]["active"] is False
    stack.admin.json("PUT", f"/mailboxes/{NEW_MAILBOX}", json=new_mailbox(stack, sends=True))


def test_while_nobody_can_say_whether_it_is_listed_nothing_is_closed(stack: Stack) -> None:
    with stack.stopped("detsis_sync"):
        body = new_mailbox(stack, active=False)
        assert refused(stack, "PUT", f"/mailboxes/{NEW_MAILBOX}", json=body) == "directory-unavailable"
