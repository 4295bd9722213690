"""Starts the whole real stack as processes, the way ``kepgw up`` does.

``kepgw up`` starts an interpreter for each; here they come out of one that has imported everything (``fork_server``).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from services.cli.supervisor import up
from services.cli.supervisor.processes import ChildProcess
from services.cli.supervisor.state import StateDirectory
from tests.support.database import KeptServer
from tests.support.fork_server import ForkedService
from tests.support.stack import Stack

Result = TypeVar("Result")
_QUICK = {
    "KEPGW_SANDBOX_SLOW_DELIVERY_SECONDS": "1",
    "KEPGW_SANDBOX_LATE_DELIVERY_SECONDS": "1",
    "KEPGW_SANDBOX_UNREACHABLE_AFTER_SECONDS": "1",
    "KEPGW_GATEWAY_IDEMPOTENCY_TAKEOVER_SECONDS": "5",
    # Long enough that a provider on a busy machine has put a message it took into its Sent folder.
    "KEPGW_KEP_RELAY_RECONCILE_WINDOW_SECONDS": "8",
}


@contextmanager
def running_stack(settings: Mapping[str, str] | None = None, *, forked: bool = True) -> Iterator[Stack]:
    """A fresh stack in a directory of its own, stopped and removed afterwards.

    ``settings``: KEPGW_* variables on top of the supervisor's. Processes are not watched: a test that
    wants the supervisor to restart one says so (``Stack.supervised``). Not ``forked``: each by an interpreter of its own.
    """
    # Not pytest's directory: the path of PostgreSQL's socket must be short, and its user must get there.
    directory = Path(tempfile.mkdtemp(prefix="kepgw-e2e-"))
    try:
        # Roles belong to a server, so two stacks cannot share one.
        with _loop_in_a_thread() as loop, KeptServer(directory / "postgres") as database:
            opened = up.running(
                StateDirectory(directory / "state"), lambda _text: None,
                preferred_ports=False, database_url=database.superuser_url, supervised=False,
                child=ForkedService if forked else ChildProcess,
            )  # fmt: skip
            with _variables(_QUICK | dict(settings or {})), _entered(opened, loop) as gateway:
                stack = Stack(gateway, loop, database)
                try:
                    yield stack
                except BaseException as error:
                    error.add_note(f"logs of the stack\n{stack.log_tails()}")  # the files are gone when it is read
                    raise
                finally:
                    stack.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stack", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


@contextmanager
def _entered(opened: AbstractAsyncContextManager[Result], loop: asyncio.AbstractEventLoop) -> Iterator[Result]:
    """An asynchronous context, entered and left by one task of another thread's loop."""
    stopping, started = asyncio.Event(), concurrent.futures.Future[Result]()

    async def hold() -> None:
        try:
            async with opened as value:
                started.set_result(value)
                await stopping.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    holding = asyncio.run_coroutine_threadsafe(hold(), loop)
    try:
        yield started.result(600)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        holding.result(400)


@contextmanager
def _variables(settings: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process's environment, which the supervisor hands on; taken back afterwards."""
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
