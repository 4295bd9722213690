"""A second kep_relay on the same database: what one leaves undone when it dies the other takes up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.ports import free_port
from tests.support.stack import Stack

NAME = "kep_relay"
REPLICA = "kep_relay-2"


@contextmanager
def second_relay(stack: Stack) -> Iterator[None]:
    """Beside the first for the length of the block, among the stack's processes as ``kep_relay-2``."""
    port, ops_port = free_port(), free_port()
    environment = stack.environment(NAME) | {
        "KEPGW_KEP_RELAY_PORT": str(port),
        "KEPGW_KEP_RELAY_OPS_PORT": str(ops_port),
    }
    child = stack.child_class(NAME, environment, stack.gateway.state.logs / f"{REPLICA}.log", ops_port)
    stack.gateway.processes[REPLICA] = child
    stack.gateway.ports[REPLICA] = port
    stack.gateway.ports[f"{REPLICA}_ops"] = ops_port
    stack.start(REPLICA)
    try:
        yield
    finally:
        stack.stop(REPLICA)
        del stack.gateway.processes[REPLICA]
