from __future__ import annotations

from tests.workers.pool.harness import (
    COST,
    pool_of,
)
from tests.workers.virtual_time import virtual_time
from workers.engines.simulator.engine import Simulator


@virtual_time
async def test_how_an_engine_shares_is_found_out() -> None:
    engines = [
        Simulator(name="at once", cost=COST, share_in_flight=True),
        Simulator(name="later", cost=COST, share_in_flight=False),
        Simulator(name="never", cost=COST, cache_blocks=0),
    ]
    async with pool_of(engines) as pool:
        sharing = {replica.name: replica.sharing for replica in pool.snapshot().replicas}
    assert sharing == {"at once": "in_flight", "later": "computed", "never": "computed"}
