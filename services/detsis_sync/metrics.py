"""Metrics of detsis_sync."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.directory.registrations import RegistrationState

_RUN_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
TABLES = ("units", "kep_addresses")
CHANGES = ("new", "changed", "unchanged", "absent", "returned", "tombstoned")
ENDS = ("accepted", "refused", "failed")
SOURCES = ("live", "mirror")
LAST_ENDS = (*ENDS, "none")


class DirectoryMetrics:
    """What the mirror holds, how old it is and how look-ups were answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.snapshot_age = Gauge(
            "kepgw_directory_snapshot_age_seconds",
            "Age of the last accepted refresh; -1 before the first.",
            registry=registry,
        )
        self.snapshot_age.set(-1)
        self.accounts = Gauge(
            "kepgw_directory_accounts",
            "DETSİS accounts by how their last refresh ended.",
            ["last_refresh"],
            registry=registry,
        )
        self.units = Gauge("kepgw_directory_units", "Units in the mirror.", ["kind"], registry=registry)
        self.duration = Histogram(
            "kepgw_directory_sync_duration_seconds", "Length of a refresh.", ["result"], buckets=_RUN_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self.changes = Counter(
            "kepgw_directory_changes_total", "Rows by what a refresh did to them.", ["table", "change"],
            registry=registry,
        )  # fmt: skip
        self.lookups = Counter(
            "kepgw_directory_lookups_total", "Recipient resolutions by source.", ["source"], registry=registry
        )
        self.live_up = Gauge(
            "kepgw_directory_live_up", "1 if the last live call to DETSİS was answered.", registry=registry
        )
        self.registrations = Gauge(
            "kepgw_kep_registrations", "Registrations of KEP addresses by state.", ["state"], registry=registry
        )
        for state in RegistrationState:
            self.registrations.labels(state.value).set(0)
        for kind in ("all", "sendable", "absent"):
            self.units.labels(kind).set(0)
        for end in LAST_ENDS:
            self.accounts.labels(end).set(0)
        for result in ENDS:
            self.duration.labels(result)
        for table in TABLES:
            for change in CHANGES:
                self.changes.labels(table, change)
        for source in SOURCES:
            self.lookups.labels(source)
