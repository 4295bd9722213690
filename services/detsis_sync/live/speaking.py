"""As which institution DETSİS is asked."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.tables import Account
from shared.contracts.directory.live import LiveChoice
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode


class Speaking:
    """Finds the account that asks."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    async def as_(self, institution_no: int) -> DetsisAccount:
        """The account of an institution. Raises ``DomainError`` (STATE_CONFLICT) when it has none."""
        found = await self.perhaps_as(institution_no)
        if found is None:
            raise DomainError(
                ErrorCode.STATE_CONFLICT, f"institution {institution_no} has no DETSİS account here, so nobody can ask"
            )
        return found

    async def perhaps_as(self, institution_no: int) -> DetsisAccount | None:
        """The same; None when it has no account."""
        async with self._database.reading() as session:
            return await self._accounts.of_sender(session, institution_no)

    async def choose(self, institutions: Sequence[int]) -> LiveChoice:
        """Live for those who keep no copy: as the first of them, if none of the others keeps one."""
        async with self._database.autocommit() as session:
            rows = (
                await session.execute(
                    select(Account.institution_no, Account.keeps_copy)
                    .where(Account.institution_no.in_(institutions))
                    .order_by(Account.institution_no)
                )
            ).all()
        if not rows or any(keeps_copy for _number, keeps_copy in rows):
            return LiveChoice(institution_no=None)
        return LiveChoice(institution_no=rows[0].institution_no)
