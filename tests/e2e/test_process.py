"""Processes as an operator meets them: wrong settings, SIGTERM with work in hand, SIGKILL at any time."""

from __future__ import annotations

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.support.stack import PATIENCE, PROCESSES, A, B, Stack, problem, recipient_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


# Settings

_FAULTY: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    # settings besides the common faults, names that must be complained about
    "gateway": ({"KEP_RELAY_URL": "http://127.0.0.1:1", "MAX_PACKAGE_BYTES": "some"}, ("DATABASE_URL", "SIGNER_URL", "SPOOL_DIRECTORY", "MAX_PACKAGE_BYTES")),
    "kep_relay": (
        {"SECRET_KEYS": "not-a-fernet-key", "BLOB_STORE_URL": "ftp://elsewhere", "RETRY_PAUSES_SECONDS": "[0]"},
        ("DATABASE_URL", "SECRET_KEYS", "BLOB_STORE_URL", "RETRY_PAUSES_SECONDS", "DETSIS_SYNC_URL"),
    ),
    "detsis_sync": ({"DATABASE_POOL_SIZE": "0"}, ("DATABASE_URL", "DATABASE_POOL_SIZE", "SECRET_KEYS")),
    "signer": ({"FETCH_ALLOWED_HOSTS": "not json"}, ("FETCH_ALLOWED_HOSTS", "TRUST_DIRECTORY")),
    "sandbox": ({"DETSIS_UNITS": "7"}, ("DETSIS_UNITS",)),
}  # fmt: skip
_COMMON_FAULTS = {
    "OPS_PORT": "99999",
    "LOG_LEVEL": "LOUD",
    "NO_SUCH_SETTING": "x",
    "SERVICE_TOKENS_FILE": "/no/such/file",
}


def test_check_config_lists_every_fault_at_once(stack: Stack) -> None:
    secret = "hush-this-is-a-secret-value"

    def check(name: str) -> tuple[int, str]:
        own = _FAULTY[name][0] | _COMMON_FAULTS
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
        environment |= {f"KEPGW_{name.upper()}_{key}": value for key, value in own.items()}
        environment[f"KEPGW_{name.upper()}_DATABASE_URL_FILE"] = "/no/such/file"
        environment["KEPGW_SERVICE_TOKENS"] = secret  # neither JSON nor the only source
        return stack.command(name, "--check-config", environment=environment)

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(PROCESSES, pool.map(check, PROCESSES), strict=True))
    for name, (code, said) in answers.items():
        assert code == 2, said
        for setting in (*_FAULTY[name][1], *_COMMON_FAULTS):
            assert f"KEPGW_{name.upper()}_{setting}" in said, f"{name} does not complain about {setting}:\n{said}"
        assert secret not in said
        assert "Traceback" not in said


def test_check_config_of_a_good_environment(stack: Stack) -> None:
    with ThreadPoolExecutor(2) as pool:
        for code, said in pool.map(lambda name: stack.command(name, "--check-config"), ("kep_relay", "sandbox")):
            assert code == 0, said
            assert "configuration is complete" in said


# SIGTERM


def test_sigterm_waits_for_the_providers_answer(stack: Stack) -> None:
    stack.restart("kep_relay")  # no session from before: this submission starts one of its own
    with (
        stack.faulty("evidence.delay", value=14),
        stack.faulty("smtp.delay_answer", scope={"provider": "hs98"}, value=8),
    ):
        sent = stack.send()
        stack.wait_for(sent["message_id"], "submitting")
        wait_until(
            lambda: recipient_of(sent)["message_id_header"] in [mail["message_id"] for mail in stack.folder(A, "Sent")],
            PATIENCE,
            "the provider has the whole message",
        )
        assert stack.stop("kep_relay") == 0
    lines = [
        line for line in stack.log_lines("kep_relay") if line["event"] in {"stopping", "outcome", "cut_off", "stopped"}
    ]
    assert [line["event"] for line in lines][-3:] == ["stopping", "outcome", "stopped"]
    stack.start("kep_relay")
    message = stack.wait_for(sent["message_id"], "delivered")
    assert recipient_of(message)["attempts"] == 1
    states = [event["to_state"] for event in stack.events(sent["message_id"])]
    assert "outcome_unknown" not in states, "recorded before the process ended, so there is nothing to reconcile"
    assert stack.copies(message) == 1


