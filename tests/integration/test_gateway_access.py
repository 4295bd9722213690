"""Who gets in, and how everybody else is turned away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from services.gateway.callers import Scope
from shared.clock import FixedClock
from shared.contracts.problems import Problem
from shared.errors import ErrorCode
from tests.support.gateway import ADMIN_KEY, RunningGateway, running_gateway

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[RunningGateway]:
    async with running_gateway(database_url, tmp_path, clock=clock) as running:
        yield running


def code(answer: object) -> ErrorCode:
    return Problem.model_validate_json(answer.content).code  # type: ignore[attr-defined]


def audit(database_url: str) -> list[tuple[str, str]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT action, subject FROM gateway.audit_log ORDER BY entry_id").fetchall()


async def test_nothing_under_v1_opens_without_a_key(gateway: RunningGateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method in item:
            answer = await gateway.http.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, (method, path)
            assert code(answer) is ErrorCode.UNAUTHENTICATED
            assert "Bearer" in answer.headers["www-authenticate"]
    assert (await gateway.http.get("/v1/anything-else")).status_code == 401


async def test_both_headers_work_but_not_with_different_keys(gateway: RunningGateway) -> None:
    path = "/v1/api-keys"
    assert (await gateway.http.get(path, headers={"Authorization": f"bearer {ADMIN_KEY}"})).status_code == 200
    assert (await gateway.http.get(path, headers={"X-Api-Key": ADMIN_KEY})).status_code == 200
    other = "kepgw_otherkey1_" + "x" * 40
    both = {"Authorization": f"Bearer {ADMIN_KEY}", "X-Api-Key": other}
    assert (await gateway.http.get(path, headers=both)).status_code == 401
    same = {"Authorization": f"Bearer {ADMIN_KEY}", "X-Api-Key": ADMIN_KEY}
    assert (await gateway.http.get(path, headers=same)).status_code == 200
    for other in ("Basic dXNlcjpwYXNz", "Bearer", "", "Bearer x"):
        headers = {"Authorization": other, "X-Api-Key": ADMIN_KEY}
        assert (await gateway.http.get(path, headers=headers)).status_code == 401


async def test_every_bad_key_gets_the_same_answer(gateway: RunningGateway) -> None:
    details = set()
    for key in ("nonsense", "kepgw_unknownkey_" + "x" * 40, ADMIN_KEY[:-1] + "x", ADMIN_KEY + "x"):
        answer = await gateway.http.get("/v1/api-keys", headers={"X-Api-Key": key})
        assert answer.status_code == 401
        details.add(answer.json()["detail"])
    assert len(details) == 1


async def test_a_key_is_shown_once_and_stored_only_as_digest(gateway: RunningGateway, database_url: str) -> None:
    key = await gateway.key("messages:read")
    listed = (await gateway.admin("GET", "/v1/api-keys")).text
    assert key not in listed
    assert key.split("_")[1] in listed
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT k::text FROM gateway.api_keys k").fetchall()
        rows += connection.execute("SELECT a::text FROM gateway.audit_log a").fetchall()
    assert all(key.split("_")[2] not in row[0] and "s" * 40 not in row[0] for row in rows)


async def test_scopes_are_enforced_and_documented(gateway: RunningGateway) -> None:
    """Walks every operation with a key that lacks its scopes."""
    await gateway.institution(10000001)
    document = (await gateway.http.get("/openapi.json")).json()
    every = {scope.value for scope in Scope}
    keys: dict[frozenset[str], str] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            lacking = frozenset(every - set(operation["x-required-scopes"]))
            if lacking not in keys:
                keys[lacking] = await gateway.key(*lacking, institutions=(10000001,), client_id=f"c{len(keys)}")
            path_with_ids = path
            for name, value in {"number": "1", "detsis_no": "10000001", "institution_no": "10000001",
                                "mailbox_id": "a", "key_id": "abcdefgh"}.items():  # fmt: skip
                path_with_ids = path_with_ids.replace("{" + name + "}", value)
            path_with_ids = re.sub(r"\{\w+_id\}", "0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f", path_with_ids)
            json = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = {"json": json["examples"]["example"]["value"]} if json else {}
            answer = await gateway.http.request(method, path_with_ids, headers={"X-Api-Key": keys[lacking]}, **body)
            assert (answer.status_code, code(answer)) == (403, ErrorCode.SCOPE_MISSING), (method, path)
            if "content" in path or path.endswith(("/package", "/raw", "}")):
                head = await gateway.http.head(path_with_ids, headers={"X-Api-Key": keys[lacking]})
                assert head.status_code in {403, 405}, path


async def test_an_expired_key_and_a_revoked_key_are_refused(
    gateway: RunningGateway, clock: FixedClock, database_url: str
) -> None:
    short = await gateway.key("admin", client_id="a", expires_at=(NOW + timedelta(hours=1)).isoformat())
    plain = await gateway.key("admin", client_id="b")
    for key in (short, plain):
        assert (await gateway.http.get("/v1/api-keys", headers={"X-Api-Key": key})).status_code == 200
    prefix = plain.split("_")[1]
    assert (await gateway.admin("DELETE", f"/v1/api-keys/{prefix}")).status_code == 204
    assert (await gateway.admin("DELETE", f"/v1/api-keys/{prefix}")).status_code == 204
    clock.moment += timedelta(hours=1)
    for key in (short, plain):
        for _ in range(3):
            assert (await gateway.http.get("/v1/api-keys", headers={"X-Api-Key": key})).status_code == 401
    lines = audit(database_url)
    assert lines.count(("api-key.revoke", prefix)) == 1
    assert lines.count(("api-key.refused", prefix)) == 1, "one line a minute, not one a try"
    assert (await gateway.admin("DELETE", "/v1/api-keys/nosuchkey")).status_code == 404


async def test_a_revocation_reaches_other_replicas_within_the_cache_time(database_url: str, tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    async with (
        running_gateway(database_url, tmp_path, clock=clock, key_cache_seconds=3) as first,
        running_gateway(database_url, tmp_path, clock=clock, key_cache_seconds=3) as second,
    ):
        key = await first.key("admin")
        assert (await second.http.get("/v1/api-keys", headers={"X-Api-Key": key})).status_code == 200
        await first.admin("DELETE", f"/v1/api-keys/{key.split('_')[1]}")
        assert (await first.http.get("/v1/api-keys", headers={"X-Api-Key": key})).status_code == 401
        clock.moment += timedelta(seconds=3)
        assert (await second.http.get("/v1/api-keys", headers={"X-Api-Key": key})).status_code == 401


async def test_a_policy_reaches_other_replicas_within_the_cache_time(database_url: str, tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    async with (
        running_gateway(database_url, tmp_path, clock=clock, key_cache_seconds=3) as first,
        running_gateway(database_url, tmp_path, clock=clock, key_cache_seconds=3) as second,
    ):
        strict = {"name": "Örnek Bakanlığı", "policy": {"package_findings": "refuse", "signatures": "refuse"}}
        await first.admin("PUT", "/v1/institutions/10000001", json=strict | {"policy": {"signatures": "pass"}})
        for gateway in (first, second):
            assert (await gateway.service.app.state.gateway.institutions.policy(10000001)).signatures == "pass"
        await first.admin("PUT", "/v1/institutions/10000001", json=strict)
        assert (await first.service.app.state.gateway.institutions.policy(10000001)).signatures == "refuse", (
            "at once where it was changed"
        )
        clock.moment += timedelta(seconds=3)
        assert (await second.service.app.state.gateway.institutions.policy(10000001)).signatures == "refuse"


async def test_a_key_that_calls_too_often_is_told_when_to_come_back(database_url: str, tmp_path: Path) -> None:
    async with running_gateway(
        database_url, tmp_path, clock=FixedClock(NOW), requests_per_second=0.5, request_burst=2
    ) as gateway:
        answers = [await gateway.admin("GET", "/v1/api-keys") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert code(answers[2]) is ErrorCode.RATE_LIMITED
        assert answers[2].headers["retry-after"] == "2"


async def test_last_use_is_written_when_the_gateway_stops(database_url: str, tmp_path: Path) -> None:
    async with running_gateway(database_url, tmp_path, clock=FixedClock(NOW)) as gateway:
        await gateway.admin("GET", "/v1/api-keys")
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT last_used_at FROM gateway.api_keys").fetchone()
    assert row is not None
    assert row[0] == NOW


async def test_the_bootstrap_key_survives_a_restart_and_stays_revoked(database_url: str, tmp_path: Path) -> None:
    async with running_gateway(database_url, tmp_path) as gateway:
        second = await gateway.key("admin", client_id="b")
        await gateway.admin("DELETE", "/v1/api-keys/testadmin")
    async with running_gateway(database_url, tmp_path) as gateway:
        assert (await gateway.admin("GET", "/v1/api-keys")).status_code == 401
        assert (await gateway.http.get("/v1/api-keys", headers={"X-Api-Key": second})).status_code == 200


async def test_institutions_are_entered_changed_and_audited(gateway: RunningGateway, database_url: str) -> None:
    await gateway.institution(10000001)
    await gateway.institution(10000001, package_findings="pass")
    answer = await gateway.admin("GET", "/v1/institutions/10000001")
    assert answer.json()["policy"] == {
        "package_findings": "pass", "signatures": "warn", "restricted": "encrypt", "encrypted_degrees": ["restricted"],
        "print_profile": "P-2020", "print_needs_authorisation": True,
    }  # fmt: skip
    assert (await gateway.admin("GET", "/v1/institutions/10000009")).status_code == 404
    answer = await gateway.admin(
        "POST", "/v1/api-keys", json={"client_id": "a", "scopes": ["admin"], "institutions": [10000001, 10000009]}
    )
    assert answer.json()["errors"][0]["pointer"] == "/body/institutions/1"
    assert audit(database_url).count(("institution.put", "10000001")) == 2


async def test_when_the_database_is_away_the_answer_is_503_and_it_says_so_in_readiness(
    database_url: str, tmp_path: Path
) -> None:
    async with running_gateway(database_url, tmp_path) as gateway:
        assert (await gateway.admin("GET", "/v1/api-keys")).status_code == 200
        name = database_url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(database_url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            answer = await gateway.admin("GET", "/v1/api-keys")
            assert (answer.status_code, code(answer)) == (503, ErrorCode.DURABILITY_UNAVAILABLE)
            with pytest.raises(Exception, match="database"):
                await gateway.service.checks[0].check()
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert (await gateway.admin("GET", "/v1/api-keys")).status_code == 200
        await asyncio.gather(*(check.check() for check in gateway.service.checks))
