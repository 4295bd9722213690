"""The base every contract shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Immutable; a field the receiver does not know is refused, so both sides are released together."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