def test_sigterm_lets_an_upload_finish(stack: Stack) -> None:
    package = stack.package(annex_text="x" * 200_000)
    message = json.dumps({"institution_no": A, "recipients": [{"detsis_no": B}]}).encode()
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="message"\r\n\r\n' + message
        + b'\r\n--xyz\r\nContent-Disposition: form-data; name="package"; filename="a.eyp"\r\n\r\n'
        + package + b"\r\n--xyz--\r\n"
    )  # fmt: skip
    address, correlation = urlsplit(stack.url), f"e2e-{uuid4()}"
    head = (
        f"POST /v1/outbound-messages HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {stack.gateway.keys[str(A)]}\r\nIdempotency-Key: {uuid4()}\r\n"
        f"X-Correlation-ID: {correlation}\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    ).encode()
    half = len(body) // 2
    with (
        socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as link,
        ThreadPoolExecutor(1) as pool,
    ):
        link.sendall(head + body[:half])
        # The upload has begun for the gateway once another request, made after it, is answered.
        assert httpx.get(f"{stack.url}/openapi.json", trust_env=False, timeout=PATIENCE).status_code == 200
        stopping = pool.submit(stack.stop, "gateway")
        wait_until(lambda: not _accepts(address.hostname or "", address.port or 0), PATIENCE, "nobody new is let in")
        link.sendall(body[half:])
        answer = b""
        while piece := link.recv(65536):
            answer += piece
        assert stopping.result(PATIENCE) == 0
    assert answer.startswith(b"HTTP/1.1 202"), answer[:300]
    sent = json.loads(answer.partition(b"\r\n\r\n")[2])
    stack.start("gateway")
    delivered = stack.wait_for(sent["message_id"], "delivered")
    assert stack.copies(delivered) == 1


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=30):
            return True
    except OSError:
        return False


def test_readiness_says_that_it_is_stopping(stack: Stack) -> None:
    """A balancer must stop sending while what is in hand is finished."""
    stack.restart("kep_relay")
    with stack.faulty("smtp.delay_answer", scope={"provider": "hs98"}, value=8), ThreadPoolExecutor(1) as pool:
        sent = stack.send()
        stack.wait_for(sent["message_id"], "submitting")
        stopping = pool.submit(stack.stop, "kep_relay")
        answer = wait_until(
            lambda: found if (found := stack.ops("kep_relay", "/readyz")).status_code == 503 else None,
            PATIENCE,
            "not ready",
        )
        assert answer.json()["checks"]["shutdown"] == "stopping"
        assert stopping.result(PATIENCE) == 0
    stack.start("kep_relay")
    stack.wait_for(sent["message_id"], "delivered")


# SIGKILL


@pytest.mark.parametrize("name", ["signer", "detsis_sync", "sandbox", "kep_relay"])
def test_sigkill_while_a_letter_is_on_its_way(stack: Stack, name: str) -> None:
    package, later = stack.package(), stack.package()
    sent = stack.send(package)
    stack.kill(name)
    stack.start(name)
    after = stack.send(later)
    for message in (sent, after):
        delivered = stack.wait_for(message["message_id"], "delivered")
        assert stack.copies(delivered) == 1
    assert stack.ledger()["outbound"]["imbalance"] == 0


def test_sigkill_of_the_gateway_before_its_answer(stack: Stack) -> None:
    """The client got no answer: it repeats the request with its key, and the letter is sent once."""
    package, key = stack.package(), str(uuid4())
    accepted_before = stack.ledger()["outbound"]["accepted"]
    stack.signal("signer", signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            posting = pool.submit(stack.post, package, headers={"Idempotency-Key": key})
            wait_until(lambda: _claims(stack) > 0, PATIENCE, "the key is claimed")
            stack.kill("gateway")
            with pytest.raises(httpx.HTTPError):
                posting.result(PATIENCE)
    finally:
        stack.signal("signer", signal.SIGCONT)
    stack.start("gateway")

    def accepted() -> httpx.Response | None:
        answer = stack.post(package, headers={"Idempotency-Key": key})
        if answer.status_code == httpx.codes.ACCEPTED:
            return answer
        assert problem(answer) == "idempotency-in-progress"
        return None

    answer = wait_until(accepted, PATIENCE, "the repeat is accepted", pause=0.5)
    delivered = stack.wait_for(answer.json()["message_id"], "delivered")
    assert stack.copies(delivered) == 1
    assert stack.ledger()["outbound"]["accepted"] == accepted_before + 1


def _claims(stack: Stack) -> int:
    """Pieces of work under way, as the gateway's rows say."""
    import psycopg

    with psycopg.connect(stack.database.superuser_url) as connection:
        row = connection.execute("SELECT count(*) FROM gateway.idempotency_keys WHERE state = 'claimed'").fetchone()
    return int(row[0]) if row else 0
