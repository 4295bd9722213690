"""Commands without a gateway behind them: one clear line, an exit code, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.ports import free_port
from tests.unit.cli.conftest import Answers

OFFLINE = f"http://127.0.0.1:{free_port()}"


def run(*arguments: str, environment: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"KEPGW_CLI_KEY": "k", **(environment or {})})


def test_without_arguments_there_is_help() -> None:
    listed = run("--help").stdout
    for command in (
        "up",
        "demo",
        "send",
        "letter",
        "inspect",
        "verify",
        "check-config",
        "keys",
        "inbox",
        "directory",
        "ledger",
    ):
        assert command in listed


@pytest.mark.parametrize(
    "arguments",
    [
        ("directory", "status"), ("directory", "unit", "10000001"), ("directory", "search", "x"), ("letter", "m1"),
        ("directory", "runs"), ("ledger",), ("directory", "changes"), ("directory", "release", "7", "--note", "n"),
        ("inbox", "list"), ("keys", "list"), ("keys", "revoke", "k1"), ("inbox", "ack", "m1", "--lease-token", "t",
        "--registry-no", "1"), ("keys", "create", "--client", "c", "--scope", "admin"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_gateway_that_is_down_is_one_line_on_stderr(arguments: tuple[str, ...], more: tuple[str, ...]) -> None:
    result = run(*arguments, "--url", OFFLINE, *more)
    assert result.exit_code == 2
    assert result.stdout == "", "a program reads JSON or nothing"
    assert result.stderr.startswith("kepgw: no answer from the gateway")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("send", "--to", "10000002"), ("inspect",), ("verify-online",)])
def test_a_file_that_cannot_be_read_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    gateway = () if command == ("inspect",) else ("--url", OFFLINE)
    for path, reason in ((tmp_path / "nothing.eyp", "No such file"), (tmp_path, "Is a directory")):
        result = run(*command, str(path), *gateway)
        assert result.exit_code == 2
        assert str(path) in result.stderr
        assert reason in result.stderr
        assert "Traceback" not in result.output


def test_a_directory_that_cannot_be_made_stops_before_letters_are_taken(answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("inbox", "take", "--into", str(tmp_path / "file"), "--url", answers.url)
    assert result.exit_code == 2
    assert answers.bodies == []


def test_what_was_leased_is_shown_even_if_a_package_cannot_be_fetched(answers: Answers, tmp_path: Path) -> None:
    letter = {"message_id": "m1", "package_sha256": "0" * 64, "package_filename": "../../x.sh", "subject": "s"}
    leased = {"lease_token": "token-1", "expires_at": "2026-11-20T09:00:00Z", "messages": [letter]}
    answers.say("POST", "/v1/inbound-messages/leases", leased)
    result = run("inbox", "take", "--into", str(tmp_path), "--url", answers.url, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == leased
    assert "m1.eyp" in result.stderr
    answers.say("GET", "/v1/inbound-messages/m1/package", b"other bytes")
    result = run("inbox", "take", "--into", str(tmp_path), "--url", answers.url)
    assert result.exit_code == 1
    assert "token-1" in result.stdout
    assert "was damaged on the way" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_inbox_is_an_empty_list(answers: Answers, tmp_path: Path) -> None:
    answers.say("POST", "/v1/inbound-messages/leases", b"", 204)
    result = run("inbox", "take", "--into", str(tmp_path), "--url", answers.url, "--json")
    assert (result.exit_code, json.loads(result.stdout)["messages"]) == (0, [])


@pytest.mark.parametrize(("conclusion", "code"), [("passed", 0), ("failed", 1), ("indeterminate", 3)])
def test_a_verdict_is_an_exit_code(answers: Answers, tmp_path: Path, conclusion: str, code: int) -> None:
    file = tmp_path / "imza.p7s"
    file.write_bytes(b"0")
    answers.say("POST", "/v1/signature-verifications", {"conclusion": conclusion})
    result = run("verify-online", str(file), "--content", str(file), "--url", answers.url, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (code, {"conclusion": conclusion})


def test_check_config_lists_the_faults_of_each_service() -> None:
    environment: dict[str, str | None] = {"KEPGW_SIGNER_TYPO": "1", "KEPGW_SIGNER_PORT": "x"}
    result = run("check-config", "signer", "--json", environment=environment)
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["services"]
    assert found["service"] == "signer"
    assert any("KEPGW_SIGNER_TYPO: no such setting" in fault for fault in found["faults"])
    assert any(fault.startswith("KEPGW_SIGNER_PORT:") for fault in found["faults"])
    assert "signer: KEPGW_SIGNER_TYPO: no such setting" in run("check-config", "signer", environment=environment).stderr
    assert run("check-config", "os").exit_code == 2


@pytest.mark.parametrize("command", ["demo", "up"])
def test_a_package_that_cannot_be_read_is_found_out_before_anything_starts(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "yok.eyp"
    result = run(command, "--state", str(tmp_path / "state"), environment={"KEPGW_DEMO_PACKAGE": str(missing)})
    assert result.exit_code == 2
    assert result.stderr == f"kepgw: KEPGW_DEMO_PACKAGE: cannot read {missing}: No such file or directory\n"
    assert not (tmp_path / "state").exists()


def test_a_state_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("demo", "--state", str(tmp_path / "file"))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_a_path_postgresql_cannot_live_under_is_refused_with_the_remedy(tmp_path: Path) -> None:
    result = run("demo", "--state", str(tmp_path / "with space"))
    assert result.exit_code == 1
    assert "--state" in result.stderr


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    url = f"postgresql://nobody:topsecret@127.0.0.1:{free_port()}/x"
    result = run("demo", "--state", str(tmp_path / "state"), environment={"KEPGW_UP_DATABASE_URL": url})
    assert result.exit_code == 1
    assert result.stderr.startswith("kepgw: the database cannot be prepared")
    assert "topsecret" not in result.output


TRAILER = b'{"header":{"snapshot_id":7}}\n{"unit":{"detsis_no":10000001}}\n{"trailer":{"units":1}}\n'


def test_an_export_appears_once_it_is_whole(answers: Answers, tmp_path: Path) -> None:
    target = tmp_path / "register.ndjson"
    answers.say("GET", "/v1/directory/export", TRAILER)
    result = run("directory", "export", str(target), "--url", answers.url)
    assert (result.exit_code, "1 units" in result.stdout) == (0, True), result.output
    assert target.read_bytes() == TRAILER
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("cut", [b"", TRAILER[:20], TRAILER[: TRAILER.rindex(b'{"trailer"')], TRAILER[:-3], b"[]\n"])
def test_an_export_without_its_last_line_is_none(answers: Answers, tmp_path: Path, cut: bytes) -> None:
    (tmp_path / "register.ndjson").write_text("the one before")
    answers.say("GET", "/v1/directory/export", cut)
    result = run("directory", "export", str(tmp_path / "register.ndjson"), "--url", answers.url)
    assert (result.exit_code, result.stderr) == (2, "kepgw: the export was cut off: its last line is missing\n")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["the one before"]


def test_changes_are_told_with_what_changed(answers: Answers) -> None:
    change = {
        "changed_at": "2026-03-02T00:41:00Z", "subject": "unit", "subject_key": "10000021", "kind": "changed",
        "old": {"name": "ESKİ"}, "new": {"name": "YENİ"},
    }  # fmt: skip
    opened = {**change, "kind": "created", "old": None, "new": {"name": "İLK"}}
    answers.say("GET", "/v1/directory/changes", {"changes": [change, opened], "next_cursor": "abc", "more": False})
    result = run("directory", "changes", "--url", answers.url)
    assert result.exit_code == 0
    assert "name: ESKİ → YENİ" in result.stdout
    assert "name: İLK" in result.stdout
    assert "go on: --after abc" in result.stdout
    answers.say("GET", "/v1/directory/units/10000021/changes", {"changes": [change], "next_cursor": None})
    result = run("directory", "changes", "--unit", "10000021", "--json", "--url", answers.url)
    assert json.loads(result.stdout)["changes"] == [change]


def test_a_release_says_why(answers: Answers) -> None:
    answers.say("POST", "/v1/directory/runs/413/release", {"run_id": 413, "state": "accepted"})
    result = run("directory", "release", "413", "--note", "soruldu", "--url", answers.url)
    assert (result.exit_code, "state: accepted" in result.stdout) == (0, True), result.output
    assert json.loads(answers.bodies[-1]) == {"note": "soruldu"}
    assert run("directory", "release", "413", "--url", answers.url).exit_code == 2


def _side(accepted: int = 5, terminal: int = 4, in_flight: int = 1, imbalance: int = 0, **more: object) -> object:
    sums = {"accepted": accepted, "terminal": terminal, "in_flight": in_flight, "imbalance": imbalance}
    return {**sums, "states": {"blocked": in_flight, "read": terminal}, "oldest": None, "stuck": [], **more}


_WAITING = {
    "message_id": "0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f", "institution_no": 10000001, "state": "blocked",
    "since": "2026-11-20T09:00:00Z", "reason_code": "kep-credit-exhausted", "reason": "552 \x1b[31mno credit",
    "next_step_at": "2026-11-20T10:00:00Z",
}  # fmt: skip


def _ledger(outbound: object, share: object) -> dict[str, object]:
    shares = [{"institution_no": 10000001, "outbound": share, "inbound": _side(0, 0, 0)}]
    return {
        "outbound": outbound, "inbound": _side(0, 0, 0), "institutions": shares, "checked_at": "2026-11-20T09:30:00Z"
    }  # fmt: skip


def test_a_ledger_that_comes_out_is_exit_code_0_and_says_what_the_oldest_letter_waits_for(answers: Answers) -> None:
    answers.say("GET", "/v1/ledger", _ledger(_side(oldest=_WAITING), _side()))
    result = run("ledger", "--url", answers.url)
    assert result.exit_code == 0, result.output
    assert "outbound: accepted 5 = terminal 4 + in flight 1 + unaccounted for 0" in result.stdout
    assert "states: blocked 1, read 4" in result.stdout
    assert "oldest in flight: 0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f of 10000001, blocked since" in result.stdout
    assert "because of kep-credit-exhausted: 552 \ufffd[31mno credit, next step at" in result.stdout
    assert "institution 10000001:" in result.stdout
    assert "institution 1" not in run("ledger", "--institution", "10000002", "--url", answers.url).stdout
    shown = run("ledger", "--json", "--url", answers.url)
    assert (shown.exit_code, json.loads(shown.stdout)["outbound"]["accepted"]) == (0, 5)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_ledger_that_does_not_come_out_is_exit_code_1(answers: Answers, whole: bool, more: tuple[str, ...]) -> None:
    wrong = _side(5, 3, 1, 1, stuck=[_WAITING | {"state": "retry_wait"}])
    answers.say("GET", "/v1/ledger", _ledger(wrong if whole else _side(), _side() if whole else wrong))
    result = run("ledger", "--url", answers.url, *more)
    assert result.exit_code == 1
    assert "unaccounted for" in result.stderr
    if whole and not more:
        assert "stuck: 0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f of 10000001, retry_wait" in result.stdout
