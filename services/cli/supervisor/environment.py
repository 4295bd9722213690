"""The KEPGW_* environment that ``kepgw up`` gives each process: the sandbox settings, quick to react."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from services.cli.supervisor.state import SERVICES, StateDirectory
from shared.config import TOOL_PREFIXES

_QUICK: dict[str, dict[str, str]] = {
    "kep_relay": {
        # The sandbox's providers answer at once; the defaults are made for real ones.
        "RECONCILE_WINDOW_SECONDS": "4",
        "RETRY_PAUSES_SECONDS": "[1, 1, 2, 3, 5]",
        "BLOCKED_PAUSES_SECONDS": "[2, 5, 10]",
        "RECONCILE_PAUSES_SECONDS": "[1, 2]",
        "INSTANCE_TTL_SECONDS": "3",
        "SWEEP_INTERVAL_SECONDS": "1",
        "RECONNECT_PAUSES_SECONDS": "[1, 1, 2, 3]",
        "MAILBOX_LEASE_SECONDS": "3",
        "MAILBOX_LOOK_SECONDS": "0.5",
        # The sandbox's portal writes from here, and its links lead to its control API.
        "DETSIS_VERIFICATION_SENDERS": '["detsis@hs98.kep.tr"]',
        "DETSIS_LINK_HOSTS": '["127.0.0.1"]',
    },
    "detsis_sync": {
        "LIVE_BREAKER_SECONDS": "3",
        "SCHEDULE_CHECK_SECONDS": "1",
        "REGISTRATION_CHECK_SECONDS": "2",
    },
    "signer": {"FETCH_ALLOW_PRIVATE": "true", "FETCH_ALLOWED_HOSTS": '["127.0.0.1"]'},
    "gateway": {"REQUESTS_PER_SECOND": "500", "REQUEST_BURST": "1000"},
}


def environments(
    state: StateDirectory, ports: Mapping[str, int], database_urls: Mapping[str, str], *, log_format: str
) -> dict[str, dict[str, str]]:
    """One environment for each of our services and the sandbox; secrets go by file."""
    secrets = state.secrets
    tls_ca = str(state.root / "sandbox" / "trust" / "tls" / "ca.pem")
    neighbours = {name: f"http://127.0.0.1:{ports[name]}" for name in ("kep_relay", "detsis_sync", "signer")}
    own: dict[str, dict[str, str]] = {
        "sandbox": {"STATE_DIRECTORY": str(state.root / "sandbox")},
        "signer": {
            "TRUST_DIRECTORY": str(state.root / "sandbox" / "trust"),
            "KEYS_FILE": str(secrets / "signer_keys.json"),
        },
        "detsis_sync": {"SECRET_KEYS_FILE": str(secrets / "secret_keys"), "DETSIS_CA_FILE": tls_ca},
        "kep_relay": {
            "SECRET_KEYS_FILE": str(secrets / "secret_keys"),
            "BLOB_STORE_URL": f"file://{state.root / 'blobs' / 'kep_relay'}",
            "DETSIS_SYNC_URL": neighbours["detsis_sync"],
            "SIGNER_URL": neighbours["signer"],
        },
        "gateway": {
            "KEP_RELAY_URL": neighbours["kep_relay"],
            "DETSIS_SYNC_URL": neighbours["detsis_sync"],
            "SIGNER_URL": neighbours["signer"],
            "SPOOL_DIRECTORY": str(state.root / "spool"),
            "BLOB_STORE_URL": f"file://{state.root / 'blobs' / 'gateway'}",
            "BOOTSTRAP_ADMIN_KEY_FILE": str(secrets / "admin_key"),
        },
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KEPGW_")}
    # One process is one core's worth here: without this, every parser thread brings an arena of its own.
    inherited.setdefault("MALLOC_ARENA_MAX", "2")
    result = {}
    for name, particular in own.items():
        settings = particular | _QUICK.get(name, {})
        settings |= {"OPS_PORT": str(ports[f"{name}_ops"]), "LOG_FORMAT": log_format}
        if name != "sandbox":  # which keeps its own: its certificates name it
            settings["PORT"] = str(ports[name])
            settings["SERVICE_TOKENS_FILE"] = str(secrets / "service_tokens.json")
        if name in database_urls:
            settings["DATABASE_URL"] = database_urls[name]
        prefix = f"KEPGW_{name.upper()}_"
        result[name] = inherited | {prefix + key: value for key, value in settings.items()}
        for key, value in os.environ.items():
            if key.startswith(prefix) or _for_all(key):
                # Either form of a setting replaces the other: both at once would be a fault.
                result[name].pop(key.removesuffix("_FILE") if key.endswith("_FILE") else f"{key}_FILE", None)
                result[name][key] = value
    return result


def with_authority(environment: Mapping[str, str], world: Mapping[str, Any]) -> dict[str, str]:
    """Signer's environment with the sandbox's time-stamp authority, unless another one is named in it."""
    return {"KEPGW_SIGNER_TIMESTAMP_URL": str(world["pki"]["timestamp_url"]), **environment}


def _for_all(key: str) -> bool:
    """Whether a variable is meant for every service; one nobody knows is too, for them to refuse it."""
    own = (*(f"KEPGW_{name.upper()}_" for name in ("sandbox", *SERVICES)), *TOOL_PREFIXES)
    return key.startswith("KEPGW_") and not key.startswith(own)
