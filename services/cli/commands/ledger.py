"""``kepgw ledger``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import URL, Json, Key, Url, call

_UNACCOUNTED = 1
_DIRECTIONS = ("outbound", "inbound")


def ledger(
    institution: Annotated[
        list[int] | None, typer.Option(help="Show only these institutions beside the sums; repeat for several.")
    ] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Whether any letter is unaccounted for (scope admin); exit code 0 none, 1 some, 2 no answer."""
    answer = call(url, key, "GET", "/ledger")
    if as_json:
        output.show(answer, as_json=True)
    else:
        _print(answer, None if institution is None else frozenset(institution))
    if any(side["imbalance"] for side in _all_sides(answer)):
        output.failure("letters are unaccounted for: see the runbook's section on the ledger")
        raise typer.Exit(_UNACCOUNTED)


def _print(answer: dict[str, Any], wanted: frozenset[int] | None) -> None:
    for direction in _DIRECTIONS:
        output.say(f"{direction}: {_sum_of(answer[direction])}")
        for line in _details(answer[direction]):
            output.say(f"  {line}")
    for item in answer["institutions"]:
        if wanted is None or item["institution_no"] in wanted:
            output.say(f"institution {item['institution_no']}:")
            for direction in _DIRECTIONS:
                output.say(f"  {direction}: {_sum_of(item[direction])}{_states(item[direction])}")
    output.say(f"checked at {answer['checked_at']}")


def _details(side: dict[str, Any]) -> Iterator[str]:
    if side["states"]:
        yield f"states{_states(side)}"
    if side["oldest"] is not None:
        yield f"oldest in flight: {_letter(side['oldest'])}"
    for letter in side["stuck"]:
        yield f"stuck: {_letter(letter)}"


def _sum_of(side: dict[str, Any]) -> str:
    return "accepted {accepted} = terminal {terminal} + in flight {in_flight} + unaccounted for {imbalance}".format(
        **side
    )


def _states(side: dict[str, Any]) -> str:
    counts = ", ".join(f"{state} {number}" for state, number in side["states"].items())
    return f": {counts}" if counts else ""


def _letter(letter: dict[str, Any]) -> str:
    who = letter["message_id"] or "a mail not read yet"
    reasons = ": ".join(text for text in (letter["reason_code"], letter["reason"]) if text)
    return (
        f"{who} of {letter['institution_no']}, {letter['state']} since {letter['since']}"
        + (f", because of {reasons}" if reasons else "")
        + (f", next step at {letter['next_step_at']}" if letter["next_step_at"] else "")
    )


def _all_sides(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in (answer, *answer["institutions"]):
        yield from (part[direction] for direction in _DIRECTIONS)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(ledger)
