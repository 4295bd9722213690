"""Units: one by number, the tree around it, and searches (detsis.md 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from services.detsis_sync import translate
from services.detsis_sync.rows import FormerNumberRow, UnitRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client.calling import Caller, bounded_number, bounded_text
from shared.domain.identifiers import DetsisNumber
from shared.errors import DomainError, ErrorCode

_FORMER_NUMBERS_PER_CALL = 200


class UnitCalls(Caller):
    """Small calls about units. Searches leave out rows that cannot be read; the others fail on them."""

    async def unit(self, number: DetsisNumber) -> UnitRow | None:
        """One unit by its number, or None if DETSİS does not know it."""
        units = await self._whole_list(wire.unit_call(number), wire.units_from_reply, translate.unit_row)
        return next((unit for unit in units if unit.detsis_no == number), None)

    async def ancestors(self, number: DetsisNumber) -> list[UnitRow]:
        """Every unit above, up to the main institution, in no promised order."""
        return await self._whole_list(wire.ancestors_call(number), wire.units_from_reply, translate.unit_row)

    async def units_by_name(self, name: str, main_institution: DetsisNumber | None = None) -> list[UnitRow]:
        """Units whose name holds ``name``, of one main institution or of all.

        DETSİS is said to refuse names of fewer than five letters. Raises ``DomainError``
        (validation-failed) for a name that is empty or longer than 500 characters.
        """
        call = wire.units_by_name_call(bounded_text("name", name), main_institution)
        return await self._collected_list(call, wire.UNIT_LIST, translate.unit_row)

    async def units_by_detail(
        self,
        *,
        place_code: int | None = None,
        category_id: int | None = None,
        status_id: int | None = None,
        province_code: int | None = None,
    ) -> list[UnitRow]:
        """Units that fit everything given.

        Raises ``DomainError`` (validation-failed) without any condition: that would be the whole register.
        """
        wanted = {
            "place_code": place_code,
            "category_id": category_id,
            "status_id": status_id,
            "province_code": province_code,
        }
        if not any(wanted.values()):
            raise DomainError(ErrorCode.VALIDATION_FAILED, "give at least one of place, category, status and province")
        call = wire.units_by_detail_call(**{name: bounded_number(name, value or 0) for name, value in wanted.items()})
        return await self._collected_list(call, wire.UNIT_LIST, translate.unit_row)

    async def numbers_of_former(self, former_numbers: Sequence[str]) -> list[FormerNumberRow]:
        """The units that have these numbers of the older register (kütük); unknown ones are simply missing."""
        rows: list[FormerNumberRow] = []
        for start in range(0, len(former_numbers), _FORMER_NUMBERS_PER_CALL):
            part = former_numbers[start : start + _FORMER_NUMBERS_PER_CALL]
            call = wire.numbers_of_former_call([bounded_text("former_number", text) for text in part])
            rows += await self._usable_list(call, wire.FORMER_NUMBER.from_reply, translate.former_number_row)
        return rows
