"""Starts services out of one process that has imported them all: importing costs more than everything else they do.

What runs is a process like the supervisor's own children (``ForkedService``): its own session, environment, log and
lifeline, real signals and exit codes. Only the interpreter's start and the imports are saved.

``python -m tests.support.fork_server PATH`` is the server: each connection to the socket at PATH orders one process
and hears its number, then how it ended.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from services.cli.supervisor import lifeline
from services.cli.supervisor.processes import ChildProcess
from services.cli.supervisor.state import SERVICES

_PROGRAMS = tuple(f"services.{name}.__main__" for name in ("sandbox", *SERVICES))
_MODULES = (
    "anyio._backends._asyncio", "cryptography.hazmat.backends.openssl.backend", "fastapi.telemetry", "holidays.countries",
    "httpcore", "lxml.builder", "procrastinate.worker", "pymupdf_fonts.NotoSans_Regular", "requests_toolbelt",
    "shared.db.migrate", "uvicorn.lifespan.on", "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto", "uvloop", "zeep.wsdl.bindings",
)  # fmt: skip
"""What services import only when they start or have their first work."""
_ROOT = Path(__file__).parents[2]
_ORDER_BYTES = 1024 * 1024
_START_SECONDS = 300
_MOST_DESCRIPTORS = 16


# The server


@dataclass
class _Connection:
    """One order: what the other end asks for, and the process that came of it."""

    link: socket.socket
    text: bytes = b""
    descriptors: list[int] = field(default_factory=list)
    child: int = 0

    def read(self) -> bool:
        """Take what has come; whether there was anything."""
        text, descriptors, _flags, _address = socket.recv_fds(self.link, _ORDER_BYTES, _MOST_DESCRIPTORS)
        self.text += text
        self.descriptors += descriptors
        return bool(text)

    @property
    def complete(self) -> bool:
        return self.text.endswith(b"\n")

    def close(self) -> None:
        self.link.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


def _serve(path: str) -> Callable[[], None] | None:
    """Take orders until standard input ends. Returns twice or more: in each child with what it is to run."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(path)
        listener.listen(64)
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.fileobj == 0:
                    return None
                if key.fileobj is listener:
                    connection = _Connection(listener.accept()[0])
                    selector.register(connection.link, selectors.EVENT_READ, connection)
                    continue
                connection = key.data
                selector.unregister(key.fileobj)
                if connection.child:
                    _tell_end(connection, cast("int", key.fileobj))
                elif not connection.read():
                    connection.close()
                elif not connection.complete:
                    selector.register(connection.link, selectors.EVENT_READ, connection)
                elif (child := os.fork()) == 0:
                    return functools.partial(_become, connection)
                else:
                    connection.child = child
                    # These are the child's alone: the lifeline and the lock must end with it.
                    while connection.descriptors:
                        os.close(connection.descriptors.pop())
                    selector.register(os.pidfd_open(child), selectors.EVENT_READ, connection)


def _tell_end(connection: _Connection, ended: int) -> None:
    _child, status = os.waitpid(connection.child, 0)
    os.close(ended)
    with contextlib.suppress(OSError):  # nobody may be interested any more
        connection.link.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    connection.close()


def _become(connection: _Connection) -> None:
    """In the child: what ``exec`` and the supervisor's start would have made of this process, then the service."""
    order = json.loads(connection.text)
    os.setsid()
    # Only now: whoever knows the number may kill the whole group.
    connection.link.send(f"{os.getpid()}\n".encode())
    connection.link.close()
    lifeline_end, log, *inherited = connection.descriptors
    for number, descriptor in ((0, lifeline_end), (1, log), (2, log)):
        os.dup2(descriptor, number)
    first = 3
    for descriptor in sorted(inherited):
        os.set_inheritable(descriptor, True)
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(order["environment"])
    lifeline.main(order["name"], *order["arguments"])


def _main(path: str) -> None:
    for name in _MODULES:
        importlib.import_module(name)
    for name in _PROGRAMS:
        importlib.import_module(name)
        del sys.modules[name]  # to be run in the child, once, as the main program
    gc.collect()
    gc.freeze()  # or each child's first collection would copy every page
    if (child := _serve(path)) is not None:
        child()
    else:
        shutil.rmtree(Path(path).parent, ignore_errors=True)


# The test's side


class _Server:
    """The server of this test process; it ends when this process does."""

    def __init__(self) -> None:
        self.path = str(Path(tempfile.mkdtemp(prefix="kepgw-fork-")) / "socket")
        # What the C library reads at a process's start has to be set for the one process that starts.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
        environment.setdefault("MALLOC_ARENA_MAX", "2")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, self.path], cwd=_ROOT, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        atexit.register(self._stop)

    def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    async def connect(self) -> socket.socket:
        """A connection for one order, as soon as everything is imported."""
        async with asyncio.timeout(_START_SECONDS):
            while True:
                link = socket.socket(socket.AF_UNIX)
                try:
                    link.connect(self.path)
                except (FileNotFoundError, ConnectionRefusedError):
                    link.close()
                else:
                    return link
                assert self._process.poll() is None, "the process that starts services has ended"
                await asyncio.sleep(0.1)


_server = functools.cache(_Server)


class ForkedProcess:
    """The part of ``asyncio.subprocess.Process`` that the supervisor uses."""

    def __init__(self, pid: int, lifeline_end: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lifeline_end: int | None = lifeline_end
        self._ended = asyncio.create_task(self._hear(reader, writer))

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await reader.readline()
        finally:
            writer.close()
            self.let_go()
        self.returncode = int(answer or -signal.SIGKILL)

    async def wait(self) -> int:
        """The exit code, once there is one."""
        await asyncio.shield(self._ended)
        assert self.returncode is not None
        return self.returncode

    def let_go(self) -> None:
        """Close its lifeline, as the kernel does when this process dies."""
        if self._lifeline_end is not None:
            os.close(self._lifeline_end)
            self._lifeline_end = None

    def terminate(self) -> None:
        """SIGTERM."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)


class ForkedService(ChildProcess):
    """A supervisor's child, out of the server of this test process."""

    async def run_to_end(self, *arguments: str) -> int:
        """The exit code of the program with ``arguments``."""
        return await (await self._spawn(*arguments)).wait()

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        started = await _start(self.name, arguments, self.environment, self.log_file, self.inherited)
        return cast("asyncio.subprocess.Process", started)


async def _start(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log_file: Path, inherited: tuple[int, ...]
) -> ForkedProcess:
    link = await _server().connect()
    child_end, own_end = os.pipe()
    try:
        with log_file.open("ab") as log:
            order = json.dumps({"name": name, "arguments": arguments, "environment": dict(environment)}) + "\n"
            data, descriptors = order.encode(), [child_end, log.fileno(), *inherited]
            done = socket.send_fds(link, [data], descriptors)
            link.sendall(data[done:])
        reader, writer = await asyncio.open_unix_connection(sock=link)
        number = await reader.readline()
        assert number, "the process that starts services has ended"
        return ForkedProcess(int(number), own_end, reader, writer)
    except BaseException:
        os.close(own_end)
        link.close()
        raise
    finally:
        os.close(child_end)


if __name__ == "__main__":
    _main(*sys.argv[1:])
