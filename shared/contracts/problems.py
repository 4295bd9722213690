"""How one of our services tells another that a request failed (RFC 9457 body, our extensions)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import ErrorCode


class FieldError(BaseModel):
    """One offending place in a request, named by JSON pointer."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    detail: str


class Problem(BaseModel):
    """``application/problem+json``; unknown members are ignored as RFC 9457 asks of clients."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str | None = None
    code: ErrorCode
    retryable: bool
    trace_id: str | None = None
    errors: list[FieldError] = Field(default_factory=list)
