"""``kepgw consumers`` and ``kepgw inbox take --consumer``: what is asked of the gateway, and what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.unit.cli.conftest import Answers

QUEUE: dict[str, Any] = {"available": 2, "leased": 1, "dead_lettered": 4, "oldest_at": None}
NOTHING = {"available": 0, "leased": 0, "dead_lettered": 0, "oldest_at": None}
HR = {
    "name": "hr", "institution_no": 10000001, "description": None, "position": 10, "rules": [{"mode": "copy"}],
    "updated_at": None, "letters": QUEUE, "copies": NOTHING,
}  # fmt: skip


def run(answers: Answers, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--url", answers.url], env={"KEPGW_CLI_KEY": "k"})


def test_consumers_are_listed_with_what_waits_for_them(answers: Answers) -> None:
    answers.say("GET", "/v1/consumers", {"consumers": [HR]})
    result = run(answers, "consumers", "list")
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[-6:] == ["hr", "10", "1", "3", "0", "4"]
    assert json.loads(run(answers, "consumers", "list", "--json").stdout) == {"consumers": [HR]}


def test_rules_are_read_from_a_file(answers: Answers, tmp_path: Path) -> None:
    rules = [{"mode": "exclusive", "match": {"subjects": ["ihale"]}}]
    (tmp_path / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
    answers.say("PUT", "/v1/consumers/hr", HR)
    result = run(answers, "consumers", "set", "hr", "--rules", str(tmp_path / "rules.json"), "--position", "5")
    assert result.exit_code == 0, result.output
    assert json.loads(answers.bodies[-1]) == {"position": 5, "rules": rules}


def test_a_file_of_rules_that_is_none_is_named_and_nothing_is_asked(answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"\xff[")
    for name, words in (("bad.json", "is not JSON"), ("nothing.json", "No such file")):
        result = run(answers, "consumers", "set", "hr", "--rules", str(tmp_path / name))
        assert (result.exit_code, words in result.stderr, "Traceback" in result.output) == (2, True, False)
    assert answers.bodies == []


def test_letters_of_a_consumer_are_taken_and_copies_are_called_so(answers: Answers, tmp_path: Path) -> None:
    leased = {"lease_token": "copy.t", "expires_at": "2026-11-20T09:00:00Z", "role": "copy", "messages": []}
    answers.say("POST", "/v1/inbound-messages/leases", leased)
    result = run(answers, "inbox", "take", "--into", str(tmp_path), "--consumer", "archive")
    assert result.exit_code == 0, result.output
    assert json.loads(answers.bodies[-1])["consumer"] == "archive"
    assert "copies" in result.output
