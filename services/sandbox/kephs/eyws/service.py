"""The parts of one provider's SOAP service, put together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs.eyws.login import LoginDesk
from services.sandbox.kephs.eyws.messages import MessageShelf
from services.sandbox.kephs.eyws.sending import SendingDesk
from services.sandbox.kephs.mailboxes import Mailboxes
from services.sandbox.kephs.plan import Account, Timeline, Timing
from services.sandbox.kephs.provider import KepProvider
from services.sandbox.kephs.standing import Standings
from shared.domain.identifiers import ascii_lower


@dataclass(frozen=True)
class SoapService:
    """What the operations are carried out with."""

    name: str
    """The provider's."""
    login: LoginDesk
    sending: SendingDesk
    shelf: MessageShelf
    standings: Standings
    faults: FaultBoard
    calls: Counter[str] = field(default_factory=Counter)
    """How often each operation was called since the start, also where a fault kept it from being carried out."""

    def scope(self, operation: str, address: str) -> dict[str, str]:
        """What a fault of this call can be narrowed to."""
        return {"provider": self.name, "operation": operation, "account": ascii_lower(address)}


def open_service(
    provider: KepProvider,
    mailboxes: Mailboxes,
    standings: Standings,
    faults: FaultBoard,
    clock: Timeline,
    timing: Timing,
) -> SoapService:
    """The service in front of a provider and its store."""
    accounts: tuple[Account, ...] = provider.plan.accounts
    return SoapService(
        name=provider.plan.name,
        login=LoginDesk(accounts, standings, clock, timing.security_id),
        sending=SendingDesk(provider, standings, clock),
        shelf=MessageShelf(mailboxes),
        standings=standings,
        faults=faults,
    )
