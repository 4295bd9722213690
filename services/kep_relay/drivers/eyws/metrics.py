"""What is counted of the SOAP service beside the calls to providers in general."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


def contract_differences(registry: CollectorRegistry) -> Gauge:
    """Over the accounts that this process compared, at most once an hour each."""
    return Gauge(
        "kepgw_provider_contract_differences",
        "What the SOAP service's offered contract says differently from the bundled one, which is used.",
        registry=registry,
    )
