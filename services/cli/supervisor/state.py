"""The directory in which ``kepgw up`` keeps everything: secrets, ports, data, logs."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from services.cli.supervisor.processes import StartError

SERVICES = ("signer", "detsis_sync", "kep_relay", "gateway")
WITH_DATABASE = ("detsis_sync", "kep_relay", "gateway")

_PREFERRED = {
    "gateway": 8080, "gateway_ops": 9101, "kep_relay": 8082, "kep_relay_ops": 9102, "detsis_sync": 8083,
    "detsis_sync_ops": 9103, "signer": 8084, "signer_ops": 9104, "sandbox_ops": 9105,
}  # fmt: skip

_PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes ports for outgoing connections, so that a process finds its port again."""


@dataclass(frozen=True)
class StateDirectory:
    """Paths and generated values; made once, the same at every later start."""

    root: Path

    def prepare(self) -> None:
        """Create what is missing. Only the owner may look into the parts."""
        self.root.mkdir(parents=True, exist_ok=True)
        for directory in (self.secrets, self.logs, *(self.root / name for name in ("blobs", "spool", "sandbox"))):
            directory.mkdir(exist_ok=True)
            # The root itself cannot be closed: as root, PostgreSQL runs as a user of its own below it.
            directory.chmod(0o700)
        tokens = {name: secrets.token_urlsafe(32) for name in SERVICES}
        self._once("service_tokens.json", json.dumps(tokens))
        self._once("secret_keys", Fernet.generate_key().decode())
        self._once("admin_key", f"kepgw_{secrets.token_hex(6)}_{secrets.token_hex(24)}")
        for name in WITH_DATABASE:
            self._once(f"database_{name}", secrets.token_urlsafe(24))

    @property
    def secrets(self) -> Path:
        """Where the secret files are."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.root / "logs"

    @property
    def sample(self) -> Path:
        """The package of the last demonstration, unless the user brought one."""
        return self.root / "letter.eyp"

    @property
    def world_file(self) -> Path:
        """Written by the sandbox once all its listeners are up."""
        return self.root / "sandbox" / "world.json"

    def secret(self, name: str) -> str:
        """The content of a secret file."""
        return (self.secrets / name).read_text(encoding="utf-8")

    def store(self, name: str, content: str) -> Path:
        """Write a secret file, readable by its owner only, whole or not at all."""
        path, temporary = self.secrets / name, self.secrets / f".{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        temporary.replace(path)
        return path

    def _once(self, name: str, content: str) -> None:
        if not (self.secrets / name).exists():
            self.store(name, content)

    def ports(self, *, preferred: bool) -> dict[str, int]:
        """A port for each interface: those of the last start if still free, else the well-known or any free ones.

        ``KEPGW_<SERVICE>_PORT`` and ``…_OPS_PORT`` in the environment decide instead; raises ``StartError``
        if such a port is taken or none.
        """
        path = self.root / "ports.json"
        stored = _stored_ports(path)
        chosen: dict[str, int] = {}
        for name, usual in _PREFERRED.items():
            taken = set(chosen.values())
            if (ordered := _ordered_port(name)) is not None:
                chosen[name] = ordered
                continue
            wanted = stored.get(name) or (usual if preferred else 0)
            chosen[name] = wanted if wanted and wanted not in taken and _is_free(wanted) else _free_port(taken)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(chosen, indent=1), encoding="utf-8")
        temporary.replace(path)
        return chosen


@contextmanager
def held(ports: Iterable[int]) -> Iterator[None]:
    """Keep ports for processes that bind them later, and again after a restart.

    They are bound here, without listening: Linux lets a process of ours bind them too, because it sets
    SO_REUSEADDR as servers do, and gives them to nobody who looks for a free one.
    """
    with ExitStack() as stack:
        for port in ports:
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
        yield


def _stored_ports(path: Path) -> dict[str, int]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): port for name, port in stored.items() if isinstance(port, int) and 0 < port < 65536}


def _ordered_port(name: str) -> int | None:
    service, ops = name.removesuffix("_ops").upper(), "OPS_" if name.endswith("_ops") else ""
    variable = f"KEPGW_{service}_{ops}PORT"
    text = os.environ.get(variable)
    if text is None:
        return None
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise StartError(f"{variable}: {text!r} is no port")
    if not _is_free(int(text)):
        raise StartError(f"{variable}: port {text} is taken")
    return int(text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port(taken: set[int]) -> int:
    for port in random.SystemRandom().sample(_PORTS, k=200):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port found on 127.0.0.1")
