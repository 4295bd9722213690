"""``kepgw mailbox``: what it asks for, what it sends, and that a key from an SMS is never an argument."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.gateway import second_factor_examples as examples
from shared.contracts.second_factor import SecondFactor
from tests.unit.cli.conftest import Answers

PATH = "/v1/mailboxes/m/second-factor"


def run(answers: Answers, *arguments: str, typed: str | None = None) -> Result:
    command = ["mailbox", *arguments, "--url", answers.url]
    return CliRunner().invoke(app, command, env={"KEPGW_CLI_KEY": "k"}, input=typed)


def said(answer: SecondFactor) -> Any:
    return json.loads(answer.model_dump_json())


def test_a_challenge_is_begun_and_answered(answers: Answers, tmp_path: Path) -> None:
    answers.say("GET", PATH, said(examples.NEEDED))
    answers.say("POST", PATH, said(examples.CHALLENGED))
    answers.say("POST", f"{PATH}/confirm", said(examples.CONFIRMED))
    assert "needed" in run(answers, "second-factor", "m").stdout
    assert "challenged" in run(answers, "second-factor", "m", "--begin", "--by", "Ayşe Yılmaz").stdout
    result = run(answers, "second-factor", "m", "--sms", "--by", "Ayşe Yılmaz", typed="135790\n")
    assert "confirmed" in result.stdout
    assert "135790" not in result.stdout
    signature = tmp_path / "text.p7s"
    signature.write_bytes(b"\x30\x03abc")
    assert run(answers, "second-factor", "m", "--signature", str(signature), "--by", "Ayşe Yılmaz").exit_code == 0
    bodies = [json.loads(body) for body in answers.bodies if body]
    assert bodies == [
        {"by": "Ayşe Yılmaz"},
        {"by": "Ayşe Yılmaz", "sms_code": "135790"},
        {"by": "Ayşe Yılmaz", "signature_base64": base64.b64encode(b"\x30\x03abc").decode()},
    ]


@pytest.mark.parametrize(
    "arguments",
    [("--begin",), ("--sms",), ("--begin", "--sms", "--by", "Ayşe"), ("--signature", "/nowhere", "--by", "Ayşe")],
)
def test_without_a_person_or_with_two_wishes_nothing_is_sent(answers: Answers, arguments: tuple[str, ...]) -> None:
    result = run(answers, "second-factor", "m", *arguments)
    assert result.exit_code != 0
    assert result.stderr.startswith("kepgw: ")
    assert answers.bodies == []


@pytest.mark.parametrize("ready", [True, False])
def test_readiness_is_an_exit_code(answers: Answers, ready: bool) -> None:
    checks = [{"id": "credit", "ok": ready, "detail": "used up: 0"}]
    body = {"mailbox_id": "m", "ready": ready, "last_successful_poll_at": None, "checks": checks}
    answers.say("GET", "/v1/mailboxes/m/readiness", body)
    result = run(answers, "ready", "m")
    assert result.exit_code == (0 if ready else 1)
    assert "credit" in result.stdout
