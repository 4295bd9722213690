"""``kepgw trust``: the whole way of a change, as its persons type it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.commands import trust
from services.cli.main import app
from services.signer.trust_changes.officers import new_key
from tests.support.pki import make_root

_PASSPHRASE = "only for these tests"


@pytest.fixture(scope="module")
def officers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The officers' file, their keys and the passphrase of both."""
    directory = tmp_path_factory.mktemp("officers")
    (directory / "passphrase").write_text(f"{_PASSPHRASE}\n")
    made = [new_key(name, directory / f"{name}.key", _PASSPHRASE) for name in ("ayse", "mehmet")]
    entries = [{"name": officer.name, "public_key": officer.public_key} for officer in made]
    (directory / "officers.json").write_text(json.dumps({"officers": entries}))
    return directory


@pytest.fixture
def office(officers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root to propose; store and officers' file are named by the environment."""
    shutil.copytree(officers, tmp_path, dirs_exist_ok=True)
    (tmp_path / "root.pem").write_bytes(make_root("Örnek Kök").pem)
    monkeypatch.setenv("KEPGW_SIGNER_TRUST_DIRECTORY", str(tmp_path / "store"))
    monkeypatch.setenv("KEPGW_SIGNER_TRUST_OFFICERS", str(tmp_path / "officers.json"))
    return tmp_path


def secret(directory: Path) -> tuple[str, str]:
    return "--passphrase-file", str(directory / "passphrase")


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["trust", *arguments], input=typed)


def answer(*arguments: str, typed: str | None = None) -> dict[str, Any]:
    result = run(*arguments, "--json", typed=typed)
    assert result.exit_code == 0, result.output
    # What is typed is echoed before the answer.
    found: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{") :])
    return found


def proposed(office: Path) -> dict[str, Any]:
    arguments = ("--add", str(office / "root.pem"), "--purpose", "qualified", "--comment", "first", "--by", "Zeynep")
    return answer("propose", *arguments)


def test_from_a_proposal_to_the_version_in_use(office: Path) -> None:
    shown = proposed(office)
    proposal, fingerprint = shown["proposal"], shown["changes"][0]["fingerprint"]
    (office / "published").write_text(f"# from the issuer's page\n{fingerprint}\n")
    assert answer("pending")["pending"][0]["proposed_by"] == "Zeynep"
    key = ("--key", str(office / "ayse.key"))
    typed = answer("approve", proposal, *key, typed=f"{fingerprint.lower()}\n{_PASSPHRASE}\n")
    assert typed["approved_by"] == ["ayse"]
    early = run("activate", proposal)
    assert (early.exit_code, "approved by 1 of 2 persons" in early.stderr) == (1, True)
    key = ("--key", str(office / "mehmet.key"))
    files = ("--fingerprints", str(office / "published"), *secret(office))
    assert answer("approve", proposal, *key, *files)["may_be_activated"]
    assert answer("activate", proposal)["version"] == 1
    assert answer("verify")["good"]
    exported = answer("export", "--to", str(office / "plain"))
    assert [path.name for path in (office / "plain" / "qualified").iterdir()] == [
        f"{shown['changes'][0]['sha256']}.der"
    ]
    assert exported["version"] == 1
    for_people = run("history")
    assert "approved_by: ayse, mehmet" in for_people.stdout


def test_what_is_typed_must_be_right(office: Path) -> None:
    shown = proposed(office)
    proposal, fingerprint = shown["proposal"], shown["changes"][0]["fingerprint"]
    key = ("--key", str(office / "ayse.key"))
    other = run("approve", proposal, *key, typed=f"{'0' * 64}\n{_PASSPHRASE}\n")
    assert (other.exit_code, "nobody compared" in other.stderr) == (1, True)
    assert fingerprint in other.stdout, "the officer sees what he would sign"
    wrong = run("approve", proposal, *key, typed=f"{fingerprint}\nsomething else\n")
    assert (wrong.exit_code, "wrong passphrase" in wrong.stderr) == (3, True)
    assert answer("show", proposal)["approved_by"] == []


def test_the_passphrase_is_in_no_argument(office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    original = trust.subprocess.run

    def watched(command: list[str], **options: Any) -> Any:
        seen.append(command)
        return original(command, **options)

    monkeypatch.setattr(trust.subprocess, "run", watched)
    answer("new-officer", "--name", "x", "--key", str(office / "x.key"), *secret(office))
    assert len(seen) == 1
    assert _PASSPHRASE not in " ".join(seen[0])


def test_a_name_that_would_paint_the_terminal(office: Path) -> None:
    (office / "root.pem").write_bytes(make_root("Kök\x1b[2J").pem)
    proposal = proposed(office)["proposal"]
    shown = run("approve", proposal, "--key", str(office / "ayse.key"), typed="")
    assert "\x1b" not in shown.output


def test_a_program_that_ends_without_an_answer(office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_PROGRAM", "services.cli.absent")
    assert run("pending").exit_code != 0
