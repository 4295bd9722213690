"""Who calls DETSİS, where, and within which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from services.detsis_sync.soap.wire import Operation
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

MIB = 1024 * 1024
_SHORTEST_HIDDEN = 5


@dataclass(frozen=True)
class DetsisAccount:
    """One institution's access. ``endpoint`` must be an https URL: the password travels inside the message."""

    institution_no: DetsisNumber
    account_id: str
    password: SecretStr
    endpoint: str

    def __post_init__(self) -> None:
        """Raise ``DomainError`` (validation-failed) unless ``endpoint`` is a plain https URL."""
        url = urlsplit(self.endpoint)
        try:
            httpx.URL(self.endpoint)
            _ = url.port
        except (httpx.InvalidURL, ValueError) as error:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the DETSİS endpoint is not a URL") from error
        if url.scheme != "https" or not url.hostname or url.username is not None:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the DETSİS endpoint must be an https URL without user data")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must show in no log and no error text: both values of the authentication header.

        A very short account id is no secret, and hiding it would hide every digit of a message.
        """
        password = self.password.get_secret_value()
        return (password, self.account_id) if len(self.account_id) >= _SHORTEST_HIDDEN else (password,)


@dataclass(frozen=True)
class DetsisHttpSettings:
    """Transport bounds. Times in seconds, sizes in bytes after decompression."""

    ca_file: Path | None = None
    """PEM bundle to trust instead of the system's."""
    proxy_url: str | None = None
    soap_version: Literal["1.1", "1.2"] = "1.1"
    connect_seconds: float = 10
    call_seconds: float = 30
    """Whole of one small call."""
    correspondence_seconds: float = 60
    """Whole of one correspondence package call, which makes DETSİS work more."""
    bulk_idle_seconds: float = 120
    """Longest silence inside a bulk list."""
    bulk_total_seconds: float = 1800
    max_answer_bytes: int = 16 * MIB
    max_bulk_bytes: int = 2048 * MIB
    bulk_batch_rows: int = 500
    bulk_batches_ahead: int = 4
    """How many batches may wait for the consumer: bounds memory and holds back the network."""
    operation_seconds: Mapping[str, float] = field(default_factory=dict)
    """Whole of one call, by the name of its ``Operation`` member; overrides the three defaults above."""

    def seconds_for(self, operation: Operation, default: float) -> float:
        """How long one call of ``operation`` may take as a whole."""
        return self.operation_seconds.get(operation.name, default)
