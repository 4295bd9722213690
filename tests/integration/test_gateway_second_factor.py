"""Second factors over the public interface: who may, what is refused before the relay is asked, and the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.neighbours import served_relay

PATH = "/v1/mailboxes/a-1/second-factor"
WHO = {"by": "Ayşe Yılmaz"}


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with (
        served_relay(database_url, tmp_path / "blobs") as relay,
        running_gateway(database_url, tmp_path, kep_relay_url=relay.url, request_burst=1000) as running,
    ):
        await running.institution(10000001)
        yield running


async def test_who_may_and_what_is_written_down(gateway: RunningGateway, database_url: str) -> None:
    giver = await gateway.key("registrations:manage", institutions=(10000001,), client_id="giver")
    sender = await gateway.key("messages:send", "messages:read", institutions=(10000001,), client_id="sender")

    async def call(key: str, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
        answer = await gateway.http.request(method, PATH + path, headers={"X-Api-Key": key}, json=body)
        return answer.status_code, answer.json()

    assert (await call(sender, "GET"))[1]["state"] == "not_needed"
    assert (await call(sender, "POST", body=WHO))[1]["code"] == "scope-missing"
    assert (await call(sender, "POST", "/confirm", WHO | {"sms_code": "1"}))[1]["code"] == "scope-missing"
    for path, body in (("", WHO), ("/confirm", WHO | {"sms_code": "135790"})):
        status, problem = await call(giver, "POST", path, body)
        assert (status, problem["code"]) == (409, "state-conflict")
    for body in (
        WHO,
        {"sms_code": "1"},
        WHO | {"sms_code": "1", "signature_base64": "MA=="},
        WHO | {"sms_code": "1 2"},
    ):
        status, problem = await call(giver, "POST", "/confirm", body)
        assert (status, problem["code"]) == (422, "validation-failed")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT action, subject, a::text FROM gateway.audit_log a").fetchall()
    noted = [(action, subject) for action, subject, _whole in rows if action.startswith("second-factor.")]
    assert noted == [("second-factor.begin", "a-1"), ("second-factor.confirm", "a-1")]
    assert any("Ayşe Yılmaz" in whole and "giver" in whole for _action, _subject, whole in rows)
    assert not any("135790" in whole for _action, _subject, whole in rows)
