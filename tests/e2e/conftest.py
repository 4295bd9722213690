"""One stack a module: the modules run side by side, the tests of one after another."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pytest

from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack_settings() -> Mapping[str, str]:
    """KEPGW_* variables of this module's stack; modules override it."""
    return {}


@pytest.fixture(scope="module")
def stack(stack_settings: Mapping[str, str]) -> Iterator[Stack]:
    with running_stack(stack_settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_fault_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        stack: Stack = request.getfixturevalue("stack")
        if stack.alive("sandbox"):
            stack.clear_faults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of every process's log."""
    report = yield
    funcargs: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and call.when == "call" and isinstance(stack := funcargs.get("stack"), Stack):
        report.sections.append(("logs of the stack", stack.log_tails()))
    return report
