"""Calling another service: its refusals arrive as they were meant, everything else as "not there"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr

from services.sandbox.listener import serving
from shared.errors import DomainError, ErrorCode, Fault
from shared.http import ServiceClient, internal_app
from shared.telemetry.logging import correlated, correlation_id
from shared.telemetry.metrics import HttpMetrics
from tests.support.ports import free_port

UNAVAILABLE = ErrorCode.SIGNER_UNAVAILABLE


class Answer(BaseModel):
    number: int


def _app() -> FastAPI:
    app = internal_app("test", tokens={"x": SecretStr("token")}, metrics=HttpMetrics(CollectorRegistry()))

    @app.post("/internal/v1/answers")
    async def answer(body: Answer) -> Answer:
        return body

    @app.get("/internal/v1/refusals/{code}")
    async def refuse(code: ErrorCode) -> None:
        raise DomainError(code, "because ğ", faults=[Fault("/a", "b")], retry_after_seconds=7)

    @app.get("/internal/v1/raw/{status}")
    async def raw(status: int) -> Response:
        return Response("<html>proxy</html>", status_code=status, headers={"Retry-After": "soon"})

    @app.get("/internal/v1/correlation")
    async def correlation() -> str:
        return correlation_id.get()

    @app.put("/internal/v1/uploads")
    async def upload(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    @app.get("/internal/v1/downloads/{outcome}")
    async def download(outcome: str) -> StreamingResponse:
        if outcome == "refused":
            raise DomainError(ErrorCode.NOT_FOUND, "no such blob")

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            if outcome == "broken":
                raise ZeroDivisionError

        return StreamingResponse(body())

    @app.get("/internal/v1/waits")
    async def wait() -> None:
        await asyncio.sleep(60)

    return app


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(_app(), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
async def client(url: str) -> AsyncIterator[ServiceClient]:
    found = ServiceClient(url, token=SecretStr("token"), unavailable=UNAVAILABLE, timeout_seconds=5)
    yield found
    await found.aclose()


async def failure(awaitable: object) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


async def test_a_typed_call(client: ServiceClient) -> None:
    assert await client.json(Answer, "POST", "/answers", body=Answer(number=3)) == Answer(number=3)


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - {ErrorCode.UNAUTHENTICATED, ErrorCode.INTERNAL}))
async def test_a_refusal_arrives_as_it_was_raised(client: ServiceClient, code: ErrorCode) -> None:
    error = await failure(client.call("GET", f"/refusals/{code}"))
    assert (error.code, error.detail, error.retry_after_seconds) == (code, "because ğ", 7)
    assert error.faults == (Fault("/a", "b"),)


@pytest.mark.parametrize(
    "path", ["/refusals/internal", "/refusals/unauthenticated", "/raw/502", "/raw/404", "/raw/413"]
)
async def test_what_says_nothing_to_our_caller_means_the_service_is_not_there(client: ServiceClient, path: str) -> None:
    assert (await failure(client.call("GET", path))).code is UNAVAILABLE


async def test_a_wrong_token_is_our_own_trouble_not_the_caller_s(url: str) -> None:
    client = ServiceClient(url, token=SecretStr("wrong"), unavailable=UNAVAILABLE)
    assert (await failure(client.call("GET", "/correlation"))).code is UNAVAILABLE
    await client.aclose()


async def test_an_answer_of_another_shape_is_no_answer(client: ServiceClient) -> None:
    assert (await failure(client.json(Answer, "GET", "/correlation"))).code is UNAVAILABLE
    assert (await failure(client.json(Answer, "GET", "/raw/200"))).code is UNAVAILABLE


async def test_nobody_listening_and_no_answer_in_time(url: str) -> None:
    gone = ServiceClient(f"http://127.0.0.1:{free_port()}", token=SecretStr("t"), unavailable=UNAVAILABLE)
    error = await failure(gone.call("GET", "/x"))
    assert (error.code, error.retry_after_seconds) == (UNAVAILABLE, 5)
    await gone.aclose()
    slow = ServiceClient(url, token=SecretStr("token"), unavailable=UNAVAILABLE, timeout_seconds=0.2)
    assert (await failure(slow.call("GET", "/waits"))).code is UNAVAILABLE
    await slow.aclose()


async def test_correlation_id_crosses_services(client: ServiceClient) -> None:
    with correlated("from-the-caller-1"):
        assert (await client.call("GET", "/correlation")).json() == "from-the-caller-1"


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 100


async def test_bytes_travel_as_streams(client: ServiceClient) -> None:
    assert (await client.upload("PUT", "/uploads", pieces())).json() == 1000
    async with client.download("/downloads/whole") as response:
        assert len(b"".join([piece async for piece in response.aiter_bytes()])) == 1000


async def test_an_upload_whose_source_fails_keeps_the_source_s_error(client: ServiceClient) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise DomainError(ErrorCode.UPLOAD_TRUNCATED, "the client is gone")

    assert (await failure(client.upload("PUT", "/uploads", failing()))).code is ErrorCode.UPLOAD_TRUNCATED


async def _downloaded(client: ServiceClient, outcome: str) -> bytes:
    async with client.download(f"/downloads/{outcome}") as response:
        return b"".join([piece async for piece in response.aiter_bytes()])


async def test_a_download_that_is_refused_or_breaks_off(client: ServiceClient) -> None:
    assert (await failure(_downloaded(client, "refused"))).code is ErrorCode.NOT_FOUND
    assert (await failure(_downloaded(client, "broken"))).code is UNAVAILABLE
