"""Settings from the environment: frozen, checked as a whole, secrets by file.

Field ``foo`` of service ``kep_relay`` is read from ``KEPGW_KEP_RELAY_FOO``, else from ``KEPGW_FOO``;
each also as ``…_FILE``, whose content (less one trailing newline) is the value. A key nobody knows
is a fault, because a misspelt setting that is silently ignored is found at three in the morning.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

SERVICES = ("gateway", "detsis_sync", "kep_relay", "signer", "sandbox")
PREFIX = "KEPGW_"
TOOL_PREFIXES = ("KEPGW_DEMO_", "KEPGW_CLI_", "KEPGW_TEST_", "KEPGW_UP_")
"""Variables of the command line and the tests, which no service reads."""


class CommonSettings(BaseModel):
    """What every service needs to run."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address the HTTP interface listens on.")
    port: int = Field(ge=0, le=65535, description="Port of the HTTP interface.")
    ops_host: str = Field(default="127.0.0.1", description="Address of /livez, /readyz and /metrics.")
    ops_port: int = Field(ge=0, le=65535, description="Port of /livez, /readyz and /metrics.")
    log_level: typing.Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severity that is logged."
    )
    log_format: typing.Literal["json", "console"] = Field(
        default="json", description="json for machines, console for people."
    )
    service_tokens: dict[str, SecretStr] = Field(
        description="JSON object: service name → the token it presents to the others. Same file everywhere.",
    )
    shutdown_seconds: float = Field(
        default=25, gt=0, le=600, description="How long SIGTERM waits for work in hand before it is cut off."
    )

    @field_validator("service_tokens")
    @classmethod
    def _tokens_are_usable(cls, tokens: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, token in tokens.items():
            text = token.get_secret_value()
            if not text or text.strip() != text or not text.isascii() or not text.isprintable():
                raise ValueError(f"the token of {name} is empty or cannot travel in an HTTP header")
        return tokens


class DatabaseSettings(CommonSettings):
    """For services that keep rows."""

    database_url: SecretStr = Field(description="postgresql://… ; each service has its own role and schema.")
    database_pool_size: int = Field(default=10, ge=2, le=200, description="Connections of one process at most.")


class ConfigurationError(Exception):
    """Everything that is wrong with the environment, at once."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


SettingsT = TypeVar("SettingsT", bound=CommonSettings)


def load_settings(settings_class: type[SettingsT], *, service: str, environ: Mapping[str, str]) -> SettingsT:
    """Build the settings of one service.

    Raises:
        ConfigurationError: with one sentence per fault; no value of a secret is ever part of it.
    """
    unusable: dict[str, str] = {}
    values: dict[str, object] = {}
    for name, field in settings_class.model_fields.items():
        try:
            found = _read(name, service, environ)
            if found is not None:
                values[name] = _decode(*found, field.annotation)
        except ValueError as error:
            unusable[name] = str(error)
    faults = [*unusable.values(), *_unknown_keys(settings_class, service, environ)]
    try:
        settings = settings_class.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            place = str(item["loc"][0]) if item["loc"] else "settings"
            if place not in unusable:  # it would be called missing, which it is not
                faults.append(f"{variable_name(place, service)}: {item['msg']}")
        raise ConfigurationError(faults) from None
    if faults:
        raise ConfigurationError(faults)
    return settings


def variable_name(field: str, service: str) -> str:
    """The environment variable that sets ``field`` for ``service`` alone."""
    return f"{PREFIX}{service.upper()}_{field.upper()}"


def _read(field: str, service: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable that sets ``field`` and its text, None if nothing does; ``ValueError`` says what is wrong."""
    for variable in (variable_name(field, service), f"{PREFIX}{field.upper()}"):
        value, path = environ.get(variable), environ.get(f"{variable}_FILE")
        if value is not None and path is not None:
            raise ValueError(f"{variable}: set both directly and by {variable}_FILE")
        if value is not None:
            return variable, value
        if path is not None:
            try:
                return variable, Path(path).read_text(encoding="utf-8").removesuffix("\n")
            except (OSError, ValueError) as error:
                raise ValueError(f"{variable}_FILE: cannot be read ({type(error).__name__})") from error
    return None


def _decode(variable: str, raw: str, annotation: object) -> object:
    """Structured fields are JSON; everything else is left to pydantic's own conversion."""
    if not _is_structured(annotation):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"{variable}: is not valid JSON") from None


def _is_structured(annotation: object) -> bool:
    origin = typing.get_origin(annotation)
    if origin in {typing.Union, types.UnionType}:
        return any(_is_structured(argument) for argument in typing.get_args(annotation))
    return origin in {dict, list, tuple, set, frozenset} or (
        isinstance(annotation, type) and issubclass(annotation, BaseModel)
    )


def _unknown_keys(settings_class: type[CommonSettings], service: str, environ: Mapping[str, str]) -> list[str]:
    own_prefix = variable_name("", service)
    foreign = tuple(variable_name("", other) for other in SERVICES if other != service)
    known = {name.upper() for name in settings_class.model_fields}
    common = {name.upper() for base in (CommonSettings, DatabaseSettings) for name in base.model_fields}
    faults = []
    for key in sorted(environ):
        if not key.startswith(PREFIX) or key.startswith(TOOL_PREFIXES) or key.startswith(foreign):
            continue
        field = key.removeprefix(own_prefix if key.startswith(own_prefix) else PREFIX)
        allowed = known if key.startswith(own_prefix) else known | common
        if field not in allowed and field.removesuffix("_FILE") not in allowed:
            faults.append(f"{key}: no such setting")
    return faults
