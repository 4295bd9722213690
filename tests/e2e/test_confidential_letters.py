"""HİZMETE ÖZEL letters over real processes: encrypted and opened again, or unencrypted by decision."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import PATIENCE, A, B, Stack, problem, recipient_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DECISION = {"decided_by": "Deneme BAŞKAN, genel müdür", "reason": "alıcının sertifikası yok, süreli iş"}


def _to(number: int, **more: Any) -> dict[str, Any]:
    return {"institution_no": A, "recipients": [{"detsis_no": number}], **more}


def _arrived(stack: Stack, sent: dict[str, Any]) -> dict[str, Any]:
    wanted = recipient_of(sent)["message_id_header"].strip("<>")

    def found() -> dict[str, Any] | None:
        page = stack.recipient.json("GET", "/inbound-messages", params={"limit": 200})
        return next(
            (item for item in page["messages"] if (item["message_id_header"] or "").strip("<>") == wanted), None
        )  # fmt: skip

    return wait_until(found, PATIENCE, "B has the letter")  # type: ignore[return-value]


def _without_certificate(stack: Stack) -> int:
    for number in (10000003, 10000014, 10000015, 10000019, 10000020):
        if stack.sender.json("GET", f"/directory/units/{number}/certificates")["chosen"] is None:
            return number
    pytest.fail("everybody has a certificate")


def test_a_restricted_letter_arrives_encrypted_and_opens_byte_for_byte(stack: Stack) -> None:
    package = stack.package(security_code="restricted")
    answer = stack.post(package)
    assert answer.status_code == 202, answer.text
    sent = answer.json()
    confidentiality = sent["confidentiality"]
    assert (confidentiality["encryption"], confidentiality["rule"]) == ("gateway", "L.26")
    assert confidentiality["inner_sha256"] == hashlib.sha256(package).hexdigest()
    stack.wait_for(sent["message_id"], "delivered", "read")
    assert "encrypted" in [event["kind"] for event in stack.events(sent["message_id"])]

    arrived = _arrived(stack, sent)
    assert arrived["package_sha256"] == sent["package_sha256"]
    assert arrived["package_filename"].endswith(".eyps")
    assert sent["document_id"].lower() not in arrived["package_filename"].lower()
    content = stack.recipient.call("GET", f"/inbound-messages/{arrived['message_id']}/package").content
    assert hashlib.sha256(content).hexdigest() == sent["package_sha256"]
    form = {"institution": (None, str(B)), "profile": (None, "strict"), "package": ("a.eyps", content)}
    opened = stack.recipient.json("POST", "/package-inspections", files=form)
    assert (opened["kind"], opened["opening"], opened["acceptable"]) == ("encrypted", "opened", True)
    assert opened["inner"]["sha256"] == hashlib.sha256(package).hexdigest()
    assert (opened["inner"]["security_code"], opened["conclusion"]) == ("restricted", "passed")

    path = f"/inbound-messages/{arrived['message_id']}"
    judged = wait_until(lambda: _judged(stack, path), PATIENCE, "the letter is judged")
    assert (judged["opening"], judged["conclusion"], judged["reason_code"]) == ("opened", "passed", None)
    assert (judged["security_code"], judged["document_id"].lower()) == ("restricted", sent["document_id"].lower())
    # As a document system without a key has it.
    assert stack.recipient.call("GET", f"{path}/package", params={"form": "opened"}).content == package


def _judged(stack: Stack, path: str) -> dict[str, Any] | None:
    letter: dict[str, Any] = stack.recipient.json("GET", path)
    return letter if letter["conclusion"] is not None else None


def test_without_certificate_it_goes_by_decision_and_the_history_says_whose(stack: Stack) -> None:
    number = _without_certificate(stack)
    package = stack.package(number, security_code="restricted")
    refused = stack.post(package, _to(number))
    assert (refused.status_code, problem(refused)) == (422, "decision-required")
    answer = stack.post(package, _to(number, unencrypted_decision=DECISION))
    assert answer.status_code == 202, answer.text
    sent = answer.json()
    assert sent["package_sha256"] == hashlib.sha256(package).hexdigest()
    event = next(item for item in stack.events(sent["message_id"]) if item["kind"] == "unencrypted_decision")
    assert DECISION["decided_by"] in event["detail"]
    assert DECISION["reason"] in event["detail"]
    stack.wait_for(sent["message_id"], "delivered", "read")


def test_a_package_encrypted_on_request_is_sent_as_it_is(stack: Stack, tmp_path: Path) -> None:
    """By the command, as a document system that encrypts by itself would."""
    package = stack.package(security_code="restricted")
    form = {
        "message": (None, f'{{"institution_no": {A}, "recipients": [{B}]}}', "application/json"),
        "package": ("letter.eyp", package),
    }
    encrypted = stack.sender.call("POST", "/package-encryptions", files=form).content
    file = tmp_path / "letter.eyps"
    file.write_bytes(encrypted)
    command = [
        sys.executable, "-m", "services.cli.main", "send", str(file), "--to", str(B), "--json", "--url", stack.url, "--key",
        stack.gateway.keys[str(A)],
    ]  # fmt: skip
    undeclared = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert undeclared.returncode != 0
    assert "security_code" in undeclared.stdout + undeclared.stderr
    declared = subprocess.run(
        [*command, "--degree", "restricted"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip
    assert declared.returncode == 0, declared.stdout + declared.stderr
    assert hashlib.sha256(encrypted).hexdigest() in declared.stdout
    assert '"encryption": "sender"' in declared.stdout
