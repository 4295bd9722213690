"""Gauges of KEP accounts, computed from the database by the leading process; no account is named in a label."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Gauge

SHORT_OF = ("credit", "quota", "answers")


class AccountMetrics:
    """What accounts have left and what they wait for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.credit = Gauge(
            "kepgw_mailbox_credit_remaining", "Credit of the account that has least, in the provider's unit; NaN: untold.",
            registry=registry,
        )  # fmt: skip
        self.quota = Gauge(
            "kepgw_mailbox_quota_bytes", "Quota of the account that has least, as the provider tells it; NaN: untold.",
            registry=registry,
        )  # fmt: skip
        self.short = Gauge(
            "kepgw_mailboxes_short", "Accounts short of credit or quota, or whose provider has told neither for long.",
            ["of"], registry=registry,
        )  # fmt: skip
        self.second_factor = Gauge(
            "kepgw_mailboxes_second_factor_needed", "Accounts whose messages wait for a person's second factor.",
            registry=registry,
        )  # fmt: skip
        self.credit.set(math.nan)
        self.quota.set(math.nan)
        for what in SHORT_OF:
            self.short.labels(what).set(0)
        self.second_factor.set(0)
