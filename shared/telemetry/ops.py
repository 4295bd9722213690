"""/livez, /readyz and /metrics of one process, on a port of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReadinessCheck:
    """One thing that must hold for this process to be of use.

    ``check`` returns normally when it holds and raises when it does not; the exception's text is
    shown to the operator, so it must hold no secret.
    """

    name: str
    check: Callable[[], Awaitable[None]]
    timeout_seconds: float = 3.0


def ops_app(
    registry: CollectorRegistry, checks: Sequence[ReadinessCheck], *, stopping: Callable[[], bool]
) -> Starlette:
    """The operator's interface: alive, ready (and if not, why), metrics."""
    ready = Gauge("kepgw_ready", "1 if this readiness check holds.", ["check"], registry=registry)
    for item in checks:
        ready.labels(item.name).set(0)

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        results = dict(await asyncio.gather(*(_run(item) for item in checks)))
        for name, fault in results.items():
            ready.labels(name).set(0 if fault else 1)
        if stopping():
            results["shutdown"] = "stopping"
        ok = not any(results.values())
        body = {"ready": ok, "checks": {name: fault or "ok" for name, fault in results.items()}}
        return JSONResponse(body, status_code=200 if ok else 503)

    async def metrics(request: Request) -> Response:
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        body = await asyncio.to_thread(encoder, registry)
        return Response(body, media_type=content_type)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


async def _run(item: ReadinessCheck) -> tuple[str, str | None]:
    try:
        async with asyncio.timeout(item.timeout_seconds):
            await item.check()
    except TimeoutError:
        return item.name, f"no answer within {item.timeout_seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready", with the reason
        log.info("not_ready", check=item.name, reason=str(error))
        return item.name, str(error) or type(error).__name__
    return item.name, None
