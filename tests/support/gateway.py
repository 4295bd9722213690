"""A gateway as the outside sees it: real PostgreSQL, real HTTP on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.gateway.app import build
from services.gateway.settings import Settings
from shared.clock import Clock, SystemClock
from shared.service import Service
from shared.tls import default_context
from tests.support.ports import free_port
from tests.support.schemas import bring_up
from tests.support.serving import serving

ADMIN_KEY = "kepgw_testadmin_" + "s" * 40
TOKENS = {name: f"token-of-{name}" for name in ("gateway", "detsis_sync", "kep_relay", "signer")}


@dataclass(frozen=True)
class RunningGateway:
    """A gateway, and what tests need to use it as operator and as client."""

    url: str
    service: Service
    http: httpx.AsyncClient
    settings: Settings

    async def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call as the operator."""
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, **options)

    async def institution(self, detsis_no: int, **policy: str) -> None:
        """Enter an institution."""
        answer = await self.admin(
            "PUT", f"/v1/institutions/{detsis_no}", json={"name": f"Kurum {detsis_no}", "policy": policy}
        )
        assert answer.status_code == 200, answer.text

    async def key(self, *scopes: str, institutions: tuple[int, ...] = (), client_id: str = "ebys", **more: Any) -> str:
        """Issue an API key."""
        body = {"client_id": client_id, "scopes": list(scopes), "institutions": list(institutions), **more}
        answer = await self.admin("POST", "/v1/api-keys", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])


def gateway_settings(database_url: str, directory: Path, **overrides: Any) -> Settings:
    """Settings of a test's gateway; the services behind it are nowhere unless named."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    values: dict[str, Any] = {
        "port": 0, "ops_port": 0, "service_tokens": TOKENS, "database_url": database_url, "kep_relay_url": nowhere,
        "detsis_sync_url": nowhere, "signer_url": nowhere, "spool_directory": directory / "spool",
        "blob_store_url": f"file://{directory / 'gateway-blobs'}",
        "bootstrap_admin_key": ADMIN_KEY, "key_cache_seconds": 0,
    }  # fmt: skip
    return Settings.model_validate({**values, **overrides})


@asynccontextmanager
async def running_gateway(
    database_url: str, directory: Path, *, clock: Clock | None = None, **overrides: Any
) -> AsyncIterator[RunningGateway]:
    """Migrate, build and serve a gateway."""
    settings = gateway_settings(database_url, directory, **overrides)
    await asyncio.to_thread(bring_up, database_url, "gateway")
    service = await build(settings, clock or SystemClock())
    async with (
        service.resources,
        serving(service.app) as url,
        httpx.AsyncClient(base_url=url, timeout=30, verify=default_context()) as http,
    ):
        yield RunningGateway(url, service, http, settings)
