"""Why a call to DETSİS failed: one error type, with the reason as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from html import escape

import httpx

from shared.errors import DomainError, ErrorCode

_TEXT_LIMIT = 500
_MASK = "***"

Secrets = str | Sequence[str]
"""What must show in no error text: the password, and what else identifies the account."""


class FailureReason(StrEnum):
    """The ways a call can fail; none of them says anything about the register's content."""

    CONNECTION = "connection"
    """No connection, TLS trouble, or the connection broke inside the answer."""
    TIMEOUT = "timeout"
    HTTP_STATUS = "http-status"
    SOAP_FAULT = "soap-fault"
    IN_BAND = "in-band"
    """HTTP 200, but DETSİS says in the answer that the call failed (wrong password included)."""
    CONTRADICTORY = "contradictory"
    """Success with an error message and without a result."""
    NOT_SOAP = "not-soap"
    """A web page, usually maintenance."""
    EMPTY = "empty-body"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"


class DirectoryCallError(DomainError):
    """A failed call: ``directory-refused`` when asking again would not help, else ``directory-unavailable``."""

    def __init__(self, reason: FailureReason, operation: str, detail: str, *, refused: bool = False) -> None:
        code = ErrorCode.DIRECTORY_REFUSED if refused else ErrorCode.DIRECTORY_UNAVAILABLE
        super().__init__(code, f"DETSİS {operation}: {detail}")
        self.reason = reason
        self.operation = operation


def quoted(text: str | None, secrets: Secrets) -> str:
    """What DETSİS said, for the operator: bounded, on one line and without the account's secrets, should it echo them."""
    line = text or ""
    for secret in (secrets,) if isinstance(secrets, str) else secrets:
        # as it is, and as it stands inside a request that is quoted back
        for spelling in sorted({secret, escape(secret), escape(secret, quote=False)}, key=len, reverse=True):
            if spelling:
                line = line.replace(spelling, _MASK)
    return " ".join(line.split())[:_TEXT_LIMIT] or "no text given"


@contextmanager
def connection_failures(operation: str) -> Iterator[None]:
    """Turn what httpx and the clock raise into ``DirectoryCallError``."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise DirectoryCallError(FailureReason.TIMEOUT, operation, "no complete answer in time") from error
    except httpx.TransportError as error:
        detail = f"connection failed ({type(error).__name__}: {error})"
        raise DirectoryCallError(FailureReason.CONNECTION, operation, detail[:_TEXT_LIMIT]) from error


def status_failure(status: int, operation: str) -> DirectoryCallError:
    """The failure for an HTTP status that carries no SOAP fault."""
    refused = 400 <= status < 500 and status not in {408, 429}
    return DirectoryCallError(FailureReason.HTTP_STATUS, operation, f"HTTP status {status}", refused=refused)


def fault_failure(operation: str, code: str | None, text: str) -> DirectoryCallError:
    """The failure for a soap:Fault: a fault of the sender is refused, one of the server may pass."""
    refused = (code or "").rpartition(":")[2].strip() in {"Client", "Sender", "MustUnderstand", "VersionMismatch"}
    return DirectoryCallError(FailureReason.SOAP_FAULT, operation, f"SOAP fault: {text}", refused=refused)


def in_band_failure(operation: str, text: str) -> DirectoryCallError:
    """The failure DETSİS reports inside a normal answer. Its texts are unpublished: none is interpreted."""
    return DirectoryCallError(FailureReason.IN_BAND, operation, f"the call failed: {text}", refused=True)
