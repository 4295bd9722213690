"""Contacts, officers, managers and the file plan of one institution (detsis.md 5.6 and 5.7)."""

from __future__ import annotations

from datetime import date

from services.detsis_sync import translate
from services.detsis_sync.rows import ContactRow, FilePlanRow, ManagerRow, OfficerRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client.calling import Caller, bounded_number
from shared.domain.identifiers import DetsisNumber


class DetailCalls(Caller):
    """Small calls for people to read. Rows that cannot be read are left out and logged."""

    async def contacts(self, number: DetsisNumber) -> list[ContactRow]:
        """The contacts of one unit, several of a kind included; empty ones are left out."""
        return await self._usable_list(wire.contacts_call(number), wire.CONTACT.from_reply, translate.contact_row)

    async def officers(self) -> list[OfficerRow]:
        """The DETSİS officers of the account's institution."""
        call = wire.Call(wire.Operation.OFFICERS)
        return await self._usable_list(call, wire.OFFICER.from_reply, translate.officer_row)

    async def managers(self, number: DetsisNumber, on: date | None = None) -> list[ManagerRow]:
        """Who manages a unit on a Turkish local day; None leaves the day to DETSİS."""
        return await self._managers(wire.managers_call(number, on))

    async def manager_history(self, number: DetsisNumber) -> list[ManagerRow]:
        """Everybody who manages or managed a unit."""
        return await self._managers(wire.manager_history_call(number))

    async def manager_posts(self, manager_code: int) -> list[ManagerRow]:
        """The posts of one manager by the manager's code, which is no identity number."""
        return await self._managers(wire.manager_posts_call(bounded_number("manager_code", manager_code)))

    async def file_plan(self, main_institution: DetsisNumber) -> list[FilePlanRow]:
        """The file plan of one main institution."""
        call = wire.file_plan_call(main_institution)
        return await self._collected_list(call, wire.FILE_PLAN_LIST, translate.file_plan_row)

    async def _managers(self, call: wire.Call) -> list[ManagerRow]:
        return await self._usable_list(call, wire.MANAGER.from_reply, translate.manager_row)
