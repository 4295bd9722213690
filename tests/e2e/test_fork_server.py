"""What the other tests start is like what ``kepgw up`` starts, whose real processes ``test_cli`` has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fork_server import ForkedProcess
from tests.support.stack import PATIENCE, Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_a_forked_service_is_a_process_of_its_own(stack: Stack) -> None:
    pid, log = stack.pid("signer"), stack.gateway.processes["signer"].log_file
    assert os.getsid(pid) == os.getpgid(pid) == pid
    opened = {int(item.name): str(item.readlink()) for item in Path(f"/proc/{pid}/fd").iterdir()}
    assert opened[0].startswith("pipe:")
    assert opened[1] == opened[2] == str(log)
    assert str(stack.gateway.state.root / "lock") in opened.values(), "as long as it lives the directory is in use"
    others = {str(stack.gateway.processes[name].log_file) for name in ("gateway", "kep_relay", "sandbox")}
    assert not others & set(opened.values()), "nothing of another process"


def test_a_forked_service_ends_in_order_when_its_supervisor_is_gone(stack: Stack) -> None:
    process = stack.gateway.processes["signer"].process
    assert isinstance(process, ForkedProcess)
    process.let_go()
    wait_until(lambda: not stack.alive("signer"), PATIENCE, "it ends by itself")
    assert process.returncode == 0
    assert stack.log_lines("signer")[-1]["event"] == "stopped"


def test_how_a_forked_service_ended_is_told(stack: Stack) -> None:
    assert stack.stop("signer") == 0
    stack.start("signer")
    stack.signal("signer", signal.SIGKILL)
    wait_until(lambda: not stack.alive("signer"), PATIENCE, "it is gone")
    process = stack.gateway.processes["signer"].process
    assert process is not None
    assert process.returncode == -signal.SIGKILL


def test_a_forked_program_says_and_returns_what_a_real_one_does(stack: Stack) -> None:
    environment = stack.environment("signer") | {"KEPGW_SIGNER_NO_SUCH_SETTING": "x"}
    real = subprocess.run(
        [sys.executable, "-m", "services.signer", "--check-config"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (real.returncode, real.stdout) == (2, "")
    assert stack.command("signer", "--check-config", environment=environment) == (2, real.stderr)
