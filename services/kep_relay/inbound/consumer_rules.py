"""Which consumers get a letter, and why. Pure; the rules are the institution's data.

A rule sees what the mail and its package say, proven or not: it decides who looks at a letter, never what is true
of it. Subjects are compared by Turkish casing (ı/I, i/İ), addresses by that of ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from shared import eyp
from shared.contracts.consumers import (
    DEFAULT_CONSUMER,
    ConsumerRule,
    RoutingOutcome,
    RoutingReason,
    RuleMatch,
    RuleMode,
)

_TURKISH = str.maketrans({"I": "ı", "İ": "i"})
_DETSIS_DIGITS = 8
ANY = "*"


@dataclass(frozen=True)
class Addressing:
    """What packages say about who writes to whom: DETSİS numbers of bodies and units."""

    units: frozenset[int] = frozenset()
    senders: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Traits:
    """What rules see of a letter."""

    sender_address: str | None = None
    subject: str | None = None
    has_package: bool = False
    addressing: Addressing = field(default_factory=Addressing)


@dataclass(frozen=True)
class Candidate:
    """A consumer with its rules."""

    name: str
    position: int
    rules: tuple[ConsumerRule, ...]


@dataclass(frozen=True)
class Routing:
    """Who gets a letter."""

    consumer: str
    copies: tuple[str, ...]
    reasons: tuple[RoutingReason, ...]


def route(traits: Traits, candidates: Iterable[Candidate]) -> Routing:
    """The consumer that is responsible, those that get a copy, and the rules that fit.

    Of the consumers whose exclusive rules fit, the first by position and name is responsible; ``default`` if there is
    none. One that is responsible gets no copy beside the letter.
    """
    responsible: str | None = None
    copies: list[str] = []
    reasons: list[RoutingReason] = []
    for candidate in sorted(candidates, key=lambda item: (item.position, item.name)):
        taking = _first(traits, candidate, RuleMode.EXCLUSIVE)
        if taking is not None:
            outcome = RoutingOutcome.RESPONSIBLE if responsible is None else RoutingOutcome.OUTRANKED
            reasons.append(_reason(candidate, taking, outcome))
            if responsible is None:
                responsible = candidate.name
                continue
        copying = _first(traits, candidate, RuleMode.COPY)
        if copying is not None:
            reasons.append(_reason(candidate, copying, RoutingOutcome.COPY))
            copies.append(candidate.name)
    return Routing(responsible or DEFAULT_CONSUMER, tuple(copies), tuple(reasons))


def addressing_of(inspection: eyp.Inspection) -> Addressing:
    """The numbers that an inspected package names on any level, as far as it could be read."""
    units: set[int] = set()
    senders: set[int] = set()
    level: eyp.Inspection | None = inspection
    while level is not None:
        parties = list(level.destinations)
        if level.metadata is not None:
            parties += [item.recipient for item in level.metadata.distributions if item.recipient is not None]
            senders.update(_numbers(level.metadata.originator))
        for party in parties:
            units.update(_numbers(party))
        level = level.inner
    return Addressing(frozenset(units), frozenset(senders))


def together(packages: Iterable[Addressing]) -> Addressing | None:
    """Of all packages of a letter; None if it has none."""
    found = list(packages)
    if not found:
        return None
    return Addressing(
        frozenset().union(*(item.units for item in found)), frozenset().union(*(item.senders for item in found))
    )


def fits(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` is as ``pattern``, in which ``*`` stands for any characters. Linear in both."""
    first, *others = pattern.split(ANY)
    if not others:
        return pattern == text
    *middle, last = others
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def folded(text: str) -> str:
    """``text`` without regard to case as Turkish has it, and with single spaces."""
    # A program without Turkish rules makes two characters of İ: its dot stays behind the i.
    lower = unicodedata.normalize("NFC", text).translate(_TURKISH).lower().replace("i\u0307", "i")
    return " ".join(lower.split())


def _first(traits: Traits, candidate: Candidate, mode: RuleMode) -> tuple[int, list[str]] | None:
    """Number and reasons of the first rule of a mode that fits."""
    for number, rule in enumerate(candidate.rules, 1):
        if rule.mode is mode:
            because = _because(traits, rule.match)
            if because is not None:
                return number, because
    return None


def _because(traits: Traits, match: RuleMatch) -> list[str] | None:
    found: list[str] = []
    for name, asked, held in _conditions(traits, match):
        if asked:
            if held is None:
                return None
            found.append(f"{name}: {held}")
    return found


def _conditions(traits: Traits, match: RuleMatch) -> Iterator[tuple[str, bool, str | None]]:
    """Each condition's name, whether it is one, and the first of its values that holds."""
    addressing = traits.addressing
    yield "units", bool(match.units), _number(match.units, addressing.units)
    yield "sender_detsis_nos", bool(match.sender_detsis_nos), _number(match.sender_detsis_nos, addressing.senders)
    yield "sender_addresses", bool(match.sender_addresses), _address(match.sender_addresses, traits.sender_address)
    yield "subjects", bool(match.subjects), _subject(match.subjects, traits.subject)
    package = str(traits.has_package).lower() if traits.has_package is match.has_package else None
    yield "has_package", match.has_package is not None, package


def _number(asked: Sequence[int], there: frozenset[int]) -> str | None:
    return next((str(number) for number in asked if number in there), None)


def _address(patterns: Sequence[str], address: str | None) -> str | None:
    if address is None:
        return None
    return next((pattern for pattern in patterns if fits(pattern.lower(), address.lower())), None)


def _subject(patterns: Sequence[str], subject: str | None) -> str | None:
    if subject is None:
        return None
    text = folded(subject)
    return next((pattern for pattern in patterns if fits(_anywhere(pattern), text)), None)


@lru_cache(maxsize=4096)
def _anywhere(pattern: str) -> str:
    return f"{ANY}{folded(pattern)}{ANY}"


def _numbers(party: eyp.Party | None) -> Iterator[int]:
    if isinstance(party, eyp.Organisation):
        for text in (party.number, party.unit_number):
            if text is not None and len(text) == _DETSIS_DIGITS and text.isascii() and text.isdigit():
                yield int(text)


def _reason(candidate: Candidate, found: tuple[int, list[str]], outcome: RoutingOutcome) -> RoutingReason:
    number, because = found
    return RoutingReason(consumer=candidate.name, rule=number, outcome=outcome, because=because)
