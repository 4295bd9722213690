"""What a client sends to learn the data of a letter; the answer is the contract itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.gateway.schemas.text import Body, StrictDetsisNo


class CorrespondenceBody(Body):
    """Ask for the data of one letter, once, with all its recipients."""

    institution_no: StrictDetsisNo | None = None
    """The sending institution; may be left out when the API key is bound to one only."""
    sender_no: StrictDetsisNo | None = None
    """The unit that prepares the letter; left out: the institution itself."""
    recipients: list[StrictDetsisNo] = Field(min_length=1, max_length=500)
    """DETSİS numbers of the letter's real recipients, each once, in the order of the distribution list."""
    mode: Literal["live", "mirror"] = "live"
    """``live`` asks DETSİS, with the mirror as marked fallback; ``mirror`` spares DETSİS the call."""
