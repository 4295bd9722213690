"""A document system that signs its KEP messages itself: what it signs is what is sent, and nothing else leaves."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.client_signatures import form, hand_over, post, signed, to_be_signed, with_signature
from tests.support.stack import MEDIA_TYPE, PATIENCE, A, B, Stack, problem, recipient_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def sent_message(stack: Stack, message: dict[str, Any]) -> bytes:
    """As A's provider took it."""
    header = recipient_of(message)["message_id_header"]
    item = stack.institution(A)
    path = f"/providers/{item['provider']}/mailboxes/{item['kep_address']}/messages"
    uids = [mail["uid"] for mail in stack.folder(A, "Sent")]
    contents = [
        stack.control("GET", f"{path}/{uid}/content", params={"folder": "Sent"}).content for uid in reversed(uids)
    ]
    return next(content for content in contents if f"Message-ID: {header}".encode() in content)


def test_the_message_that_goes_out_is_the_one_that_was_signed(stack: Stack, tmp_path: Path) -> None:
    package = stack.package()
    content = to_be_signed(stack, package)
    assert to_be_signed(stack, package) == content, "whenever it is asked for"
    signature = signed(stack, content)
    answer = hand_over(stack, package, signature)
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert accepted["client_signed"] is True
    (told,) = [item for item in stack.events(accepted["message_id"]) if item["kind"] == "client_signed"]
    assert "certificate" in told["detail"]
    assert told["detail"].endswith("judged by qualified-signature")

    delivered = stack.wait_for(accepted["message_id"], "delivered", "read")
    raw = sent_message(stack, delivered)
    assert content in raw
    parts = email.message_from_bytes(raw, policy=email.policy.default)
    assert parts.get_param("micalg") == "sha-256"
    attached = [part for part in parts.walk() if part.get_filename() == "smime.p7s"]
    assert [part.get_payload(decode=True) for part in attached] == [signature]
    mail = tmp_path / "message.eml"
    mail.write_bytes(raw)
    done = subprocess.run(
        ["openssl", "smime", "-verify", "-noverify", "-in", mail, "-out", tmp_path / "content"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_by_the_command(stack: Stack, tmp_path: Path) -> None:
    package, content, signature = (tmp_path / name for name in ("letter.eyp", "content", "content.p7s"))
    package.write_bytes(stack.package())
    send = [
        sys.executable, "-m", "services.cli.main", "send", str(package), "--to", str(B), "--json", "--url", stack.url,
        "--key", stack.gateway.keys[str(A)],
    ]  # fmt: skip

    def run(*options: str) -> Any:
        done = subprocess.run([*send, *options], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    told = run("--to-sign", str(content))
    assert told["sha256"] == hashlib.sha256(content.read_bytes()).hexdigest()
    signature.write_bytes(signed(stack, content.read_bytes()))
    accepted = run("--message-signature", str(signature))
    assert accepted["client_signed"] is True
    stack.wait_for(accepted["message_id"], "delivered", "read")


def test_a_letter_that_did_not_arrive_is_sent_again_with_the_same_signature(stack: Stack) -> None:
    package = stack.package()
    signature = signed(stack, to_be_signed(stack, package))
    with stack.faulty("smtp.permfail", scope={"provider": stack.institution(A)["provider"]}):
        first = hand_over(stack, package, signature).json()
        stack.wait_for(first["message_id"], "failed")
    again = stack.sender.json(
        "POST", f"/outbound-messages/{first['message_id']}/resend", headers={"Idempotency-Key": first["message_id"]}
    )
    assert (again["resend_of"], again["client_signed"]) == (first["message_id"], True)
    raw = sent_message(stack, stack.wait_for(again["message_id"], "delivered", "read"))
    assert base64.b64encode(signature)[:60] in raw.replace(b"\r\n", b"")


def test_what_does_not_verify_is_refused_before_anything_is_kept(stack: Stack) -> None:
    package = stack.package()
    content = to_be_signed(stack, package)
    key = str(uuid4())
    other = signed(stack, content + b"\r\n")
    whole = signed(stack, content, detached=False)
    altered = bytearray(signed(stack, content))
    altered[-1] ^= 1
    for wrong in (other, whole, bytes(altered), b"\x30\x80", b"x" * 1000, b""):
        refused = hand_over(stack, package, wrong, key=key)
        assert (refused.status_code, problem(refused)) == (422, "signature-invalid"), refused.text
        assert [item["pointer"] for item in refused.json()["errors"]] == ["/message_signature"]
    too_large = hand_over(stack, package, b"\x30" * 200_000, key=key)
    assert (too_large.status_code, problem(too_large)) == (413, "too-large")
    # Nothing of them was kept: the same key takes the letter with the right signature, and tells it again.
    signature = signed(stack, content)
    accepted = hand_over(stack, package, signature, key=key)
    assert accepted.status_code == 202, accepted.text
    again = hand_over(stack, package, signature, key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert problem(hand_over(stack, package, other, key=key)) == "idempotency-key-reused"
    assert stack.copies(stack.wait_for(accepted.json()["message_id"], "delivered", "read")) == 1


def test_what_the_gateway_would_encrypt_is_encrypted_before_it_is_signed(stack: Stack) -> None:
    package = stack.package(security_code="restricted")
    refused = post(stack, "/message-contents", form(package))
    assert (refused.status_code, problem(refused)) == (422, "validation-failed")
    assert "/v1/package-encryptions" in refused.json()["detail"]
    unsigned = hand_over(stack, package, signed(stack, b"content"))
    assert (unsigned.status_code, problem(unsigned)) == (422, "validation-failed")

    order = {"message": (None, json.dumps({"institution_no": A, "recipients": [B]}), "application/json")}
    encrypted = post(stack, "/package-encryptions", order | {"package": ("a.eyp", package)}).content
    parts = form(encrypted, security_code="restricted") | {"package": ("letter.eyps", encrypted, MEDIA_TYPE)}
    content = post(stack, "/message-contents", parts).content
    accepted = post(stack, "/outbound-messages", with_signature(parts, signed(stack, content))).json()
    assert (accepted["client_signed"], accepted["confidentiality"]["encryption"]) == (True, "sender")
    stack.wait_for(accepted["message_id"], "delivered", "read")
