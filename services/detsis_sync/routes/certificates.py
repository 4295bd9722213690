"""Encryption certificates and EYP versions of a unit."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter

from services.detsis_sync.mirror import certificates, versions
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.mirror.tree import known
from services.detsis_sync.routes.numbers import UnitNo
from shared.contracts.directory.certificates import UnitCertificates, UnitEypVersions
from shared.db.session import Database


def certificate_routes(database: Database, age: MirrorAge, soon: timedelta) -> APIRouter:
    """``/units/{detsis_no}/certificates`` and ``/units/{detsis_no}/eyp-versions``."""
    routes = APIRouter()

    @routes.get("/units/{detsis_no}/certificates")
    async def of_unit(detsis_no: UnitNo) -> UnitCertificates:
        async with database.reading() as session:
            await known(session, detsis_no)
            owner_no, found = await certificates.of_unit(session, detsis_no, age.now(), soon)
            return UnitCertificates(
                detsis_no=detsis_no, owner_no=owner_no, certificates=found, freshness=await age.of(session)
            )

    @routes.get("/units/{detsis_no}/eyp-versions")
    async def versions_of_unit(detsis_no: UnitNo) -> UnitEypVersions:
        async with database.reading() as session:
            unit = await known(session, detsis_no)
            return await versions.of_unit(session, detsis_no, unit.main_institution_no, await age.of(session))

    return routes
