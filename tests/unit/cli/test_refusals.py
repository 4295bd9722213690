"""Deciding about a letter and having its sender told, from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.unit.cli.conftest import Answers

PATH = "/v1/inbound-messages/m1"


def run(answers: Answers, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["inbox", *arguments, "--url", answers.url], env={"KEPGW_CLI_KEY": "k"})


def sent(answers: Answers) -> dict[str, Any]:
    (body,) = answers.bodies
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_letter_is_accepted(answers: Answers) -> None:
    answers.say("POST", f"{PATH}/acceptance", {"state": "accepted"})
    assert run(answers, "accept", "m1", "--by", "F. Örnek").exit_code == 0
    assert sent(answers) == {"decision": "accepted", "decided_by": "F. Örnek"}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("R.30: Ek yok.", {"rule": "R.30", "text": "Ek yok."}),
        ("Saat 10:30'da gelen ek açılmıyor", {"rule": "other", "text": "Saat 10:30'da gelen ek açılmıyor"}),
        ("R.30:", {"rule": "other", "text": "R.30:"}),
        ("Ek yok.", {"rule": "other", "text": "Ek yok."}),
    ],
)
def test_a_letter_is_refused_with_reasons(answers: Answers, reason: str, expected: dict[str, str]) -> None:
    answers.say("POST", f"{PATH}/acceptance", {"state": "refused"})
    assert run(answers, "refuse", "m1", "--by", "F. Örnek", "--reason", reason).exit_code == 0
    assert sent(answers)["reasons"] == [expected]


@pytest.mark.parametrize("text", [None, "Eksik ek ayrıca gönderilebilir."])
def test_the_sender_is_told(answers: Answers, text: str | None) -> None:
    answers.say("POST", f"{PATH}/refusal-notice", {"message_id": "n1", "kind": "notice"})
    result = run(answers, "notify", "m1", "--by", "G. Deneme", *(() if text is None else ("--text", text)))
    assert result.exit_code == 0, result.output
    assert "n1" in result.stdout
    assert sent(answers) == {"decided_by": "G. Deneme"} | ({} if text is None else {"text": text})


def test_a_withheld_mail_is_released(answers: Answers) -> None:
    answers.say("POST", f"{PATH}/release", {"message_id": "m1", "state": "parsed"})
    result = run(answers, "release", "m1", "--by", "G. Deneme", "--reason", "Yanlış alarm.")
    assert result.exit_code == 0, result.output
    assert sent(answers) == {"decided_by": "G. Deneme", "reason": "Yanlış alarm."}
    assert run(answers, "release", "m1", "--by", "G. Deneme").exit_code == 2


def test_a_refusal_needs_a_reason_and_a_person(answers: Answers) -> None:
    assert run(answers, "refuse", "m1", "--by", "F. Örnek").exit_code == 2
    assert run(answers, "notify", "m1").exit_code == 2
    assert answers.bodies == []
