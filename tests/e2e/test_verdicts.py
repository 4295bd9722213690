"""What signatures are worth is seen by both ends, and a verdict that was open settles when its source is back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.client_signatures import hand_over, signed, to_be_signed
from tests.support.launch import running_stack
from tests.support.stack import PATIENCE, A, B, Stack, problem, recipient_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SEAL = "Muhur/"


@pytest.fixture(scope="module")
def patient() -> Iterator[Stack]:
    """Revocation data that was missing is asked for again within seconds."""
    with running_stack({"KEPGW_SIGNER_RETRY_AFTER_SECONDS": "2"}) as stack:
        yield stack


def with_a_broken_seal(package: bytes) -> bytes:
    """``package`` with one bit of its seal's value changed."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as source,
        zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            content = bytearray(source.read(entry))
            if entry.filename.startswith(SEAL) and not entry.filename.endswith(".rels"):
                content[-1] ^= 1  # a CMS without unsigned attributes ends with the value
            target.writestr(entry, bytes(content))
    return written.getvalue()


def received(stack: Stack, sent: dict[str, Any]) -> dict[str, Any]:
    """The letter as B's document system sees it, once it was verified."""
    header = recipient_of(stack.wait_for(sent["message_id"], "delivered"))["message_id_header"]

    def found() -> dict[str, Any] | None:
        cursor: dict[str, str] = {}
        while True:
            page = stack.recipient.json("GET", "/inbound-messages", params={"limit": 200, **cursor})
            for item in page["messages"]:
                if item["message_id_header"] == header and item["conclusion"] is not None:
                    return dict(item)
            if page["next_cursor"] is None:
                return None
            cursor = {"cursor": page["next_cursor"]}

    return wait_until(found, PATIENCE, "B's letter with a verdict") or {}


def verdicts(stack: Stack, letter: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = stack.recipient.json("GET", f"/inbound-messages/{letter['message_id']}/verification")
    return {item["component"]: item["report"] for item in answer["components"]}


def test_a_bad_seal_is_seen_by_both_ends_with_its_reason(patient: Stack) -> None:
    stack = patient
    answer = stack.post(with_a_broken_seal(stack.package()))
    assert answer.status_code == 202, answer.text
    found = {item["rule"]: item for item in answer.json()["package_findings"]}
    warning = found["signature.failed"]
    assert warning["part"].startswith(f"/{SEAL}")
    assert "(SIG_CRYPTO_FAILURE)" in warning["message_tr"]

    letter = received(stack, answer.json())
    assert (letter["state"], letter["conclusion"], letter["reason_code"]) == (
        "available", "failed", "signature-failed",
    )  # fmt: skip
    reports = verdicts(stack, letter)
    assert reports["package-signature"]["conclusion"] == "passed"
    seal = reports["package-seal"]
    assert (seal["conclusion"], seal["indication"], seal["sub_indication"]) == (
        "failed", "TOTAL_FAILED", "SIG_CRYPTO_FAILURE",
    )  # fmt: skip
    (failed,) = [step for step in seal["signatures"][0]["steps"] if step["result"] == "failed"]
    assert failed["text"]["tr"]
    assert failed["text"]["en"]
    (event,) = events(stack, letter)
    assert (event["type"], event["conclusion"]) == ("inbound-message.available", "failed")

    # An institution that wants none of this to leave its house says so once.
    name = stack.institution(A)["name"]
    stack.admin.json("PUT", f"/institutions/{A}", json={"name": name, "policy": {"signatures": "refuse"}})
    try:
        refused = stack.post(with_a_broken_seal(stack.package()))
        assert problem(refused) == "signature-invalid"
    finally:
        stack.admin.json("PUT", f"/institutions/{A}", json={"name": name})


def events(stack: Stack, letter: dict[str, Any]) -> list[dict[str, Any]]:
    answer = stack.recipient.json("GET", "/events", params={"institution": B, "limit": 500})
    return [item for item in answer["events"] if item["message_id"] == letter["message_id"]]


def test_a_revocation_list_that_is_away_leaves_the_verdict_open_until_it_is_back(patient: Stack) -> None:
    stack = patient
    stack.restart("signer")  # it would have the list of the letter before
    with stack.faulty("pki.down", scope={"purpose": "seal"}):
        sent = stack.send()
        letter = received(stack, sent)
        assert (letter["state"], letter["conclusion"], letter["reason_code"]) == ("available", "indeterminate", None)
        assert letter["next_verification_at"] is not None
        reports = verdicts(stack, letter)
        seal = reports.pop("package-seal")
        assert {report["conclusion"] for report in reports.values()} == {"passed"}
        assert (seal["conclusion"], seal["sub_indication"]) == ("indeterminate", "TRY_LATER")
        assert seal["retry_after_seconds"] == 2
        assert seal["signatures"][0]["integrity"] is True
        (step,) = [item for item in seal["signatures"][0]["steps"] if item["result"] == "indeterminate"]
        assert step["id"] == "revocation"

    def settled() -> bool:
        found = stack.recipient.json("GET", f"/inbound-messages/{letter['message_id']}")
        return bool(found["conclusion"] == "passed")

    wait_until(settled, PATIENCE, "the verdict settles by itself", pause=0.5)
    assert verdicts(stack, letter)["package-seal"]["conclusion"] == "passed"
    told = [(item["type"], item["previous_conclusion"], item["conclusion"]) for item in events(stack, letter)]
    assert told == [
        ("inbound-message.available", None, "indeterminate"),
        ("inbound-message.verdict-changed", "indeterminate", "passed"),
    ]


def test_while_revocation_data_is_missing_the_client_is_asked_to_try_again(patient: Stack) -> None:
    stack = patient
    package = stack.package()
    signature = signed(stack, to_be_signed(stack, package))
    stack.restart("signer")  # it has seen the lists just now
    key = str(uuid4())
    with stack.faulty("pki.down", scope={"purpose": "qualified"}):
        refused = hand_over(stack, package, signature, key=key)
        assert (refused.status_code, problem(refused)) == (503, "service-unavailable"), refused.text
        assert int(refused.headers["Retry-After"]) > 0

    def taken() -> bool:
        return hand_over(stack, package, signature, key=key).status_code == httpx.codes.ACCEPTED

    wait_until(taken, PATIENCE, "the same request is accepted", pause=1)
