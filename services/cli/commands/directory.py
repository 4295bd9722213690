"""``kepgw directory``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.options import FAILED, URL, Cursor, Json, Key, Url, call, connected, page

commands = typer.Typer(
    no_args_is_help=True, help="The mirror of DETSİS (scope directory:read; release needs admin)."
)  # fmt: skip
_UNITS = ("detsis_no", "name", "sendable", "kep_addresses")
_LONGEST_TRAILER = 200
AsOf = Annotated[str | None, typer.Option(help="A date (its end in Turkey) or an RFC 3339 time; left out: now.")]
OpenOnly = Annotated[bool, typer.Option("--open-only", help="Leave out closed units.")]


@commands.command("search")
def search(query: str, cursor: Cursor = None, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Find units by name, in any order of words, with or without Turkish letters."""
    answer = call(url, key, "GET", "/directory/units", params=page(q=query, cursor=cursor))
    output.show(answer, as_json=as_json, columns=_UNITS)


@commands.command("unit")
def unit(detsis_no: int, as_of: AsOf = None, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """One unit of the register, now or as it was."""
    output.show(call(url, key, "GET", f"/directory/units/{detsis_no}", params=page(as_of=as_of)), as_json=as_json)


@commands.command("children")
def children(
    detsis_no: int,
    open_only: OpenOnly = False,
    cursor: Cursor = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Units directly below one, open ones first."""
    given = page(cursor=cursor, open_only="true" if open_only else None)
    answer = call(url, key, "GET", f"/directory/units/{detsis_no}/children", params=given)
    output.show(answer, as_json=as_json, columns=_UNITS)


@commands.command("status")
def status(url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Age and size of the mirror."""
    output.show(call(url, key, "GET", "/directory/status"), as_json=as_json)


@commands.command("changes")
def changes(
    detsis_no: Annotated[int | None, typer.Option("--unit", help="Only this unit, newest first.")] = None,
    after: Annotated[str | None, typer.Option(help="next_cursor of the answer before.")] = None,
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """What refreshes changed in the mirror: all of it, oldest first, or of one unit."""
    if detsis_no is None:
        answer = call(url, key, "GET", "/directory/changes", params=page(after=after))
    else:
        answer = call(url, key, "GET", f"/directory/units/{detsis_no}/changes", params=page(cursor=after))
    shown = answer if as_json else {"changes": [_change(item) for item in answer["changes"]]}
    output.show(shown, as_json=as_json, columns=("changed_at", "subject_key", "kind", "what"))
    if not as_json and answer.get("next_cursor"):
        output.say(f"go on: --after {answer['next_cursor']}")


@commands.command("runs")
def runs(cursor: Cursor = None, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """Refreshes, newest first, and how they ended."""
    answer = call(url, key, "GET", "/directory/runs", params=page(cursor=cursor))
    columns = ("run_id", "institution_no", "trigger", "mode", "state", "finished_at", "reason")
    output.show(answer, as_json=as_json, columns=columns)


@commands.command("run")
def run(run_id: int, url: Url = URL, key: Key = "", as_json: Json = False) -> None:
    """The report of one refresh, list by list."""
    output.show(call(url, key, "GET", f"/directory/runs/{run_id}"), as_json=as_json)


@commands.command("release")
def release(
    run_id: int,
    note: Annotated[str, typer.Option(help="Why this is right; stays on record.")],
    url: Url = URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Publish what a refused refresh has fetched, having seen its report (scope admin)."""
    body = {"note": note}
    output.show(call(url, key, "POST", f"/directory/runs/{run_id}/release", json=body, timeout=200), as_json=as_json)


@commands.command("export")
def export(target: Path, open_only: OpenOnly = False, url: Url = URL, key: Key = "") -> None:
    """Fetch the whole mirror as lines of JSON; the file appears once its last line has come."""
    partial = target.with_name(f"{target.name}.fetched")
    query = "?open_only=true" if open_only else ""
    with connected(url, key) as api:
        try:
            api.download(f"/directory/export{query}", partial)
            units = _units_said(partial)
            if units is None:
                output.failure("the export was cut off: its last line is missing")
                raise typer.Exit(FAILED)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    output.say(f"{target}: {units} units")


def _units_said(file: Path) -> int | None:
    """The number in the trailer; None where there is no trailer."""
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - _LONGEST_TRAILER))
        last = lines.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        found = json.loads(last)
        return int(found["trailer"]["units"])
    except (ValueError, KeyError, TypeError):
        return None


def _change(item: dict[str, Any]) -> dict[str, Any]:
    old, new = item.get("old") or {}, item.get("new") or {}
    names = [name for name in new if name != "list" and (not old or name in old)]
    what = "; ".join(f"{name}: {old[name]} → {new[name]}" if old else f"{name}: {new[name]}" for name in names)
    return {**item, "what": what}
