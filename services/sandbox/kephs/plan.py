"""What a KEP provider of the sandbox is made of, and what each recipient's address does to a letter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from services.sandbox.pki.identity import Identity
from services.sandbox.world import Behaviour, ListenerPlan
from shared.domain.identifiers import KepAddress, ascii_lower


class LoginPolicy(StrEnum):
    """What the SOAP service asks for before it hands out messages (kep.md 2.5); the names are those on the wire."""

    BASE = "BASE"
    """The passwords in each call."""
    OTP = "OTP"
    """Also a key sent by SMS."""
    SIGNATURE = "EIMZA"
    """Also a signature over a challenge."""


@dataclass(frozen=True)
class SoapAccess:
    """What an account needs besides address and password to be used over the SOAP service (kep.md 2.5).

    ``agent_no`` stands for the authorised agent's identity number: 11 digits that are nobody's.
    """

    agent_no: str
    second_password: str = field(repr=False)
    policy: LoginPolicy = LoginPolicy.BASE
    evidence_by_mail: bool = True
    """Whether evidence comes into the INBOX as well, or is only listed."""


@dataclass(frozen=True)
class Account:
    """A KEP account: its address, its SMTP and IMAP login, and what becomes of letters to it.

    Without ``soap`` it is not offered over the SOAP service.
    """

    address: str
    username: str
    password: str
    behaviour: Behaviour = Behaviour.NORMAL
    soap: SoapAccess | None = None


@dataclass(frozen=True)
class KepProviderPlan:
    """One provider. ``name`` such as ``hs98``, ``domain`` such as ``hs98.kep.tr``; port 0 takes any free one.

    ``identity`` holds the transaction certificate (işlem sertifikası) that signs envelopes and evidence.
    """

    name: str
    domain: str
    smtp: ListenerPlan
    imap: ListenerPlan
    identity: Identity
    accounts: tuple[Account, ...] = ()
    relay_port: int = 0
    host: str = "127.0.0.1"
    soap: ListenerPlan | None = None
    """Where the SOAP service (EYWS) listens, over TLS; None: it is not offered."""

    def serves(self, address: str) -> bool:
        """Whether ``address`` lies in this provider's domain or in a corporate subdomain of it (kep.md section 4)."""
        domain = ascii_lower(address).rpartition("@")[2]
        return domain == self.domain or domain.endswith("." + self.domain)


@dataclass(frozen=True)
class Timing:
    """Delays of the scripted outcomes and of the relay between providers."""

    slow_delivery: timedelta = timedelta(seconds=5)
    """Between 20 and 40 for ``slow@``."""
    late_delivery: timedelta = timedelta(seconds=5)
    """Between 31 and 40 for ``late40@``."""
    unreachable_after: timedelta = timedelta(seconds=2)
    """How long the relay is tried before 31."""
    relay_retry: timedelta = timedelta(milliseconds=500)
    """Between two attempts to reach another provider."""
    disorder_spread: timedelta = timedelta(milliseconds=300)
    """For ``disordered@`` and ``dup@``: how much longer 10 is held back than 20, and 20 than 40."""
    security_id: timedelta = timedelta(minutes=30)
    """How long a second factor opens an account of the SOAP service."""


class Timeline(Protocol):
    """A clock that can also wait for a moment (``services.sandbox.clock.ShiftedClock``)."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def wait_until(self, moment: datetime) -> None:
        """Return once the present has reached ``moment``."""
        ...


_WORDS: dict[str, frozenset[Behaviour]] = {
    **{behaviour.value: frozenset({behaviour}) for behaviour in Behaviour},
    "nodelil": frozenset({Behaviour.LOST}),
    "dup": frozenset({Behaviour.REPEATED, Behaviour.DISORDERED}),
}
_WORD = re.compile(r"[a-z0-9]+")


class RecipientScript:
    """Looks up what becomes of a letter: an account's behaviour if not normal, else the first word of the local part.

    ``full@``, ``down@``, ``reject@``, ``refuse@``, ``slow@``, ``late40@``, ``unknown@``, ``nodelil@`` (or
    ``lost@``), ``dup@``, ``repeated@`` and ``disordered@`` work at every provider without an account;
    ``slow.1@`` and ``slow-1@`` count as ``slow@``.
    """

    def __init__(self, plans: Iterable[KepProviderPlan]) -> None:
        self._accounts = {ascii_lower(account.address): account for plan in plans for account in plan.accounts}

    def add(self, account: Account) -> None:
        """From now on this account exists."""
        self._accounts[ascii_lower(account.address)] = account

    def behaviours(self, address: str) -> frozenset[Behaviour]:
        """All behaviours of ``address``; an address nobody knows is ``UNKNOWN``."""
        address = ascii_lower(address)
        account = self._accounts.get(address)
        if account is not None and account.behaviour is not Behaviour.NORMAL:
            return frozenset({account.behaviour})
        word = _WORD.match(address.partition("@")[0])
        otherwise = Behaviour.UNKNOWN if account is None else Behaviour.NORMAL
        return _WORDS.get(word[0] if word else "", frozenset({otherwise}))


@dataclass(frozen=True)
class StoredMail:
    """One mail in a mailbox, as tests and the control API see it.

    ``message_id`` and ``sha256`` are those of the stored mail; for a letter delivered in an envelope
    ``original_message_id`` and ``original_sha256`` are those of the sender's own message, for evidence
    ``original_message_id`` names the letter it is about.
    """

    account: KepAddress
    folder: str
    uid: int
    message_id: str
    sha256: str
    size: int
    seen: bool
    kind: str
    """``letter`` or ``evidence``."""
    original_message_id: str
    original_sha256: str
    received_at: datetime


@dataclass(frozen=True)
class IssuedEvidence:
    """One piece of evidence as its issuer keeps it. ``xml`` is the signed document."""

    identifier: str
    code: int
    """National code (kep.md 1.3); 70 for the deliberately unknown kind."""
    evidence_type: str
    issuer: str
    original_message_id: str
    dispatch_id: str
    sender: str
    recipients: tuple[str, ...]
    issued_at: datetime
    xml: bytes
