"""The served OpenAPI document is valid, and whatever a client makes of it, the gateway answers as it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from services.gateway.callers import Scope
from tests.support.launch import running_stack
from tests.support.stack import PATIENCE, A, B, Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2000)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
    "ignored_auth",
)
EXAMPLES = 15
OPERATOR = "^/v1/(institutions|api-keys|mailboxes|directory/accounts|ledger)"


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """Not the shared one: a client that tries everything also configures mailboxes."""
    with running_stack() as running:
        yield running


@pytest.fixture
def stack(own_stack: Stack) -> Stack:
    return own_stack


def test_document_is_valid(stack: Stack) -> None:
    document = _document(stack)
    validate(document)
    assert document["openapi"].startswith("3.1")


def _document(stack: Stack) -> dict[str, Any]:
    answer = httpx.get(f"{stack.url}/openapi.json", trust_env=False, timeout=PATIENCE)
    return dict(answer.raise_for_status().json())


def test_ebys_that_tries_everything(stack: Stack, tmp_path: Path) -> None:
    sent = stack.send()
    stack.wait_for(sent["message_id"], "delivered")
    received = wait_until(
        lambda: stack.recipient.json("GET", "/inbound-messages")["messages"], PATIENCE, "B's gateway has the letter"
    )
    # So that requests reach letters that exist, not only their absence.
    (tmp_path / "schemathesis.toml").write_text(
        f"""
[parameters]
detsis_no = {B}
mailbox_id = "kep-{A}"
evidence_id = "{stack.evidence(sent["message_id"])[0]["evidence_id"]}"
[[operations]]
include-path-regex = "^/v1/outbound-messages/"
parameters = {{ message_id = "{sent["message_id"]}" }}
[[operations]]
include-path-regex = "^/v1/inbound-messages/"
parameters = {{ message_id = "{received[0]["message_id"]}" }}
"""
    )
    answer = stack.admin.json(
        "POST",
        "/api-keys",
        json={
            "client_id": "ebys-fuzz",
            "label": "every scope but the operator's",
            "scopes": [scope.value for scope in Scope if scope is not Scope.ADMIN],
            "institutions": [A, B],
        },
    )
    _run(stack, answer["key"], tmp_path, "--exclude-path-regex", OPERATOR)
    _still_works(stack)


def test_operator_that_tries_everything(stack: Stack, tmp_path: Path) -> None:
    _run(stack, stack.gateway.admin_key, tmp_path, "--include-path-regex", OPERATOR)
    _still_works(stack)


def _run(stack: Stack, key: str, directory: Path, *options: str) -> None:
    # Made once, then kept: the tool gives it ten seconds.
    _document(stack)
    # One worker: hypothesis parses source, and CPython 3.11's parser miscounts when two threads do so at once.
    for _attempt in range(3):
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")), "run", f"{stack.url}/openapi.json",
                "--header", f"Authorization:Bearer {key}", "--checks", ",".join(CHECKS),
                "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--workers", "1",
                "--seed", "20260101", "--generation-deterministic", "--no-shrink",
                "--suppress-health-check", "all", "--request-timeout", "120", "--warnings", "off", "--no-color", *options,
            ],
            cwd=directory,
            env=os.environ | {
                "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            capture_output=True, text=True, timeout=1500, check=False,
        )  # fmt: skip
        if "AST constructor recursion depth mismatch" not in done.stdout:
            break  # else the tool itself fell over a fault of CPython 3.11 and has judged nothing
    assert done.returncode == 0, f"{done.stdout[-15000:]}\n{done.stderr[-3000:]}"


def _still_works(stack: Stack) -> None:
    for name in ("gateway", "kep_relay", "detsis_sync", "signer"):
        assert stack.ops(name, "/readyz").status_code == httpx.codes.OK, name
        broken = [line for line in stack.log_lines(name) if line.get("event") == "unforeseen_error"]
        assert not broken, broken[:3]
