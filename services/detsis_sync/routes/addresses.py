"""KEP addresses: of a unit, and whose one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.detsis_sync.mirror.addresses import of_unit, owner_of
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.history import unit_at
from services.detsis_sync.mirror.moments import moment_of
from services.detsis_sync.mirror.tree import unknown_unit
from services.detsis_sync.mirror.units import units
from services.detsis_sync.routes.numbers import UnitNo
from shared.contracts.directory.addresses import KepAddressAnswer, UnitKepAddresses
from shared.db.session import Database
from shared.domain.identifiers import kep_address
from shared.errors import DomainError, ErrorCode, Fault


def address_routes(database: Database, age: MirrorAge) -> APIRouter:
    """``/units/{detsis_no}/kep-addresses`` and ``/kep-addresses``."""
    routes = APIRouter()

    @routes.get("/units/{detsis_no}/kep-addresses")
    async def of_one_unit(
        detsis_no: UnitNo, as_of: Annotated[str | None, Query(max_length=40)] = None
    ) -> UnitKepAddresses:
        moment = None if as_of is None else moment_of(as_of, age.now())
        async with database.reading() as session:
            if moment is not None:
                then = await unit_at(session, age, detsis_no, moment)
                return of_unit(then.unit, then.freshness, moment)
            found = await units(session, [detsis_no])
            if detsis_no not in found:
                raise unknown_unit(detsis_no)
            return of_unit(found[detsis_no], await age.of(session))

    # As a parameter: of all that an address may hold, a path keeps only half apart.
    @routes.get("/kep-addresses")
    async def owner(address: Annotated[str, Query(max_length=2000)]) -> KepAddressAnswer:
        try:
            wanted = kep_address(address)
        except ValueError as error:
            fault = Fault("/path/address", str(error))
            raise DomainError(ErrorCode.VALIDATION_FAILED, str(error), faults=[fault]) from error
        async with database.reading() as session:
            return await owner_of(session, wanted, await age.of(session))

    return routes
