"""``kepgw`` against a running gateway, and ``kepgw demo`` with packages that other software wrote."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.journey import WANTED_EVIDENCE, Correspondents, Journey, JourneyError, Package, play
from services.cli.main import app
from tests.support.packages import FORBIDDEN, FOREIGN
from tests.support.stack import PATIENCE, A, B, Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SAMPLES = Path("../shared/samples")
KEPGW = [sys.executable, "-m", "services.cli.main"]
LAST_LINE = re.compile(r"DEMO ok sha256=([0-9a-f]{64}) state=read evidence=10,20,40,60")


class Command:
    """``kepgw`` with the options that every call needs."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url
        self.sender, self.recipient = stack.gateway.keys[str(A)], stack.gateway.keys[str(B)]
        self.operator = stack.gateway.admin_key

    def __call__(self, *arguments: object, key: str | None = None) -> Result:
        text = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, text, env={"KEPGW_CLI_URL": self._url, "KEPGW_CLI_KEY": key or self.sender})

    def text(self, *arguments: object, key: str | None = None) -> str:
        """What a person sees; it must have worked."""
        result = self(*arguments, key=key)
        assert result.exit_code == 0, result.output
        assert not result.stdout.lstrip().startswith("{"), "JSON is for --json"
        return result.stdout

    def json(self, *arguments: object, key: str | None = None) -> Any:
        """What a program reads: JSON and nothing else; it must have worked."""
        result = self(*arguments, "--json", key=key)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)


@pytest.fixture
def kepgw(stack: Stack) -> Command:
    return Command(stack)


@pytest.fixture
def package(stack: Stack, tmp_path: Path) -> Path:
    """A letter from A to B in a file."""
    file = tmp_path / "örnek yazı.eyp"
    file.write_bytes(stack.package())
    return file


def test_directory(kepgw: Command) -> None:
    found = kepgw.json("directory", "search", "valiligi deneme")
    assert B in [unit["detsis_no"] for unit in found["units"]]
    assert "DENEME VALİLİĞİ" in kepgw.text("directory", "search", "valiligi deneme")
    unit = kepgw.json("directory", "unit", B)["unit"]
    assert (unit["detsis_no"], unit["name"]) == (B, "DENEME VALİLİĞİ")
    assert "name: DENEME VALİLİĞİ" in kepgw.text("directory", "unit", B)
    assert kepgw.json("directory", "status")["counts"]
    assert "freshness:" in kepgw.text("directory", "status")
    missing = kepgw("directory", "unit", 99999999)
    assert missing.exit_code == 2
    assert "[not-found]" in missing.stderr


def test_pages_of_the_directory_can_be_turned(kepgw: Command) -> None:
    first = kepgw.json("directory", "search", "müdürlüğü")
    assert first["next_cursor"]
    second = kepgw.json("directory", "search", "müdürlüğü", "--cursor", first["next_cursor"])
    numbers = [[unit["detsis_no"] for unit in page["units"]] for page in (first, second)]
    assert not set(numbers[0]) & set(numbers[1])
    assert "more: --cursor " in kepgw.text("directory", "search", "müdürlüğü")


