from __future__ import annotations

import asyncio

from services.kep_relay.inbound.budget import ByteBudget


async def test_never_more_than_the_budget_is_held_and_everybody_gets_a_turn() -> None:
    budget, held, most, done = ByteBudget(100), 0, 0, []

    async def work(size: int) -> None:
        nonlocal held, most
        async with budget.hold(size):
            held += min(size, 100)
            most = max(most, held)
            await asyncio.sleep(0)
            held -= min(size, 100)
            done.append(size)

    sizes = [60, 50, 1, 40, 5000, 30, 30, 30, 30]
    await asyncio.gather(*map(work, sizes))
    assert most <= 100
    assert sorted(done) == sorted(sizes)
    assert done.index(5000) < done.index(30)


async def test_those_who_give_up_hold_up_nobody() -> None:
    budget = ByteBudget(100)
    async with budget.hold(60):
        large = asyncio.create_task(_hold(budget, 100))
        small = asyncio.create_task(_hold(budget, 40))
        await asyncio.sleep(0)
        assert not small.done()
        large.cancel()
        await asyncio.wait_for(small, 5)
    for _ in range(3):
        await asyncio.wait_for(_hold(budget, 100), 5)


async def _hold(budget: ByteBudget, size: int) -> None:
    async with budget.hold(size):
        pass
