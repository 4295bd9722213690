"""The closed list of error codes, and the one exception type that carries them.

Codes are the contract with callers (REST problems, retry decisions); the English detail is for
people. Foreign exceptions are turned into ``DomainError`` at the edge that meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Every failure the outside can see. ``services/gateway/problems.py`` gives each its status and texts."""

    VALIDATION_FAILED = "validation-failed"
    MALFORMED_REQUEST = "malformed-request"
    UNAUTHENTICATED = "unauthenticated"
    SCOPE_MISSING = "scope-missing"
    INSTITUTION_FORBIDDEN = "institution-forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    STATE_CONFLICT = "state-conflict"
    IDEMPOTENCY_KEY_MISSING = "idempotency-key-missing"
    IDEMPOTENCY_IN_PROGRESS = "idempotency-in-progress"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    LEASE_LOST = "lease-lost"
    TOO_LARGE = "too-large"
    UPLOAD_TRUNCATED = "upload-truncated"
    DIGEST_MISMATCH = "digest-mismatch"
    RANGE_INVALID = "range-invalid"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    RECIPIENT_UNKNOWN = "recipient-unknown"
    RECIPIENT_INACTIVE = "recipient-inactive"
    RECIPIENT_KEP_MISSING = "recipient-kep-missing"
    RECIPIENT_KEP_INACTIVE = "recipient-kep-inactive"
    PACKAGE_INVALID = "package-invalid"
    NOT_A_PACKAGE = "not-a-package"
    CONFIDENTIALITY_FORBIDDEN = "confidentiality-forbidden"
    DECISION_REQUIRED = "decision-required"
    CLASSIFIED_SEALED = "classified-sealed"
    SIGNATURE_INVALID = "signature-invalid"
    ENVELOPE_INVALID = "envelope-invalid"
    LETTER_UNPRINTABLE = "letter-unprintable"
    PRINT_UNAUTHORISED = "print-unauthorised"
    CERTIFICATE_UNFIT = "certificate-unfit"
    SIGNING_KEY_UNAVAILABLE = "signing-key-unavailable"
    MAILBOX_NOT_READY = "mailbox-not-ready"
    MAILBOX_MISSING = "mailbox-missing"
    KEP_ADDRESS_LISTED = "kep-address-listed"
    KEP_CREDIT_EXHAUSTED = "kep-credit-exhausted"
    PROVIDER_UNAVAILABLE = "provider-unavailable"
    PROVIDER_REFUSED = "provider-refused"
    DIRECTORY_UNAVAILABLE = "directory-unavailable"
    DIRECTORY_REFUSED = "directory-refused"
    SIGNER_UNAVAILABLE = "signer-unavailable"
    SERVICE_UNAVAILABLE = "service-unavailable"
    DURABILITY_UNAVAILABLE = "durability-unavailable"
    RATE_LIMITED = "rate-limited"
    INTERNAL = "internal"


RETRYABLE = frozenset(
    {
        ErrorCode.IDEMPOTENCY_IN_PROGRESS,
        ErrorCode.UPLOAD_TRUNCATED,
        ErrorCode.MAILBOX_NOT_READY,
        ErrorCode.KEP_CREDIT_EXHAUSTED,
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.DIRECTORY_UNAVAILABLE,
        ErrorCode.SIGNER_UNAVAILABLE,
        ErrorCode.SERVICE_UNAVAILABLE,
        ErrorCode.DURABILITY_UNAVAILABLE,
        ErrorCode.RATE_LIMITED,
        ErrorCode.INTERNAL,
    }
)
"""Codes after which the same request may succeed later without any change."""


@dataclass(frozen=True)
class Fault:
    """One offending place in a request: a JSON pointer and what is wrong there."""

    pointer: str
    detail: str


class DomainError(Exception):
    """A failure with a code of the closed list, a sentence for people and the places it concerns."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without any change."""
        return self.code in RETRYABLE
