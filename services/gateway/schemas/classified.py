"""What a client sends about classified letters; the answers are the contracts themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.gateway.schemas.text import Body, Line

Purpose = Annotated[Line, Field(min_length=3, max_length=500)]


class ClosingBody(Body):
    """What was decided about an incident."""

    decision: Annotated[Line, Field(min_length=3, max_length=2000)]
    """What is done about the letter and its copy here, in the words of whoever decides; nothing from inside the letter."""
    decided_by: Annotated[Line, Field(min_length=2, max_length=150)]
    """The person who decided."""
