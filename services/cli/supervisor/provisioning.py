"""Makes the sandbox's institutions known to a fresh gateway: over its own REST API, as an operator would."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from services.cli.api import Api, ApiError
from services.cli.supervisor.state import StateDirectory

SCOPES = [
    "messages:send", "messages:read", "inbound:consume", "directory:read", "directory:people", "registrations:manage",
    "packages:inspect", "packages:write", "documents:print", "signatures:verify",
]  # fmt: skip


def read_world(state: StateDirectory) -> dict[str, Any]:
    """The sandbox's ``world.json``."""
    world: dict[str, Any] = json.loads(state.world_file.read_text(encoding="utf-8"))
    return world


def members(world: dict[str, Any]) -> list[dict[str, Any]]:
    """The institutions that have keys of their own: those an EBYS can play."""
    return [item for item in world["institutions"] if item["signing_key"] is not None]


def write_signer_keys(state: StateDirectory, world: dict[str, Any]) -> None:
    """The keys signer holds for these institutions."""
    keys = []
    for item in members(world):
        for prefix, purpose, key in (
            ("kep", "kep-message", item["signing_key"]),
            ("seal", "package-seal", item["seal_key"]),
            ("decrypt", "package-decryption", item["encryption_key"]),
        ):
            keys.append(
                {
                    "key_id": f"{prefix}-{item['detsis_no']}",
                    "institution_no": item["detsis_no"],
                    "purposes": [purpose],
                    "pkcs12": key["pkcs12"],
                    "password_file": key["password_file"],
                }
            )
    state.store("signer_keys.json", json.dumps(keys, indent=1))


def provision(api: Api, state: StateDirectory, world: dict[str, Any]) -> dict[str, str]:
    """Create or confirm institutions, mailboxes, DETSİS accounts and API keys; returns each institution's key."""
    providers = {item["name"]: item for item in world["providers"]}
    for item in members(world):
        number = item["detsis_no"]
        api.json(
            "PUT",
            f"/institutions/{number}",
            # What another program's package lacks is shown, and does not stop a demonstration.
            json={"name": item["name"], "policy": {"package_findings": "warn", "signatures": "warn"}},
        )
        provider = providers[item["provider"]]
        api.json(
            "PUT",
            f"/mailboxes/kep-{number}",
            json={
                "institution_no": number,
                "address": item["kep_address"],
                "username": item["username"],
                "password": item["password"],
                "smtp": provider["smtp"] | {"ca_file": world["tls_ca_file"]},
                "imap": provider["imap"] | {"ca_file": world["tls_ca_file"]},
                "poll_interval_seconds": 5,
                "signing_key_id": f"kep-{number}",
            },
        )
    for account in world["detsis"]["accounts"]:
        api.json(
            "PUT",
            f"/directory/accounts/{account['institution_no']}",
            json={
                "account_id": account["account_id"],
                "endpoint": world["detsis"]["endpoint"],
                "password": account["password"],
            },
        )
    return _keys(api, state, world)


def _keys(api: Api, state: StateDirectory, world: dict[str, Any]) -> dict[str, str]:
    path = state.secrets / "institution_keys.json"
    keys: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for item in members(world):
        number = str(item["detsis_no"])
        if number in keys:
            with contextlib.suppress(ApiError):
                # A key of an older state directory may lack the scope that writes packages: it is made anew.
                Api(str(api.base_url), keys[number]).json("GET", "/packages", params={"limit": 1})
                continue
        answer = api.json(
            "POST",
            "/api-keys",
            json={
                "client_id": f"ebys-{number}",
                "label": f"sandbox EBYS of {item['name']}"[:200],
                "scopes": SCOPES,
                "institutions": [int(number)],
            },
        )
        keys[number] = answer["key"]
        state.store("institution_keys.json", json.dumps(keys, indent=1))
    return keys
