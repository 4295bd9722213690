"""What ``kepgw up`` sets, every service accepts; what the user sets, goes through."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.cli.supervisor.environment import environments
from services.cli.supervisor.state import WITH_DATABASE, StateDirectory
from services.detsis_sync.settings import Settings as DirectorySettings
from services.gateway.settings import Settings as GatewaySettings
from services.kep_relay.settings import Settings as RelaySettings
from services.sandbox.settings import Settings as SandboxSettings
from services.signer.settings import Settings as SignerSettings
from shared.config import CommonSettings, ConfigurationError, load_settings

SETTINGS: dict[str, type[CommonSettings]] = {
    "gateway": GatewaySettings, "kep_relay": RelaySettings, "detsis_sync": DirectorySettings,
    "signer": SignerSettings, "sandbox": SandboxSettings,
}  # fmt: skip
URL = "postgresql://user:secret@/database?host=/tmp"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    import os

    for key in [key for key in os.environ if key.startswith("KEPGW_")]:
        monkeypatch.delenv(key)
    state = StateDirectory(tmp_path / "state")
    state.root.mkdir()
    state.prepare()
    # What the sandbox and the supervisor write before the services start.
    trust = state.root / "sandbox" / "trust" / "tls"
    trust.mkdir(parents=True)
    (trust / "ca.pem").write_text("-")
    state.store("signer_keys.json", "[]")
    return state


def built(state: StateDirectory) -> dict[str, dict[str, str]]:
    return environments(state, state.ports(preferred=False), dict.fromkeys(WITH_DATABASE, URL), log_format="json")


@pytest.mark.parametrize("service", SETTINGS)
def test_every_service_accepts_its_environment(state: StateDirectory, service: str) -> None:
    environment = built(state)[service]
    settings = load_settings(SETTINGS[service], service=service, environ=environment)
    assert settings.log_format == "json"
    foreign = [
        key for key in environment if key.startswith("KEPGW_") and not key.startswith(f"KEPGW_{service.upper()}_")
    ]
    assert foreign == [], "nobody is told what is not for them"


def test_secrets_travel_by_file_except_where_they_are_part_of_a_url(state: StateDirectory) -> None:
    secrets = [file.read_text() for file in state.secrets.iterdir() if len(file.read_text()) > 20]
    for environment in built(state).values():
        for key, value in environment.items():
            assert not any(secret in value for secret in secrets), key


def test_services_find_each_other(state: StateDirectory) -> None:
    environment = built(state)
    gateway = load_settings(GatewaySettings, service="gateway", environ=environment["gateway"])
    relay = load_settings(RelaySettings, service="kep_relay", environ=environment["kep_relay"])
    signer = load_settings(SignerSettings, service="signer", environ=environment["signer"])
    assert gateway.kep_relay_url == f"http://127.0.0.1:{relay.port}"
    assert gateway.signer_url == relay.signer_url == f"http://127.0.0.1:{signer.port}"
    assert gateway.service_tokens == relay.service_tokens == signer.service_tokens


def test_a_users_setting_replaces_ours_in_either_form(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql://elsewhere/x\n")
    monkeypatch.setenv("KEPGW_GATEWAY_DATABASE_URL_FILE", str(url))
    monkeypatch.setenv("KEPGW_GATEWAY_BOOTSTRAP_ADMIN_KEY", f"kepgw_{'a' * 12}_{'b' * 48}")
    monkeypatch.setenv("KEPGW_GATEWAY_MAX_PACKAGE_BYTES", "5000000")
    settings = load_settings(GatewaySettings, service="gateway", environ=built(state)["gateway"])
    assert settings.database_url == SecretStr("postgresql://elsewhere/x")
    assert settings.bootstrap_admin_key == SecretStr(f"kepgw_{'a' * 12}_{'b' * 48}")
    assert settings.max_package_bytes == 5_000_000


def test_a_common_setting_reaches_every_service(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPGW_LOG_LEVEL", "WARNING")
    for service, environment in built(state).items():
        assert load_settings(SETTINGS[service], service=service, environ=environment).log_level == "WARNING"


@pytest.mark.parametrize("key", ["KEPGW_LOG_LEVLE", "KEPGW_GATEWAY_MAX_PAKAGE_BYTES"])
def test_a_misspelt_setting_is_refused_not_dropped(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(key, "1")
    with pytest.raises(ConfigurationError, match=f"{key}: no such setting"):
        load_settings(GatewaySettings, service="gateway", environ=built(state)["gateway"])


def test_variables_of_the_command_line_are_nobodys_setting(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("KEPGW_DEMO_PACKAGE", "KEPGW_CLI_KEY", "KEPGW_UP_DATABASE_URL", "KEPGW_TEST_DATABASE_URL"):
        monkeypatch.setenv(key, "x")
    assert not any("KEPGW_CLI" in key or "KEPGW_UP" in key for found in built(state).values() for key in found)
