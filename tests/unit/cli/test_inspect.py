"""``kepgw inspect``: a package on this machine, no gateway anywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from typer.testing import CliRunner, Result

from services.cli.main import app
from shared.eyp import Reference, SecurityCode
from tests.unit.eyp import letters, shapes, wrappers

_LETTER = letters.package(security_code=SecurityCode.RESTRICTED)
_REFERENCE = "33333333-2222-4333-8444-000000000001"
_NAME = f"{letters.DOCUMENT_ID}.eyp"
_KEYS = {
    "kind", "version", "package_id", "subject", "document_number", "confidentiality", "distribution", "annexes",
    "references", "signers", "digests", "findings", "inner",
}  # fmt: skip


def inspect(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["inspect", str(path), *arguments], env={"KEPGW_CLI_KEY": None})


def answer(path: Path, *arguments: str, code: int = 0) -> Any:
    result = inspect(path, *arguments, "--json")
    assert result.exit_code == code, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / _NAME
    path.write_bytes(_LETTER)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_faultless_letter(letter: Path) -> None:
    """Every key that programs rely on, coded values as official tokens, exit code 0 even in strict."""
    found = answer(letter, "--profile", "strict")
    assert set(found) >= _KEYS
    assert (found["kind"], found["version"], found["profile"]) == ("eyp", "2.0", "strict")
    assert (found["package_id"], found["document_number"]) == (letters.DOCUMENT_ID, letters.FINAL.document_no)
    assert (found["confidentiality"], found["subject"]) == ("HZO", "Ğüzel bir deneme & <işaret>")
    assert found["sha256"] == hashlib.sha256(_LETTER).hexdigest()
    (recipient,) = found["distribution"]
    assert {"number": "10000002", "purpose": "GRG", "urgency": "NRM"}.items() <= recipient.items()
    assert [(annex["kind"], annex["file_name"], annex["signed"]) for annex in found["annexes"]] == [
        ("DED", "Cizim(1).txt", True), ("DED", "liste.csv", False),
    ]  # fmt: skip
    assert [signer["name"] for signer in found["signers"]] == ["Deneme İMZACI"]
    assert found["digests"] == {
        "PaketOzeti": {"references": 3, "mismatches": []}, "NihaiOzet": {"references": 7, "mismatches": []},
    }  # fmt: skip
    assert [item["kind"] for item in found["signatures"]] == ["signature", "seal"]
    assert (found["findings"], found["inner"]) == ([], None)


def test_references_and_older_letters(tmp_path: Path) -> None:
    """1.3 keeps its own tokens; references come with their labels."""
    older = answer(written(tmp_path / _NAME, shapes.older().to_bytes()))
    assert (older["version"], older["confidentiality"]) == ("1.3", "TSD")
    assert set(older["digests"]) == {"PaketOzeti", "NihaiOzet"}
    references = (Reference(_REFERENCE, "a", document_no="E-1"),)
    found = answer(written(tmp_path / _NAME, letters.package(references=references)))
    assert found["references"] == [
        {"label": "a", "id": _REFERENCE, "document_number": "E-1", "date": None, "name": None, "annex_id": None}
    ]


def test_a_forged_letter(letter: Path) -> None:
    """Exit code 1, the part named in both summaries, the rule with the official library's code."""
    forged = letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n")
    found = answer(written(letter, forged), code=1)
    for name in ("PaketOzeti", "NihaiOzet"):
        assert found["digests"][name]["mismatches"] == ["/UstYazi/Ustyazi.pdf"]
    first = found["findings"][0]
    assert {"rule": "R.60", "severity": "fatal", "code": 15, "part": "/PaketOzeti/PaketOzeti.xml"}.items() <= (
        first.items()
    )
    assert first["message"].startswith("The package digest: ")
    people = inspect(letter)
    assert people.exit_code == 1
    assert "R.60" in people.stdout
    assert "Paket özeti: " in people.stdout


def test_recipient_and_profile_decide(tmp_path: Path, letter: Path) -> None:
    """An annex withheld from one recipient may be absent in that one's copy only."""
    distributions = (
        letters.Distribution(letters.RECIPIENT, withheld_annexes=(letters.ANNEX_ID,)),
        letters.Distribution(letters.Organisation("10000009")),
    )
    parts = letters.parts_of(letters.package(distributions=distributions))
    del parts["Ekler/Cizim(1).txt"]
    written(letter, letters.packed(parts))
    assert answer(letter, "--recipient", "10000002")["acceptable"]
    assert not answer(letter, "--recipient", "10000009", code=1)["acceptable"]
    spaced = wrappers.edited(letters.package(), "package/", letters.replacing("<dc:subject>", "<dc:subject>x"))
    rules = {item["key"]: item["severity"] for item in answer(written(letter, spaced), code=1)["findings"]}
    assert rules["R.18.subject-differs"] == "important"
    rules = {item["key"]: item["severity"] for item in answer(letter, "--profile", "strict", code=1)["findings"]}
    assert rules["R.18.subject-differs"] == "fatal"
    assert inspect(letter, "--profile", "lenient").exit_code == 2


