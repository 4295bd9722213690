"""Officers with real keys, and the way of a proposal through them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from services.signer.certificates import load_certificate
from services.signer.trust_changes.commands import Store
from services.signer.trust_changes.officers import new_key, read_officers
from services.signer.trust_changes.proposals import Addition, Change
from tests.support.pki import NOW, Authority

PASSPHRASE = "only for these tests"


def addition(root: Authority, *purposes: str) -> Addition:
    return Addition(load_certificate(root.der), purposes or ("qualified",), "test")


@dataclass
class Office:
    """A directory with a store, an officers' file beside it and the officers' keys."""

    directory: Path
    names: tuple[str, ...] = ("Ayşe", "Mehmet", "Zeynep")
    threshold: int = 2
    keys: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        officers = []
        for number, name in enumerate(self.names):
            key = self.directory / f"officer-{number}.key"
            officers.append(new_key(name, key, PASSPHRASE).model_dump(exclude={"retired"}))
            self.keys.setdefault(name, key)
        self.write_officers(officers)

    @property
    def store(self) -> Path:
        return self.directory / "store"

    @property
    def officers_file(self) -> Path:
        return self.directory / "officers.json"

    def write_officers(self, officers: list[dict[str, object]]) -> None:
        self.officers_file.write_text(json.dumps({"threshold": self.threshold, "officers": officers}))

    def entries(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.officers_file.read_text())["officers"]
        return found

    def at(self, now: datetime = NOW) -> Store:
        return Store(self.store, read_officers(self.officers_file), now)

    def propose(self, *additions: Addition, now: datetime = NOW, **change: object) -> str:
        shown = self.at(now).propose(Change(additions, **change), "Ayşe")  # type: ignore[arg-type]
        return str(shown["proposal"])

    def approve(self, proposal: str, *names: str, now: datetime = NOW + timedelta(days=100)) -> None:
        for name in names:
            wanted = [item["sha256"] for item in self.at().show(proposal)["changes"]]
            self.at(now).approve(proposal, self.keys[name], PASSPHRASE, wanted, None)

    def enact(self, *additions: Addition, now: datetime = NOW, by: tuple[str, ...] = (), **change: object) -> str:
        proposal = self.propose(*additions, now=now, **change)
        self.approve(proposal, *(by or self.names[:2]))
        self.at().activate(proposal)
        return proposal
