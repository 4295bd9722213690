"""Settings: read from the environment as a whole, every fault at once, never a secret in a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from shared.config import CommonSettings, ConfigurationError, DatabaseSettings, load_settings

SECRET = "s3cr3t-value-of-nobody"
TOKENS = json.dumps({"gateway": SECRET})
GOOD = {"KEPGW_SIGNER_PORT": "8001", "KEPGW_SIGNER_OPS_PORT": "9001", "KEPGW_SERVICE_TOKENS": TOKENS}


class SignerLike(CommonSettings):
    password: SecretStr | None = Field(default=None, description="A secret.")
    limit: int = Field(default=3, ge=1, description="A number.")
    ca_file: Path | None = Field(default=None, description="A field whose own name ends in _FILE.")
    hosts: list[str] = Field(default_factory=list, description="A JSON field.")


def load(environ: dict[str, str], settings: type[Any] = SignerLike, service: str = "signer") -> Any:
    return load_settings(settings, service=service, environ=environ)


def faults(environ: dict[str, str], settings: type[Any] = SignerLike) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, settings)
    return caught.value.faults


def test_own_key_wins_over_the_common_one() -> None:
    assert load({**GOOD, "KEPGW_LOG_LEVEL": "ERROR"}).log_level == "ERROR"
    assert load({**GOOD, "KEPGW_LOG_LEVEL": "ERROR", "KEPGW_SIGNER_LOG_LEVEL": "DEBUG"}).log_level == "DEBUG"


def test_settings_cannot_be_changed() -> None:
    settings = load(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize("key", ["KEPGW_SIGNER_LIMTI", "KEPGW_LIMTI", "KEPGW_SIGNER_", "KEPGW_SIGNER_LIMIT_FILES"])
def test_unknown_key_is_a_fault(key: str) -> None:
    assert faults({**GOOD, key: "1"}) == [f"{key}: no such setting"]


@pytest.mark.parametrize(
    "key",
    [
        "KEPGW_GATEWAY_ANYTHING", "KEPGW_KEP_RELAY_ANYTHING", "KEPGW_DETSIS_SYNC_X", "KEPGW_SANDBOX_PORT",
        "KEPGW_DEMO_PACKAGE", "KEPGW_TEST_DATABASE_URL", "KEPGW_DATABASE_URL", "KEPGW_DATABASE_URL_FILE", "PATH",
    ],
)  # fmt: skip
def test_keys_of_other_services_and_tools_are_ignored(key: str) -> None:
    assert load({**GOOD, key: "1"}).port == 8001


def test_value_from_a_file_loses_one_newline_only(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f" {SECRET} \n\n")
    settings = load({**GOOD, "KEPGW_SIGNER_PASSWORD_FILE": str(file)})
    assert settings.password.get_secret_value() == f" {SECRET} \n"


def test_common_value_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKENS)
    environ = {**GOOD, "KEPGW_SERVICE_TOKENS_FILE": str(file)}
    del environ["KEPGW_SERVICE_TOKENS"]
    assert load(environ).service_tokens["gateway"].get_secret_value() == SECRET


def test_field_whose_name_ends_in_file_is_read_directly(tmp_path: Path) -> None:
    assert load({**GOOD, "KEPGW_SIGNER_CA_FILE": str(tmp_path / "ca.pem")}).ca_file == tmp_path / "ca.pem"


def test_value_set_twice_is_one_fault() -> None:
    found = faults({**GOOD, "KEPGW_SERVICE_TOKENS_FILE": "/nowhere"})
    assert found == ["KEPGW_SERVICE_TOKENS: set both directly and by KEPGW_SERVICE_TOKENS_FILE"]


def test_unreadable_file_is_one_fault_even_for_a_required_field(tmp_path: Path) -> None:
    environ = {**GOOD, "KEPGW_SERVICE_TOKENS_FILE": str(tmp_path / "absent")}
    del environ["KEPGW_SERVICE_TOKENS"]
    assert faults(environ) == ["KEPGW_SERVICE_TOKENS_FILE: cannot be read (FileNotFoundError)"]


def test_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff\xfe\x00")
    found = faults({**GOOD, "KEPGW_SIGNER_PASSWORD_FILE": str(file)})
    assert found == ["KEPGW_SIGNER_PASSWORD_FILE: cannot be read (UnicodeDecodeError)"]


def test_structured_fields_are_json() -> None:
    assert load({**GOOD, "KEPGW_SIGNER_HOSTS": '["a", "b"]'}).hosts == ["a", "b"]
    assert faults({**GOOD, "KEPGW_SIGNER_HOSTS": "a,b"}) == ["KEPGW_SIGNER_HOSTS: is not valid JSON"]
    assert len(faults({**GOOD, "KEPGW_SIGNER_HOSTS": "[" * 100_000})) == 1


@pytest.mark.parametrize("token", ["", " padded", "line\nbreak", "ğ"])
def test_service_token_that_cannot_travel_is_refused(token: str) -> None:
    (fault,) = faults({**GOOD, "KEPGW_SERVICE_TOKENS": json.dumps({"relay": token})})
    assert "KEPGW_SIGNER_SERVICE_TOKENS" in fault
    assert "relay" in fault


def test_all_faults_are_listed_at_once_and_hold_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    found = faults(
        {
            "KEPGW_SIGNER_OPS_PORT": "99999",
            "KEPGW_SERVICE_TOKENS": f'{{"gateway": "{SECRET}"',
            "KEPGW_SIGNER_LIMIT_FILE": str(file),
            "KEPGW_SIGNER_LOG_LEVEL": SECRET,
            "KEPGW_SIGNER_PASWORD": SECRET,
            "KEPGW_NONSENSE": SECRET,
        }
    )
    named = [fault.partition(":")[0] for fault in found]
    assert sorted(named) == [
        "KEPGW_NONSENSE", "KEPGW_SERVICE_TOKENS", "KEPGW_SIGNER_LIMIT", "KEPGW_SIGNER_LOG_LEVEL",
        "KEPGW_SIGNER_OPS_PORT", "KEPGW_SIGNER_PASWORD", "KEPGW_SIGNER_PORT",
    ]  # fmt: skip
    assert SECRET not in "\n".join(found)


def test_secret_is_not_shown_by_the_settings_either() -> None:
    settings = load({**GOOD, "KEPGW_SIGNER_PASSWORD": SECRET})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_database_settings_need_a_url() -> None:
    assert [fault.partition(":")[0] for fault in faults(GOOD, DatabaseSettings)] == ["KEPGW_SIGNER_DATABASE_URL"]
