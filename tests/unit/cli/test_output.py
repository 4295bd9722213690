"""JSON is for programs and nothing but JSON; text is for people and cannot steer their terminal."""

from __future__ import annotations

import json

import pytest

from services.cli import output
from services.cli.journey import Journey, Station

LETTERS = {
    "messages": [
        {"message_id": "m-1", "subject": "[bold]Ğ[/bold]\x1b]0;owned\x07\x9b31m", "conclusion": None},
        {"message_id": "m-2", "subject": "two\nlines", "conclusion": "passed"},
    ],
    "next_cursor": "abc",
}


def test_json_is_the_answer_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(LETTERS, as_json=True, columns=("message_id",))
    captured = capsys.readouterr()
    assert json.loads(captured.out) == LETTERS
    assert "Ğ" in captured.out, "Turkish letters stay readable"
    assert captured.err == ""


def test_a_table_has_the_columns_asked_for_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(LETTERS, as_json=False, columns=("message_id", "conclusion", "subject"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["message_id", "conclusion", "subject"]
    assert [line.split()[0] for line in lines[1:3]] == ["m-1", "m-2"]
    assert "two lines" in lines[2]
    assert lines[3] == "more: --cursor abc"


def test_what_strangers_wrote_is_neither_markup_nor_a_control_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(LETTERS, as_json=False, columns=("subject",))
    output.show({"subject": LETTERS["messages"][0]["subject"]}, as_json=False)
    output.problem({"title": "t\x1b[2J", "detail": "[red]d", "errors": [{"pointer": "/a\x1b", "detail": "x"}]})
    captured = capsys.readouterr()
    assert "[bold]Ğ[/bold]" in captured.out
    assert "[red]d" in captured.err
    assert not {"\x1b", "\x07", "\x9b"} & set(captured.out + captured.err)


def test_nested_answers_are_indented(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(
        {"state": "read", "codes": [10, 20], "recipients": [{"no": 1, "at": None}, {"no": 2}], "sum": {"read": 2}},
        as_json=False,
    )
    assert capsys.readouterr().out.splitlines() == [
        "state: read", "codes: 10, 20", "recipients:", "- no: 1", "  at: ", "- no: 2", "sum:", "  read: 2",
    ]  # fmt: skip


def test_a_problem_names_its_code_places_and_trace_id_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.problem(
        {"title": "Invalid", "detail": "no", "code": "validation-failed", "trace_id": "t1",
         "errors": [{"pointer": "/to", "detail": "wrong"}]}
    )  # fmt: skip
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["kepgw: Invalid: no [validation-failed]", "  /to: wrong", "  trace_id t1"]


def test_the_journey_shows_every_station_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "7E900F03-7927-49AD-A339-DF66C36F9B9B.eyp"
    output.journey_table(Journey([Station("A's letter: queued", 0.5, "stored"), Station("B leases", 1.25, name)]))
    text = capsys.readouterr().out
    assert "0.50  A's letter: queued" in text
    assert f"1.25  B leases            {name}" in text
