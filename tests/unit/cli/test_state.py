"""The state directory: made once, closed to others, the same at every start."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.supervisor.processes import StartError
from services.cli.supervisor.state import StateDirectory, held
from tests.support.ports import free_port


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", port)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


def test_secrets_are_the_owners_alone_whatever_the_umask(state: StateDirectory) -> None:
    before = os.umask(0)
    try:
        state.root.mkdir()
        state.prepare()
        state.store("institution_keys.json", "{}")
    finally:
        os.umask(before)
    files = list(state.secrets.iterdir())
    assert {file.name for file in files} >= {"service_tokens.json", "secret_keys", "admin_key", "database_gateway"}
    assert {mode(file) for file in files} == {0o600}
    for directory in (state.secrets, state.logs, state.root / "blobs", state.root / "spool", state.root / "sandbox"):
        assert mode(directory) == 0o700


def test_secrets_are_made_once(state: StateDirectory) -> None:
    state.root.mkdir()
    state.prepare()
    first = {file.name: file.read_text() for file in state.secrets.iterdir()}
    state.prepare()
    assert {file.name: file.read_text() for file in state.secrets.iterdir()} == first
    assert len(set(json.loads(first["service_tokens.json"]).values())) == 4


def test_a_secret_is_replaced_whole(state: StateDirectory) -> None:
    state.root.mkdir()
    state.prepare()
    state.store("admin_key", "x" * 10)
    assert state.secret("admin_key") == "x" * 10
    assert not list(state.secrets.glob(".*")), "nothing half-written stays"


def test_free_ports_are_all_different_and_kept(state: StateDirectory) -> None:
    state.root.mkdir()
    first = state.ports(preferred=False)
    assert len(set(first.values())) == len(first) == 9
    assert state.ports(preferred=False) == first
    assert state.ports(preferred=True) == first, "what an EBYS was configured with stays"


def test_a_port_taken_meanwhile_is_replaced(state: StateDirectory) -> None:
    state.root.mkdir()
    first = state.ports(preferred=False)
    with listening(first["gateway"]):
        second = state.ports(preferred=False)
    assert second["gateway"] != first["gateway"]
    assert {**second, "gateway": 0} == {**first, "gateway": 0}


def test_a_held_port_is_given_to_nobody_else_and_can_be_served_on(state: StateDirectory) -> None:
    state.root.mkdir()
    ports = state.ports(preferred=False)
    with held(ports.values()):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports["gateway"]))
        for _start in range(2):
            with listening(ports["gateway"]), socket.create_connection(("127.0.0.1", ports["gateway"])):
                pass
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", ports["gateway"]))


@pytest.mark.parametrize("text", ["", "{", '{"gateway": "x", "signer": 70000, "kep_relay": -1}', '{"gateway": null}'])
def test_a_damaged_port_file_is_as_good_as_none(state: StateDirectory, text: str) -> None:
    state.root.mkdir()
    (state.root / "ports.json").write_text(text)
    assert all(0 < port < 65536 for port in state.ports(preferred=False).values())


def test_the_environment_decides_on_ports(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    state.root.mkdir()
    wanted, ops = free_port(), free_port()
    monkeypatch.setenv("KEPGW_GATEWAY_PORT", str(wanted))
    monkeypatch.setenv("KEPGW_KEP_RELAY_OPS_PORT", str(ops))
    ports = state.ports(preferred=True)
    assert (ports["gateway"], ports["kep_relay_ops"]) == (wanted, ops)


def test_an_ordered_port_that_cannot_be_had_is_named(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    state.root.mkdir()
    with listening() as port:
        monkeypatch.setenv("KEPGW_GATEWAY_PORT", str(port))
        with pytest.raises(StartError, match=f"KEPGW_GATEWAY_PORT: port {port} is taken"):
            state.ports(preferred=True)
    for nonsense in ("http", "0", "65536", "-1", ""):
        monkeypatch.setenv("KEPGW_GATEWAY_PORT", nonsense)
        with pytest.raises(StartError, match="KEPGW_GATEWAY_PORT"):
            state.ports(preferred=True)
