"""What every call of the client does: encode, exchange, decode, translate, and say what was left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import structlog

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.bulk import BulkAnswer
from services.detsis_sync.soap.codec import DecodedAnswer, SoapCodec
from services.detsis_sync.soap.exchange import fetch_answer, http_client
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason, connection_failures
from shared.clock import Clock
from shared.errors import DomainError, ErrorCode, Fault

WireRow = TypeVar("WireRow")
Row = TypeVar("Row")
LONGEST_TEXT = 500
"""Characters of one text we send: names and numbers of the register are shorter."""
_NAMED_FAULTS = 5

_log = structlog.get_logger()


class Caller:
    """One account's connections and codec; the groups of operations build on it.

    Every call raises ``DirectoryCallError`` (a ``DomainError``): ``directory-unavailable`` when the
    same call may succeed later, ``directory-refused`` when DETSİS says no. Nothing is retried here.
    """

    def __init__(self, account: DetsisAccount, settings: DetsisHttpSettings, clock: Clock) -> None:
        self.account = account
        self._settings = settings
        self._clock = clock
        self._codec = SoapCodec(account, settings.soap_version)
        self._http = http_client(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _call(self, call: wire.Call, *, default_seconds: float | None = None) -> DecodedAnswer:
        """One small call, whole in memory."""
        request = self._codec.encode(call)
        default = self._settings.call_seconds if default_seconds is None else default_seconds
        whole = self._settings.seconds_for(call.operation, default)
        limits = httpx.Timeout(whole, connect=self._settings.connect_seconds)
        with connection_failures(call.operation):
            async with asyncio.timeout(whole):
                body = await fetch_answer(self._http, self.account, request, limits, self._settings)
                answer = await asyncio.to_thread(self._codec.decode, call.operation, body)
        if answer.unknown_elements:
            _report_unknown(call.operation, answer.unknown_elements)
        return answer

    async def _whole_list(
        self, call: wire.Call, read: Callable[[Any], Iterable[WireRow]], translate: Callable[[WireRow], Row]
    ) -> list[Row]:
        """The rows of a small call, all of them: one that cannot be read fails the call."""
        answer = await self._call(call)
        try:
            return [translate(entry) for entry in read(answer.content)]
        except wire.WireRowError as fault:
            raise broken(call.operation, fault) from fault

    async def _usable_list(
        self, call: wire.Call, read: Callable[[Any], Iterable[WireRow]], translate: Callable[[WireRow], Row]
    ) -> list[Row]:
        """The rows of a small call that can be read; the others are left out and logged."""
        answer = await self._call(call)
        rows: list[Row] = []
        faults: list[str] = []
        for position, entry in enumerate(read(answer.content), 1):
            try:
                rows.append(translate(entry))
            except wire.WireRowError as fault:
                faults.append(f"row {position}: {fault}")
        if faults:
            _report_unusable(call.operation, len(faults), faults)
        return rows

    async def _collected_list(
        self, call: wire.Call, contract: wire.ListContract[WireRow], translate: Callable[[WireRow], Row]
    ) -> list[Row]:
        """As ``_usable_list``, for answers that may have thousands of rows: through the streaming reader.

        zeep needs 12 kB a row and a hundred microseconds; the bounds in time and size are those of small calls.
        """
        whole = self._settings.seconds_for(call.operation, self._settings.call_seconds)
        settings = replace(
            self._settings,
            bulk_idle_seconds=whole,
            bulk_total_seconds=whole,
            max_bulk_bytes=self._settings.max_answer_bytes,
        )
        request = self._codec.encode(call)
        async with BulkAnswer(self._http, self.account, settings, self._clock, request, contract, translate) as answer:
            rows = [row async for batch in answer for row in batch]
        outcome = answer.outcome
        if outcome.rejected_rows:
            faults = [f"row {fault.position}: {fault.field}: {fault.reason}" for fault in outcome.row_faults]
            _report_unusable(call.operation, outcome.rejected_rows, faults)
        if outcome.unknown_elements:
            _report_unknown(call.operation, outcome.unknown_elements)
        return rows

    def _stream(
        self, call: wire.Call, contract: wire.ListContract[WireRow], translate: Callable[[WireRow], Row]
    ) -> BulkAnswer[WireRow, Row]:
        """A bulk list. Nothing is sent before it is entered."""
        whole = self._settings.seconds_for(call.operation, self._settings.bulk_total_seconds)
        settings = replace(self._settings, bulk_total_seconds=whole)
        return BulkAnswer(
            self._http, self.account, settings, self._clock, self._codec.encode(call), contract, translate
        )


def _report_unusable(operation: wire.Operation, number: int, faults: Sequence[str]) -> None:
    _log.warning("detsis_rows_unusable", operation=operation.name, number=number, first=list(faults[:_NAMED_FAULTS]))


def _report_unknown(operation: wire.Operation, elements: Mapping[str, int]) -> None:
    _log.warning("detsis_unknown_elements", operation=operation.name, elements=dict(elements))


def broken(operation: wire.Operation, fault: wire.WireRowError) -> DirectoryCallError:
    """The failure for a row that breaks the contract and cannot be left out."""
    return DirectoryCallError(FailureReason.MALFORMED, operation, f"the answer breaks the contract ({fault})")


def bounded_text(name: str, text: str) -> str:
    """``text``, which is to be sent. Raises ``DomainError`` (validation-failed) when it is empty or too long."""
    if not text.strip() or len(text) > LONGEST_TEXT:
        detail = f"must have 1 to {LONGEST_TEXT} characters"
        raise DomainError(ErrorCode.VALIDATION_FAILED, f"{name} {detail}", faults=[Fault(f"/{name}", detail)])
    return text


def bounded_number(name: str, number: int) -> int:
    """``number``, which is to be sent. Raises ``DomainError`` (validation-failed) outside 0…2³¹−1, as the wire has it."""
    if not 0 <= number < 2**31:
        detail = "must be between 0 and 2147483647"
        raise DomainError(ErrorCode.VALIDATION_FAILED, f"{name} {detail}", faults=[Fault(f"/{name}", detail)])
    return number
