"""A proof file is checked with nothing but the file: every change is found, whatever the file is."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from shared.proof import (
    FORMAT,
    MANIFEST,
    TIMESTAMP,
    Manifest,
    ProofFile,
    ProofFileKind,
    ProofUnreadable,
    canonical,
    chained,
    check,
)

EVENTS = [{"sequence": number, "kind": kind} for number, kind in enumerate(("handed_over", "attempt", "evidence"), 1)]
Files = dict[str, bytes]


def contents(events: list[dict[str, Any]] | None = None) -> Files:
    lines = chained(EVENTS) if events is None else events
    files: Files = {"letter.json": b"{}", "events.json": canonical(lines), "evidence/001-40.xml": b"<delil/>" * 100}
    listed = [
        ProofFile(path=name, kind=ProofFileKind.LETTER, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in files.items()
    ]
    manifest = Manifest(
        format=FORMAT, message_id=UUID(int=7), institution_no=10000001, made_at=datetime(2026, 11, 20, tzinfo=UTC),
        software_version="1", events_sha256=chained(EVENTS)[-1]["sha256"], files=listed,
    )  # fmt: skip
    return files | {MANIFEST: canonical(manifest.model_dump(mode="json")), TIMESTAMP: b"0\x03\x02\x01\x00"}


def write(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "proof.zip", contents())


def test_intact(file: Path) -> None:
    found = check(file)
    assert found.intact
    assert found.timestamp == b"0\x03\x02\x01\x00"
    assert found.manifest_sha256 == hashlib.sha256(contents()[MANIFEST]).hexdigest()


def test_the_chain_can_be_worked_out_with_other_means(file: Path) -> None:
    """As OKU-BENI.txt says: sorted keys, no spaces, the line without its own digest."""
    previous = "0" * 64
    with zipfile.ZipFile(file) as archive:
        for line in json.loads(archive.read("events.json")):
            own = line.pop("sha256")
            text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            assert line["previous"] == previous
            assert hashlib.sha256(text.encode()).hexdigest() == own
            previous = own


def _without(name: str) -> Callable[[Files], Files]:
    return lambda files: {key: value for key, value in files.items() if key != name}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda files: files | {"evidence/001-40.xml": b"<delil/>" * 99 + b"<delil.>"}, "evidence/001-40.xml: changed"),
        (lambda files: files | {"evidence/001-40.xml": b"<delil/>" * 101}, "evidence/001-40.xml: changed"),
        (lambda files: files | {"letter.json": b""}, "letter.json: changed"),
        (_without("letter.json"), "letter.json: missing"),
        (_without("events.json"), "events.json: missing"),
        (lambda files: files | {"evidence/002-60.xml": b"<delil/>"}, "evidence/002-60.xml: not in the manifest"),
    ],
)
def test_what_was_changed_taken_out_or_put_in(tmp_path: Path, change: Callable[[Files], Files], fault: str) -> None:
    assert fault in check(write(tmp_path / "changed.zip", change(contents()))).faults


def _line(number: int, **changes: object) -> list[dict[str, Any]]:
    lines = chained(EVENTS)
    lines[number] |= changes
    return lines


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (_line(1, kind="outcome"), "event 2 was changed"),
        (chained(EVENTS)[1:], "event 1 does not follow"),
        ([chained(EVENTS)[0], chained(EVENTS)[2]], "event 2 does not follow"),
        (chained(EVENTS)[:2], "lines at the end are missing"),
        (chained(EVENTS[:1] + EVENTS[2:]), "lines at the end are missing"),
        ([{"sha256": 1}], "event 1 does not follow"),
    ],
)
def test_a_history_that_was_tampered_with(tmp_path: Path, lines: list[dict[str, Any]], fault: str) -> None:
    """Also when the manifest was made to fit the file: then only its chain speaks, and the time-stamp over the manifest."""
    found = check(write(tmp_path / "history.zip", contents(lines)))
    assert any(fault in item for item in found.faults), found.faults


def test_a_name_that_stands_there_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "twice.zip", contents())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("letter.json", b"{}")
    assert "letter.json: stands there more than once" in check(path).faults


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (_without(MANIFEST)(contents()), MANIFEST),
        (contents() | {MANIFEST: b"{"}, "not as documented"),
        (contents() | {MANIFEST: b'{"format": "kepgw-proof/1"}'}, "not as documented"),
        (contents() | {MANIFEST: contents()[MANIFEST].replace(b"proof/1", b"proof/9")}, "not known here"),
        (contents() | {MANIFEST: b" " * (33 * 1024 * 1024)}, "larger than"),
        ({f"{number}": b"" for number in range(20_001)}, "more than 20000 files"),
    ],
    ids=["none", "cut", "empty", "format", "large", "files"],
)
def test_what_is_no_proof_file(tmp_path: Path, files: Files, reason: str) -> None:
    with pytest.raises(ProofUnreadable, match=reason):
        check(write(tmp_path / "other.zip", files))


def test_bit_flips_are_found_or_harmless(file: Path, tmp_path: Path) -> None:
    whole, chooser = file.read_bytes(), random.Random(20261128)
    found_any = 0
    for _ in range(400):
        changed = bytearray(whole)
        changed[chooser.randrange(len(changed))] ^= 1 << chooser.randrange(8)
        path = tmp_path / "flipped.zip"
        path.write_bytes(changed)
        try:
            found = check(path)
        except ProofUnreadable:
            found_any += 1
            continue
        if found.intact:
            # Dates and flags of the archive are nobody's statement; the time-stamp is judged by its own signature.
            assert found.manifest == check(file).manifest
        else:
            found_any += 1
    assert found_any > 200


def test_the_command(file: Path, tmp_path: Path) -> None:
    run = CliRunner()
    good = run.invoke(app, ["proof", "verify", str(file), "--json", "--timestamp", str(tmp_path / "m.tsr")])
    assert (good.exit_code, json.loads(good.stdout)["intact"]) == (0, True)
    assert (tmp_path / "m.tsr").read_bytes() == b"0\x03\x02\x01\x00"
    bad = run.invoke(app, ["proof", "verify", str(write(tmp_path / "bad.zip", contents() | {"letter.json": b"x"}))])
    assert (bad.exit_code, "NOT intact" in bad.stdout) == (1, True)
    for other in (tmp_path / "missing.zip", tmp_path, tmp_path / "m.tsr"):
        nothing = run.invoke(app, ["proof", "verify", str(other), "--json"])
        assert (nothing.exit_code, nothing.stdout) == (3, "")
        assert nothing.stderr.count("\n") == 1


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_read_without_a_limit_is_not_read(tmp_path: Path, method: int) -> None:
    """A kilobyte of bzip2 took two gigabytes of memory, whatever the size in its header."""
    path = tmp_path / "proof.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents().items():
            archive.writestr(name, data, compress_type=method if name.endswith(".xml") else None)
    with pytest.raises(ProofUnreadable, match="packed"):
        check(path)


def test_a_file_that_is_listed_again_and_again_is_not_read_again_and_again(tmp_path: Path) -> None:
    files = contents()
    manifest = json.loads(files[MANIFEST])
    manifest["files"] += [manifest["files"][-1] | {"sha256": "0" * 64}] * 50
    path = write(tmp_path / "proof.zip", files | {MANIFEST: canonical(manifest)})
    assert check(path).faults == ("evidence/001-40.xml: listed more than once",)
