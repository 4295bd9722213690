"""The runbook names what there is: a page that somebody reads at night must not send them to nothing."""

from __future__ import annotations

import re

import pytest

from services.kep_relay.evidence.fold import Attention
from services.kep_relay.outbound.outcome import NEEDS_SOMEONE
from services.kep_relay.outbound.sweep import OVERDUE
from shared.config import SERVICES, variable_name
from shared.contracts.directory import WarningCode
from shared.domain.message import OUTBOUND_TERMINAL, OutboundState
from tests.architecture.sources import ROOT, modules, strings
from tests.architecture.test_settings_rules import settings_of

RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
ROUTE = re.compile(r"`(?:GET|POST|PUT|DELETE) (/v1/[a-z/{}_-]*)")
METRIC = re.compile(r"kepgw(?:_[a-z0-9]+)+")


def metrics() -> set[str]:
    declaring = (module for module in modules() if module.path.stem in {"metrics", "ops"})
    return {text for module in declaring for _node, text in strings(module) if METRIC.fullmatch(text)}


def test_every_metric_is_in_the_runbook_and_every_metric_there_exists() -> None:
    assert metrics() <= set(METRIC.findall(RUNBOOK))
    assert set(METRIC.findall(RUNBOOK)) <= metrics()


def test_every_reason_that_needs_a_person_is_explained() -> None:
    rows = "\n".join(line for line in RUNBOOK.splitlines() if line.startswith("| "))
    missing = {code.value for code in NEEDS_SOMEONE if not re.search(rf"\b{code.value}\b", rows)}
    assert missing == set()


def test_every_flag_and_bad_end_is_explained() -> None:
    ends = OUTBOUND_TERMINAL - {OutboundState.READ, OutboundState.CANCELLED}
    for word in (
        *Attention,
        OVERDUE,
        *ends,
        OutboundState.BLOCKED,
        OutboundState.RETRY_WAIT,
        OutboundState.OUTCOME_UNKNOWN,
    ):
        assert re.search(rf"\b{word}\b", RUNBOOK), word


def test_every_warning_about_a_recipient_is_explained() -> None:
    rows = "\n".join(line for line in RUNBOOK.splitlines() if line.startswith("| "))
    missing = {code.value for code in WarningCode if not re.search(rf"[|,] {code.value}[ ,]", rows)}
    assert missing == set()
    described = set(re.findall(r"- `([a-z-]+)`: ", WarningCode.__doc__ or ""))
    assert described == {code.value for code in WarningCode}, "the API documentation shows this text"


def test_settings_that_it_names_exist() -> None:
    known = {variable_name(name, service) for service in SERVICES for name in settings_of(service).model_fields}
    named = {
        name.removesuffix("_FILE") if name not in known else name for name in re.findall(r"KEPGW_[A-Z_]+", RUNBOOK)
    }
    assert named <= known


@pytest.fixture(scope="module")
def routes() -> set[str]:
    """Paths of the REST API, without the names of their parameters."""
    declared = set()
    for module in modules():
        if "gateway" in module.path.parts and "routes" in module.path.parts:
            prefix = next((found for found in re.findall(r'APIRouter\(prefix="([^"]*)"', module.text)), "")
            declared |= {prefix + path for path in re.findall(r'@router\.[a-z]+\(\s*"([^"]*)"', module.text)}
    return {re.sub(r"\{[^}]*\}", "{}", path) for path in declared}


def test_calls_that_it_names_exist(routes: set[str]) -> None:
    named = {re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") for path in ROUTE.findall(RUNBOOK)}
    assert len(named) > 8
    assert named <= routes
