"""Streaming reader of the bulk lists: constant memory, off the event loop, and never half an answer as a whole one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from services.detsis_sync.rows import BulkOutcome, RowFault, UnitRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.body import BodyDecoder, is_web_page
from services.detsis_sync.soap.clean import ByteCleaner
from services.detsis_sync.soap.codec import EncodedRequest
from services.detsis_sync.soap.exchange import open_answer
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason, connection_failures
from services.detsis_sync.soap.pull import ListParser
from services.detsis_sync.soap.same import KnownRows
from shared.clock import Clock

WireRow = TypeVar("WireRow")
Row = TypeVar("Row")
Packed = TypeVar("Packed")
Row_contra = TypeVar("Row_contra", contravariant=True)
Packed_co = TypeVar("Packed_co", covariant=True)
_KEPT_FAULTS = 20
_SNIFFED = 64
_RAW_BLOCK = 32 * 1024
"""Bytes given to the worker thread at once: each hand-over costs two switches of threads."""


class Packer(Protocol[Row_contra, Packed_co]):
    """Takes rows one by one and gives them on in packs. Called in the worker thread of one answer."""

    def add(self, row: Row_contra, digest: bytes | None) -> None:
        """Take a row and the digest of its bytes (None where it has none)."""

    def add_known(self, numbers: list[int]) -> None:
        """Take rows that came the same before."""

    def take(self, *, all_of_it: bool) -> Packed_co | None:
        """A full pack, or with ``all_of_it`` whatever there is; None when there is nothing to give."""


class _Batches(Generic[Row]):
    """Packs of typed rows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: list[Row] = []

    def add(self, row: Row, _digest: bytes | None) -> None:
        self._rows.append(row)

    def add_known(self, numbers: list[int]) -> None:
        raise AssertionError(f"rows {numbers[:3]} cannot be known: nothing is")

    def take(self, *, all_of_it: bool) -> list[Row] | None:
        if len(self._rows) < (1 if all_of_it else self._size):
            return None
        rows, self._rows = self._rows, []
        return rows


class _Pipeline(Generic[WireRow, Row, Packed]):
    """Bytes of one answer → decompressed → cleaned → parsed → translated → packed. Runs in one worker thread."""

    def __init__(
        self,
        parser: ListParser[WireRow],
        translate: Callable[[WireRow], Row],
        packer: Packer[Row, Packed],
        decoder: BodyDecoder,
        content_type: str,
        operation: wire.Operation,
    ) -> None:
        self._parser = parser
        self._translate = translate
        self._packer = packer
        self._decoder = decoder
        self._cleaner = ByteCleaner()
        self._content_type = content_type
        self._operation = operation
        self._start: bytes | None = b""
        self._faults: list[RowFault] = []
        self._rejected = self._translated = self._unclear = self._known = 0

    def digest(self, raw: bytes) -> Iterator[Packed]:
        """Yield the packs that ``raw`` fills."""
        for piece in self._decoder.feed(raw):
            self._sniff(piece)
            yield from self._collect(self._parser.feed(self._cleaner.feed(piece)))

    def finish(self) -> Iterator[Packed]:
        """Yield the rest; returns only for a complete answer."""
        self._decoder.close()
        yield from self._collect(self._parser.feed(self._cleaner.close()))
        yield from self._collect(self._parser.close())
        if (pack := self._packer.take(all_of_it=True)) is not None:
            yield pack

    def _collect(self, rows: Iterator[WireRow | wire.WireRowError | list[int]]) -> Iterator[Packed]:
        packer = self._packer
        for row in rows:
            if isinstance(row, list):
                self._known += len(row)
                packer.add_known(row)
            else:
                self._add(row)
            if (pack := packer.take(all_of_it=False)) is not None:
                yield pack

    def _add(self, row: WireRow | wire.WireRowError) -> None:
        try:
            if isinstance(row, wire.WireRowError):
                raise row
            translated = self._translate(row)
        except wire.WireRowError as fault:
            self._rejected += 1
            if len(self._faults) < _KEPT_FAULTS:
                position = self._known + self._translated + self._rejected
                self._faults.append(RowFault(position, fault.field, fault.reason))
            return
        self._translated += 1
        if isinstance(translated, UnitRow) and translated.active_text is not None:
            self._unclear += 1
        self._packer.add(translated, self._parser.digest)

    def _sniff(self, piece: bytes) -> None:
        if self._start is None:
            return
        self._start += piece[:_SNIFFED]
        if is_web_page(self._content_type, self._start):
            raise DirectoryCallError(FailureReason.NOT_SOAP, self._operation, "the answer is a web page")
        if len(self._start.lstrip()) >= _SNIFFED // 2 or len(self._start) > 1024:
            self._start = None

    def outcome(self, clock: Clock, started_at: datetime) -> BulkOutcome:
        """The counts, once ``finish`` is exhausted."""
        return BulkOutcome(
            rows=self._known + self._translated,
            nil_items=self._parser.nil_items,
            rejected_rows=self._rejected,
            row_faults=tuple(self._faults),
            unclear_flags=self._unclear,
            repaired_characters=self._cleaner.repaired,
            unknown_elements=Counter(self._parser.unknown_elements),
            bytes_read=self._decoder.size,
            started_at=started_at,
            finished_at=clock.now(),
        )


