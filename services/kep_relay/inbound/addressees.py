"""Whether a package is addressed to the mailbox it came to, and comes from the body that sent it (kep.md 7.33, 7.34).

The address that KEP proves wins over what stands in a package: nothing here changes whom a letter is from
or to. What does not fit is told, most tangible first, and a person decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from services.kep_relay.inbound.consumer_rules import Addressing
from shared.contracts.directory import ResolutionAnswer, ResolutionRequest
from shared.contracts.inbound import PackageFinding
from shared.domain.identifiers import ascii_lower
from shared.errors import DomainError
from shared.eyp import Severity

log = structlog.get_logger(__name__)

Lookup = Callable[[ResolutionRequest], Awaitable[ResolutionAnswer]]
"""Asks the directory for addresses. Raises ``DomainError``."""
ADDRESSED_ELSEWHERE = "addressed-elsewhere"
SENDER_MISMATCH = "sender-mismatch"
_MOST_NUMBERS = 200
_ELSEWHERE = PackageFinding(
    rule=ADDRESSED_ELSEWHERE, severity=Severity.IMPORTANT.value, part=None,
    message_tr="Paketin hedefleri arasında bu kurum görünmüyor; iadesi değerlendirilmelidir.",
    message_en="This institution is not seen among the addressees of the package; consider returning it.",
)  # fmt: skip
_NOT_THE_SENDER = PackageFinding(
    rule=SENDER_MISMATCH, severity=Severity.IMPORTANT.value, part=None,
    message_tr="Paketi oluşturan kurumun kayıtlı KEP adresi, iletiyi gönderen KEP adresi değildir.",
    message_en="The KEP address registered for the body that wrote the package is not the one that sent it.",
)  # fmt: skip


def suspicion_in(findings: list[PackageFinding]) -> str | None:
    """The reason code that follows; a wrong sender before a wrong addressee."""
    rules = {finding.rule for finding in findings}
    return next((rule for rule in (SENDER_MISMATCH, ADDRESSED_ELSEWHERE) if rule in rules), None)


def judge(
    addressing: Addressing,
    institution_no: int,
    mailbox_address: str,
    sender_address: str | None,
    registered: dict[int, str],
) -> list[PackageFinding]:
    """What does not fit. ``registered``: KEP addresses by DETSİS number, as far as the directory knows them.

    An addressee is this institution if its number is ours or its registered address is this mailbox (units and
    bodies below share one). Where the directory knows no address nothing is said: it is no proof of a fraud.
    """
    findings = []
    ours = institution_no in addressing.units or any(
        registered.get(number) == ascii_lower(mailbox_address) for number in addressing.units
    )
    known = addressing.units and all(number in registered for number in addressing.units - {institution_no})
    if known and not ours:
        findings.append(_ELSEWHERE)
    writers = {registered[number] for number in addressing.senders if number in registered}
    if writers and sender_address is not None and ascii_lower(sender_address) not in writers:
        findings.append(_NOT_THE_SENDER)
    return findings


class Addressees:
    """Judges letters by the directory's mirror, so that no letter costs DETSİS a call."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def findings(
        self, addressing: Addressing | None, institution_no: int, mailbox_address: str, sender_address: str | None
    ) -> list[PackageFinding]:
        """What does not fit; nothing while the directory cannot be asked, for no letter waits for it."""
        if addressing is None:
            return []
        numbers = sorted(addressing.units | addressing.senders)[:_MOST_NUMBERS]
        if not numbers:
            return []
        try:
            answer = await self._lookup(
                ResolutionRequest(sender_no=institution_no, recipient_nos=numbers, mode="mirror")
            )
        except DomainError as error:
            log.warning("addressees_not_checked", reason=error.detail)
            return []
        registered = {
            item.detsis_no: ascii_lower(item.address) for item in answer.recipients if item.address is not None
        }  # fmt: skip
        return judge(addressing, institution_no, mailbox_address, sender_address, registered)
