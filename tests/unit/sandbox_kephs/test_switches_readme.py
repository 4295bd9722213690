"""The README names every switch of the providers with its own sentence, every refusal and every operation."""

from __future__ import annotations

import re
from pathlib import Path

from services.sandbox.control_parts import StandingOrder
from services.sandbox.kephs.eyws.refusals import RefusalCode
from services.sandbox.kephs.eyws.wire_contract import NOT_OFFERED, OPERATIONS
from services.sandbox.kephs.faults import FAULTS
from services.sandbox.settings import Settings

README = (Path(__file__).parents[3] / "services" / "sandbox" / "README.md").read_text(encoding="utf-8")


def test_every_switch_of_the_providers() -> None:
    rows = dict(
        re.findall(r"^\| `((?:smtp|imap|relay|evidence|submission|eyws)\.\w+)` \| (.*) \|$", README, re.MULTILINE)
    )
    assert rows == FAULTS


def test_every_operation_and_refusal_of_the_soap_service() -> None:
    for operation in OPERATIONS.keys() - NOT_OFFERED:
        assert re.search(rf"\b{operation}\b", README), operation
    for code in RefusalCode:
        assert f"| {int(code)} |" in README


def test_every_setting_of_an_accounts_standing() -> None:
    for name in StandingOrder.model_fields:
        assert f'"{name}"' in README, name
    for name in Settings.model_fields:
        if "eyws" in name or name == "security_id_seconds":
            assert f"`{name.upper()}`" in README
