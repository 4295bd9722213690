"""Why a call to the SOAP service failed, and whether what it was to do may have been done all the same."""

from __future__ import annotations

from collections.abc import Iterable

from services.kep_relay.drivers.smtp_imap.smtp_replies import one_line
from shared.errors import DomainError, ErrorCode

_MASK = "***"
_LEAST_SECRET = 3
"""A shorter secret is not masked in foreign texts: its letters would be found everywhere."""


class CallError(DomainError):
    """A call without a usable answer.

    ``certain``: nothing was done by it. Otherwise the service may have had the whole request, and what it
    did with it is not known (kep.md 7.1).
    """

    def __init__(self, code: ErrorCode, detail: str, *, certain: bool) -> None:
        super().__init__(code, detail)
        self.certain = certain


class BusyError(CallError):
    """PROVIDER_UNAVAILABLE: the account's own calls before this one took too long. The service was not touched."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.PROVIDER_UNAVAILABLE, "another call of the account takes long", certain=True)


class TruncatedError(CallError):
    """PROVIDER_UNAVAILABLE: the answer ends too early. It is no content, however much of it arrived (kep.md 7.22)."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=False)


class MalformedError(CallError):
    """PROVIDER_UNAVAILABLE: what arrived is no answer of this service."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.PROVIDER_UNAVAILABLE, detail, certain=False)


class FaultError(CallError):
    """A SOAP fault. The client's fault is certain to have changed nothing; of the server's nobody knows."""

    def __init__(self, detail: str, *, of_client: bool) -> None:
        code = ErrorCode.PROVIDER_REFUSED if of_client else ErrorCode.PROVIDER_UNAVAILABLE
        super().__init__(code, detail, certain=of_client)


class RefusalError(Exception):
    """The service answered, and the answer is no: its code and words as they came, secrets masked."""

    def __init__(self, operation: str, code: str | None, text: str) -> None:
        self.operation = operation
        self.code = code
        self.text = text
        super().__init__(self.words)

    def hide(self, secrets: Iterable[str]) -> None:
        """Take out what the service repeated of a call."""
        for secret in secrets:
            self.text = self.text.replace(secret, _MASK)
        self.args = (self.words,)

    @property
    def words(self) -> str:
        """Both, for a person."""
        return " ".join(part for part in (self.operation, self.code, self.text) if part)


def masked(text: str, secrets: Iterable[str]) -> str:
    """Foreign text fit for logs and status pages: one short printable line without the account's secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, _MASK)
    return one_line(text)
