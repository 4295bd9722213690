"""Fixtures every kind of test may use."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.database import embedded_server, fresh_database
from tests.support.scratch import use_memory


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Before pytest and the workers it starts choose their directories."""
    use_memory()


def pytest_collection_finish() -> None:
    """All modules and tests live to the end: full collections need not walk them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """URL of a PostgreSQL superuser, one server per test process."""
    with embedded_server() as url:
        yield url


@pytest.fixture
def database_url(database_server: str) -> Iterator[str]:
    """URL of an empty database of this test's own."""
    with fresh_database(database_server) as url:
        yield url
