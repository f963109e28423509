from __future__ import annotations

import pytest

from tests.workers.pool.harness import (
    ANSWER,
    COST,
    chunks,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.virtual_time import virtual_time
from workers.engines.simulator.engine import Fault, Simulator
from workers.errors import CallRejected, EngineInterrupted
from workers.pool.member import Member, Sharing


@virtual_time
async def test_a_call_that_streamed_is_restarted_and_says_so() -> None:
    fault = Fault(kind="reset", after_tokens=5)
    broken = Simulator(ANSWER, name="broken", cost=COST, faults=[fault])
    sound = Simulator(ANSWER, name="sound", cost=COST)
    members = [Member(broken, sharing=Sharing.IN_FLIGHT), Member(sound, sharing=Sharing.IN_FLIGHT)]
    async with pool_of(members) as pool:
        received = await chunks(pool, sibling("one", 0))
        assert [chunk.worker for chunk in received[:5]] == ["broken"] * 5
        assert [chunk.restarted for chunk in received] == [False] * 5 + [True] + [False] * 19
        assert text_of(received) == ANSWER
        assert pool.snapshot().replicas[0].wasted_tokens == 5


@virtual_time
async def test_what_was_refused_is_not_tried_again() -> None:
    engines = simulators(3, faults=[Fault(kind="reject", when=lambda call: call.family == "bad")])
    async with pool_of(engines) as pool:
        with pytest.raises(CallRejected):
            await chunks(pool, sibling("bad", 0))
        assert sum(engine.counters().started for engine in engines) == 1
        assert [replica.state for replica in pool.snapshot().replicas] == ["up"] * 3


@virtual_time
async def test_the_last_error_is_raised_when_all_attempts_failed() -> None:
    engines = simulators(
        2, faults=[Fault(kind="reset", after_tokens=2, when=lambda call: call.family == "bad")]
    )
    async with pool_of(engines, attempts=2) as pool:
        with pytest.raises(EngineInterrupted) as caught:
            await chunks(pool, sibling("bad", 0))
        assert "tried 2 times" in "".join(caught.value.__notes__)
        assert [engine.counters().started for engine in engines] == [1, 1]
