"""Raw first: a mail's bytes and its row are durable before anything looks into it (design decision 6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.dialects.postgresql import insert

from services.kep_relay.inbound.jobs import InboundJobs
from services.kep_relay.tables import InboundMessageRow, RawMailRow
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.db.session import Database
from shared.domain.identifiers import KepAddress, new_id
from shared.domain.message import InboundState


class RawState(StrEnum):
    """Where one raw mail stands."""

    STORED = "stored"
    INGESTED = "ingested"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Place:
    """Where a mail stands at the provider."""

    mailbox_id: str
    institution_no: int
    address: KepAddress
    folder: str
    uidvalidity: int
    uid: int


_ADD = (
    insert(RawMailRow)
    .on_conflict_do_nothing(index_elements=["mailbox_id", "folder", "uidvalidity", "uid"])
    .returning(RawMailRow.raw_mail_id)
)


class RawMailStore:
    """Takes mails in."""

    def __init__(
        self, database: Database, blobs: BlobStore, jobs: InboundJobs, clock: Clock, *, max_bytes: int
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._jobs = jobs
        self._clock = clock
        self._max_bytes = max_bytes

    async def keep(self, place: Place, raw: bytes | AsyncIterable[bytes]) -> bool:
        """Store a mail durably and have it read; False if this very mail was stored before.

        Raises ``DomainError(DURABILITY_UNAVAILABLE)``, or what ``raw`` raises; then nothing is stored half.
        """
        return await self.keep_all([(place, raw)]) == 1

    async def keep_all(self, mails: Sequence[tuple[Place, bytes | AsyncIterable[bytes]]]) -> int:
        """Store mails durably, all or none; how many of them were not stored before. Raises as ``keep`` does."""
        blobs = await asyncio.gather(*(self._blobs.put(raw, limit=self._max_bytes) for _place, raw in mails))
        rows = [
            self._values(place, sha256=blob.sha256, size=blob.size, state=RawState.STORED)
            for (place, _raw), blob in zip(mails, blobs, strict=True)
        ]
        async with self._database.unit_of_work() as work:
            new = (await work.session.scalars(_ADD, rows)).all()
            if new:
                await self._jobs.begin_ingest(work, new)
        return len(new)

    async def note_unloadable(self, place: Place, *, size: int, reason_code: str, reason: str) -> bool:
        """List a mail that cannot be taken in as quarantined, without its bytes; False if it is listed already."""
        now = self._clock.now()
        async with self._database.unit_of_work() as work:
            row = self._values(
                place, sha256=None, size=size, state=RawState.QUARANTINED, reason_code=reason_code, reason=reason
            )
            raw_mail_id = await work.session.scalar(_ADD, row)
            if raw_mail_id is None:
                return False
            message_id = new_id()
            work.session.add(
                InboundMessageRow(
                    message_id=message_id,
                    institution_no=place.institution_no,
                    mailbox_id=place.mailbox_id,
                    mailbox_address=place.address,
                    raw_mail_id=raw_mail_id,
                    raw_sha256=None,
                    raw_size=size,
                    kind="other",
                    state=InboundState.QUARANTINED,
                    reason_code=reason_code,
                    reason=reason,
                    message_key=f"raw:{raw_mail_id}",
                    original_sha256="",
                    original_size=0,
                    received_at=now,
                    updated_at=now,
                )
            )
            (await work.session.get_one(RawMailRow, raw_mail_id)).message_id = message_id
        return True

    def _values(
        self,
        place: Place,
        *,
        sha256: str | None,
        size: int,
        state: RawState,
        reason_code: str | None = None,
        reason: str | None = None,
    ) -> dict[str, object]:
        now = self._clock.now()
        return {
            "raw_mail_id": new_id(), "mailbox_id": place.mailbox_id, "institution_no": place.institution_no,
            "folder": place.folder, "uidvalidity": place.uidvalidity, "uid": place.uid, "sha256": sha256, "size": size,
            "received_at": now, "state": state, "reason_code": reason_code, "reason": reason, "next_attempt_at": now,
        }  # fmt: skip
