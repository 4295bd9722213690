"""Everything that leaves the gateway is documented: problems, headers, pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from shared.contracts.problems import Problem
from shared.errors import ErrorCode
from tests.support.database import fresh_database
from tests.support.gateway import ADMIN_KEY, RunningGateway, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

LETTER = "0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    directory = tmp_path_factory.mktemp("gateway")
    with fresh_database(database_server) as url:
        async with running_gateway(url, directory, request_burst=10_000) as running:
            yield running


async def test_unknown_paths_and_methods_are_problems_with_allow(gateway: RunningGateway) -> None:
    answer = await gateway.admin("GET", "/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    answer = await gateway.admin("PATCH", f"/v1/inbound-messages/{LETTER}/package")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    answer = await gateway.admin("DELETE", "/v1/mailboxes/a")
    assert answer.headers["allow"] == "GET, PUT"
    answer = await gateway.admin("OPTIONS", "/v1/api-keys")
    assert (answer.json()["code"], answer.headers["allow"]) == ("method-not-allowed", "GET, POST")
    assert (await gateway.http.get("/nothing")).json()["code"] == "not-found"


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed-request"),
        (b"\xff", "application/json", 400, "malformed-request"),
        (b"[" * 50_000, "application/json", 400, "malformed-request"),
        (b"9" * 5000, "application/json", 400, "malformed-request"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
        (b"{}", "", 415, "unsupported-media-type"),
        (b"<x/>", "application/xml", 415, "unsupported-media-type"),
        (b"", "application/json", 422, "validation-failed"),
        (b"null", "application/json", 422, "validation-failed"),
        (b'{"client_id": "a\\u0000", "scopes": ["admin"]}', "application/json", 422, "validation-failed"),
        (b'{"client_id": "a", "label": "\\ud800", "scopes": ["admin"]}', "application/json", 422, "validation-failed"),
        (b'{"client_id": "a", "scopes": ["admin"], "\\ud800": 1}', "application/json", 422, "validation-failed"),
        (b'{"client_id": "a", "scopes": ["root"]}', "application/json", 422, "validation-failed"),
        (b'{"client_id": "a", "scopes": ["admin"], "institutions": [1e400]}', "application/json", 422, "validation-failed"),
        (b" " * 300_000, "application/json", 413, "too-large"),
    ],
)  # fmt: skip
async def test_bad_bodies_are_problems(
    gateway: RunningGateway, content: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"X-Api-Key": ADMIN_KEY} | ({"Content-Type": content_type} if content_type else {})
    answer = await gateway.http.post("/v1/api-keys", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    Problem.model_validate_json(answer.content)


async def test_a_body_without_announced_length_is_limited_all_the_same(gateway: RunningGateway) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 50_000

    headers = {"X-Api-Key": ADMIN_KEY, "Content-Type": "application/json"}
    answer = await gateway.http.post("/v1/api-keys", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/institutions/0", "/v1/institutions/99999999999999999999999", "/v1/institutions/1e7",
        "/v1/institutions/%00", "/v1/api-keys/%00%00%00%00%00%00%00%00", "/v1/mailboxes/%F0%9F%98%80/readiness",
        "/v1/outbound-messages/x", "/v1/outbound-messages?limit=0", "/v1/outbound-messages?state=nothing",
        "/v1/outbound-messages?updated_since=2026-01-01", "/v1/outbound-messages?updated_since=0001-01-01T00:00:00%2B14:00",
        "/v1/outbound-messages?client_ref=a%00b", "/v1/outbound-messages?cursor=a%20b", "/v1/outbound-messages?institution=7",
        "/v1/directory/units?q=a%00", "/v1/directory/units?limit=1e9", "/v1/directory/units/99999999999999999999",
        "/v1/inbound-messages?cursor=%F0%9F%98%80", f"/v1/inbound-messages/{LETTER}/parts/-1",
        f"/v1/inbound-messages/{LETTER}/parts/99999999999999999999", f"/v1/outbound-messages/{LETTER}/evidence/x/content",
    ],
)  # fmt: skip
async def test_bad_parameters_are_client_errors(gateway: RunningGateway, path: str) -> None:
    await gateway.institution(10000001)
    key = await gateway.key("messages:read", "messages:send", "directory:read", "admin", institutions=(10000001,))
    answer = await gateway.http.get(path, headers={"X-Api-Key": key})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_long_query_is_told_its_length_in_characters(gateway: RunningGateway) -> None:
    key = await gateway.key("directory:read", institutions=(10000001,))
    answer = await gateway.http.get("/v1/directory/units", params={"q": "a" * 10_000}, headers={"X-Api-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/query/q", "detail": "Value should have at most 200 characters, not 10000"}
    ]


async def test_titles_follow_accept_language_and_trace_ids_the_caller(gateway: RunningGateway) -> None:
    headers = {"X-Correlation-ID": "my-correlation-1", "Accept-Language": "en"}
    answer = await gateway.http.get("/v1/ledger", headers=headers)
    problem = answer.json()
    assert problem["title"] == "Not authenticated"
    assert problem["trace_id"] == answer.headers["x-correlation-id"] == "my-correlation-1"
    answer = await gateway.http.get("/v1/ledger", headers={"X-Correlation-ID": "bad id " + "x" * 500})
    assert answer.json()["title"] == "Kimlik doğrulanamadı"
    assert len(answer.json()["trace_id"]) == 32


async def test_services_that_are_away_are_503_with_retry_after(gateway: RunningGateway) -> None:
    await gateway.institution(10000001)
    key = await gateway.key("messages:read", "directory:read", "inbound:consume", institutions=(10000001,))
    for path, code in {
        "/v1/outbound-messages": ErrorCode.SERVICE_UNAVAILABLE,
        f"/v1/outbound-messages/{LETTER}": ErrorCode.SERVICE_UNAVAILABLE,
        f"/v1/inbound-messages/{LETTER}/package": ErrorCode.SERVICE_UNAVAILABLE,
        "/v1/directory/status": ErrorCode.DIRECTORY_UNAVAILABLE,
        "/v1/directory/units?q=belediye": ErrorCode.DIRECTORY_UNAVAILABLE,
    }.items():
        answer = await gateway.http.get(path, headers={"X-Api-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (503, code), path
        assert answer.json()["retryable"]
        assert int(answer.headers["retry-after"]) > 0


async def test_a_foreign_institution_cannot_even_be_asked_for(gateway: RunningGateway) -> None:
    await gateway.institution(10000001)
    key = await gateway.key("messages:read", "inbound:consume", institutions=(10000001,))
    for path in ("/v1/outbound-messages", "/v1/inbound-messages"):
        answer = await gateway.http.get(path, params={"institution": 10000002}, headers={"X-Api-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (403, "institution-forbidden")
    body = {"institution_no": 10000002}
    answer = await gateway.http.post("/v1/inbound-messages/leases", json=body, headers={"X-Api-Key": key})
    assert answer.json()["code"] == "institution-forbidden"
    unbound = await gateway.key("messages:read", client_id="unbound")
    answer = await gateway.http.get("/v1/outbound-messages", headers={"X-Api-Key": unbound})
    assert answer.json()["code"] == "institution-forbidden"


async def test_documentation_works_without_the_internet(gateway: RunningGateway) -> None:
    for page in ("/docs", "/redoc", "/problems", "/problems/lease-lost"):
        answer = await gateway.http.get(page)
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("<!doctype", ""), f"{page} names another host"
        assert "<script>" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "http" not in policy
        assert "script-src 'self';" in policy
        for link in {part.split('"')[0] for part in answer.text.split('="/')[1:]}:
            assert (await gateway.http.get(f"/{link}")).status_code == 200, link
    assert (await gateway.http.get("/")).headers["location"] == "/docs"
    assert (await gateway.http.get("/problems/nothing")).status_code == 404
    assert (await gateway.http.get("/docs/assets/nothing")).status_code == 404
    assert (await gateway.http.get("/docs/static/../app.py")).status_code == 404


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_problem_has_its_page(gateway: RunningGateway, code: ErrorCode) -> None:
    page = (await gateway.http.get(f"/problems/{code}")).text
    assert code in page


async def test_security_headers_are_on_every_answer(gateway: RunningGateway) -> None:
    for path in ("/v1/ledger", "/docs", "/openapi.json", "/nothing", "/docs/static/swagger-ui.css"):
        headers = (await gateway.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"]
        assert "server" not in headers


async def test_metrics_name_routes_not_ids(gateway: RunningGateway) -> None:
    await gateway.admin("GET", "/v1/institutions/12345678")
    await gateway.admin("GET", f"/v1/nothing/{LETTER}")
    await gateway.admin("BREW", "/v1/ledger")
    text = generate_latest(gateway.service.registry).decode()
    assert 'route="/v1/institutions/{detsis_no}"' in text
    assert "12345678" not in text
    assert LETTER not in text
    assert "BREW" not in text
    assert 'kepgw_idempotency_keys_total{outcome="in_progress"} 0.0' in text


async def test_the_served_document_is_the_one_the_tests_check(gateway: RunningGateway) -> None:
    answer = await gateway.http.get("/openapi.json")
    assert json.loads(answer.content)["openapi"].startswith("3.1")
    assert (await asyncio.gather(gateway.http.get("/openapi.json")))[0].content == answer.content
