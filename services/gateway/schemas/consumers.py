"""What a client says about consumers of incoming letters; the answers are the contracts themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.gateway.schemas.text import Body, Line, StrictDetsisNo, Whole
from shared.contracts.consumers import (
    MOST_CONSUMERS,
    MOST_NUMBERS,
    MOST_RULES,
    MOST_TEXTS,
    RuleMode,
)

_NAME = r"^[a-z0-9][a-z0-9._-]*$"
ConsumerName = Annotated[str, Field(min_length=1, max_length=64, pattern=_NAME, examples=["insan-kaynaklari"])]
Pattern = Annotated[Line, Field(min_length=1, max_length=200)]


class RuleMatchBody(Body):
    """Conditions that must all hold; within one, any value is enough. Without a condition every letter fits."""

    units: list[StrictDetsisNo] = Field(default=[], max_length=MOST_NUMBERS)
    """DETSİS numbers, of bodies or units, that the package is addressed to."""
    sender_addresses: list[Pattern] = Field(default=[], max_length=MOST_TEXTS)
    """KEP addresses; `*` stands for any characters."""
    sender_detsis_nos: list[StrictDetsisNo] = Field(default=[], max_length=MOST_NUMBERS)
    """The sender as the package names it, which its signature may or may not bear out."""
    subjects: list[Pattern] = Field(default=[], max_length=MOST_TEXTS)
    """Texts the subject contains, in Turkish without regard to case; `*` stands for any characters."""
    has_package: bool | None = None
    """Whether there is an e-Yazışma package in it."""


class ConsumerRuleBody(Body):
    """One rule."""

    mode: RuleMode = RuleMode.EXCLUSIVE
    """`exclusive`: the consumer becomes responsible, unless one before it is. `copy`: it gets a copy."""
    match: RuleMatchBody = RuleMatchBody()


class ConsumerBody(Body):
    """A consumer and the rules by which it gets letters."""

    institution_no: StrictDetsisNo | None = None
    """Whose consumer; may be left out when the API key is bound to one institution only."""
    description: Annotated[Line, Field(max_length=200)] | None = None
    """For people."""
    position: Whole = Field(default=100, ge=0, le=100_000)
    """Of several consumers whose exclusive rules fit, the one with the lowest position is responsible; then by name."""
    rules: list[ConsumerRuleBody] = Field(default=[], max_length=MOST_RULES)
    """Without one, only people give it letters."""


class RoutingBody(Body):
    """Give a letter to another consumer, or others a copy."""

    consumer: ConsumerName
    """Who is responsible from now on."""
    copies: list[ConsumerName] = Field(default=[], max_length=MOST_CONSUMERS)
    """Who gets a copy on top of those who have one; whoever has dealt with one gets it again."""
    decided_by: Annotated[Line, Field(min_length=1, max_length=200)]
    """Who decided, for the record."""
    reason: Annotated[Line, Field(min_length=1, max_length=1000)]
    """Why, for the record."""
