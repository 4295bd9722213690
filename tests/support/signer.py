"""A signer as its callers see it: real HTTP on a free port, and the typed client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from services.signer.app import build
from services.signer.settings import Settings
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.service import Service
from tests.support.gateway import serving

TOKEN = "0123456789"
COMMON: dict[str, Any] = {"port": 0, "ops_port": 0, "service_tokens": {"gateway": TOKEN}}
"""Settings that every signer of the tests has."""


@dataclass(frozen=True)
class RunningSigner:
    """A signer and its client."""

    service: Service
    base_url: str
    client: SignerClient

    def sample(self, name: str, **labels: str) -> float | None:
        """The value of one of its metrics."""
        return self.service.registry.get_sample_value(name, labels)


@asynccontextmanager
async def running_signer(settings: dict[str, Any], clock: Clock) -> AsyncIterator[RunningSigner]:
    """Run a signer with these settings over ``COMMON``."""
    service = await build(Settings(**COMMON | settings), clock)
    try:
        async with serving(service.app) as base_url:
            client = SignerClient(base_url, SecretStr(TOKEN))
            try:
                yield RunningSigner(service, base_url, client)
            finally:
                await client.aclose()
    finally:
        await service.resources.aclose()
