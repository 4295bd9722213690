"""Metrics of signer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.signer.keys import DecryptionKey, HeldKey, KeyRing
from services.signer.tokens.vocabulary import FaultKind
from services.signer.workers.pool import WorkerPool
from services.signer.workers.vocabulary import Reason
from shared.contracts.signatures import CertificatePurpose, EvidenceKind, Profile, SignatureFormat, SignatureLevel
from shared.domain.verdict import Conclusion

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
OTHER_HOST = "other"


class SignerMetrics:
    """Verdicts, their duration, revocation sources and the keys' last days."""

    def __init__(self, registry: CollectorRegistry, *, hosts: Iterable[str] = ()) -> None:
        self.verifications = Counter(
            "kepgw_signature_verifications_total",
            "Files verified, by format, profile and conclusion.",
            ["format", "profile", "conclusion"],
            registry=registry,
        )
        self.duration = Histogram(
            "kepgw_signature_verification_duration_seconds",
            "Time for one file, fetching of revocation data included.",
            ["format"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.workers = Gauge("kepgw_verification_workers", "Processes that verify and are there.", registry=registry)
        self.workers_ended = Counter(
            "kepgw_verification_workers_ended_total",
            "Processes that verify and were replaced, by reason.",
            ["reason"],
            registry=registry,
        )
        self.certificates = Counter(
            "kepgw_certificate_verifications_total",
            "Certificates judged by themselves, by purpose and conclusion.",
            ["purpose", "conclusion"],
            registry=registry,
        )
        self.signatures = Counter(
            "kepgw_signatures_made_total", "Signatures and seals made.", ["purpose", "result"], registry=registry
        )
        self.raisings = Counter(
            "kepgw_signatures_raised_total",
            "Seals and signatures of others raised to a level, by how it ended.",
            ["level", "result"],
            registry=registry,
        )
        self.timestamps = Counter(
            "kepgw_seal_stamps_total", "Time-stamps asked for seals, by how it ended.", ["result"], registry=registry
        )
        self.envelopes = Counter(
            "kepgw_envelopes_total",
            "Envelopes made (encryption), opened (decryption) and looked at (facts), by how it ended.",
            ["operation", "result"],
            registry=registry,
        )
        self.sources = Gauge(
            "kepgw_revocation_source_up",
            "1 unless the last request to this host failed.",
            ["host"],
            registry=registry,
        )
        self.fetches = Counter(
            "kepgw_evidence_fetches_total",
            "Requests for revocation lists, OCSP responses and issuers' certificates, by how they ended.",
            ["kind", "result"],
            registry=registry,
        )
        self.kept = Counter(
            "kepgw_evidence_kept_used_total",
            "Fetched evidence that a verdict rests on and that was at hand before.",
            ["kind"],
            registry=registry,
        )
        self.archived = Counter(
            "kepgw_evidence_archived_total",
            "Pieces of evidence for the archive: written, present already, or failed (then the rest of that verdict's too).",
            ["result"],
            registry=registry,
        )
        self.expiry = Gauge(
            "kepgw_certificate_expiry_timestamp_seconds",
            "When the certificate of a key ends.",
            ["key_id"],
            registry=registry,
        )
        self.key_up = Gauge(
            "kepgw_signing_key_up",
            "1 if this key can be used as far as is known; a key in memory always can.",
            ["key_id"],
            registry=registry,
        )
        self.token_sessions = Gauge(
            "kepgw_pkcs11_sessions", "Open sessions with tokens, by state.", ["state"], registry=registry
        )
        self.token_failures = Counter(
            "kepgw_pkcs11_failures_total", "Failures of tokens, by reason.", ["reason"], registry=registry
        )
        self.anchors = Gauge("kepgw_trust_anchors", "Trust anchors, by purpose.", ["purpose"], registry=registry)
        self.trust_version = Gauge(
            "kepgw_trust_store_version",
            "Version of the managed trust store in use; 0 for a plain directory.",
            registry=registry,
        )
        self.trust_refused = Gauge(
            "kepgw_trust_store_refused",
            "1 while what lies in the trust directory cannot be used and the last good set is.",
            registry=registry,
        )
        self._hosts = {host for host in hosts if host != "*"}
        for host in (*self._hosts, OTHER_HOST):
            self.sources.labels(host).set(1)
        for signature_format in SignatureFormat:
            self.duration.labels(signature_format.value)
            for profile in Profile:
                for conclusion in Conclusion:
                    self.verifications.labels(signature_format.value, profile.value, conclusion.value)
        for use in CertificatePurpose:
            for conclusion in Conclusion:
                self.certificates.labels(use.value, conclusion.value)
        for purpose in ("kep-message", "package-seal"):
            for result in ("made", "refused"):
                self.signatures.labels(purpose, result)

        for result in ("written", "present", "failed"):
            self.archived.labels(result)
        for evidence in EvidenceKind:
            self.kept.labels(evidence.value)
            for result in ("fetched", "refused", "failed"):
                self.fetches.labels(evidence.value, result)
        for level in (SignatureLevel.T, SignatureLevel.XL, SignatureLevel.A):
            for result in ("raised", "refused", "postponed"):
                self.raisings.labels(level.value, result)
        for result in ("granted", "failed"):
            self.timestamps.labels(result)
        for state in ("idle", "busy"):
            self.token_sessions.labels(state)
        for kind in FaultKind:
            self.token_failures.labels(kind.value)
        for reason in Reason:
            self.workers_ended.labels(reason.value)
        for operation in ("encryption", "decryption", "facts"):
            for result in ("done", "refused", "failed"):
                self.envelopes.labels(operation, result)

    def source_outcome(self, host: str, up: bool) -> None:
        """Note how the last request to a host ended; hosts outside the list share one label."""
        self.sources.labels(host if host in self._hosts else OTHER_HOST).set(1 if up else 0)

    def fetch_outcome(self, kind: EvidenceKind, result: str) -> None:
        """Count a request: ``fetched``, ``refused`` (what came is not kept) or ``failed`` (nothing came)."""
        self.fetches.labels(kind.value, result).inc()

    def worker_ended(self, reason: Reason) -> None:
        """Count a worker that was replaced."""
        self.workers_ended.labels(reason.value).inc()

    def watch_workers(self, workers: WorkerPool) -> None:
        """From now on every scrape shows how many workers are there."""
        self.workers.set_function(lambda: workers.alive)

    def raised(self, level: SignatureLevel, result: str) -> None:
        """Count how raising a file ended."""
        self.raisings.labels(level.value, result).inc()

    def token_fault(self, kind: FaultKind) -> None:
        """Count a failure of a token."""
        self.token_failures.labels(kind.value).inc()

    def watch_keys(self, keys: KeyRing) -> None:
        """From now on every scrape shows which keys can be used, and the sessions with their tokens."""

        def is_up(key_id: str) -> float:
            return 1 if keys.fault(key_id) is None else 0

        def sessions(state: int) -> float:
            return sum(token.sessions()[state] for token in keys.tokens)

        for key in keys.all():
            self.key_up.labels(key.key_id).set_function(partial(is_up, key.key_id))
        for number, state in enumerate(("idle", "busy")):
            self.token_sessions.labels(state).set_function(partial(sessions, number))

    def note_keys(self, keys: Iterable[HeldKey]) -> None:
        """Publish the end of every key's certificate.

        Of an institution's decryption keys only the one that ends last: older ones are kept on purpose.
        """
        held = sorted(keys, key=lambda key: key.certificate.not_after)
        last = {key.institution_no: key for key in held if isinstance(key, DecryptionKey)}
        for key in held:
            if isinstance(key, DecryptionKey) and last[key.institution_no] is not key:
                continue
            self.expiry.labels(key.key_id).set(key.certificate.not_after.timestamp())
