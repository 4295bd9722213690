"""The program behind ``kepgw trust``: arguments, exit codes and what it does with files that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.signer.trust_store import main
from tests.support.pki import NOW, make_root
from tests.unit.signer.officers import PASSPHRASE, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    (tmp_path / "root.pem").write_bytes(make_root("Örnek Kök").pem)
    return Office(tmp_path)


class Program:
    """Runs it in this process, with the office's store and officers unless told otherwise."""

    def __init__(self, office: Office, capsys: pytest.CaptureFixture[str]) -> None:
        self._office = office
        self._capsys = capsys

    def run(self, command: str, *arguments: str, typed: Any = None) -> tuple[int, str, str]:
        given = [command, f"--store={self._office.store}", f"--officers={self._office.officers_file}", *arguments]
        code = main(given, "" if typed is None else json.dumps(typed), NOW)
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def answer(self, command: str, *arguments: str, typed: Any = None) -> dict[str, Any]:
        code, out, err = self.run(command, *arguments, typed=typed)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def proposed(self) -> dict[str, Any]:
        root = self._office.directory / "root.pem"
        return self.answer("propose", f"--add={root}", "--purpose=qualified", "--by=Zeynep", "--comment=first")


@pytest.fixture
def program(office: Office, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(office, capsys)


def test_a_version_that_may_not_be_used_ends_with_1(office: Office, program: Program) -> None:
    shown = program.proposed()
    office.approve(shown["proposal"], "Ayşe", "Mehmet")
    assert program.answer("activate", shown["proposal"])["version"] == 1
    assert program.answer("verify")["good"]
    assert program.answer("history")["versions"][0]["comment"] == "first"
    office.write_officers(office.entries()[1:])
    code, out, _err = program.run("verify")
    assert (code, json.loads(out)["good"]) == (1, False)


def test_approving_takes_what_was_typed_from_standard_input(office: Office, program: Program) -> None:
    shown = program.proposed()
    typed = {"passphrase": PASSPHRASE, "fingerprints": [shown["changes"][0]["fingerprint"]]}
    key = f"--key={office.keys['Ayşe']}"
    assert program.answer("approve", shown["proposal"], key, typed=typed)["approved_by"] == ["Ayşe"]
    stale = program.run("approve", shown["proposal"], key, f"--manifest-sha256={'0' * 64}", typed=typed)
    assert (stale[0], "another one than was shown" in stale[2]) == (1, True)
    for wrong in ([1], {"passphrase": 1}, {"pin": "x"}, {"fingerprints": ["x"] * 4001}):
        assert program.run("approve", shown["proposal"], key, typed=wrong)[0] == 3


def test_a_proposal_is_turned_down(program: Program) -> None:
    proposal = program.proposed()["proposal"]
    assert program.answer("pending")["pending"][0]["proposal"] == proposal
    assert program.answer("reject", proposal, "--by=Mehmet", "--comment=another fingerprint is published")
    assert program.answer("pending") == {"pending": []}
    assert program.run("show", proposal)[0] == 3


def test_ends_and_a_renewal(program: Program) -> None:
    digest = program.proposed()["changes"][0]["sha256"]
    code, _out, err = program.run("propose", f"--until={digest}=2026-12-01T00:00:00Z", "--by=x")
    assert (code, "not in the store" in err) == (1, True)
    for wrong in ("x", f"{digest}=tomorrow", f"{digest}=2026-12-01", f"{digest[:8]}=none", f"{digest}="):
        assert program.run("propose", f"--until={wrong}", "--by=x")[0] == 3, wrong
    assert program.answer("propose", "--renew", "--by=x")["changes"] == []


def test_files_and_arguments_that_make_no_sense(office: Office, program: Program) -> None:
    root = office.directory / "root.pem"
    for arguments, code in (
        (["propose", "--by=x"], 1),
        (["propose", "--by=x", f"--add={root}"], 1),
        (["propose", "--by=", f"--add={root}", "--purpose=seal"], 3),
        (["propose", "--by=x", f"--add={root}x", "--purpose=seal"], 3),
        (["propose", "--by=x", f"--add={root}", "--purpose=everything"], 3),
        (["propose", "--by=x", "--remove=12"], 3),
        (["import", "--by=x", f"{root}x", "--purpose=seal"], 3),
        (["import", "--by=x", str(root), "--purpose=seal", "--only=abc"], 1),
        (["import", "--by=x", str(root), "--purpose-of=abc=everything"], 3),
        (["show", "--", "--store=/"], 3),
        (["show", "../../officers"], 3),
        (["export", "--to=x", "--version=many"], 3),
        (["verify"], 3),
        (["verify", f"--officers={root}"], 3),
        (["verify", f"--officers={office.store}/officers.json"], 3),
        (["nonsense"], 3),
    ):
        told = program.run(arguments[0], *arguments[1:])
        assert (told[0], told[1], bool(told[2])) == (code, "", True), (arguments, told)
    assert program.answer("history") == {"versions": []}
    assert not office.store.exists(), "nothing of it left a trace"


def test_an_import_with_purposes_of_its_own(office: Office, program: Program) -> None:
    shown = program.answer(
        "import", str(office.directory / "root.pem"), "--purpose=qualified", "--by=x", "--source=web"
    )
    [change] = shown["changes"]
    assert (change["purposes"], change["source"]) == (["qualified"], "web")
    other = f"--purpose-of={change['sha256'][:16]}=seal,kephs"
    shown = program.answer("import", str(office.directory / "root.pem"), "--purpose=qualified", "--by=x", other)
    assert shown["changes"][0]["purposes"] == ["kephs", "seal"]
