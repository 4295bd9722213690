"""What ``kepgw`` prints: tables for people, JSON for programs, failures on stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.cli.journey import Journey

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for people."""
    _out.print(escape(text))


def progress(text: str) -> None:
    """One step of something longer."""
    _out.print(f"[green]·[/green] {escape(text)}")


def failure(text: str) -> None:
    """Why it did not work."""
    _err.print(f"[red]kepgw: {escape(text)}[/red]")


def problem(body: dict[str, Any]) -> None:
    """A problem answer, with the places it names."""
    failure(f"{body.get('title')}: {body.get('detail') or ''} [{body.get('code', '-')}]")
    for fault in body.get("errors") or []:
        _err.print(escape(f"  {fault.get('pointer')}: {fault.get('detail')}"))
    if body.get("trace_id"):
        _err.print(escape(f"  trace_id {body['trace_id']}"))


def show(answer: Any, *, as_json: bool, columns: Sequence[str] = ()) -> None:
    """An answer: as JSON, as a table when ``columns`` are named and it is a list, else as indented text."""
    if as_json or not columns:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    rows = next((value for value in answer.values() if isinstance(value, list)), [])
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    _out.print(table)
    if answer.get("next_cursor"):
        _out.print(f"more: cursor {answer['next_cursor']}")


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(item.get("address", item) if isinstance(item, dict) else item) for item in value)
    return "" if value is None else str(value)


def journey_table(journey: Journey) -> None:
    """The letter's way, with the time of each station since A began."""
    table = Table(title="The letter's journey", title_justify="left", box=None, pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("station", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for station in journey.stations:
        table.add_row(f"{station.seconds:.2f}", escape(station.what), escape(station.detail))
    _out.print()
    _out.print(table)
    _out.print()
