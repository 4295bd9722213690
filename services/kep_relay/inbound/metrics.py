"""What the incoming side counts. Gauges are computed from the database by the leading process."""

from __future__ import annotations

from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.kep_relay.inbound.classify import MailKind
from shared.contracts.envelopes import PackageOpening
from shared.domain.evidence import EvidenceCode
from shared.domain.verdict import Conclusion
from shared.eyp import SecurityCode

UNKNOWN_CODE = "unknown"
RECOGNISED_BY = ("sender", "hint")
DUPLICATES = ("letter", "evidence")
ENDS = ("later", "within-4-hours")
OFFERED = tuple(product(("letter", "copy"), ("available", "leased", "dead_lettered")))
"""Kinds and states of what consumers are offered."""


class InboundMetrics:
    """Mails, letters and evidence that came in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.mails = Counter(
            "kepgw_inbound_mails_total", "Mails taken in, by what they turned out to be.", ["kind"], registry=registry
        )
        self.evidence = Counter(
            "kepgw_evidence_received_total", "Pieces of evidence received, by national code.", ["code"],
            registry=registry,
        )  # fmt: skip
        self.duplicates = Counter(
            "kepgw_duplicates_suppressed_total", "What came again and was recognised.", ["kind"], registry=registry
        )
        self.verdicts = Counter(
            "kepgw_inbound_verdicts_total", "Verdicts on letters and evidence.", ["subject", "conclusion"],
            registry=registry,
        )  # fmt: skip
        self.openings = Counter(
            "kepgw_inbound_openings_total", "Tries to open the envelope of an encrypted letter.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.unopened = Gauge(
            "kepgw_encrypted_letters_unopened", "Encrypted letters that are closed and not registered, by the reason.",
            ["outcome"], registry=registry,
        )  # fmt: skip
        self.classified = Counter(
            "kepgw_classified_letters_total", "Letters sealed because KEP may not carry them.", ["degree"],
            registry=registry,
        )  # fmt: skip
        self.incidents_open = Gauge(
            "kepgw_classified_incidents_open", "Incidents with classified letters that nobody has closed.",
            registry=registry,
        )  # fmt: skip
        self.acceptance_pending = Gauge(
            "kepgw_acceptance_pending", "Letters of administrations that can still be refused, by how soon that ends.",
            ["ends"], registry=registry,
        )  # fmt: skip
        self.scans = Counter(
            "kepgw_virus_scans_total",
            "Mails shown to the virus scanner, by what it said.",
            ["result"],
            registry=registry,
        )
        for result in ("clean", "found", "refused", "unavailable"):
            self.scans.labels(result)
        self.deletions = Counter(
            "kepgw_provider_deletions_total", "Mails to be deleted at the provider, by what came of it.", ["result"],
            registry=registry,
        )  # fmt: skip
        for result in ("deleted", "copy-missing", "copy-altered", "copy-unreadable", "refused"):
            self.deletions.labels(result)
        self.found_elsewhere = Counter(
            "kepgw_letters_found_in_further_folders_total", "Letters that were first read in another folder than the inbox.",
            registry=registry,
        )  # fmt: skip
        self.quarantined = Gauge("kepgw_quarantined_messages", "Mails that wait for a person.", registry=registry)
        self.dead_letters = Gauge(
            "kepgw_dead_letters", "Letters leased too often without confirmation.", registry=registry
        )
        self.leases = Gauge("kepgw_leases_active", "Letters under a running lease.", registry=registry)
        self.offered = Gauge(
            "kepgw_inbound_offered_messages", "Letters offered to those who register them, and copies to others.",
            ["kind", "state"], registry=registry,
        )  # fmt: skip
        for kind, state in OFFERED:
            self.offered.labels(kind, state).set(0)
        self.uncorrelated = Gauge(
            "kepgw_evidence_uncorrelated", "Pieces of evidence that belong to no known letter.", registry=registry
        )
        self.last_poll = Gauge(
            "kepgw_mailbox_last_successful_poll_timestamp_seconds",
            "When the mailbox that was read least recently was last read; 0 if one never was.",
            registry=registry,
        )
        self.verification_waiting = Gauge(
            "kepgw_verification_mails_waiting",
            "Verification mails of DETSİS (hint: mails that may be) that nobody has dealt with.",
            ["recognised_by"],
            registry=registry,
        )
        for ends in ENDS:
            self.acceptance_pending.labels(ends).set(0)
        for recognised_by in RECOGNISED_BY:
            self.verification_waiting.labels(recognised_by).set(0)
        for outcome in PackageOpening:
            self.openings.labels(outcome.value)
            if outcome is not PackageOpening.OPENED:
                self.unopened.labels(outcome.value).set(0)
        for degree in SecurityCode:
            self.classified.labels(degree.value)
        for kind in MailKind:
            self.mails.labels(kind.value)
        for code in EvidenceCode:
            self.evidence.labels(str(code.value))
        self.evidence.labels(UNKNOWN_CODE)
        for kind_of_duplicate in DUPLICATES:
            self.duplicates.labels(kind_of_duplicate)
        for subject in ("letter", "evidence"):
            for conclusion in Conclusion:
                self.verdicts.labels(subject, conclusion.value)