def test_a_letter_from_hand_to_hand(stack: Stack, kepgw: Command, package: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    inspected = kepgw.json("inspect", package)
    assert inspected["sha256"] == digest
    assert [finding["key"] for finding in inspected["findings"]] == ["R.19.file-name"]
    assert f"sha256: {digest}" in kepgw.text("inspect", package)

    arguments = ("send", package, "--to", B, "--reference", "sıra-1", "--idempotency-key", f"cli-{digest}")
    sent = kepgw.json(*arguments)
    assert (sent["package_sha256"], sent["client_ref"], sent["package_filename"]) == (digest, "sıra-1", package.name)
    again = kepgw.text(*arguments)
    assert f"message_id: {sent['message_id']}" in again, "the same key, the same letter"
    stack.wait_for(sent["message_id"], "delivered")
    assert "state: delivered" in kepgw.text("letter", sent["message_id"])

    def incoming() -> dict[str, Any] | None:
        letters = kepgw.json("inbox", "list", "--state", "available", key=kepgw.recipient)["messages"]
        return next((item for item in letters if item["package_sha256"] == digest), None)

    letter = wait_until(incoming, PATIENCE, "the letter is available to B")
    assert letter["message_id"] in kepgw.text("inbox", "list", key=kepgw.recipient)
    taken = kepgw.json("inbox", "take", "--into", tmp_path / "in", "--max", 100, key=kepgw.recipient)
    assert letter["message_id"] in [item["message_id"] for item in taken["messages"]]
    file = tmp_path / "in" / f"{letter['message_id']}.eyp"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    lease = ("--lease-token", taken["lease_token"], "--registry-no", "2026/1")
    acknowledged = kepgw.json("inbox", "ack", letter["message_id"], *lease, key=kepgw.recipient)
    assert (acknowledged["state"], acknowledged["registry_no"]) == ("consumed", "2026/1")
    assert "state: consumed" in kepgw.text("inbox", "ack", letter["message_id"], *lease, key=kepgw.recipient)
    assert kepgw.json("letter", stack.wait_for(sent["message_id"], "read")["message_id"])["state"] == "read"


def test_the_ledger_comes_out(stack: Stack, kepgw: Command, package: Path) -> None:
    stack.wait_for(kepgw.json("send", package, "--to", B)["message_id"], "delivered")
    found = kepgw.json("ledger", key=kepgw.operator)
    assert found["outbound"]["states"]["delivered"] >= 1
    assert found["outbound"]["imbalance"] == found["inbound"]["imbalance"] == 0
    assert "outbound: accepted " in kepgw.text("ledger", key=kepgw.operator)
    refused = kepgw("ledger")
    assert refused.exit_code == 2
    assert "[scope-missing]" in refused.stderr


def test_taking_shows_the_token_that_acknowledging_needs(
    stack: Stack, kepgw: Command, package: Path, tmp_path: Path
) -> None:
    sent = kepgw.json("send", package, "--to", B)
    stack.wait_for(sent["message_id"], "delivered")
    digest = sent["package_sha256"]

    def taken() -> str | None:
        text = kepgw.text("inbox", "take", "--into", tmp_path / "in", "--max", 100, key=kepgw.recipient)
        files = (tmp_path / "in").glob("*.eyp")
        return text if digest in {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} else None

    text = wait_until(taken, PATIENCE, "B can take the letter")
    token = re.search(r"lease token (\S+), until", text)
    assert token is not None
    file = next(file for file in (tmp_path / "in").iterdir() if hashlib.sha256(file.read_bytes()).hexdigest() == digest)
    kepgw.text("inbox", "ack", file.stem, "--lease-token", token[1], "--registry-no", "2026/2", key=kepgw.recipient)


def test_keys(kepgw: Command) -> None:
    arguments = ("--client", "cli-test", "--scope", "directory:read", "--institution", A)
    created = kepgw.json("keys", "create", *arguments, "--label", "deneme", key=kepgw.operator)
    shown = kepgw.text("keys", "create", *arguments, key=kepgw.operator)
    assert re.search(r"^key: kepgw_\w+_\w+$", shown, re.MULTILINE)
    listed = kepgw.json("keys", "list", key=kepgw.operator)
    assert created["key_id"] in [item["key_id"] for item in listed["keys"]]
    assert created["key"] not in json.dumps(listed), "only its digest is stored"
    assert created["key_id"] in kepgw.text("keys", "list", key=kepgw.operator)
    assert kepgw("directory", "status", key=created["key"]).exit_code == 0
    assert kepgw.json("keys", "revoke", created["key_id"], key=kepgw.operator)["revoked"] is True
    assert created["key_id"] in kepgw.text("keys", "revoke", created["key_id"], key=kepgw.operator)
    refused = wait_until(
        lambda: (result := kepgw("directory", "status", key=created["key"])).exit_code and result,
        PATIENCE,
        "revocation",
    )
    assert isinstance(refused, Result)
    assert (refused.exit_code, "[unauthenticated]" in refused.stderr) == (2, True)


def test_a_wrong_key_and_a_missing_scope_are_said_once(kepgw: Command) -> None:
    for key, code in (("kepgw_nobody_" + "x" * 40, "unauthenticated"), (kepgw.sender, "scope-missing")):
        result = kepgw("keys", "list", "--json", key=key)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"[{code}]" in result.stderr
        assert "Traceback" not in result.stderr


def test_verify(kepgw: Command, package: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(package) as archive:
        names = {name.rpartition("/")[2].partition(".")[0]: name for name in archive.namelist() if ".rels" not in name}
        signature, content = tmp_path / "imza.p7s", tmp_path / "ozet.xml"
        signature.write_bytes(archive.read(names["ImzaCades"]))
        content.write_bytes(archive.read(names["PaketOzeti"]))
    report = kepgw.json("verify-online", signature, "--content", content)
    assert report["conclusion"] == "passed"
    assert "conclusion: passed" in kepgw.text("verify-online", signature)
    content.write_bytes(b"something else")
    assert kepgw("verify-online", signature, "--content", content).exit_code == 1


def test_check_config(stack: Stack) -> None:
    """In the environment of a running service nothing is wrong; a typo is found whatever else is fine."""
    environment = stack.environment("signer")

    def checked(*more: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [*KEPGW, "check-config", "signer", *more]
        return subprocess.run(
            command, env=environment | changes, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    fine = checked()
    assert (fine.returncode, fine.stdout) == (0, "signer: configuration is complete\n")
    assert json.loads(checked("--json").stdout) == {"services": [{"service": "signer", "faults": []}]}
    wrong = checked("--json", KEPGW_SIGNER_TRUST_DIRECTROY="/x")
    assert wrong.returncode == 2
    assert json.loads(wrong.stdout)["services"][0]["faults"] == ["KEPGW_SIGNER_TRUST_DIRECTROY: no such setting"]


def journey_of(stack: Stack, file: Path) -> tuple[Journey, list[str]]:
    """What ``kepgw demo`` plays."""
    told: list[str] = []
    who = Correspondents(stack.sender, A, stack.recipient, B, stack.institution(B)["name"])
    return play(who, Package(file, file.name), told.append, seconds=PATIENCE), told


@pytest.mark.parametrize("name", FOREIGN)
def test_whoever_wrote_a_package_it_travels(stack: Stack, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(FOREIGN[name])
    journey, told = journey_of(stack, file)
    assert journey.sha256 == hashlib.sha256(FOREIGN[name]).hexdigest()
    assert (journey.state, journey.evidence) == ("read", WANTED_EVIDENCE)
    (inspected,) = [line for line in told if "A has it inspected" in line]
    kind = {".eyps": "encrypted", ".eypg": "update"}.get(file.suffix, "plain")
    assert f"{kind} package" in inspected


@pytest.mark.parametrize("name", ["paketv1x.eyp", "paketv2x.eyp"])
def test_sample_packages_travel(stack: Stack, name: str) -> None:
    if not (SAMPLES / name).exists():
        pytest.skip(f"{SAMPLES / name} is not here")
    journey, _told = journey_of(stack, SAMPLES / name)
    assert journey.sha256 == hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest()
    assert journey.evidence == WANTED_EVIDENCE


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_the_law_keeps_off_kep_is_refused(stack: Stack, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(FORBIDDEN[name])
    with pytest.raises(JourneyError, match="the letter's degree of confidentiality forbids KEP") as caught:
        journey_of(stack, file)
    assert caught.value.refused


# The program itself, with a gateway of its own.


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``kepgw`` as a process; killed if it is still there."""
    # Not pytest's directory: the path of PostgreSQL's socket must be short.
    process = subprocess.Popen(
        [*KEPGW, *arguments], env=clean(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def clean(changes: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")} | dict(changes)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="kepgw-cli-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def processes_of(state: Path) -> set[int]:
    """Everything that keeps the state directory's lock open."""
    lock = (state / "lock").stat()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # Any of them may end while it is looked at.
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    status = descriptor.stat()
                    if (status.st_dev, status.st_ino) == (lock.st_dev, lock.st_ino):
                        found.add(int(process.name))
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_sends_a_file_of_the_users(tmp_path: Path) -> None:
    name = "Ğüzel ŞEHİR yazısı (1).eyp"
    file = tmp_path / name
    file.write_bytes(FOREIGN["uzantısız"])
    with started("demo", KEPGW_DEMO_PACKAGE=str(file)) as process:
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    last = LAST_LINE.fullmatch(out.splitlines()[-1])
    assert last is not None, out
    assert last[1] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "R.19.file-name (" in out, "what the inspection finds is shown"
    assert "signature: " in out.replace("  ", " ")
    assert err == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_with_a_file_that_is_no_package_says_so_in_one_line(state: Path) -> None:
    file = state / "resim.eyp"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    with started("demo", "--state", str(state), KEPGW_DEMO_PACKAGE=str(file)) as process:
        out, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert err.startswith("kepgw: the letter did not arrive: ")
    assert "Traceback" not in out + err
    assert "DEMO ok" not in out
    assert processes_of(state) == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_start_is_refused_and_a_killed_one_leaves_nothing(state: Path) -> None:
    with started("up", "--state", str(state)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Ctrl-C stops everything"):
                break
        else:
            pytest.fail(process.communicate()[1])
        with started("up", "--state", str(state)) as second:
            _out, err = second.communicate(timeout=PATIENCE)
        assert second.returncode == 1
        assert err == (
            f"kepgw: another kepgw (process {process.pid}) runs in {state}; stop it, "
            "or name another directory with --state\n"
        )
        family = processes_of(state)
        assert len(family) == 7, "the supervisor, PostgreSQL's keeper, the sandbox and four services"
        process.kill()
        process.wait()
        wait_until(lambda: not processes_of(state), PATIENCE, "everything it started ends by itself")
        assert not (state / "postgres" / "postmaster.pid").exists(), "PostgreSQL was stopped in order"
    with started("up", "--state", str(state)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("· services"):
                break
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert process.returncode == 130
        assert processes_of(state) == set()
