"""Fixtures of the tests of the SOAP service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.eyws_provider import A, EywsProviders, running_providers
from tests.unit.sandbox_kephs.eyws_calls import Caller

Callers = Callable[..., Caller]


@pytest.fixture
async def eyws(tmp_path: Path) -> AsyncIterator[EywsProviders]:
    async with running_providers(tmp_path) as running:
        yield running


@pytest.fixture
async def callers(eyws: EywsProviders) -> AsyncIterator[Callers]:
    """``callers(address)``: someone who calls as that account."""
    made: list[Caller] = []

    def caller(address: str = A) -> Caller:
        made.append(Caller(eyws.accounts[address]))
        return made[-1]

    yield caller
    for one in made:
        await one.aclose()
