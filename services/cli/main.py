"""``kepgw``: runs a whole gateway on one machine, and speaks to any gateway over its REST API."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import output
from services.cli.api import Api, ApiError
from services.cli.demonstration import demonstrate, serve
from services.cli.supervisor.processes import StartError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="API keys (scope admin).")
inbox = typer.Typer(no_args_is_help=True, help="Letters that came in (scope inbound:consume).")
directory = typer.Typer(no_args_is_help=True, help="The mirror of DETSİS (scope directory:read).")
app.add_typer(keys, name="keys")
app.add_typer(inbox, name="inbox")
app.add_typer(directory, name="directory")

Url = Annotated[str, typer.Option("--url", envvar="KEPGW_CLI_URL", help="Base URL of the gateway.")]
Key = Annotated[str, typer.Option("--key", envvar="KEPGW_CLI_KEY", help="API key.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]
StatePath = Annotated[Path, typer.Option("--state", help="Directory for data, secrets and logs.")]
_URL = "http://127.0.0.1:8080"


@app.command()
def up(state: StatePath = Path(".state")) -> None:
    """Start PostgreSQL, the sandbox and all services, send one letter end to end, then keep serving."""
    _run(serve(state.resolve(), _package_file(), database_url=os.environ.get("KEPGW_UP_DATABASE_URL")))


@app.command()
def demo(
    state: Annotated[
        Path | None, typer.Option("--state", help="Keep everything here instead of a new directory.")
    ] = None,
) -> None:
    """Send one letter end to end on free ports, then stop; exit code 0 only if all of it held."""
    database_url = os.environ.get("KEPGW_UP_DATABASE_URL")
    if state is not None:
        _run(demonstrate(state.resolve(), _package_file(), database_url=database_url))
        return
    with tempfile.TemporaryDirectory(prefix="kepgw-demo-") as directory_name:
        _run(demonstrate(Path(directory_name), _package_file(), database_url=database_url))


def _package_file() -> Path | None:
    given = os.environ.get("KEPGW_DEMO_PACKAGE")
    return Path(given).resolve() if given else None


def _run(program: Any) -> None:
    try:
        code = asyncio.run(program)
    except (StartError, ApiError) as error:
        output.failure(str(error))
        code = 1
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


@keys.command("create")
def create_key(
    client: Annotated[str, typer.Option(help="Name of the calling system.")],
    scope: Annotated[list[str], typer.Option(help="Repeat for several.")],
    institution: Annotated[list[int], typer.Option(help="DETSİS number; repeat for several.")],
    label: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    url: Url = _URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Create a key. It is shown once: only its digest is stored."""
    body = {"client_id": client, "label": label, "scopes": scope, "institutions": institution}
    output.show(_call(url, key, "POST", "/api-keys", json=body), as_json=as_json)


