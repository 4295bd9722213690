"""Alert rules: they speak of metrics that exist, lead to a runbook section that exists, and are tested by promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.sources import ROOT
from tests.architecture.test_runbook import METRIC, RUNBOOK, metrics

RULES = sorted((ROOT / "deploy" / "prometheus").glob("*.rules.yaml"))
PROMTOOL = shutil.which("promtool")


def alerts(file: Path) -> list[dict[str, Any]]:
    """The alerts of one rule file."""
    loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"] if "alert" in rule]


def anchors() -> set[str]:
    """The sections of the runbook, as links name them."""
    headings = re.findall(r"^#+ (.*)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_there_are_rules() -> None:
    assert [file.name for file in RULES]


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_every_alert_says_what_to_do(file: Path) -> None:
    for alert in alerts(file):
        notes = alert["annotations"]
        assert notes["summary"], alert["alert"]
        assert notes["description"], alert["alert"]
        page, _, anchor = notes["runbook"].partition("#")
        assert page == "deploy/RUNBOOK.md"
        assert anchor in anchors(), f"{alert['alert']}: no section {anchor}"
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(METRIC.findall(alert["expr"])) <= metrics(), alert["alert"]


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_every_alert_is_tested_both_ways(file: Path) -> None:
    tests = yaml.safe_load(_tests_of(file).read_text(encoding="utf-8"))
    cases = [case for test in tests["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    names = {alert["alert"] for alert in alerts(file)}
    assert fires == names
    assert silent == names


@pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (make test installs it where it is root on Debian)"
)
@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_promtool_agrees(file: Path) -> None:
    for command in (["check", "rules", file.name], ["test", "rules", _tests_of(file).name]):
        run = subprocess.run(
            [str(PROMTOOL), *command], cwd=file.parent, capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, run.stdout + run.stderr


def _tests_of(file: Path) -> Path:
    return file.with_name(file.name.replace(".rules.", ".tests."))
