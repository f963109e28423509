"""The helpers of this folder, on the shortest planners."""

from __future__ import annotations

from random import Random

from orchestrator.runtime.change import Change
from planners.direct import direct
from planners.vote import vote
from tests.planners.revisiting import forked, killed_anywhere
from workers.calls import Call
from workers.engines.simulator.engine import Simulator


def engine() -> Simulator:
    def say(call: Call, rng: Random) -> str:
        return rf"\boxed{{{(call.sampling.seed or 0) % 2}}}"

    return Simulator(say)


async def test_a_vote_that_was_killed_goes_on() -> None:
    played = await killed_anywhere(vote, "How many?", engine, n=5)
    assert played.answer.text


async def test_a_fork_shows_what_was_changed() -> None:
    first, fork = await forked(direct, "How many?", engine(), at="0", change=Change(value="\\boxed{12}"))
    assert first.answer in ("0", "1")
    assert fork.answer == "12"
    assert fork.usage.calls == 0
