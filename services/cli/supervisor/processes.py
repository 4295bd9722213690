"""Child processes: started with an environment of their own, watched, restarted, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from shared.tls import default_context

_LOG_LINES = 15
_LOG_BYTES = 64 * 1024


class StartError(Exception):
    """A process did not come up; the text says which, why, and where its log is."""


@dataclass
class ChildProcess:
    """One service, run like ``python -m services.<name>``; it ends when this process does (see ``lifeline``)."""

    name: str
    environment: Mapping[str, str]
    log_file: Path
    ops_port: int
    inherited: tuple[int, ...] = ()
    """Descriptors it keeps open: the state directory's lock."""
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    restarts: int = field(default=0, init=False)

    async def start(self) -> None:
        """Start it; returns at once."""
        self.process = await self._spawn()

    async def run_once(self, *arguments: str) -> None:
        """Run the program with ``arguments`` to its end; raise ``StartError`` if it fails."""
        process = await self._spawn(*arguments)
        try:
            code = await process.wait()
        finally:
            await end(process, 0)
        if code != 0:
            raise StartError(f"{self.name} {' '.join(arguments)} failed:\n{self.log_tail()}")

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        with self.log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.cli.supervisor.lifeline", self.name, *arguments,
                env=dict(self.environment), stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, pass_fds=self.inherited,
            )  # fmt: skip

    async def wait_for(self, path: str, seconds: float) -> None:
        """Wait until ``path`` of the operator's interface answers 200; raise ``StartError`` otherwise."""
        reason = "no answer"
        async with httpx.AsyncClient(verify=default_context(), trust_env=False, timeout=5) as client:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while True:
                        if self.process is None or self.process.returncode is not None:
                            raise StartError(f"{self.name} ended while starting:\n{self.log_tail()}")
                        with contextlib.suppress(httpx.HTTPError):
                            answer = await client.get(f"http://127.0.0.1:{self.ops_port}{path}")
                            if answer.status_code == 200:
                                return
                            reason = answer.text
                        await asyncio.sleep(0.1)
        raise StartError(f"{self.name} is not ready after {seconds:g} s ({reason}):\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its log, for people."""
        return tail(self.log_file)

    async def watch(self, stopping: asyncio.Event, tell: Callable[[str], None]) -> None:
        """Restart it whenever it dies, with growing pauses, until ``stopping`` is set."""
        while not stopping.is_set():
            assert self.process is not None
            code = await self.process.wait()
            if stopping.is_set():
                return
            self.restarts += 1
            tell(f"{self.name} ended ({code}); starting it again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), min(0.5 * self.restarts, 10))
                return
            await self.start()

    async def stop(self, seconds: float = 35) -> None:
        """SIGTERM, then SIGKILL after ``seconds``: more than a service gives itself (``shutdown_seconds``)."""
        if self.process is not None:
            await end(self.process, seconds)


async def end(process: asyncio.subprocess.Process, seconds: float) -> None:
    """SIGTERM, then SIGKILL to its whole group after ``seconds`` or when the waiting is cancelled."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        await _kill(process)
    except asyncio.CancelledError:
        await _kill(process)
        raise


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def tail(log_file: Path) -> str:
    """The last lines of a log, however long it is."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return "    (no log)"
    return "\n".join(f"    {line[:400]}" for line in lines) + f"\n    … {log_file}"