@dataclass(frozen=True)
class BulkCall(Generic[WireRow, Row]):
    """One call of a bulk list: with what it is made and how its rows are read."""

    http: httpx.AsyncClient
    account: DetsisAccount
    settings: DetsisHttpSettings
    clock: Clock
    request: EncodedRequest
    contract: wire.ListContract[WireRow]
    translate: Callable[[WireRow], Row]


class BulkStream(Generic[WireRow, Row, Packed]):
    """One bulk list, as an asynchronous context manager and iterator of packs.

    The answer is read ahead by a few packs. The iteration ends normally only after a complete,
    successful answer; otherwise it raises ``DirectoryCallError``, and everything handed out before
    must be dropped. Leaving the context ends the call.
    """

    def __init__(
        self,
        call: BulkCall[WireRow, Row],
        packer: Packer[Row, Packed],
        known: KnownRows | None = None,
    ) -> None:
        self._call = call
        self._packer = packer
        self._known = known
        self._task: asyncio.Task[None] | None = None
        self._outcome: BulkOutcome | None = None
        # One thread of its own from first byte to last: an lxml parser that is fed in one thread and closed
        # in another corrupts memory (seen with lxml 6.1.3), because its dictionary of names is per thread.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="detsis-bulk")
        self._packs: MemoryObjectReceiveStream[Packed] | None = None

    @property
    def outcome(self) -> BulkOutcome:
        """What was seen. Raises ``RuntimeError`` before the iteration has ended normally."""
        if self._outcome is None:
            raise RuntimeError("the list has not been read to its end")
        return self._outcome

    async def __aenter__(self) -> Self:
        send, self._packs = anyio.create_memory_object_stream[Packed](self._call.settings.bulk_batches_ahead)
        self._task = asyncio.create_task(self._read(send), name=f"detsis {self._call.request.operation.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._packs is not None:
                self._packs.close()
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
                if not self._task.cancelled():
                    self._task.exception()  # seen by whoever iterated; asyncio must not report it again
        finally:
            self._thread.shutdown(wait=False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Packed:
        if self._packs is None or self._task is None:
            raise RuntimeError("use the answer as a context manager")
        try:
            return await self._packs.receive()
        except anyio.EndOfStream:
            await self._task
            raise StopAsyncIteration from None

    async def _read(self, send: MemoryObjectSendStream[Packed]) -> None:
        call = self._call
        settings, operation = call.settings, call.request.operation
        started_at = call.clock.now()
        limits = httpx.Timeout(settings.bulk_idle_seconds, connect=settings.connect_seconds)
        async with send:
            with connection_failures(operation):
                async with (
                    asyncio.timeout(settings.bulk_total_seconds),
                    open_answer(call.http, call.account, call.request, limits, settings) as response,
                ):
                    pipeline = _Pipeline(
                        ListParser(operation, call.contract, call.account.secrets, self._known),
                        call.translate,
                        self._packer,
                        BodyDecoder(response.headers.get("content-encoding", ""), settings.max_bulk_bytes, operation),
                        response.headers.get("content-type", ""),
                        operation,
                    )
                    async for raw in response.aiter_raw(_RAW_BLOCK):
                        await self._hand_out(pipeline.digest(raw), send)
                    await self._hand_out(pipeline.finish(), send)
            self._outcome = pipeline.outcome(call.clock, started_at)

    async def _hand_out(self, packs: Iterator[Packed], send: MemoryObjectSendStream[Packed]) -> None:
        loop = asyncio.get_running_loop()
        while (pack := await loop.run_in_executor(self._thread, next, packs, None)) is not None:
            await send.send(pack)


class BulkAnswer(BulkStream[WireRow, Row, list[Row]]):
    """One bulk list in batches of typed rows, or in packs of another kind."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        account: DetsisAccount,
        settings: DetsisHttpSettings,
        clock: Clock,
        request: EncodedRequest,
        contract: wire.ListContract[WireRow],
        translate: Callable[[WireRow], Row],
    ) -> None:
        call = BulkCall(http, account, settings, clock, request, contract, translate)
        super().__init__(call, _Batches(settings.bulk_batch_rows))

    def packed(self, packer: Packer[Row, Packed], known: KnownRows | None = None) -> BulkStream[WireRow, Row, Packed]:
        """The same list in the packs of ``packer``; rows in ``known`` are given to it untranslated.

        Takes the place of this answer, which must not be entered then.
        """
        return BulkStream(self._call, packer, known)
