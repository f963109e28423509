"""Many runs on a pool that has room for few calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.values import Answer
from tests.orchestrator.runtime.harness import Journal, environment
from tests.workers.virtual_time import virtual_time
from workers.engines.simulator.engine import CostModel, Simulator
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool

COST = CostModel(prefill_tokens_per_s=100_000, decode_tokens_per_s=1_000)


async def nested(run: Run) -> Answer:
    """A parent waits for children, which wait for theirs, while each of them makes calls."""

    async def child(run: Run, name: str, depth: int) -> str:
        said = await run.generate(f"{name} begins. ".ljust(800, "b"))
        if depth:
            await run.join([run.spawn(child, f"{name}{number}", depth - 1) for number in range(2)])
        return (await run.generate(f"{name} ends after {said.text}.")).text

    return Answer(await child(run, "c", 2))


async def runs(pool: Pool, count: int, tenant: str) -> list[float]:
    """Execute so many runs at once; the times at which they ended."""

    async def one(number: int) -> float:
        world = replace(environment(pool), tenant=tenant, task_id=f"{tenant} {number}")
        result = await Executor(Run, world, Journal()).execute(nested, {"planner": "test"})
        assert result.outcome is RunOutcome.ANSWERED, result
        assert result.spent.calls == 14
        return asyncio.get_running_loop().time()

    return await asyncio.gather(*(one(number) for number in range(count)))


@virtual_time
async def test_runs_wait_for_a_pool_that_is_full() -> None:
    simulator = Simulator("ok", cost=COST, max_concurrency=1)
    pool = Pool([simulator], max_waiting=4)
    await pool.capabilities()
    await runs(pool, 20, "t")
    assert pool.snapshot().refused
    await pool.close()


@pytest.mark.parametrize("sharing", [Sharing.IN_FLIGHT, Sharing.COMPUTED])
@virtual_time
async def test_children_make_progress_however_many_parents_wait(sharing: Sharing) -> None:
    simulator = Simulator("ok", cost=COST, max_concurrency=1, share_in_flight=sharing is Sharing.IN_FLIGHT)
    pool = Pool([Member(simulator, sharing=sharing)])
    await pool.capabilities()
    await runs(pool, 60, "t")
    pool.check_integrity()
    assert simulator.counters().finished == 60 * 14
    await pool.close()


@virtual_time
async def test_a_tenant_with_one_run_does_not_wait_for_one_with_many() -> None:
    simulator = Simulator("ok", cost=COST, max_concurrency=1)
    pool = Pool([Member(simulator, sharing=Sharing.IN_FLIGHT)])
    await pool.capabilities()
    alone = Pool([Member(Simulator("ok", cost=COST, max_concurrency=1), sharing=Sharing.IN_FLIGHT)])
    await alone.capabilities()
    began = asyncio.get_running_loop().time()
    (unhindered,) = await runs(alone, 1, "small")
    unhindered -= began
    began = asyncio.get_running_loop().time()
    many, few = await asyncio.gather(runs(pool, 60, "large"), runs(pool, 1, "small"))
    # Each of its calls waits for one of the other tenant's.
    assert few[0] - began < 4 * unhindered < (max(many) - began) / 5
    await pool.close()
    await alone.close()
