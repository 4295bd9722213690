"""``python -m services.signer.trust_store``: keeps a managed trust store, prints JSON.

The entry behind ``kepgw trust``: a process of its own with a limit on its time and memory, because the certificates
that somebody proposes may be anybody's. It fetches nothing and asks nothing: what people type comes on standard
input as JSON, ``{"passphrase": "...", "fingerprints": ["..."]}``.

Exit codes: 0 done, 1 refused or not in order, 3 something cannot be read or the arguments make no sense.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.signer.trust_changes.commands import Store, make_officer
from services.signer.trust_changes.differences import from_groups
from services.signer.trust_changes.documents import ChangeRefused, StoreUnreadable
from services.signer.trust_changes.manifest import PURPOSES
from services.signer.trust_changes.officers import read_officers
from services.signer.trust_changes.proposals import Change
from services.signer.trust_changes.sources import chosen, from_files, from_source
from shared.clock import SystemClock

DONE, REFUSED, UNREADABLE = 0, 1, 3
_CPU_SECONDS = 120
_MEMORY_BYTES = 4 * 1024 * 1024 * 1024
_TYPED_LIMIT = 1024 * 1024
_FINGERPRINT_DIGITS = 64


class _Typed(BaseModel):
    """What people typed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    passphrase: str = Field(default="", max_length=1024)
    fingerprints: list[str] = Field(default=[], max_length=4000)


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StoreUnreadable(message)


def main(arguments: list[str], typed: str, now: datetime) -> int:
    """Do what ``arguments`` say with what people ``typed``; return the exit code."""
    try:
        given = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace, _Typed, datetime], dict[str, Any]] = given.run
        answer = run(given, _typed(typed), now)
    except ChangeRefused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    except StoreUnreadable as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror or error}\n")
        return UNREADABLE
    except Exception as error:  # noqa: BLE001 - whatever hostile files bring about, nothing was activated by it
        sys.stderr.write(f"not completed: {type(error).__name__}\n")
        return UNREADABLE
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    return REFUSED if answer.get("good") is False else DONE


def _propose(given: argparse.Namespace, _people: _Typed, now: datetime) -> dict[str, Any]:
    purposes = tuple(given.purpose)
    if given.add and not purposes:
        raise ChangeRefused("name a purpose for what is added")
    change = Change(
        from_files(given.add, purposes, given.source),
        frozenset(given.remove),
        dict(given.until),
        given.comment,
        given.renew,
    )
    return _store(given, now).propose(change, given.by)


def _import(given: argparse.Namespace, _people: _Typed, now: datetime) -> dict[str, Any]:
    found = from_source(given.origin, tuple(given.purpose), given.source)
    additions = chosen(found, given.only, dict(given.purpose_of))
    return _store(given, now).propose(Change(additions, comment=given.comment), given.by)


def _approve(given: argparse.Namespace, people: _Typed, now: datetime) -> dict[str, Any]:
    store = _store(given, now)
    return store.approve(given.proposal, given.key, people.passphrase, people.fingerprints, given.manifest_sha256)


def _store(given: argparse.Namespace, now: datetime) -> Store:
    if given.officers.resolve().is_relative_to(given.store.resolve()):
        raise StoreUnreadable(f"{given.officers}: lies in the store whose officers it names")
    return Store(given.store, read_officers(given.officers), now)


def _parser() -> argparse.ArgumentParser:
    parser = _Arguments(prog="services.signer.trust_store", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, parser_class=_Arguments)
    proposing = _command(commands, "propose", _propose)
    proposing.add_argument("--add", type=Path, action="append", default=[])
    proposing.add_argument("--remove", type=_fingerprint, action="append", default=[])
    proposing.add_argument("--until", type=_end, action="append", default=[])
    proposing.add_argument("--renew", action="store_true")
    importing = _command(commands, "import", _import)
    importing.add_argument("origin", type=Path)
    importing.add_argument("--only", type=from_groups, action="append", default=[])
    importing.add_argument("--purpose-of", type=_purpose_of, action="append", default=[])
    for command in (proposing, importing):
        command.add_argument("--purpose", choices=PURPOSES, action="append", default=[])
        command.add_argument("--source", default="")
        command.add_argument("--comment", default="")
        command.add_argument("--by", required=True)
    _command(commands, "pending", lambda given, _people, now: _store(given, now).pending())
    _command(commands, "history", lambda given, _people, now: _store(given, now).history())
    _command(commands, "verify", lambda given, _people, now: _store(given, now).verify())
    exporting = _command(
        commands, "export", lambda given, _people, now: _store(given, now).export(given.version, given.to)
    )
    exporting.add_argument("--version", type=int)
    exporting.add_argument("--to", type=Path, required=True)
    showing = _command(commands, "show", lambda given, _people, now: _store(given, now).show(given.proposal))
    approving = _command(commands, "approve", _approve)
    approving.add_argument("--key", type=Path, required=True)
    approving.add_argument("--manifest-sha256", type=_fingerprint)
    rejecting = _command(
        commands,
        "reject",
        lambda given, _people, now: _store(given, now).reject(given.proposal, given.by, given.comment),
    )
    rejecting.add_argument("--by", required=True)
    rejecting.add_argument("--comment", default="")
    activating = _command(commands, "activate", lambda given, _people, now: _store(given, now).activate(given.proposal))
    for command in (showing, approving, rejecting, activating):
        command.add_argument("proposal")
    making = commands.add_parser("new-officer", allow_abbrev=False)
    making.add_argument("--name", required=True)
    making.add_argument("--key", type=Path, required=True)
    making.set_defaults(run=lambda given, people, _now: make_officer(given.name, given.key, people.passphrase))
    return parser


def _command(commands: Any, name: str, run: Callable[..., dict[str, Any]]) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False)
    command.add_argument("--store", type=Path, required=True)
    command.add_argument("--officers", type=Path, required=True)
    command.set_defaults(run=run)
    return command


def _typed(text: str) -> _Typed:
    try:
        return _Typed.model_validate_json(text) if text.strip() else _Typed()
    except ValidationError as error:
        raise StoreUnreadable("standard input is not what was expected") from error


def _fingerprint(text: str) -> str:
    found = from_groups(text)
    if len(found) != _FINGERPRINT_DIGITS or not set(found) <= set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("a SHA-256 fingerprint of 64 digits is wanted")
    return found


def _end(text: str) -> tuple[str, datetime | None]:
    sha256, _, moment = text.partition("=")
    if moment == "none":
        return _fingerprint(sha256), None
    try:
        found = datetime.fromisoformat(moment)
        if found.tzinfo is not None:
            return _fingerprint(sha256), found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError("SHA256=TIME is wanted, the time with its zone, or SHA256=none")


def _purpose_of(text: str) -> tuple[str, tuple[str, ...]]:
    sha256, _, named = text.partition("=")
    purposes = tuple(named.split(","))
    if not set(purposes) <= set(PURPOSES):
        raise argparse.ArgumentTypeError(f"SHA256=PURPOSE,PURPOSE is wanted; purposes are {', '.join(PURPOSES)}")
    return from_groups(sha256), purposes


def _limit_resources() -> None:
    for what, wanted in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY_BYTES)):
        _soft, hard = resource.getrlimit(what)
        resource.setrlimit(what, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    _limit_resources()
    raise SystemExit(main(sys.argv[1:], sys.stdin.read(_TYPED_LIMIT), SystemClock().now()))
