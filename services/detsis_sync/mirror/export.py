"""The whole mirror as lines, in one view of it."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.detsis_sync.mirror.changes import newest_cursor
from services.detsis_sync.mirror.units import described
from services.detsis_sync.tables import UnitRecord
from shared.contracts.base import Contract
from shared.contracts.directory import Freshness
from shared.contracts.directory.export import FORMAT_VERSION, ExportHeader, ExportTrailer
from shared.errors import DomainError, ErrorCode

_PARENTS_SAY = {"path"}
_BATCH = 200
"""Units described at once: a few milliseconds of work between two looks at the event loop."""


async def export_header(session: AsyncSession, freshness: Freshness, *, open_only: bool) -> ExportHeader:
    """What the export is a picture of. Raises ``DomainError`` (not-found) before the first snapshot."""
    if freshness.snapshot_id is None or freshness.as_of is None:
        raise DomainError(ErrorCode.NOT_FOUND, "the mirror holds nothing yet: no refresh was accepted")
    return ExportHeader(
        format=FORMAT_VERSION,
        snapshot_id=freshness.snapshot_id,
        as_of=freshness.as_of,
        stale=freshness.stale,
        changes_cursor=await newest_cursor(session),
        open_only=open_only,
    )


async def export_lines(session: AsyncSession, header: ExportHeader) -> AsyncIterator[bytes]:
    """The header, a line for each unit by number, the trailer; blocks of whole lines."""
    yield _line("header", header)
    last, units = 0, 0
    while True:
        wanted = (
            select(UnitRecord.detsis_no).where(UnitRecord.detsis_no > last).order_by(UnitRecord.detsis_no).limit(_BATCH)
        )
        if header.open_only:
            wanted = wanted.where(and_(UnitRecord.active, UnitRecord.operating))
        numbers = list(await session.scalars(wanted))
        if not numbers:
            break
        found = await described(session, numbers, paths=False)
        yield b"".join(_line("unit", unit, without=_PARENTS_SAY) for unit in found)
        last, units = numbers[-1], units + len(numbers)
    yield _line("trailer", ExportTrailer(units=units))


async def gzipped(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, compressed as they come."""
    packer = zlib.compressobj(level=3, wbits=31)
    async for block in blocks:
        if packed := packer.compress(block):
            yield packed
    yield packer.flush()


def _line(kind: str, content: Contract, without: set[str] | None = None) -> bytes:
    return f'{{"{kind}":{content.model_dump_json(exclude=without)}}}\n'.encode()
