"""One supervisor per state directory, and nothing left of a killed one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.supervisor.lock import exclusive
from services.cli.supervisor.processes import ChildProcess, StartError, end, tail

_HOLD = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.pwrite(descriptor, sys.argv[2].encode(), 0)
print("held", flush=True)
sys.stdin.read()
"""
_WATCH = """
import sys, time
from services.cli.supervisor import lifeline
lifeline.watch(lifeline.terminate)
print("watching", flush=True)
time.sleep(60)
"""


@contextmanager
def held(lock: Path, process_id: str) -> Iterator[subprocess.Popen[str]]:
    """Another process has the lock and says that ``process_id`` took it."""
    arguments = [sys.executable, "-c", _HOLD, str(lock), process_id]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def gone() -> str:
    """A process id that nobody has."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return str(process.pid)


async def test_the_second_supervisor_is_refused_at_once_and_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        held(tmp_path / "lock", str(os.getpid())),
        pytest.raises(StartError, match=rf"another kepgw \(process {os.getpid()}\) runs in {tmp_path}"),
    ):
        async with exclusive(tmp_path, lambda _text: None):
            pytest.fail("must not get it")


async def test_the_children_of_a_killed_supervisor_are_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    with held(tmp_path / "lock", gone()) as orphan:

        def tell(text: str) -> None:
            told.append(text)
            orphan.kill()

        async with exclusive(tmp_path, tell, seconds=20):
            assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert told == ["an earlier run was killed; waiting for its services to finish"]


async def test_children_that_do_not_end_are_refused_in_the_end(tmp_path: Path) -> None:
    with held(tmp_path / "lock", gone()), pytest.raises(StartError, match="do not end; `fuser"):
        async with exclusive(tmp_path, lambda _text: None, seconds=0.3):
            pytest.fail("must not get it")


async def test_a_lock_that_was_given_back_can_be_had_again_even_after_a_crash(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1")  # process 1 runs, but holds nothing
    for _ in range(2):
        async with exclusive(tmp_path, lambda _text: None):
            pass


async def test_what_a_supervisor_started_keeps_the_lock(tmp_path: Path) -> None:
    async with exclusive(tmp_path, lambda _text: None) as descriptor:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import sys; sys.stdin.read()", stdin=asyncio.subprocess.PIPE, pass_fds=(descriptor,)
        )
    (tmp_path / "lock").write_text(gone())
    with pytest.raises(StartError, match="do not end"):
        async with exclusive(tmp_path, lambda _text: None, seconds=0.3):
            pytest.fail("must not get it")
    await end(child, 0)
    async with exclusive(tmp_path, lambda _text: None, seconds=5):
        pass


async def test_a_service_gets_sigterm_when_its_supervisor_is_gone() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WATCH, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"watching\n"
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == -15


async def test_a_program_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    child = ChildProcess("signer", environment, tmp_path / "signer.log", 1)
    with pytest.raises(StartError, match=r"(?s)signer --check-config failed:.*KEPGW_SIGNER_PORT: Field required"):
        await child.run_once("--check-config")


async def test_a_program_that_is_cancelled_does_not_run_on(tmp_path: Path) -> None:
    # Without settings it would end by itself; asked for help it ends well. Cancelled before that, it is killed.
    child = ChildProcess("signer", dict(os.environ), tmp_path / "signer.log", 1)
    task = asyncio.create_task(child.run_once("--help"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "usage" not in (tmp_path / "signer.log").read_text()


def test_the_end_of_a_log_is_short_however_long_the_log_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        file.writelines(f"line {number} {'x' * 1000}\n" for number in range(5000))
    text = tail(log)
    assert text.count("\n") == 15
    assert "line 4999" in text
    assert len(text) < 8000
    assert "no log" in tail(tmp_path / "nothing")