def test_an_encrypted_package(tmp_path: Path, letter: Path) -> None:
    """The keys speak of the outside; what was decrypted can be held against it."""
    path = written(tmp_path / "x.eyps", wrappers.encrypted(_LETTER, destinations=[letters.RECIPIENT]))
    found = answer(path, "--profile", "strict")
    assert (found["kind"], found["confidentiality"], found["inner"]) == ("eyps", None, None)
    assert [item["number"] for item in found["distribution"]] == ["10000002"]
    assert found["encrypted_content"].startswith("/SifreliIcerik/")
    found = answer(path, "--decrypted", str(letter))
    assert (found["inner"]["kind"], found["inner"]["package_id"]) == ("eyp", letters.DOCUMENT_ID)
    assert found["confidentiality"] == "HZO"
    other = written(tmp_path / "other.eyp", letters.package(subject="Başka"))
    found = answer(path, "--decrypted", str(other), code=1)
    assert [item["rule"] for item in found["findings"]] == ["R.83"]
    assert inspect(letter, "--decrypted", str(other)).exit_code == 2


def test_an_update_of_an_update(tmp_path: Path) -> None:
    """Each level in the same form; the degree in force stands outside."""
    content = wrappers.update(wrappers.update(letters.package(security_code=SecurityCode.SECRET)))
    found = answer(written(tmp_path / "x.eypg", content), "--profile", "strict")
    levels = [found, found["inner"], found["inner"]["inner"]]
    assert all(set(level) >= _KEYS for level in levels)
    assert [level["kind"] for level in levels] == ["eypg", "eypg", "eyp"]
    assert [level["confidentiality"] for level in levels] == ["YOK", "YOK", "GZL"]
    assert found["digests"] == {"NihaiOzet": {"references": 3, "mismatches": []}}
    (change,) = found["updates"]
    assert (change["kind"], change["confidentiality"]) == ("GuvenlikKodu", "YOK")
    assert change["decision_document_number"] == wrappers.CHANGE.decision_document_no


@pytest.mark.parametrize("content", [b"", b"plain text", letters.packed({"a.txt": b"a"}), _LETTER[:-40]])
def test_what_is_no_package(tmp_path: Path, content: bytes) -> None:
    """One line on stderr and exit code 2; a program reads JSON or nothing."""
    path = written(tmp_path / "x.eyp", content)
    for more in ((), ("--json",)):
        result = inspect(path, *more)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"kepgw: {path}: ")
        assert result.stderr.count("\n") == 1


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A directory, a file that is not there, and one that is longer than any package: told at once."""
    huge = tmp_path / "huge.eyp"
    with huge.open("wb") as file:
        file.truncate(2**40)
    for path, reason in ((tmp_path, "directory"), (tmp_path / "none.eyp", "No such file"), (huge, "too-large")):
        result = inspect(path, "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert reason in result.stderr


def test_standard_input() -> None:
    """A package from a pipe has no name to judge; what is no package there is told as well."""
    for content, code in ((_LETTER, 0), (b"", 2), (b"plain text", 2)):
        result = CliRunner().invoke(app, ["inspect", "-", "--json", "--profile", "strict"], input=content)
        assert result.exit_code == code
        assert code or json.loads(result.stdout)["findings"] == []


@pytest.mark.parametrize("profile", ["strict", "interop"])
@pytest.mark.parametrize(
    ("name", "version", "degree"), [("paketv1x.eyp", "1.3", "TSD"), ("paketv2x.eyp", "2.0", "YOK")]
)
def test_packages_of_other_software(name: str, version: str, degree: str, profile: str) -> None:
    """Their facts and their known departures; placeholders in place of signatures make them unacceptable."""
    path = Path(__file__).parents[3].parent / "shared" / "samples" / name
    if not path.exists():
        pytest.skip("the sample packages are not on this machine")
    found = answer(path, "--profile", profile, code=1)
    assert (found["kind"], found["version"], found["confidentiality"]) == ("eyp", version, degree)
    assert found["document_number"] == "E-24312041-702.03-1"
    assert (len(found["distribution"]), len(found["annexes"]), len(found["signers"])) == (3, 2, 1)
    assert all(summary["mismatches"] == [] for summary in found["digests"].values())
    rules = {item["rule"] for item in found["findings"]}
    assert rules - {"R.23", "R.37"} == {"R.19", "R.20", "R.27", "R.43", "R.70"}


def test_schemas(tmp_path: Path) -> None:
    """Both generations in one directory, ready for any validator; a place that cannot be written is told."""
    result = CliRunner().invoke(app, ["schemas", str(tmp_path / "xsd")])
    assert result.exit_code == 0
    names = {path.name for path in (tmp_path / "xsd").iterdir()}
    assert names >= {"Ustveri-1.xsd", "Ustveri-2.xsd", "Tipler-1.xsd", "Tipler-2.xsd", "ParafOzeti-2.xsd"}
    assert {Path(line).name for line in result.stdout.split()} == names
    metadata = etree.fromstring(letters.parts_of(_LETTER)["Ustveri/Ustveri.xml"])
    etree.XMLSchema(etree.parse(tmp_path / "xsd" / "Ustveri-2.xsd")).assertValid(metadata)
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, ["schemas", str(tmp_path / "file")])
    assert (result.exit_code, result.stdout) == (2, "")
