"""kep_relay as a process: settings, migration, readiness, and a stop that ends in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from services.kep_relay.tables import Base
from shared.db.session import Database
from tests.support.autogenerate import differences
from tests.support.ports import free_port

COMMAND = [sys.executable, "-m", "services.kep_relay"]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    own = {
        "PORT": str(free_port()),
        "OPS_PORT": str(free_port()),
        "DATABASE_URL": database_url,
        "BLOB_STORE_URL": f"file://{tmp_path / 'blobs'}",
        "SECRET_KEYS": Fernet.generate_key().decode(),
        "DETSIS_SYNC_URL": "http://127.0.0.1:9",
        "SIGNER_URL": "http://127.0.0.1:9",
        "SERVICE_TOKENS": json.dumps({"kep_relay": "r", "gateway": "g"}),
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    return inherited | {f"KEPGW_KEP_RELAY_{key}": value for key, value in own.items()}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_all_faults_of_the_settings_are_listed_at_once(environment: dict[str, str]) -> None:
    assert run(environment, "--check-config").returncode == 0
    wrong = environment | {
        "KEPGW_KEP_RELAY_SECRET_KEYS": "not a key",
        "KEPGW_KEP_RELAY_BLOB_STORE_URL": "ftp://x",
        "KEPGW_KEP_RELAY_RETRY_PAUSES_SECONDS": "[0]",
        "KEPGW_KEP_RELAY_MISSPELT": "1",
    }
    checked = run(wrong, "--check-config")
    assert checked.returncode == 2
    for name in ("SECRET_KEYS", "BLOB_STORE_URL", "RETRY_PAUSES_SECONDS", "MISSPELT"):
        assert f"KEPGW_KEP_RELAY_{name}" in checked.stderr
    assert "not a key" not in checked.stderr


async def test_the_migrated_schema_is_the_declared_one_and_the_process_serves(
    environment: dict[str, str], database_url: str
) -> None:
    for _ in range(2):
        migrated = await asyncio.to_thread(run, environment, "--migrate")
        assert migrated.returncode == 0, migrated.stderr
    assert differences(Database(database_url, schema="public"), Base.metadata, "kep_relay") == []
    process = await asyncio.create_subprocess_exec(*COMMAND, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        ops = f"http://127.0.0.1:{environment['KEPGW_KEP_RELAY_OPS_PORT']}"
        async with httpx.AsyncClient() as http, asyncio.timeout(30):
            while True:
                try:
                    if (await http.get(f"{ops}/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
            api = f"http://127.0.0.1:{environment['KEPGW_KEP_RELAY_PORT']}/internal/v1"
            ledger = await http.get(f"{api}/ledger", headers={"Authorization": "Bearer g"})
            assert ledger.json()["outbound"]["imbalance"] == 0
            metrics = ""
            while "kepgw_leader 1.0" not in metrics:
                metrics = (await http.get(f"{ops}/metrics")).text
                await asyncio.sleep(0.1)
            assert 'kepgw_messages_in_state{direction="outbound",state="queued"} 0.0' in metrics
    finally:
        process.send_signal(signal.SIGTERM)
        _out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
