"""``kepgw verify-certificate``: what the program behind it finds, shown and turned into an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from services.cli.commands import certificates
from services.cli.main import app
from tests.support.pki import Hierarchy, Holder, make_hierarchy

_AT = "2026-11-20T12:00:00Z"


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return make_hierarchy("komut")


@pytest.fixture
def files(tree: Hierarchy, tmp_path: Path) -> list[str]:
    holder: Holder = tree.issuing.issue("Örnek Belediyesi")
    for name, content in {
        "leaf.pem": holder.pem,
        "root.pem": tree.root.pem,
        "ca.pem": tree.issuing.certificate.public_bytes(Encoding.PEM),
        "root.crl": tree.root.crl(),
        "ca.crl": tree.issuing.crl(),
    }.items():
        (tmp_path / name).write_bytes(content)
    return [
        *(str(tmp_path / "leaf.pem"), "--anchors", str(tmp_path / "root.pem"), "--at", _AT, "--offline"),
        *("--intermediates", str(tmp_path / "ca.pem")),
        *("--crl", str(tmp_path / "root.crl"), "--crl", str(tmp_path / "ca.crl")),
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify-certificate", *arguments])


def test_a_verdict_for_programs_and_for_people(files: list[str]) -> None:
    result = run(*files, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    assert (answer["verdict"], answer["indication"], answer["sub_indication"]) == ("passed", "TOTAL_PASSED", None)
    assert [item["subject"] for item in answer["path"]][-1] == "Örnek Belediyesi"
    shown = run(*files)
    assert shown.exit_code == 0
    assert "verdict: passed" in shown.stdout
    assert "İmza" not in shown.stdout
    assert "Güvenilen köke ulaşan geçerli zincir" in shown.stdout


def test_exit_codes(files: list[str], tmp_path: Path) -> None:
    """2 is a verdict; whatever is wrong with files or arguments is 3."""
    assert run(*files, "--policy-set", "1.2.3", "--require-explicit-policy").exit_code == 1
    assert run(*files[:-2]).exit_code == 2
    absent = run(str(tmp_path / "absent.pem"), "--anchors", files[2])
    assert absent.exit_code == 3
    assert "absent.pem: No such file" in absent.stderr
    for wrong in ([], [files[0]], [*files, "--nonsense"], [*files, "--at", "soon"], [*files, "--policy-set", "x"]):
        assert run(*wrong).exit_code == 3, wrong
    assert run("--help").exit_code == 0


def test_a_name_that_looks_like_an_option(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--anchors=x").write_bytes(Path(files[0]).read_bytes())
    assert run(*files[1:], "--", "--anchors=x").exit_code == 0


def test_a_program_that_ends_without_a_verdict_leaves_it_open(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_PROGRAM", "services.cli.absent")
    result = run(*files, "--json")
    assert (result.exit_code, json.loads(result.stdout)["sub_indication"]) == (2, "POLICY_PROCESSING_ERROR")
