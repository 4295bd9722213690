"""Metrics: ours by name, in base units, without identifiers, complete from the first scrape on."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from tests.architecture.sources import ROOT, modules

AT_RUN_TIME = {"HttpMetrics", "BackgroundMetrics"}
"""Their label values (routes, parts) come with the application."""
AFTER_THE_START = {
    "kepgw_certificate_expiry_timestamp_seconds",
    "kepgw_signing_key_up",
    "kepgw_trust_anchors",
}
"""Their label values come with the operator's keys and anchors."""
FORBIDDEN_LABELS = re.compile(r"(^|_)(id|no|number|address|path|url|email|user|tckn|sha256|name)$")
FEW = {"key_id"}
"""Named by the operator, a handful: no letter, person or institution adds one."""
UNITS = re.compile(r"_(milliseconds|ms|minutes|hours|days|kb|mb|kib|mib|percent)(_|$)")
SUFFIXES = ("_total", "_seconds", "_bytes", "_ratio")


def metric_classes() -> Iterator[type]:
    for module in modules():
        if module.path.stem == "metrics":
            name = ".".join(module.path.relative_to(ROOT).with_suffix("").parts)
            for _name, found in inspect.getmembers(importlib.import_module(name), inspect.isclass):
                if found.__module__ == name and list(inspect.signature(found).parameters)[:1] == ["registry"]:
                    yield found


CLASSES = sorted(metric_classes(), key=lambda found: f"{found.__module__}.{found.__name__}")


def families(metrics: type) -> list[Metric]:
    registry = CollectorRegistry()
    metrics(registry)
    return list(registry.collect())


def declared(metrics: type) -> dict[str, tuple[str, ...]]:
    """The labels of each metric, which a series need not exist for."""
    registry = CollectorRegistry()
    made = vars(metrics(registry)).values()
    return {found._name: found._labelnames for found in made if isinstance(found, MetricWrapperBase)}


def test_every_service_has_metrics() -> None:
    served = {found.__module__.split(".")[1] for found in CLASSES if found.__module__.startswith("services.")}
    assert {"gateway", "detsis_sync", "kep_relay", "signer"} <= served


@pytest.mark.parametrize("metrics", CLASSES, ids=lambda found: f"{found.__module__}.{found.__name__}")
def test_conventions(metrics: type) -> None:
    for family in families(metrics):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"kepgw(_[a-z0-9]+)+", name), name
        assert not UNITS.search(name), f"{name} is not in a base unit"
        assert family.documentation.endswith("."), f"{name}: {family.documentation}"
        assert family.type in {"counter", "gauge", "histogram"}, f"{name} is a {family.type}"
        if family.type == "gauge":
            assert not name.endswith(("_total", "_count", "_sum", "_bucket")), name
        if family.type == "histogram":
            assert name.endswith(("_seconds", "_bytes")), f"{name} does not say its unit"
        if "timestamp" in name:
            assert name.endswith("_timestamp_seconds"), name


@pytest.mark.parametrize("metrics", CLASSES, ids=lambda found: f"{found.__module__}.{found.__name__}")
def test_labels_name_kinds_and_never_things(metrics: type) -> None:
    for name, labels in declared(metrics).items():
        for label in set(labels) - FEW:
            assert not FORBIDDEN_LABELS.search(label), f"{name} has the label {label}"


@pytest.mark.parametrize(
    "metrics", [found for found in CLASSES if found.__name__ not in AT_RUN_TIME], ids=lambda found: found.__name__
)
def test_every_series_is_there_from_the_start(metrics: type) -> None:
    for family in families(metrics):
        assert family.samples or family.name in AFTER_THE_START, f"{family.name} has no series before the first event"


def test_two_registries_do_not_meet() -> None:
    for metrics in CLASSES:
        assert [family.name for family in families(metrics)] == [family.name for family in families(metrics)]


def test_one_name_has_the_same_labels_in_every_service() -> None:
    known: dict[str, tuple[str, ...]] = {}
    for metrics in CLASSES:
        for name, labels in declared(metrics).items():
            assert known.setdefault(name, labels) == labels, f"{name} in {metrics.__module__}"
