from __future__ import annotations

import json

import pytest

from services.gateway.settings import Settings
from shared.config import ConfigurationError, load_settings

GOOD = {
    "KEPGW_GATEWAY_PORT": "8101",
    "KEPGW_GATEWAY_OPS_PORT": "9101",
    "KEPGW_DATABASE_URL": "postgresql://x/y",
    "KEPGW_SERVICE_TOKENS": json.dumps({"gateway": "t"}),
    "KEPGW_GATEWAY_KEP_RELAY_URL": "http://127.0.0.1:1",
    "KEPGW_GATEWAY_DETSIS_SYNC_URL": "http://127.0.0.1:2",
    "KEPGW_GATEWAY_SIGNER_URL": "http://127.0.0.1:3",
    "KEPGW_GATEWAY_SPOOL_DIRECTORY": "/tmp/spool",
    "KEPGW_GATEWAY_BLOB_STORE_URL": "file:///tmp/blobs",
}


def test_the_environment_makes_settings() -> None:
    settings = load_settings(Settings, service="gateway", environ=GOOD)
    assert settings.max_package_bytes == 20_000_000
    assert settings.bootstrap_admin_key is None


def test_every_fault_is_listed_at_once_and_no_secret_with_it() -> None:
    environ = {
        **GOOD,
        "KEPGW_SERVICE_TOKENS": json.dumps({"signer": "secret-token"}),
        "KEPGW_GATEWAY_BOOTSTRAP_ADMIN_KEY": "secret-key",
        "KEPGW_GATEWAY_MAX_PACKAGE_BYTES": "many",
        "KEPGW_GATEWAY_BLOB_STORE_URL": "ftp://elsewhere",
        "KEPGW_GATEWAY_MISSPELT": "1",
    }
    del environ["KEPGW_GATEWAY_SIGNER_URL"]
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Settings, service="gateway", environ=environ)
    text = str(caught.value)
    for name in (
        "SERVICE_TOKENS",
        "BOOTSTRAP_ADMIN_KEY",
        "MAX_PACKAGE_BYTES",
        "BLOB_STORE_URL",
        "MISSPELT",
        "SIGNER_URL",
    ):
        assert name in text
    assert "secret-" not in text
