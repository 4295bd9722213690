from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from shared.db.session import Database

SCHEMA = "detsis_sync"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty schema with one table, ``notes``."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(f"CREATE TABLE {SCHEMA}.notes (id integer PRIMARY KEY)")
    found = Database(database_url, schema=SCHEMA, pool_size=4)
    yield found
    await found.aclose()
