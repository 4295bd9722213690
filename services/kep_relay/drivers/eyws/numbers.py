"""Numbers of our own for a mailbox's messages: the service's are used anew after deletions (kep.md 7.19, 7.20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.tables import MailboxRow, ProviderNumberRow
from shared.clock import Clock
from shared.db.session import Database

_AT_ONCE = 1000


@dataclass(frozen=True)
class Seen:
    """A message as it was listed: its id, that of the original in it, and the folder."""

    message_id: str
    original_id: str | None
    folder: str


class NumberBook:
    """Gives each message of a mailbox one number, in whatever folder and however often it is listed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def enter(self, mailbox_id: str, seen: Sequence[Seen]) -> Mapping[str, int]:
        """The numbers by message id; new ones are higher than all before and are given in the order of ``seen``."""
        numbers: dict[str, int] = {}
        for start in range(0, len(seen), _AT_ONCE):
            numbers |= await self._enter(mailbox_id, {one.message_id: one for one in seen[start : start + _AT_ONCE]})
        return numbers

    async def _enter(self, mailbox_id: str, seen: Mapping[str, Seen]) -> dict[str, int]:
        async with self._database.unit_of_work() as work:
            session = work.session
            # Two looks at once must not give the same number; who holds the mailbox's row gives numbers.
            await session.execute(
                select(MailboxRow.mailbox_id).where(MailboxRow.mailbox_id == mailbox_id).with_for_update()
            )
            rows = await session.execute(
                select(ProviderNumberRow.kep_id, ProviderNumberRow.number, ProviderNumberRow.folder).where(
                    ProviderNumberRow.mailbox_id == mailbox_id, ProviderNumberRow.kep_id.in_(seen)
                )
            )
            numbers: dict[str, int] = {}
            for message_id, number, folder in rows.all():
                numbers[message_id] = number
                if folder != seen[message_id].folder:
                    await session.execute(
                        update(ProviderNumberRow)
                        .where(ProviderNumberRow.mailbox_id == mailbox_id, ProviderNumberRow.number == number)
                        .values(folder=seen[message_id].folder)
                        .execution_options(synchronize_session=False)
                    )
            fresh = [one for one in seen.values() if one.message_id not in numbers]
            if fresh:
                highest = await session.scalar(
                    select(func.max(ProviderNumberRow.number)).where(ProviderNumberRow.mailbox_id == mailbox_id)
                )
                given = {one.message_id: number for number, one in enumerate(fresh, (highest or 0) + 1)}
                await session.execute(
                    insert(ProviderNumberRow).values(
                        [
                            {
                                "mailbox_id": mailbox_id, "number": given[one.message_id], "kep_id": one.message_id,
                                "original_id": one.original_id, "folder": one.folder,
                                "first_seen_at": self._clock.now(),
                            }
                            for one in fresh
                        ]
                    )
                )  # fmt: skip
                numbers |= given
            return numbers

    async def find(self, mailbox_id: str, number: int) -> Seen | None:
        """The message of a number."""
        async with self._database.reading() as session:
            row = await session.get(ProviderNumberRow, (mailbox_id, number))
            return None if row is None else Seen(row.kep_id, row.original_id, row.folder)

    async def looked_at(self, mailbox_id: str) -> datetime | None:
        """When the mailbox was last read with success, in whatever process; None: never."""
        async with self._database.reading() as session:
            return await session.scalar(
                select(MailboxRow.last_successful_poll_at).where(MailboxRow.mailbox_id == mailbox_id)
            )

    async def waiting(self, mailbox_id: str, after: int) -> list[int]:
        """Numbers above ``after`` whose content was never downloaded, ascending."""
        async with self._database.reading() as session:
            found = await session.scalars(
                select(ProviderNumberRow.number)
                .where(
                    ProviderNumberRow.mailbox_id == mailbox_id,
                    ProviderNumberRow.number > after,
                    ProviderNumberRow.handed_out_at.is_(None),
                )
                .order_by(ProviderNumberRow.number)
            )
            return list(found)

    async def handed_out(self, mailbox_id: str, number: int) -> None:
        """Its content was downloaded whole."""
        async with self._database.unit_of_work() as work:
            await work.session.execute(
                update(ProviderNumberRow)
                .where(
                    ProviderNumberRow.mailbox_id == mailbox_id,
                    ProviderNumberRow.number == number,
                    ProviderNumberRow.handed_out_at.is_(None),
                )
                .values(handed_out_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )
