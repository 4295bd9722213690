"""``kepgw verify``: what the program behind it finds, shown in either language and turned into an exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.commands import signatures
from services.cli.main import app
from shared.contracts.signatures import Profile, SignatureFormat
from tests.support.pki import Pki, build_pki
from tests.unit.signer.signing import sign

_AT = "2026-11-20T12:00:00Z"
_CONTENT = b"letter"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> list[str]:
    pki.write_trust(tmp_path / "trust")
    (tmp_path / "lists").mkdir()
    for number, encoded in enumerate(pki.crls()):
        (tmp_path / "lists" / f"{number}.crl").write_bytes(encoded)
    (tmp_path / "letter.p7s").write_bytes(sign(pki.signer, _CONTENT, attached=False))
    (tmp_path / "letter.txt").write_bytes(_CONTENT)
    return [
        *(str(tmp_path / "letter.p7s"), "--content", str(tmp_path / "letter.txt"), "--at", _AT, "--offline"),
        *("--anchors", str(tmp_path / "trust"), "--crl", str(tmp_path / "lists")),
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


def answered(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = run(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_verdict_for_programs(files: list[str]) -> None:
    code, answer = answered(*files)
    assert (code, answer["verdict"], answer["format"], answer["profile"]) == (
        *(0, "passed", "cades", "qualified-signature"),
    )
    assert run(*files, "--json").stdout == run(*files, "--json").stdout
    assert answered(*files, "--profile", "p4")[0] == 2
    assert answered(*files, "--format", "xades")[0] == 1


def test_a_verdict_for_people(files: list[str], tmp_path: Path) -> None:
    english, turkish = run(*files), run(*files, "--language", "tr")
    assert "VALID: every signature in the file holds." in english.stdout
    assert "Ayşe Örnek" in english.stdout
    assert "(as the signer says)" in english.stdout
    assert "GEÇERLİ: dosyadaki bütün imzalar geçerli." in turkish.stdout
    assert "Details" not in english.stdout
    (tmp_path / "letter.txt").write_bytes(b"other")
    english, turkish = run(*files), run(*files, "--language", "tr")
    assert (english.exit_code, turkish.exit_code) == (1, 1)
    assert "NOT VALID: this file must not be relied on. [HASH_FAILURE]" in english.stdout
    assert "the content was changed" in english.stdout
    assert "GEÇERSİZ: bu dosyaya güvenilemez." in turkish.stdout
    assert "içerik değişmiş" in turkish.stdout
    assert "content was changed" not in turkish.stdout


def test_nobody_is_named_as_signer_whose_certificate_was_not_judged(files: list[str]) -> None:
    english = run(*files, "--profile", "integrity-only")
    assert english.exit_code == 0
    assert english.stdout.startswith("UNCHANGED")
    assert "VALID" not in english.stdout
    assert " valid " not in english.stdout
    turkish = run(*files, "--profile", "integrity-only", "--language", "tr").stdout
    assert turkish.startswith("DEĞİŞMEMİŞ")
    assert "geçerli" not in turkish


def test_exit_codes(files: list[str], tmp_path: Path) -> None:
    """2 is a verdict; whatever is wrong with files or arguments is 3."""
    assert run(*files[:-2]).exit_code == 2
    absent = run(str(tmp_path / "absent.p7s"), *files[1:])
    assert absent.exit_code == 3
    assert "absent.p7s: No such file" in absent.stderr
    assert absent.stdout == ""
    for wrong in ([], [*files, "--nonsense"], [*files, "--at", "soon"], [*files, "--profile", "best"]):
        assert run(*wrong).exit_code == 3, wrong
    assert run("--help").exit_code == 0


def test_a_name_that_looks_like_an_option(files: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--anchors=x").write_bytes(Path(files[0]).read_bytes())
    assert run(*files[1:], "--", "--anchors=x").exit_code == 0


@pytest.mark.parametrize("limit", ["ulimit -v 40000", "ulimit -t 0"], ids=["memory", "time"])
def test_a_program_killed_by_its_limits_leaves_it_open(
    files: list[str], limit: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, good = answered(*files)
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\n{limit}\nexec "{sys.executable}" "$@"\n')
    limited.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(limited))
    result = run(*files, "--json")
    code, answer = result.exit_code, json.loads(result.stdout)
    assert (code, answer["verdict"], answer["sub_indication"]) == (2, "indeterminate", "POLICY_PROCESSING_ERROR")
    assert set(answer) == set(good)
    assert "Traceback" not in result.output
    assert run(*files, "--language", "tr").stdout.startswith("BELİRSİZ")


def test_without_anchors_only_what_is_covered_is_checked(files: list[str]) -> None:
    position = files.index("--anchors")
    bare = [*files[:position], *files[position + 2 :]]
    code, answer = answered(*bare)
    assert (code, answer["verdict"], answer["sub_indication"]) == (2, "indeterminate", "NO_CERTIFICATE_CHAIN_FOUND")
    assert answer["signatures"][0]["integrity"] is True


def test_the_names_are_those_of_signer() -> None:
    assert [item.value for item in signatures.RulesOf] == [item.value for item in Profile]
    assert [item.value for item in signatures.FileFormat] == [*(item.value for item in SignatureFormat), "package"]


def test_what_a_name_holds_reaches_no_terminal(pki: Pki, files: list[str]) -> None:
    holder = pki.qualified.issuing.issue("Kötü\x1b[31m ad")
    Path(files[0]).write_bytes(sign(holder, _CONTENT, attached=False))
    shown = run(*files).stdout
    assert "Kötü" in shown
    assert "\x1b[31m" not in shown
