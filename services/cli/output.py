"""What ``kepgw`` prints: text and tables for people, JSON for programs, failures on stderr.

Letters bring text that strangers wrote: nothing of it reaches the terminal as a control sequence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.cli.journey import Journey

# Without a terminal nobody is helped by folding at 80 columns.
_out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for people."""
    _out.print(_plain(text))


def progress(text: str) -> None:
    """One step of something longer."""
    _out.print(f"[green]·[/green] {_plain(text)}")


def failure(text: str) -> None:
    """Why it did not work."""
    _err.print(f"[red]kepgw: {_plain(text)}[/red]")


def problem(body: dict[str, Any]) -> None:
    """A problem answer, with the places it names."""
    code = f" [{body['code']}]" if body.get("code") else ""
    failure(f"{body.get('title')}: {body.get('detail') or ''}{code}")
    for fault in body.get("errors") or []:
        _err.print(_plain(f"  {fault.get('pointer')}: {fault.get('detail')}"))
    if body.get("trace_id"):
        _err.print(_plain(f"  trace_id {body['trace_id']}"))


def show(answer: dict[str, Any], *, as_json: bool, columns: Sequence[str] = ()) -> None:
    """An answer: as JSON, as a table of its list when ``columns`` are named, else as indented text."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    if not columns:
        for line in _lines(answer, ""):
            _out.print(_plain(line))
        return
    rows = next((value for value in answer.values() if isinstance(value, list)), [])
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(_cell(row.get(column))) for column in columns))
    _out.print(table)
    if answer.get("next_cursor"):
        say(f"more: --cursor {answer['next_cursor']}")


def _plain(text: str) -> str:
    """Without markup and without control characters, line ends excepted."""
    return escape("".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(item.get("address", item) if isinstance(item, dict) else item) for item in value)
    return "" if value is None else str(value).replace("\n", " ")


def _lines(value: dict[str, Any], indent: str) -> Iterator[str]:
    """``name: value`` lines; what is inside something else stands further to the right, items begin with a dash."""
    for name, item in value.items():
        items = item if isinstance(item, list) else [item]
        if not any(isinstance(one, dict) for one in items):
            yield f"{indent}{name}: {_cell(item)}"
            continue
        yield f"{indent}{name}:"
        for one in items:
            inner = list(_lines(one, "")) if isinstance(one, dict) else [_cell(one)]
            first, rest = ("- ", "  ") if isinstance(item, list) else ("  ", "  ")
            yield from (f"{indent}{first if number == 0 else rest}{line}" for number, line in enumerate(inner))


def journey_table(journey: Journey) -> None:
    """The letter's way, with the time of each station since A began."""
    table = Table(title="The letter's journey", title_justify="left", box=None, pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("station", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for station in journey.stations:
        table.add_row(f"{station.seconds:.2f}", _plain(station.what), _plain(station.detail))
    _out.print()
    _out.print(table)
    _out.print()
