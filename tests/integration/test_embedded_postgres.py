"""The PostgreSQL that tests and ``make run`` bring along: nobody has to tidy up after a process that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

_OWNER = """
from tests.support.database import embedded_server
with embedded_server() as url:
    print(url, flush=True)
    input()
"""


def test_a_killed_test_process_leaves_no_server_and_no_directory() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "KEPGW_TEST_DATABASE_URL"}
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        data = Path(parse_qs(urlsplit(url).query)["host"][0])
        assert data.is_dir()
        owner.kill()
    deadline = time.monotonic() + 90
    while data.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not data.parent.exists()
