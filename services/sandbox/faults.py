"""The switchboard of everything that can be made to go wrong, steered over the control API."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Fault:
    """An order to fail: where, how often and how likely.

    ``scope`` narrows it: every key given here must have the same value where the fault is asked
    for, so ``{"provider": "hs98"}`` spares the other provider. ``count`` None means until it is
    cleared. ``value`` is the fault's amount where it has one (seconds, bytes); its catalogue entry says so.
    """

    name: str
    scope: Mapping[str, str] = field(default_factory=dict)
    count: int | None = None
    probability: float = 1.0
    value: float | None = None


class UnknownFaultError(LookupError):
    """A fault was ordered or asked for that no part of the sandbox has declared."""


class FaultBoard:
    """Orders in force. Parts declare the faults they know, tests set them, parts ask with ``take``.

    Safe to use from several threads; kept in memory, so a restart clears it.
    """

    def __init__(self, *, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random(2015)  # noqa: S311 - repeatable, not secret
        self._lock = threading.Lock()
        self._catalogue: dict[str, str] = {}
        self._scopes: dict[str, frozenset[str]] = {}
        self._orders: list[Fault] = []

    def declare(self, faults: Mapping[str, str], scopes: Mapping[str, frozenset[str]] | None = None) -> None:
        """Add to the catalogue: name to one sentence that says what happens. Doing it twice is harmless.

        ``scopes`` names the keys that the place asking for a fault knows: an order with any other key
        could never come true. A fault that is missing there takes any key.
        """
        with self._lock:
            self._catalogue.update(faults)
            for name, keys in (scopes or {}).items():
                self._scopes[name] = keys
                self._catalogue[name] = f"{faults[name]} Scope: {', '.join(sorted(keys)) or 'none'}."

    @property
    def catalogue(self) -> dict[str, str]:
        """Every declared fault with its sentence, by name."""
        with self._lock:
            return dict(sorted(self._catalogue.items()))

    def order(self, fault: Fault) -> None:
        """Put ``fault`` in force, replacing an order of the same name and scope.

        Raises ``UnknownFaultError`` for a name nobody declared and ``ValueError`` for impossible numbers
        or a scope that this fault does not know.
        """
        if not 0.0 < fault.probability <= 1.0:
            raise ValueError("probability must be above 0 and at most 1")
        if fault.count is not None and fault.count < 1:
            raise ValueError("count must be at least 1")
        with self._lock:
            self._require_declared(fault.name)
            if strange := fault.scope.keys() - self._scopes.get(fault.name, fault.scope.keys()):
                raise ValueError(f"{fault.name} has no scope {', '.join(sorted(strange))}")
            self._orders = [*(order for order in self._orders if not _same_place(order, fault)), fault]

    def clear(self, name: str | None = None) -> int:
        """Withdraw the orders called ``name``, or all; return how many there were."""
        with self._lock:
            kept = [order for order in self._orders if name is not None and order.name != name]
            cleared = len(self._orders) - len(kept)
            self._orders = kept
            return cleared

    def in_force(self) -> tuple[Fault, ...]:
        """The orders not yet used up."""
        with self._lock:
            return tuple(self._orders)

    def take(self, name: str, **scope: str) -> bool:
        """Whether to fail now; uses up one of the order's count. Raises ``UnknownFaultError``."""
        return self.draw(name, **scope) is not None

    def draw(self, name: str, **scope: str) -> Fault | None:
        """The order to fail now, for callers that need its ``value``; uses up one of its count."""
        with self._lock:
            self._require_declared(name)
            for index, order in enumerate(self._orders):
                if order.name != name or any(scope.get(key) != value for key, value in order.scope.items()):
                    continue
                if order.probability < 1.0 and self._chance.random() >= order.probability:
                    continue
                if order.count is not None:
                    left = [replace(order, count=order.count - 1)] if order.count > 1 else []
                    self._orders[index : index + 1] = left
                return order
            return None

    def _require_declared(self, name: str) -> None:
        if name not in self._catalogue:
            raise UnknownFaultError(name)


def _same_place(one: Fault, other: Fault) -> bool:
    return one.name == other.name and dict(one.scope) == dict(other.scope)
