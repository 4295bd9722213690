"""The proof of a real letter, checked by the command alone and by other programs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from shared.proof import MANIFEST, TIMESTAMP, ProofFileKind, check
from tests.support.stack import PATIENCE, A, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def kepgw(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout


def test_a_delivered_letter_is_proven_from_its_file_alone(stack: Stack, tmp_path: Path) -> None:
    package = stack.package()
    sent = stack.send(package)
    stack.wait_for(sent["message_id"], "delivered")
    file = tmp_path / "proof.zip"
    key = stack.gateway.keys[str(A)]
    code, answer = kepgw(
        "proof", "get", sent["message_id"], "--into", str(file), "--url", stack.url, "--key", key, "--json"
    )
    assert code == 0, answer
    assert json.loads(answer)["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    code, answer = kepgw("proof", "verify", str(file), "--json")
    assert (code, json.loads(answer)["intact"]) == (0, True)

    found = check(file)
    codes = sorted(item.code or 0 for item in found.manifest.files if item.kind is ProofFileKind.EVIDENCE)
    assert codes == [10, 20, 40]
    with zipfile.ZipFile(file) as archive:
        assert archive.read("package/letter.eyp") == package
        verdicts = [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("verdicts/")]
        assert [item["conclusion"] for item in verdicts] == ["passed"] * 3
        mail = archive.read("sent/001.eml")
        archive.extract(MANIFEST, tmp_path)
        archive.extract(TIMESTAMP, tmp_path)
    # What was handed to the provider is signed by A's key; OpenSSL knows nothing of us.
    (tmp_path / "sent.eml").write_bytes(mail)
    done = subprocess.run(
        ["openssl", "smime", "-verify", "-in", str(tmp_path / "sent.eml"), "-noverify", "-out", "/dev/null"],
        capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert b"Verification successful" in done.stderr, done.stderr
    root = stack.gateway.state.root / "sandbox" / "trust" / "timestamp" / "root.crt"
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", MANIFEST, "-in", TIMESTAMP, "-token_in", "-CAfile", str(root)],
        capture_output=True, check=False, timeout=PATIENCE, cwd=tmp_path,
    )  # fmt: skip
    assert b"Verification: OK" in done.stdout, done.stderr
