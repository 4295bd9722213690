"""Our internal HTTP interface, over real sockets: tokens, correlation, problems, limits, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Path, Request
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, SecretStr

from services.sandbox.listener import serving
from shared.errors import DomainError, ErrorCode, Fault
from shared.http import STATUS, internal_app
from shared.telemetry.metrics import HttpMetrics

TOKENS = {"gateway": SecretStr("gateway-token"), "kep_relay": SecretStr("relay-token")}
AUTHORISED = {"Authorization": "Bearer relay-token"}
LIMIT = 1000


class Letter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


class Server:
    """The application under test and what it has met."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.app = internal_app("test", tokens=TOKENS, metrics=HttpMetrics(self.registry), body_limit=LIMIT)
        self.entered = asyncio.Event()
        self.url = ""
        _routes(self.app, self)

    def requests(self, **labels: str) -> float:
        return self.registry.get_sample_value("kepgw_http_requests_total", labels) or 0.0


def _routes(app: FastAPI, server: Server) -> None:
    @app.get("/things/{number}")
    async def thing(number: Annotated[int, Path(ge=0)]) -> dict[str, int]:
        return {"number": number}

    @app.post("/letters")
    async def letter(body: Letter) -> Letter:
        return body

    @app.post("/streams")
    async def stream(request: Request) -> int:
        server.entered.set()
        return sum([len(piece) async for piece in request.stream()])

    @app.get("/refusals/{code}")
    async def refuse(code: ErrorCode) -> None:
        raise DomainError(code, "because", faults=[Fault("/a", "b")], retry_after_seconds=7)

    @app.get("/bugs")
    async def bug() -> None:
        raise ZeroDivisionError("secret inside")

    @app.get("/half-answers")
    async def half() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            raise ZeroDivisionError

        return StreamingResponse(body())


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    async with serving(found.app, "127.0.0.1", 0) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=AUTHORISED) as found:
        yield found


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["trace_id"] == response.headers["x-correlation-id"]
    return body


async def metric(server: Server, expected: float, **labels: str) -> None:
    """Wait for a count: it is taken after the last byte has left."""
    async with asyncio.timeout(30):
        while server.requests(**labels) != expected:
            await asyncio.sleep(0.01)


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)
    assert all(400 <= status < 600 for status in STATUS.values())


def test_retryable_server_side_codes_are_5xx_or_429_or_409() -> None:
    for code in ErrorCode:
        if DomainError(code, "x").retryable:
            assert STATUS[code] in {400, 409, 429, 500, 503}, code


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"},
        {"Authorization": "relay-token"}, {"Authorization": "Basic relay-token"}, {"Authorization": "Bearer relay-toke"},
    ],
)  # fmt: skip
async def test_without_a_service_s_token_there_is_nothing(server: Server, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in ("/things/1", "/nowhere"):
            response = await client.get(path, headers=headers)
            assert response.status_code == 401
            assert problem(response)["code"] == "unauthenticated"


@pytest.mark.parametrize("token", ["gateway-token", "relay-token"])
async def test_every_service_s_token_is_good(server: Server, token: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        response = await client.get("/things/1", headers={"Authorization": f"Bearer {token}"})
    assert response.json() == {"number": 1}


async def test_correlation_id_of_the_caller_comes_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/things/1", headers={"X-Correlation-ID": "from-the-caller-1"})
    assert response.headers["x-correlation-id"] == "from-the-caller-1"
    assert len((await client.get("/things/1")).headers["x-correlation-id"]) == 32


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_refusal_is_a_problem(client: httpx.AsyncClient, code: ErrorCode) -> None:
    response = await client.get(f"/refusals/{code}")
    body = problem(response)
    assert response.status_code == STATUS[code]
    assert response.headers["retry-after"] == "7"
    assert (body["code"], body["detail"], body["errors"]) == (code, "because", [{"pointer": "/a", "detail": "b"}])
    assert body["retryable"] is DomainError(code, "x").retryable


async def test_an_unforeseen_error_is_answered_with_its_trace_id_and_nothing_else(client: httpx.AsyncClient) -> None:
    response = await client.get("/bugs", headers={"X-Correlation-ID": "from-the-caller-1"})
    body = problem(response)
    assert (response.status_code, body["code"], body["trace_id"]) == (500, "internal", "from-the-caller-1")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text


async def test_an_answer_that_breaks_off_is_seen_as_broken(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/half-answers")


async def test_requests_that_do_not_fit_are_named_by_pointer(client: httpx.AsyncClient) -> None:
    body = problem(await client.post("/letters", json={"number": "x", "a/b~c": 1}))
    assert body["code"] == "validation-failed"
    assert {error["pointer"] for error in body["errors"]} == {"/body/number", "/body/a~1b~0c"}
    body = problem(await client.get("/things/-1"))
    assert [error["pointer"] for error in body["errors"]] == ["/path/number"]


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[" * 900])
async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/letters", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert problem(response)["code"] in {"malformed-request", "validation-failed"}


async def test_unknown_paths_and_methods(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/nowhere"))["code"] == "not-found"
    response = await client.delete("/things/1")
    assert problem(response)["code"] == "method-not-allowed"
    assert response.headers["allow"] == "GET"


async def chunked(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


async def test_body_limit(client: httpx.AsyncClient) -> None:
    assert (await client.post("/streams", content=b"x" * LIMIT)).json() == LIMIT
    assert (await client.post("/streams", content=chunked(LIMIT))).json() == LIMIT
    for content in (b"x" * (LIMIT + 1), chunked(LIMIT + 100)):
        response = await client.post("/streams", content=content)
        assert response.status_code == 413
        assert problem(response)["code"] == "too-large"


async def test_body_limit_when_the_framework_reads_the_body(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/letters", content=chunked(LIMIT + 100), headers=headers)
    assert problem(response)["code"] == "too-large"


async def test_a_refused_body_is_not_read_to_its_end(server: Server) -> None:
    """The answer comes while the client still waits to send the rest."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(
        b"POST /streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer relay-token\r\n"
        b"Content-Length: 1000000000\r\n\r\nbegin"
    )
    async with asyncio.timeout(30):
        assert b" 413 " in await reader.readline()
    writer.close()


async def test_a_client_that_leaves_is_nobody_s_failure(server: Server) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(
        b"POST /streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer relay-token\r\nContent-Length: 900\r\n\r\nbegin"
    )
    await writer.drain()
    async with asyncio.timeout(30):
        await server.entered.wait()
    writer.close()
    await writer.wait_closed()
    await metric(server, 1, method="POST", route="/streams", status="499")
    assert server.requests(method="POST", route="/streams", status="500") == 0


async def test_metrics_name_the_route_and_never_the_path(server: Server, client: httpx.AsyncClient) -> None:
    for number in range(3):
        await client.get(f"/things/{number}")
    await client.get("/nowhere/12345678901")
    await client.request("PROPFIND", "/things/1")
    await metric(server, 3, method="GET", route="/things/{number}", status="200")
    await metric(server, 1, method="GET", route="unmatched", status="404")
    await metric(server, 1, method="OTHER", route="/things/{number}", status="405")
