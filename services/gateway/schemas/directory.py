"""What a client sends to the directory; the answers are the contracts themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.text import Body, Line, StrictDetsisNo

EypVersionText = Annotated[str, Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,4}){0,2}$", examples=["2.0"])]


class ResolveBody(Body):
    """Ask where the recipients of a letter are reached by KEP."""

    institution_no: StrictDetsisNo | None = None
    """The sending institution; may be left out when the API key is bound to one only."""
    recipients: list[StrictDetsisNo] = Field(min_length=1, max_length=500)
    """DETSİS numbers of the recipients."""
    mode: Literal["live", "mirror"] = "live"
    """``live`` asks DETSİS, with the mirror as marked fallback; ``mirror`` spares DETSİS the call."""
    eyp_version: EypVersionText | None = None
    """Version of the letter's package, for example ``2.0``: warn of recipients that take only lower ones."""
    encrypted: bool = False
    """The package is to be encrypted: warn of recipients without a usable certificate."""


class ReleaseBody(Body):
    """Why a refused refresh is let through."""

    note: Line = Field(min_length=1, max_length=2000, examples=["DETSİS says that the ministry was dissolved"])
    """Who was asked, and what the answer was: it stays on record."""
