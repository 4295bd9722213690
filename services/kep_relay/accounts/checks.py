"""What readiness looks at besides mail: second factor, credit and quota, where a provider has them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.accounts.standing import StandingLimits
from services.kep_relay.tables import AccountStandingRow, MailboxRow, SecondFactorRow
from shared.contracts.mailboxes import ReadinessCheck
from shared.contracts.second_factor import SecondFactorState
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


class AccountChecks:
    """Reads what the provider was heard to say; asks it nothing."""

    def __init__(self, database: Database, limits: StandingLimits) -> None:
        self._database = database
        self._limits = limits

    async def __call__(self, row: MailboxRow) -> list[ReadinessCheck]:
        """Empty for an account whose provider has none of it."""
        if row.eyws_url is None:
            return []
        async with self._database.reading() as session:
            factor = await session.get(SecondFactorRow, row.mailbox_id)
            standing = await session.get(AccountStandingRow, row.mailbox_id)
        return [
            second_factor_check(row, factor),
            credit_check(standing, self._limits),
            quota_check(standing, self._limits),
        ]


def second_factor_check(row: MailboxRow, factor: SecondFactorRow | None) -> ReadinessCheck:
    """Whether messages are handed out."""
    if factor is None or factor.revision != row.revision:
        return ReadinessCheck(id="second-factor", ok=True, detail="none was asked for")
    state = SecondFactorState(factor.state)
    if state is SecondFactorState.CONFIRMED and factor.confirmed_at is not None:
        return ReadinessCheck(id="second-factor", ok=True, detail=f"confirmed at {factor.confirmed_at.isoformat()}")
    if state is SecondFactorState.NOT_NEEDED:
        return ReadinessCheck(id="second-factor", ok=True, detail="none was asked for")
    waits = "an answer to the challenge" if state is SecondFactorState.CHALLENGED else "a person to begin a challenge"
    return ReadinessCheck(
        id="second-factor", ok=False, detail=f"messages wait for {waits}: {factor.reason or 'no reason told'}"
    )


def credit_check(standing: AccountStandingRow | None, limits: StandingLimits) -> ReadinessCheck:
    """Whether there is credit; little of it is only said."""
    if standing is None or standing.credit is None:
        return _untold("credit", standing)
    amount = f"{standing.credit:g} {standing.credit_unit or ''}".strip()
    if standing.credit <= 0:
        return ReadinessCheck(id="credit", ok=False, detail=f"used up: {amount}")
    warning = ": top it up" if standing.credit < limits.credit else ""
    return ReadinessCheck(id="credit", ok=True, detail=f"{amount} left{warning}")


def quota_check(standing: AccountStandingRow | None, limits: StandingLimits) -> ReadinessCheck:
    """Whether there is room: without, others' letters to this mailbox come back (kep.md 7.8)."""
    if standing is None or standing.quota_kilobytes is None:
        return _untold("quota", standing)
    amount = f"{standing.quota_kilobytes} KB"
    if standing.quota_kilobytes <= 0:
        return ReadinessCheck(id="quota", ok=False, detail=f"used up: {amount}")
    warning = ": make room" if standing.quota_kilobytes < limits.quota_kilobytes else ""
    return ReadinessCheck(id="quota", ok=True, detail=f"{amount}{warning}")


def _untold(what: str, standing: AccountStandingRow | None) -> ReadinessCheck:
    if standing is None or standing.fault is None:
        return ReadinessCheck(id=what, ok=True, detail="the provider has told none yet")
    return ReadinessCheck(id=what, ok=False, detail=f"the provider does not tell: {standing.fault}")


async def require_ready(session: AsyncSession, row: MailboxRow) -> None:
    """Refuse what could not go out: for installations whose document systems would rather keep the letter.

    Raises MAILBOX_NOT_READY for a stopped account, KEP_CREDIT_EXHAUSTED when the provider last told of no credit.
    """
    if row.stopped_at is not None:
        raise DomainError(ErrorCode.MAILBOX_NOT_READY, row.stopped_reason or "the mailbox is stopped")
    # What was told once says nothing about an account that is no longer reached that way.
    standing = None if row.eyws_url is None else await session.get(AccountStandingRow, row.mailbox_id)
    if standing is not None and standing.credit is not None and standing.credit <= 0:
        raise DomainError(ErrorCode.KEP_CREDIT_EXHAUSTED, f"the provider told of no credit at {standing.told_at}")
