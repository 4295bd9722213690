"""Settings: each says what it is for, none has a secret built in, no two can be mixed up."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.config import PREFIX, SERVICES, CommonSettings, DatabaseSettings, variable_name


def settings_of(service: str) -> type[CommonSettings]:
    found: type[CommonSettings] = importlib.import_module(f"services.{service}.settings").Settings
    return found


def fields() -> Iterator[tuple[str, str, FieldInfo]]:
    for service in SERVICES:
        for name, field in settings_of(service).model_fields.items():
            yield service, name, field


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in typing.get_args(annotation))


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_frozen_and_refuse_what_they_do_not_know(service: str) -> None:
    settings = settings_of(service)
    assert issubclass(settings, CommonSettings)
    assert settings.model_config["frozen"]
    assert settings.model_config["extra"] == "forbid"
    assert settings.model_config["hide_input_in_errors"]


def test_every_setting_says_in_a_sentence_what_it_is_for() -> None:
    for service, name, field in fields():
        assert field.description, f"{service}.{name} has no description"
        assert field.description.endswith("."), f"{service}.{name}: {field.description}"


def test_no_secret_has_a_default() -> None:
    for service, name, field in fields():
        if _holds_secret(field.annotation):
            default = field.get_default(call_default_factory=True)
            assert field.is_required() or not default, f"{service}.{name} has a secret built in"


def test_what_is_secret_by_name_is_secret_by_type() -> None:
    for service, name, field in fields():
        if any(word in name for word in ("password", "secret", "token")) and not name.endswith(("_file", "_seconds")):
            assert _holds_secret(field.annotation), f"{service}.{name}"


def test_no_setting_looks_like_the_file_of_another() -> None:
    for service in SERVICES:
        names = set(settings_of(service).model_fields)
        assert not {name for name in names if name.removesuffix("_file") in names - {name}}, service


def test_no_variable_of_one_service_is_another_s() -> None:
    """``KEPGW_SIGNER_URL`` must not be both ``signer_url`` of one and ``url`` of the other."""
    own = {variable_name(name, service): service for service, name, _field in fields()}
    for _service, name, _field in fields():
        common = f"{PREFIX}{name.upper()}"
        assert common not in own, f"{common} is {own.get(common)}'s own"


def test_what_all_services_share_is_set_once() -> None:
    for service in SERVICES:
        shared = settings_of(service).model_fields.keys() & DatabaseSettings.model_fields.keys()
        for name in shared - {"database_url"}:
            mine, common = settings_of(service).model_fields[name], DatabaseSettings.model_fields[name]
            assert mine.annotation == common.annotation, f"{service}.{name} has changed its meaning"
