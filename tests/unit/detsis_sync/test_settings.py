"""Settings of detsis_sync are checked before anything starts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from services.detsis_sync.settings import Settings
from shared.config import ConfigurationError, load_settings

GOOD = {
    "KEPGW_DETSIS_SYNC_PORT": "8002",
    "KEPGW_DETSIS_SYNC_OPS_PORT": "9002",
    "KEPGW_DETSIS_SYNC_DATABASE_URL": "postgresql:///x",
    "KEPGW_DETSIS_SYNC_SECRET_KEYS": Fernet.generate_key().decode(),
    "KEPGW_SERVICE_TOKENS": "{}",
}


def load(**changed: str) -> Settings:
    environ = GOOD | {f"KEPGW_DETSIS_SYNC_{name}": value for name, value in changed.items()}
    return load_settings(Settings, service="detsis_sync", environ=environ)


def test_defaults() -> None:
    settings = load()
    assert settings.external_list_since == date(2010, 1, 1)
    assert settings.shrink_limit_ratio == 0.02


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXTERNAL_LIST_SINCE", "2010-13-01"), ("EXTERNAL_LIST_SINCE", "x2010-01-01"), ("SECRET_KEYS", "nonsense"),
        ("DETSIS_CA_FILE", "/nowhere/ca.pem"), ("SHRINK_LIMIT_RATIO", "1.5"), ("LIVE_TIMEOUT_SECONDS", "0"),
        ("REFRESH_RETRY_SECONDS", "0"), ("DETSIS_PROXY_URL", "proxy:3128"), ("DETSIS_SOAP_VERSION", "2.0"),
        ("DETSIS_OPERATION_SECONDS", '{"UNITS": 90}'), ("DETSIS_OPERATION_SECONDS", '{"UNIT": 0}'),
        ("DETSIS_OPERATION_SECONDS", '{"UNIT": 1e99}'), ("DETSIS_OPERATION_SECONDS", '{"UNIT": "long"}'),
    ],
)  # fmt: skip
def test_impossible_values_are_found_before_the_start(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(**{name: value})
    (fault,) = caught.value.faults
    assert fault.startswith(f"KEPGW_DETSIS_SYNC_{name}: ")


def test_ca_file_is_read_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    assert load(DETSIS_CA_FILE=str(tmp_path / "ca.pem")).detsis_ca_file == tmp_path / "ca.pem"


def test_calls_have_their_own_times() -> None:
    settings = load(DETSIS_OPERATION_SECONDS='{"EXTERNAL_UNITS": 3600, "UNIT": 5}')
    assert settings.detsis_operation_seconds == {"EXTERNAL_UNITS": 3600, "UNIT": 5}
