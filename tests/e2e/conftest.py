"""One stack for each test process; the modules that run there share it (``make test`` distributes by file).

Every test finds all processes running and no fault in force, whatever the test before it did.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.support.launch import running_stack
from tests.support.stack import PROCESSES, Stack


@pytest.fixture(scope="package")
def shared_stack() -> Iterator[Stack]:
    with running_stack() as running:
        yield running


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    shared_stack.database.start()
    for name in reversed(PROCESSES):
        if not shared_stack.alive(name):
            shared_stack.start(name)
    yield shared_stack
    if shared_stack.alive("sandbox"):
        shared_stack.clear_faults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of every process's log: the files go with the stack."""
    report = yield
    if report.failed and call.when != "teardown":
        stacks = {value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Stack)}
        report.sections += [("logs of the stack", stack.log_tails()) for stack in stacks]
    return report
