"""Streaming reader of the bulk lists: constant memory, off the event loop, and never half an answer as a whole one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import Generic, Self, TypeVar

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
from shared.clock import Clock

WireRow = TypeVar("WireRow")
Row = TypeVar("Row")
_KEPT_FAULTS = 20
_SNIFFED = 64


class _Pipeline(Generic[WireRow, Row]):
    """Bytes of one answer → decompressed → cleaned → parsed → translated → batches. Runs in worker threads."""

    def __init__(
        self,
        parser: ListParser[WireRow],
        translate: Callable[[WireRow], Row],
        decoder: BodyDecoder,
        content_type: str,
        operation: wire.Operation,
        batch_rows: int,
    ) -> None:
        self._parser = parser
        self._translate = translate
        self._decoder = decoder
        self._cleaner = ByteCleaner()
        self._content_type = content_type
        self._operation = operation
        self._batch_rows = batch_rows
        self._batch: list[Row] = []
        self._start: bytes | None = b""
        self._faults: list[RowFault] = []
        self._rejected = self._translated = self._unclear = 0

    def digest(self, raw: bytes) -> Iterator[list[Row]]:
        """Yield the batches that ``raw`` fills."""
        for piece in self._decoder.feed(raw):
            self._sniff(piece)
            yield from self._collect(self._parser.feed(self._cleaner.feed(piece)))

    def finish(self) -> Iterator[list[Row]]:
        """Yield the rest; returns only for a complete answer."""
        self._decoder.close()
        yield from self._collect(self._parser.feed(self._cleaner.close()))
        yield from self._collect(self._parser.close())
        if self._batch:
            yield self._batch

    def _collect(self, rows: Iterator[WireRow | wire.WireRowError]) -> Iterator[list[Row]]:
        for row in rows:
            try:
                if isinstance(row, wire.WireRowError):
                    raise row
                translated = self._translate(row)
            except wire.WireRowError as fault:
                self._rejected += 1
                if len(self._faults) < _KEPT_FAULTS:
                    self._faults.append(RowFault(self._translated + self._rejected, fault.field, fault.reason))
                continue
            self._translated += 1
            if isinstance(translated, UnitRow) and translated.active_text is not None:
                self._unclear += 1
            self._batch.append(translated)
            if len(self._batch) >= self._batch_rows:
                yield self._batch
                self._batch = []

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
            rows=self._translated,
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


class BulkAnswer(Generic[WireRow, Row]):
    """One bulk list, as an asynchronous context manager and iterator of batches (lists of rows).

    The answer is read ahead by a few batches. The iteration ends normally only after a complete,
    successful answer; otherwise it raises ``DirectoryCallError``, and everything handed out before
    must be dropped. Leaving the context ends the call.
    """

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
        self._http = http
        self._account = account
        self._settings = settings
        self._clock = clock
        self._request = request
        self._contract = contract
        self._translate = translate
        self._task: asyncio.Task[None] | None = None
        self._outcome: BulkOutcome | None = None
        # One thread of its own from first byte to last: an lxml parser that is fed in one thread and closed
        # in another corrupts memory (seen with lxml 6.1.3), because its dictionary of names is per thread.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="detsis-bulk")
        self._batches: MemoryObjectReceiveStream[list[Row]] | None = None

    @property
    def outcome(self) -> BulkOutcome:
        """What was seen. Raises ``RuntimeError`` before the iteration has ended normally."""
        if self._outcome is None:
            raise RuntimeError("the list has not been read to its end")
        return self._outcome

    async def __aenter__(self) -> Self:
        send, self._batches = anyio.create_memory_object_stream[list[Row]](self._settings.bulk_batches_ahead)
        self._task = asyncio.create_task(self._read(send), name=f"detsis {self._request.operation.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._batches is not None:
                self._batches.close()
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
                if not self._task.cancelled():
                    self._task.exception()  # seen by whoever iterated; asyncio must not report it again
        finally:
            self._thread.shutdown(wait=False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Row]:
        if self._batches is None or self._task is None:
            raise RuntimeError("use the answer as a context manager")
        try:
            return await self._batches.receive()
        except anyio.EndOfStream:
            await self._task
            raise StopAsyncIteration from None

    async def _read(self, send: MemoryObjectSendStream[list[Row]]) -> None:
        started_at = self._clock.now()
        operation = self._request.operation
        secret = self._account.secrets
        limits = httpx.Timeout(self._settings.bulk_idle_seconds, connect=self._settings.connect_seconds)
        async with send:
            with connection_failures(operation):
                async with (
                    asyncio.timeout(self._settings.bulk_total_seconds),
                    open_answer(self._http, self._account, self._request, limits, self._settings) as response,
                ):
                    pipeline = _Pipeline(
                        ListParser(operation, self._contract, secret),
                        self._translate,
                        BodyDecoder(
                            response.headers.get("content-encoding", ""), self._settings.max_bulk_bytes, operation
                        ),
                        response.headers.get("content-type", ""),
                        operation,
                        self._settings.bulk_batch_rows,
                    )
                    async for raw in response.aiter_raw():
                        await self._hand_out(pipeline.digest(raw), send)
                    await self._hand_out(pipeline.finish(), send)
            self._outcome = pipeline.outcome(self._clock, started_at)

    async def _hand_out(self, batches: Iterator[list[Row]], send: MemoryObjectSendStream[list[Row]]) -> None:
        loop = asyncio.get_running_loop()
        while (batch := await loop.run_in_executor(self._thread, next, batches, None)) is not None:
            await send.send(batch)
