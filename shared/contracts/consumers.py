"""Consumers: the systems of one institution among which its incoming letters are divided by rules."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract

DEFAULT_CONSUMER = "default"
"""Takes what no rule takes. It is always there and has no rules."""
MOST_CONSUMERS = 50
"""Of one institution."""
MOST_RULES = 20
"""Of one consumer."""
MOST_TEXTS = 50
"""Patterns in one condition."""
MOST_NUMBERS = 500
"""DETSİS numbers in one condition."""


class ConsumerRole(StrEnum):
    """What a consumer has to do with a letter."""

    RESPONSIBLE = "responsible"
    """It registers the letter; there is exactly one."""
    COPY = "copy"
    """It gets to know the letter; what it does changes nothing about the letter."""


class RuleMode(StrEnum):
    """What follows when a rule fits."""

    EXCLUSIVE = "exclusive"
    """The consumer becomes responsible, unless one before it is."""
    COPY = "copy"
    """The consumer gets a copy, whoever is responsible."""


class CopyState(StrEnum):
    """How far a copy is."""

    AVAILABLE = "available"
    LEASED = "leased"
    ACKNOWLEDGED = "acknowledged"
    DEAD_LETTERED = "dead_lettered"
    WITHDRAWN = "withdrawn"
    """Its consumer was deleted or became responsible, or the letter was sealed."""


class RuleMatch(Contract):
    """Conditions that must all hold; within one, any value is enough. Without a condition every letter fits."""

    units: list[int] = Field(default_factory=list, max_length=MOST_NUMBERS)
    """DETSİS numbers, of bodies or units, that the package is addressed to."""
    sender_addresses: list[str] = Field(default_factory=list, max_length=MOST_TEXTS)
    """KEP addresses; ``*`` stands for any characters."""
    sender_detsis_nos: list[int] = Field(default_factory=list, max_length=MOST_NUMBERS)
    """The sender as the package names it, which its signature may or may not bear out."""
    subjects: list[str] = Field(default_factory=list, max_length=MOST_TEXTS)
    """Texts the subject contains, in Turkish without regard to case; ``*`` stands for any characters."""
    has_package: bool | None = None
    """Whether there is an e-Yazışma package in it."""


class ConsumerRule(Contract):
    """One rule."""

    mode: RuleMode = RuleMode.EXCLUSIVE
    match: RuleMatch = Field(default_factory=RuleMatch)


class ConsumerConfiguration(Contract):
    """What an institution says of a consumer."""

    institution_no: int
    description: str | None = None
    position: int = 100
    """Of several consumers whose exclusive rules fit, the one with the lowest position is responsible; then by name."""
    rules: list[ConsumerRule] = Field(default_factory=list, max_length=MOST_RULES)


class ConsumerQueue(Contract):
    """What waits for a consumer."""

    available: int = 0
    leased: int = 0
    dead_lettered: int = 0
    oldest_at: datetime | None = None
    """Since when the oldest one that is neither done nor dead is offered."""


class Consumer(Contract):
    """A consumer, and what waits for it."""

    name: str
    institution_no: int
    description: str | None = None
    position: int
    rules: list[ConsumerRule]
    updated_at: datetime | None = None
    """None of ``default``."""
    letters: ConsumerQueue
    """Those it is responsible for."""
    copies: ConsumerQueue


class ConsumerList(Contract):
    """An institution's consumers in the order in which their rules count, ``default`` last."""

    consumers: list[Consumer]


class RoutingOutcome(StrEnum):
    """What came of a rule that fits."""

    RESPONSIBLE = "responsible"
    COPY = "copy"
    OUTRANKED = "outranked"
    """A consumer before it is responsible."""


class RoutingReason(Contract):
    """A rule that fits a letter."""

    consumer: str
    rule: int
    """Its number, from 1, among the rules the consumer had then."""
    outcome: RoutingOutcome
    because: list[str]
    """The value of each of its conditions that holds, such as ``units: 10000002``; empty for a rule without any."""


class RoutingDecision(Contract):
    """Who got a letter, decided once by the rules and after that by people. Nothing in it ever changes."""

    sequence: int
    consumer: str
    copies: list[str]
    """Who got a copy with this decision."""
    decided_at: datetime
    decided_by: str | None = None
    """None: the rules, or the end of a consumer."""
    reason: str | None = None
    rules: list[RoutingReason] = Field(default_factory=list)
    """The rules that fit; none of them for a decision of a person, and when no rule takes the letter."""


class LetterCopy(Contract):
    """One consumer's copy."""

    consumer: str
    state: CopyState
    delivery_count: int
    offered_at: datetime
    lease_expires_at: datetime | None = None
    last_rejection: str | None = None
    acknowledged_at: datetime | None = None
    reference: str | None = None
    """What the consumer filed it under, if it said so."""


class LetterRouting(Contract):
    """Who is responsible for a letter, who has a copy, and why."""

    message_id: UUID
    consumer: str
    copies: list[LetterCopy]
    decisions: list[RoutingDecision]
    """Oldest first; none of a letter that came before there were consumers."""


class RoutingChange(Contract):
    """A person gives a letter to another consumer, or others a copy."""

    consumer: str
    copies: list[str] = Field(default_factory=list, max_length=MOST_CONSUMERS)
    """Who is to have a copy on top of those who have one; whoever has dealt with one gets it again."""
    decided_by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=1000)
