"""Metrics of detsis_sync."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.detsis_sync.soap.wire import Operation
from shared.contracts.directory.registrations import RegistrationState

_CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_RUN_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
TABLES = (
    "units", "kep_addresses", "certificates", "certificate_owners", "eyp_versions", "main_institutions", "codes",
    "places", "contacts",
)  # fmt: skip
CHANGES = ("new", "changed", "unchanged", "absent", "returned", "tombstoned", "overtaken")
ENDS = ("accepted", "refused", "failed")
LOOKUPS = ("address", "letter", "contacts", "detail", "live_register")
LOOKUP_RESULTS = ("live", "cache", "stored", "mirror", "failed", "refused")
"""``failed`` and ``refused`` look-ups may have been answered from the mirror all the same, marked."""
CALL_RESULTS = ("answered", "failed", "refused")
LIVE_OPERATIONS = (
    Operation.CORRESPONDENCE_PACKAGE, Operation.UNIT, Operation.ANCESTORS, Operation.CHILDREN, Operation.UNITS_BY_NAME,
    Operation.MAIN_INSTITUTIONS, Operation.KEP_ADDRESSES, Operation.CONTACTS, Operation.UETS_NUMBERS,
    Operation.MANAGERS, Operation.OFFICERS, Operation.FILE_PLAN, Operation.NUMBERS_OF_FORMER, Operation.EYP_VERSIONS,
    Operation.ADDRESS_OWNER,
)  # fmt: skip
"""What is asked while somebody waits."""
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
        self.runs = Counter(
            "kepgw_directory_runs_total", "Refreshes by how they ended; released: a person let a refused one through.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.last_run = Gauge(
            "kepgw_directory_last_run_timestamp_seconds", "When the newest refresh that ended so was over; 0: never.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.unclear_flags = Gauge(
            "kepgw_directory_unclear_flags", "Units whose active flag has a text nobody knows; they count as closed.",
            registry=registry,
        )  # fmt: skip
        self.lookups = Counter(
            "kepgw_directory_lookups_total", "Look-ups by what was wanted and how it was answered.",
            ["kind", "result"], registry=registry,
        )  # fmt: skip
        self.live_calls = Histogram(
            "kepgw_directory_live_call_duration_seconds", "Length of live calls to DETSİS.", ["operation", "result"],
            buckets=_CALL_BUCKETS, registry=registry,
        )  # fmt: skip
        self.live_up = Gauge(
            "kepgw_directory_live_up", "0 if the last live call to DETSİS was not answered.", registry=registry
        )
        # Nobody has asked yet, so nothing was left unanswered.
        self.live_up.set(1)
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
            self.runs.labels(result)
            self.last_run.labels(result).set(0)
        self.runs.labels("released")
        for table in TABLES:
            for change in CHANGES:
                self.changes.labels(table, change)
        for kind in LOOKUPS:
            for result in LOOKUP_RESULTS:
                self.lookups.labels(kind, result)
        for operation in LIVE_OPERATIONS:
            for result in CALL_RESULTS:
                self.live_calls.labels(operation.name, result)
