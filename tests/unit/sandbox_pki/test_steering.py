"""Faults and clock, in memory and over the control API."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import Fault, FaultBoard, UnknownFaultError
from shared.clock import FixedClock
from tests.unit.sandbox_pki.conftest import Sandbox

NAME = "smtp.drop_after_data"


@pytest.fixture
def board() -> FaultBoard:
    board = FaultBoard(chance=random.Random(7))
    board.declare({NAME: "the answer is lost", "imap.drop": "the connection is reset"})
    return board


def test_nothing_fails_unless_ordered(board: FaultBoard) -> None:
    """An order is used up by its count."""
    assert not board.take(NAME)
    board.order(Fault(NAME, count=2))
    assert [board.take(NAME, provider="hs98") for _ in range(3)] == [True, True, False]
    assert board.in_force() == ()


def test_scope_spares_the_others(board: FaultBoard) -> None:
    """Only what agrees in every key of the scope fails; a narrower call place may know more keys."""
    board.order(Fault(NAME, {"provider": "hs98"}))
    assert not board.take(NAME)
    assert not board.take(NAME, provider="hs99")
    assert board.take(NAME, provider="hs98", account="a")
    assert not board.take("imap.drop", provider="hs98")


def test_orders_of_one_place_replace_each_other(board: FaultBoard) -> None:
    """The same name and scope is the same order; clearing withdraws by name or all."""
    board.order(Fault(NAME, {"provider": "hs98"}, value=1))
    board.order(Fault(NAME, {"provider": "hs98"}, value=2))
    board.order(Fault("imap.drop"))
    drawn = board.draw(NAME, provider="hs98")
    assert drawn is not None
    assert drawn.value == 2
    assert board.clear(NAME) == 1
    assert [order.name for order in board.in_force()] == ["imap.drop"]
    assert board.clear() == 1


def test_probability_is_a_share(board: FaultBoard) -> None:
    """A fault of one quarter hits about one call in four, and misses use nothing up."""
    board.order(Fault(NAME, probability=0.25, count=10_000))
    hits = sum(board.take(NAME) for _ in range(2000))
    assert 400 < hits < 600
    assert board.in_force()[0].count == 10_000 - hits


def test_undeclared_and_impossible_orders_are_refused(board: FaultBoard) -> None:
    """A misspelt fault is an error on both sides."""
    with pytest.raises(UnknownFaultError):
        board.order(Fault("smtp.drop"))
    with pytest.raises(UnknownFaultError):
        board.take("smtp.drop")
    for fault in (Fault(NAME, count=0), Fault(NAME, probability=0), Fault(NAME, probability=1.5)):
        with pytest.raises(ValueError, match=r"count|probability"):
            board.order(fault)


def test_a_scope_that_could_never_come_true_is_refused(board: FaultBoard) -> None:
    """A misspelt scope would otherwise be an order that silently does nothing."""
    board.declare({NAME: "The answer is lost."}, {NAME: frozenset({"provider", "account"})})
    assert board.catalogue[NAME] == "The answer is lost. Scope: account, provider."
    with pytest.raises(ValueError, match="no scope providor"):
        board.order(Fault(NAME, {"providor": "hs98"}))
    board.order(Fault(NAME, {"provider": "hs98"}))


def test_the_shift_outlives_the_process(tmp_path: Path) -> None:
    base = FixedClock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    ShiftedClock(base, tmp_path / "clock").move_to(timedelta(days=3))
    assert ShiftedClock(base, tmp_path / "clock").shift == timedelta(days=3)
    assert ShiftedClock(base, tmp_path / "other").shift == timedelta(0)


async def test_waiting_ends_when_the_clock_is_moved_past_the_moment() -> None:
    """A wait of two days ends at once; a smaller shift leaves it waiting."""
    clock = ShiftedClock(FixedClock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC)))
    waiting = asyncio.create_task(clock.wait_until(clock.now() + timedelta(days=2)))
    await asyncio.sleep(0)
    clock.move_to(timedelta(days=1))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    clock.move_to(timedelta(days=2))
    await asyncio.wait_for(waiting, timeout=1)
    await clock.wait_until(clock.now() - timedelta(days=1))


async def test_faults_over_http(sandbox: Sandbox) -> None:
    """The catalogue is shown; orders come, show and go; an unknown name is refused."""
    assert "pki.down" in (await sandbox.http.get("/control/faults")).json()["catalogue"]
    order = {"name": "pki.crl_stale", "scope": {"purpose": "seal"}, "count": 3, "probability": 0.5, "value": None}
    reply = await sandbox.http.post("/control/faults", json=order)
    assert reply.json()["in_force"] == [order]
    assert (await sandbox.http.delete("/control/faults", params={"name": "pki.down"})).json()["in_force"] == [order]
    assert (await sandbox.http.delete("/control/faults")).json()["in_force"] == []
    for wrong in (
        {"name": "pki.upside_down"}, {"name": "pki.down", "count": 0}, {"name": "pki.down", "often": 1}, {},
        {"name": "pki.down", "scope": {"provider": "hs98"}}, {"name": "pki.slow", "value": -1}, {"name": "pki.slow", "value": 1e300},
    ):  # fmt: skip
        assert (await sandbox.http.post("/control/faults", json=wrong)).status_code == 422


async def test_clock_over_http(sandbox: Sandbox) -> None:
    """Set, advance, read; the revocation lists stay on the machine's time."""
    assert (await sandbox.http.get("/control/clock")).json()["shift_seconds"] == 0
    await sandbox.http.post("/control/clock", json={"shift_seconds": 3600})
    reply = await sandbox.http.post("/control/clock", json={"advance_seconds": 60})
    assert reply.json()["shift_seconds"] == 3660
    machine = sandbox.clock.base.now()
    assert (
        timedelta(0)
        <= datetime.fromisoformat(reply.json()["now"]) - machine + timedelta(seconds=5)
        < timedelta(hours=2)
    )
    assert sandbox.clock.now() - machine > timedelta(minutes=60)
    for wrong in ({}, {"shift_seconds": 1, "advance_seconds": 1}, {"advance_seconds": -1}, {"shift_seconds": 1e12}):
        assert (await sandbox.http.post("/control/clock", json=wrong)).status_code == 422
    await sandbox.http.post("/control/clock", json={"shift_seconds": 400 * 86_400})
    assert (await sandbox.http.post("/control/clock", json={"advance_seconds": 1})).status_code == 422


async def test_the_world_over_http(sandbox: Sandbox) -> None:
    """The control API tells what ``world.json`` tells."""
    world = (await sandbox.http.get("/control/world")).json()
    assert world["control_url"] == sandbox.plan.control_url
    certificates = (await sandbox.http.get("/control/pki/certificates")).json()
    assert {"institution-10000001-seal", "provider-hs99", "qualified-issuing"} <= {one["name"] for one in certificates}
