"""Fixtures every kind of test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.database import embedded_server, fresh_database


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
