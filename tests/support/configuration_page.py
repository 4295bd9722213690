"""Renders docs/configuration.md from the settings classes; a test compares, ``python -m`` this module writes."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from services.detsis_sync.settings import Settings as DetsisSyncSettings
from services.gateway.settings import Settings as GatewaySettings
from services.kep_relay.settings import Settings as KepRelaySettings
from services.sandbox.settings import Settings as SandboxSettings
from services.signer.settings import Settings as SignerSettings
from shared.config import CommonSettings, DatabaseSettings, variable_name

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
_HEAD = """# Configuration
Everything is set by environment variables. Field `foo` of service `kep_relay` is read from `KEPGW_KEP_RELAY_FOO`, else
from `KEPGW_FOO` (for all services at once); each also as `…_FILE`, whose content is the value: use that for secrets.
Lists and objects are JSON. A `KEPGW_` variable nobody knows is a fault. `python -m services.<name> --check-config` (or
`kepgw check-config`) lists every fault and exits with 2.

This page is written from the settings themselves: `python -m tests.support.configuration_page`.
"""
_SERVICES: dict[str, type[CommonSettings]] = {
    "gateway": GatewaySettings,
    "detsis_sync": DetsisSyncSettings,
    "kep_relay": KepRelaySettings,
    "signer": SignerSettings,
    "sandbox": SandboxSettings,
}


def render() -> str:
    """The page."""
    sections = [_HEAD, "## Every service\n", _table(DatabaseSettings, "<service>", list(DatabaseSettings.model_fields))]
    for service, settings in _SERVICES.items():
        own = [
            name
            for name, field in settings.model_fields.items()
            if name not in DatabaseSettings.model_fields
            or repr(field.default) != repr(DatabaseSettings.model_fields[name].default)
        ]
        sections += [f"## {service}\n", _table(settings, service, own)]
    return "\n".join(sections)


def _table(settings: type[CommonSettings], service: str, fields: list[str]) -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name in fields:
        field = settings.model_fields[name]
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        lines.append(f"| `{variable_name(name, service)}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    return "—" if value is None or value is PydanticUndefined else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
