"""Running one service: as a process of its own, because signals and exit codes are what is tested."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "tests.unit.shared.tiny_service")
PATIENCE = 60.0


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of ``condition``; fails after a generous while."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen in time")


def environment(settings: dict[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    return inherited | {f"KEPGW_TINY_{key}": value for key, value in settings.items()}


@dataclass
class Running:
    process: subprocess.Popen[str]
    directory: Path
    port: int
    ops_port: int
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE))

    def ops(self, path: str) -> httpx.Response | None:
        try:
            return self.http.get(f"http://127.0.0.1:{self.ops_port}{path}")
        except httpx.TransportError:
            return None

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[1]
        return (response := self.ops("/readyz")) is not None and response.status_code == 200

    def held_request(self) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/held", timeout=PATIENCE)

    def stopping(self) -> bool:
        response = self.ops("/readyz")
        return response is not None and response.json()["checks"].get("shutdown") == "stopping"

    def refuses_connections(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def metric(self, name: str) -> float | None:
        response = self.ops("/metrics")
        lines = response.text.splitlines() if response is not None else []
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), None)

    def ended(self) -> tuple[int, str]:
        _out, error = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, error


def settings(directory: Path, **more: str) -> dict[str, str]:
    return {
        "PORT": str(free_port()), "OPS_PORT": str(free_port()), "SERVICE_TOKENS": "{}", "DIRECTORY": str(directory),
    } | more  # fmt: skip


def start(given: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND, cwd=ROOT, env=environment(given), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[subprocess.Popen[str]] = []

    def _run(**more: str) -> Running:
        given = settings(tmp_path, **more)
        started.append(start(given))
        running = Running(started[-1], tmp_path, int(given["PORT"]), int(given["OPS_PORT"]))
        until(running.is_ready)
        return running

    yield _run
    for process in started:
        process.kill()
        process.communicate()


def once(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environment(given), capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


def test_check_config_lists_every_fault_and_exits_2(tmp_path: Path) -> None:
    ended = once("--check-config", PORT="x", OPS_PORT="70000", DIRECTORY=str(tmp_path / "absent"), TYPO="1")
    assert ended.returncode == 2
    named = sorted(line.removeprefix("tiny: ").partition(":")[0] for line in ended.stderr.splitlines())
    assert named == [
        f"KEPGW_TINY_{name}" for name in ("DIRECTORY", "OPS_PORT", "PORT", "SERVICE_TOKENS", "TYPO")
    ]  # fmt: skip


def test_check_config_of_good_settings_starts_nothing(tmp_path: Path) -> None:
    ended = once("--check-config", **settings(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "tiny: configuration is complete\n")
    assert not list(tmp_path.iterdir())


def test_migrate_does_only_that(tmp_path: Path) -> None:
    assert once("--migrate", **settings(tmp_path)).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["migrated"]


def test_sigterm_finishes_the_request_in_hand_and_takes_no_new_one(run: Callable[..., Running]) -> None:
    service = run()
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(service.held_request)
        until((service.directory / "entered").exists)
        service.process.send_signal(signal.SIGTERM)
        until(service.stopping)
        until(service.refuses_connections)
        assert not request.done()
        (service.directory / "release").touch()
        assert request.result().text == "finished"
    code, log = service.ended()
    assert code == 0, log
    assert (service.directory / "closed").exists()


def test_what_does_not_finish_is_cut_off(run: Callable[..., Running]) -> None:
    service = run(SHUTDOWN_SECONDS="1")
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(service.held_request)
        until((service.directory / "entered").exists)
        service.process.send_signal(signal.SIGTERM)
        assert service.ended()[0] == 0
        request.exception()
    assert (service.directory / "closed").exists()


def test_ready_only_while_every_check_holds(run: Callable[..., Running]) -> None:
    service = run()
    assert service.metric('kepgw_ready{check="thing"}') == 1
    for file, reason in (("broken", "the thing is broken"), ("slow", "no answer within 0.2 s")):
        (service.directory / file).touch()
        response = service.ops("/readyz")
        assert response is not None
        assert (response.status_code, response.json()) == (503, {"ready": False, "checks": {"thing": reason}})
        assert service.metric('kepgw_ready{check="thing"}') == 0
        assert (alive := service.ops("/livez")) is not None
        assert alive.status_code == 200
        (service.directory / file).unlink()
        until(service.is_ready)


def test_a_background_part_that_fails_is_started_again_and_counted(run: Callable[..., Running]) -> None:
    service = run()
    until(lambda: service.metric('kepgw_background_restarts_total{part="flaky"}') == 1)
    until(lambda: service.metric('kepgw_background_running{part="flaky"}') == 1)
    service.process.send_signal(signal.SIGINT)
    code, log = service.ended()
    assert code == 0
    assert "the first time it fails" in log
    assert (service.directory / "stopped").exists()


@pytest.mark.parametrize("taken", ["PORT", "OPS_PORT"])
def test_a_taken_port_ends_the_process_with_an_error(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        process = start(settings(tmp_path, **{taken: str(occupied.getsockname()[1])}))
        _out, log = process.communicate(timeout=PATIENCE)
    assert process.returncode not in {0, None}
    assert "address already in use" in log.lower()
    assert (tmp_path / "closed").exists()
