"""Days and single changes by order, over the control API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.sandbox.control_detsis import day_routes, register_routes
from tests.unit.sandbox_detsis.conftest import World, running_world
from tests.unit.sandbox_detsis.service import A_UNIT, A, B, Service


@pytest.fixture
def service() -> Service:
    return Service(size=1000)


@pytest.fixture
async def control(service: Service) -> AsyncIterator[World]:
    app = FastAPI()
    app.include_router(day_routes(service.calendar))
    app.include_router(register_routes(service.calendar))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control.invalid") as http:
        yield World(http, Path())


async def changed(control: World, kind: str, detsis_no: int = A, expect: int = 200, **order: Any) -> Any:
    return await control.post("/detsis/changes", expect=expect, kind=kind, detsis_no=detsis_no, **order)


async def test_days_pass_by_order(control: World, service: Service) -> None:
    assert await control.get("/detsis/day") == {
        "day": 0, "date": "2026-03-02", "first_day": "2026-03-02", "units": 1000,
    }  # fmt: skip
    told = await control.post("/detsis/days")
    assert (told["day"], told["changes"]) == (1, {})
    told = await control.post("/detsis/days", days=3, share=0.01)
    assert (told["day"], told["date"]) == (4, "2026-03-06")
    assert sum(told["changes"].values()) == 30
    assert service.register.day == 4
    for wrong in ({"days": 0}, {"days": 4001}, {"share": 0.6}, {"day": 1}):
        await control.post("/detsis/days", expect=422, **wrong)


async def test_single_changes(control: World, service: Service) -> None:
    register = service.register
    await changed(control, "rename", name="YENİ ADLI KURUM BAŞKANLIĞI")
    unit = register.unit(A_UNIT)
    assert unit is not None
    assert unit.path == ("YENİ ADLI KURUM BAŞKANLIĞI", "YAZI İŞLERİ MÜDÜRLÜĞÜ")
    await changed(control, "close", A_UNIT)
    assert register.unit(A_UNIT).active is False  # type: ignore[union-attr]
    await changed(control, "reopen", A_UNIT)
    await changed(control, "move", A_UNIT, parent_no=B)
    assert [unit.number for unit in register.ancestors(A_UNIT)] == [B]
    opened = (await changed(control, "open", A, name="YENİ ŞEFLİK", working=False, external=False))["detsis_no"]
    unit = register.unit(opened)
    assert unit is not None
    assert (unit.name, unit.parent_no, unit.active, unit.operating, unit.external_addressee) == (
        "YENİ ŞEFLİK", A, True, False, False,
    )  # fmt: skip
    await changed(control, "start", opened)
    await changed(control, "external", opened)
    unit = register.unit(opened)
    assert unit is not None
    assert (unit.operating, unit.external_addressee) == (True, True)
    told = await changed(control, "announce_kep", A, kep_address="Yeni.A@hs92.kep.example")
    assert told["kep_addresses"] == {"kurum.a@hs91.kep.example": True, "yeni.a@hs92.kep.example": False}
    told = await changed(control, "confirm_kep", A)
    assert told["kep_addresses"] == {"kurum.a@hs91.kep.example": False, "yeni.a@hs92.kep.example": True}
    await changed(control, "replace_certificate", A, certificate=base64.b64encode(b"NEW").decode())
    assert register.encryption_certificate(A) == b"NEW"
    assert register.eyp_versions(A) == ("1.3", "2.0")
    await changed(control, "raise_eyp", A)
    assert register.eyp_versions(A_UNIT) == ("1.3", "2.0")
    assert register.eyp_versions(A) == ("2.0",)


async def test_a_rename_high_up_changes_every_row_below(control: World, service: Service) -> None:
    register = service.register
    await control.post("/detsis/days")
    top = max(register.main_institutions(), key=lambda unit: len(list(register.subtree(unit.number)))).number
    await changed(control, "rename", top, name="YENİ BAŞKANLIK")
    family = list(register.subtree(top))
    assert all(unit.path[0] == "YENİ BAŞKANLIK" for unit in family)
    assert {unit.number for unit in family} == {unit.number for unit in register.correspondents(register.today)}


async def test_a_forced_change_makes_another_version(control: World, service: Service) -> None:
    versions = [service.register.version]
    orders: list[tuple[str, dict[str, Any]]] = [
        ("close", {}),
        ("rename", {"name": "A"}),
        ("raise_eyp", {}),
        ("announce_kep", {"kep_address": "x@y.kep.example"}),
    ]
    for kind, order in orders:
        await changed(control, kind, **order)
        versions.append(service.register.version)
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"kind": "close", "detsis_no": 19999999}, 404),
        ({"kind": "explode", "detsis_no": A}, 422),
        ({"kind": "rename", "detsis_no": A}, 422),
        ({"kind": "rename", "detsis_no": A, "name": "x" * 501}, 422),
        ({"kind": "move", "detsis_no": A_UNIT}, 422),
        ({"kind": "move", "detsis_no": A_UNIT, "parent_no": 1}, 422),
        ({"kind": "move", "detsis_no": A, "parent_no": B}, 422),
        ({"kind": "announce_kep", "detsis_no": A}, 422),
        ({"kind": "announce_kep", "detsis_no": A, "kep_address": "none"}, 422),
        ({"kind": "replace_certificate", "detsis_no": A}, 422),
        ({"kind": "replace_certificate", "detsis_no": A, "certificate": "ü"}, 422),
    ],
)
async def test_orders_that_cannot_be_carried_out(
    control: World, service: Service, order: dict[str, Any], status: int
) -> None:
    before, version = list(service.register.units()), service.register.version
    assert (await control.http.post("/control/detsis/changes", json=order)).status_code == status
    assert list(service.register.units()) == before
    assert service.register.version == version


async def test_the_sandbox_as_a_whole(tmp_path: Path) -> None:
    """Institutions have their own trees, and days outlive a restart."""
    state = tmp_path / "state"
    async with running_world(state, detsis_daily_share=0.02) as world:
        told = await world.post("/detsis/days", days=2)
        assert sum(told["changes"].values()) == 8
        catalogue = (await world.get("/faults"))["catalogue"]
        assert "detsis.parent_loop" in catalogue
        assert "detsis.deep_children" in catalogue
        assert (await world.get("/register/units/10000104"))["name"] == "AĞ İŞLETİM ŞEFLİĞİ"
        day = await world.get("/detsis/day")
    async with running_world(state, detsis_daily_share=0.02) as world:
        assert await world.get("/detsis/day") == day
