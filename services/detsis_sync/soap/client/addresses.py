"""KEP addresses and UETS numbers (detsis.md 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from services.detsis_sync import translate
from services.detsis_sync.rows import KepAddressRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client.calling import Caller, broken
from shared.domain.identifiers import DetsisNumber, KepAddress

_NUMBERS_PER_CALL = 200


class AddressCalls(Caller):
    """Small calls about where units are reached."""

    async def kep_addresses(self, numbers: Sequence[DetsisNumber]) -> list[KepAddressRow]:
        """Every address of these units, active or not; units without one are simply missing.

        Addresses DETSİS lists but that are none are left out and logged.
        """
        rows: list[KepAddressRow] = []
        for start in range(0, len(numbers), _NUMBERS_PER_CALL):
            call = wire.kep_addresses_call(numbers[start : start + _NUMBERS_PER_CALL])
            rows += await self._usable_list(call, wire.KEP_ADDRESS.from_reply, translate.kep_address_row)
        return rows

    async def address_owner(self, address: KepAddress) -> KepAddressRow | None:
        """Who owns this address, or None if nobody does."""
        answer = await self._call(wire.address_owner_call(address))
        if answer.content is None:
            return None
        entry = wire.KEP_ADDRESS.from_object(answer.content)
        # "not found" is a record of zeros, not a missing one (detsis.md 3)
        if (entry.number or "0").strip() == "0" or not entry.address:
            return None
        try:
            return translate.kep_address_row(entry)
        except wire.WireRowError as fault:
            raise broken(wire.Operation.ADDRESS_OWNER, fault) from fault

    async def uets_numbers(self, number: DetsisNumber) -> list[str]:
        """The UETS numbers of one unit: none, one or several."""
        return await self._usable_list(
            wire.uets_numbers_call(number), wire.UETS_NUMBER.from_reply, translate.uets_number
        )
