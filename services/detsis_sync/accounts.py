"""Institutions' DETSİS accounts: stored with the password encrypted."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.tables import Account, UnitRecord
from shared.clock import Clock
from shared.contracts.directory import RegisterAccount
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber, detsis_number
from shared.errors import DomainError, ErrorCode, Fault
from shared.secrets import SecretBox


class Accounts:
    """Reads and writes accounts; the only place that sees their passwords."""

    def __init__(self, database: Database, box: SecretBox, clock: Clock) -> None:
        self._database = database
        self._box = box
        self._clock = clock

    async def put(self, wanted: RegisterAccount) -> RegisterAccount:
        """Create or change an account; without a password the stored one is kept.

        Raises ``DomainError``: VALIDATION_FAILED for a bad number, an address that is not https, a new account
        without password, or another host without it: the stored password must not go where it was not meant for.
        """
        try:
            institution_no = detsis_number(wanted.institution_no)
        except ValueError as error:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/institution_no", str(error))]
            ) from error
        try:
            # Refuses an endpoint over which the password would travel in clear text.
            DetsisAccount(institution_no, wanted.account_id, SecretStr(""), wanted.endpoint)
        except ValueError as error:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, "the endpoint is not a URL", faults=[Fault("/endpoint", "not a URL")]
            ) from error
        async with self._database.unit_of_work() as work:
            row = await work.session.get(Account, institution_no, with_for_update=True)
            if row is None:
                if wanted.password is None:
                    raise DomainError(
                        ErrorCode.VALIDATION_FAILED,
                        "a new account needs a password",
                        faults=[Fault("/password", "missing")],
                    )
                row = Account(institution_no=institution_no, next_run_at=None)
                work.session.add(row)
            elif wanted.password is None and _origin(wanted.endpoint) != _origin(row.endpoint):
                raise DomainError(
                    ErrorCode.VALIDATION_FAILED,
                    "another host needs the password again",
                    faults=[Fault("/password", "needed for another host")],
                )
            row.account_id = wanted.account_id
            row.endpoint = wanted.endpoint
            row.keeps_copy = wanted.keeps_copy
            row.has_own_tree = wanted.has_own_tree
            row.updated_at = self._clock.now()
            if wanted.password is not None:
                row.password_token = self._box.encrypt(wanted.password)
        return wanted.model_copy(update={"password": None})

    async def of_sender(self, session: AsyncSession, sender_no: int) -> DetsisAccount | None:
        """The account to speak for ``sender_no``: its own, else its main institution's, else None."""
        row = await session.get(Account, sender_no)
        if row is None:
            main_no = await session.scalar(
                select(UnitRecord.main_institution_no).where(UnitRecord.detsis_no == sender_no)
            )
            row = await session.get(Account, main_no) if main_no is not None else None
        return None if row is None else self.opened(row)

    def opened(self, row: Account) -> DetsisAccount:
        """The account with its password decrypted."""
        return DetsisAccount(
            DetsisNumber(row.institution_no), row.account_id, self._box.decrypt(row.password_token), row.endpoint
        )


def _origin(endpoint: str) -> tuple[str | None, int]:
    """Who gets what is sent there."""
    url = urlsplit(endpoint)
    return url.hostname, url.port or 443