@keys.command("list")
def list_keys(url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """All keys, without their secret part."""
    output.show(
        _call(url, key, "GET", "/api-keys"), as_json=as_json, columns=("key_id", "client_id", "scopes", "revoked_at")
    )


@keys.command("revoke")
def revoke_key(key_id: str, url: Url = _URL, key: Key = "") -> None:
    """Revoke a key; calls with it fail within seconds."""
    _call(url, key, "DELETE", f"/api-keys/{key_id}")
    output.say(f"revoked {key_id}")


@app.command()
def send(
    package: Path,
    to: Annotated[list[int], typer.Option(help="DETSİS number of a recipient; repeat for several.")],
    sender: Annotated[int | None, typer.Option(help="DETSİS number of the sender, if the key has several.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own reference.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Repeat a call safely with the same key.")] = None,
    url: Url = _URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Hand a package over for sending."""
    import json
    from uuid import uuid4

    message: dict[str, Any] = {"recipients": [{"detsis_no": number} for number in to]}
    message |= {"institution_no": sender} if sender is not None else {}
    message |= {"client_ref": reference} if reference is not None else {}
    answer = _call(
        url, key, "POST", "/outbound-messages",
        headers={"Idempotency-Key": idempotency_key or str(uuid4())},
        files={
            "message": (None, json.dumps(message), "application/json"),
            "package": (package.name, _bytes(package), "application/eyazisma"),
        },
    )  # fmt: skip
    output.show(answer, as_json=as_json)


@app.command()
def letter(message_id: str, url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """Where a sent letter stands."""
    output.show(_call(url, key, "GET", f"/outbound-messages/{message_id}"), as_json=as_json)


@inbox.command("list")
def list_letters(url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """Letters that came in."""
    output.show(
        _call(url, key, "GET", "/inbound-messages"),
        as_json=as_json,
        columns=("message_id", "state", "conclusion", "sender_address", "subject"),
    )


@inbox.command("take")
def take_letters(
    into: Annotated[Path, typer.Option(help="Directory for the packages.")],
    maximum: Annotated[int, typer.Option("--max", min=1, max=100)] = 10,
    seconds: Annotated[int, typer.Option(help="Length of the lease.", min=5, max=3600)] = 300,
    url: Url = _URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Lease letters and download their packages; acknowledge each with `kepgw inbox ack`."""
    api = _api(url, key)
    leased = _guarded(lambda: api.json("POST", "/inbound-messages/leases", json={"max": maximum, "seconds": seconds}))
    into.mkdir(parents=True, exist_ok=True)
    for item in leased["messages"] if leased else []:
        if item["package_sha256"] is None:
            continue
        # The name a sender chose never becomes a path.
        target = into / f"{item['message_id']}.eyp"
        digest, _size = _guarded(
            lambda item=item, target=target: api.download(f"/inbound-messages/{item['message_id']}/package", target)
        )
        if digest != item["package_sha256"]:
            output.failure(f"{target} was damaged on the way")
            raise typer.Exit(1)
    output.show(
        leased or {"messages": []}, as_json=as_json, columns=("message_id", "conclusion", "sender_address", "subject")
    )
    if leased and not as_json:
        output.say(f"lease token {leased['lease_token']}, until {leased['expires_at']}")


@inbox.command("ack")
def acknowledge(
    message_id: str,
    lease_token: Annotated[str, typer.Option()],
    registry_no: Annotated[str, typer.Option(help="Number under which you registered the letter.")],
    url: Url = _URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Tell the gateway that a letter is safe and registered."""
    body = {"lease_token": lease_token, "registry_no": registry_no}
    output.show(_call(url, key, "POST", f"/inbound-messages/{message_id}/ack", json=body), as_json=as_json)


@directory.command("search")
def search(query: str, url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """Find units by name, in any order of words, with or without Turkish letters."""
    output.show(
        _call(url, key, "GET", "/directory/units", params={"q": query}),
        as_json=as_json,
        columns=("detsis_no", "name", "sendable", "kep_addresses"),
    )


@directory.command("unit")
def show_unit(detsis_no: int, url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """One unit of the register."""
    output.show(_call(url, key, "GET", f"/directory/units/{detsis_no}"), as_json=as_json)


@directory.command("status")
def directory_status(url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """Age and size of the mirror."""
    output.show(_call(url, key, "GET", "/directory/status"), as_json=as_json)


@app.command()
def inspect(package: Path, url: Url = _URL, key: Key = "", as_json: Json = False) -> None:
    """Check an e-Yazışma package: contents, rules, digests, signatures."""
    answer = _call(url, key, "POST", "/package-inspections", files={"package": (package.name, _bytes(package))})
    output.show(answer, as_json=as_json)


@app.command()
def verify(
    file: Path,
    content: Annotated[Path | None, typer.Option(help="What a detached signature covers.")] = None,
    profile: Annotated[str, typer.Option(help="Rules for the signer's certificate.")] = "qualified-signature",
    at: Annotated[str | None, typer.Option(help="Judge as of this time (RFC 3339).")] = None,
    url: Url = _URL,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Verify a signature; exit code 0 passed, 1 failed, 3 indeterminate."""
    files: dict[str, Any] = {"file": (file.name, _bytes(file))}
    files |= {"content": (content.name, _bytes(content))} if content is not None else {}
    form = {"profile": profile} | ({"moment": at} if at is not None else {})
    report = _call(url, key, "POST", "/signature-verifications", files=files, data=form)
    output.show(report, as_json=as_json)
    raise typer.Exit({"passed": 0, "failed": 1}.get(report["conclusion"], 3))


@app.command("check-config")
def check_config(
    service: Annotated[
        list[str] | None, typer.Argument(help="gateway, detsis_sync, kep_relay, signer; all if none.")
    ] = None,
) -> None:
    """List every fault in the KEPGW_* environment of the services."""
    worst = 0
    for name in service or ["gateway", "detsis_sync", "kep_relay", "signer"]:
        if not name.isidentifier():
            raise typer.BadParameter(name)
        result = subprocess.run([sys.executable, "-m", f"services.{name}", "--check-config"], check=False)  # noqa: S603
        worst = max(worst, result.returncode)
    raise typer.Exit(worst)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        output.failure(f"cannot read {path}: {error.strerror}")
        raise typer.Exit(2) from error


def _api(url: str, key: str) -> Api:
    return Api(url, key or None)


def _call(url: str, key: str, method: str, path: str, **options: Any) -> Any:
    return _guarded(lambda: _api(url, key).json(method, path, **options))


def _guarded(call: Any) -> Any:
    try:
        return call()
    except ApiError as error:
        output.problem(error.problem)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
