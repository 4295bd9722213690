"""The directory in which ``kepgw up`` keeps everything: secrets, ports, data, logs."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

SERVICES = ("signer", "detsis_sync", "kep_relay", "gateway")
WITH_DATABASE = ("detsis_sync", "kep_relay", "gateway")

_PREFERRED = {
    "gateway": 8080, "gateway_ops": 9101, "kep_relay": 8082, "kep_relay_ops": 9102, "detsis_sync": 8083,
    "detsis_sync_ops": 9103, "signer": 8084, "signer_ops": 9104, "sandbox_ops": 9105,
}  # fmt: skip


@dataclass(frozen=True)
class StateDirectory:
    """Paths and generated values; made once, the same at every later start."""

    root: Path

    def prepare(self) -> None:
        """Create what is missing. Only the owner may look inside."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for directory in (self.secrets, self.logs, self.root / "blobs", self.root / "spool"):
            directory.mkdir(exist_ok=True)
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
        """A port for each interface: those of the last start if still free, else the well-known or any free ones."""
        path = self.root / "ports.json"
        stored: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        chosen: dict[str, int] = {}
        for name, usual in _PREFERRED.items():
            wanted = stored.get(name) or (usual if preferred else 0)
            chosen[name] = wanted if wanted and _is_free(wanted) else _free_port(set(chosen.values()))
        path.write_text(json.dumps(chosen, indent=1), encoding="utf-8")
        return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
