from __future__ import annotations

import asyncio

from tests.workers.pool.harness import (
    ANSWER,
    COST,
    chunks,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import virtual_time
from workers.calls import Call
from workers.engines.simulator.engine import Fault, Simulator


@virtual_time
async def test_stragglers_are_sent_twice_and_the_faster_counts() -> None:
    def straggles(call: Call) -> bool:
        return "branch 99 " in call.prompt.segments[-1].text

    engines = simulators(2)
    engines[0] = Simulator(
        ANSWER,
        name="s0",
        cost=COST,
        max_concurrency=16,
        faults=[Fault(kind="slow", factor=1000, when=straggles)],
    )
    engines[1] = Simulator(ANSWER, name="s1", cost=COST, max_concurrency=16)
    async with pool_of(engines, hedge_after=4.0) as pool:
        for number in range(30):
            await chunks(pool, sibling("f", number))
        home = (await chunks(pool, sibling("f", 40)))[-1].worker
        assert home == "s0"
        began = asyncio.get_running_loop().time()
        received = await chunks(pool, sibling("f", 99))
        assert received[-1].worker == "s1"
        assert asyncio.get_running_loop().time() - began < 1.5
        assert text_of(received) == ANSWER
        assert engines[0].counters().aborted == 1
        assert samples(pool.metrics())("hedges_won_total") == 1
