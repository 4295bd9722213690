"""The DETSİS client: small calls as typed rows, bulk lists as streams of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import structlog

from services.detsis_sync import translate
from services.detsis_sync.rows import CorrespondencePackage, KepAddressRow, UnitRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.bulk import BulkAnswer
from services.detsis_sync.soap.codec import DecodedAnswer, SoapCodec
from services.detsis_sync.soap.exchange import fetch_answer, http_client
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason, connection_failures
from shared.clock import ISTANBUL, Clock
from shared.domain.identifiers import DetsisNumber, KepAddress

UnitAnswer = BulkAnswer[wire.WireUnit, UnitRow]
KepAddressAnswer = BulkAnswer[wire.WireKepAddress, KepAddressRow]
_Wire = TypeVar("_Wire")
_NUMBERS_PER_CALL = 200

_log = structlog.get_logger()


class DetsisClient:
    """Calls DETSİS for one account. Use as an asynchronous context manager, or call ``aclose``.

    Every method raises ``DirectoryCallError`` (a ``DomainError``): ``directory-unavailable`` when the
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

    async def unit(self, number: DetsisNumber) -> UnitRow | None:
        """One unit by its number, or None if DETSİS does not know it."""
        units = await self._units(wire.unit_call(number))
        return next((unit for unit in units if unit.detsis_no == number), None)

    async def ancestors(self, number: DetsisNumber) -> list[UnitRow]:
        """Every unit above, up to the main institution, in no promised order."""
        return await self._units(wire.ancestors_call(number))

    async def kep_addresses(self, numbers: Sequence[DetsisNumber]) -> list[KepAddressRow]:
        """Every address of these units, active or not; units without one are simply missing.

        Addresses DETSİS lists but that are none are left out and logged.
        """
        rows: list[KepAddressRow] = []
        for start in range(0, len(numbers), _NUMBERS_PER_CALL):
            answer = await self._call(wire.kep_addresses_call(numbers[start : start + _NUMBERS_PER_CALL]))
            for entry in self._read(wire.Operation.KEP_ADDRESSES, wire.kep_addresses_from_reply, answer):
                try:
                    rows.append(translate.kep_address_row(entry))
                except wire.WireRowError as fault:
                    _log.warning("detsis_row_unusable", operation="KEP_ADDRESSES", field=fault.field)
        return rows

    async def address_owner(self, address: KepAddress) -> KepAddressRow | None:
        """Who owns this address, or None if nobody does."""
        answer = await self._call(wire.address_owner_call(address))
        if answer.content is None:
            return None
        entry = self._read(wire.Operation.ADDRESS_OWNER, wire.kep_address_from_object, answer)
        if entry.number in {None, "0"} or not entry.address:
            return None
        try:
            return translate.kep_address_row(entry)
        except wire.WireRowError as fault:
            raise _broken(wire.Operation.ADDRESS_OWNER, fault) from fault

    async def correspondence_package(
        self, sender: DetsisNumber, recipients: Sequence[DetsisNumber]
    ) -> CorrespondencePackage:
        """What DETSİS says for one letter. Give all its recipients at once: the closing phrase depends on them all."""
        operation = wire.Operation.CORRESPONDENCE_PACKAGE
        answer = await self._call(
            wire.correspondence_package_call(sender, recipients), seconds=self._settings.correspondence_seconds
        )
        if answer.content is None:
            raise DirectoryCallError(FailureReason.MALFORMED, operation, "the answer holds no package")
        try:
            return translate.correspondence_package(
                wire.package_from_reply(answer.content),
                answered_at=self._clock.now(),
                unknown_elements=answer.unknown_elements,
            )
        except wire.WireRowError as fault:
            raise _broken(operation, fault) from fault

    def external_units(self, since: date) -> UnitAnswer:
        """The units able to correspond with others that changed since a day; an early day asks for all."""
        return self._unit_list(wire.external_units_call(since))

    def own_units(self, changed_since: datetime | None = None) -> UnitAnswer:
        """The account's own tree; ``changed_since`` (aware) None asks for all of it."""
        local = None if changed_since is None else changed_since.astimezone(ISTANBUL).replace(tzinfo=None)
        return self._unit_list(wire.own_units_call(local))

    def main_institutions(self) -> UnitAnswer:
        """Every main institution."""
        return self._unit_list(wire.Call(wire.Operation.MAIN_INSTITUTIONS))

    def active_kep_addresses(self) -> KepAddressAnswer:
        """Every active KEP address of the state."""
        request = self._codec.encode(wire.Call(wire.Operation.ACTIVE_KEP_ADDRESSES))
        return BulkAnswer(
            self._http,
            self.account,
            self._settings,
            self._clock,
            request,
            wire.KEP_ADDRESS_LIST,
            translate.kep_address_row,
        )

    def _unit_list(self, call: wire.Call) -> UnitAnswer:
        request = self._codec.encode(call)
        return BulkAnswer(
            self._http, self.account, self._settings, self._clock, request, wire.UNIT_LIST, translate.unit_row
        )

    async def _units(self, call: wire.Call) -> list[UnitRow]:
        answer = await self._call(call)
        units = self._read(call.operation, wire.units_from_reply, answer)
        try:
            return [translate.unit_row(unit) for unit in units]
        except wire.WireRowError as fault:
            raise _broken(call.operation, fault) from fault

    async def _call(self, call: wire.Call, *, seconds: float | None = None) -> DecodedAnswer:
        request = self._codec.encode(call)
        whole = self._settings.call_seconds if seconds is None else seconds
        limits = httpx.Timeout(whole, connect=self._settings.connect_seconds)
        with connection_failures(call.operation):
            async with asyncio.timeout(whole):
                body = await fetch_answer(self._http, self.account, request, limits, self._settings)
                answer = await asyncio.to_thread(self._codec.decode, call.operation, body)
        if answer.unknown_elements:
            _log.warning(
                "detsis_unknown_elements", operation=call.operation.name, elements=dict(answer.unknown_elements)
            )
        return answer

    @staticmethod
    def _read(operation: wire.Operation, read: Callable[[Any], _Wire], answer: DecodedAnswer) -> _Wire:
        try:
            return read(answer.content)
        except wire.WireRowError as fault:
            raise _broken(operation, fault) from fault


def _broken(operation: wire.Operation, fault: wire.WireRowError) -> DirectoryCallError:
    return DirectoryCallError(FailureReason.MALFORMED, operation, f"the answer breaks the contract ({fault})")
