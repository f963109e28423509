from __future__ import annotations

from collections import Counter

import pytest

from tests.workers.engines.simulator.harness import ask, read, say
from workers.calls import Sampling
from workers.engines.simulator.engine import Simulator, sampled
from workers.errors import (
    CallRejected,
)


async def test_a_script_is_read_in_order_and_then_ends() -> None:
    engine = Simulator(["one", "two"])
    assert [await say(engine, ask()), await say(engine, ask())] == ["one", "two"]
    with pytest.raises(CallRejected, match="script of 2 answers"):
        await say(engine, ask())


async def test_a_mapping_answers_by_the_longest_key_in_the_users_last_message() -> None:
    engine = Simulator({"6": "six", "6 times 9": "54", "coin": {"heads": 1, "tails": 0}})
    assert await say(engine, ask("What is 6 times 9?")) == "54"
    assert await say(engine, ask("What is 6 plus 9?", prefill="coin")) == "six"
    assert await say(engine, ask("Flip a coin")) == "heads"
    with pytest.raises(CallRejected, match="'6 times 9', 'coin', '6'"):
        await say(engine, ask("Who?", system="6"))


async def test_the_same_seed_gives_the_same_answer_in_any_order_and_engine() -> None:
    weights = sampled({str(i): 1.0 for i in range(1000)})
    first, second = Simulator(weights), Simulator(weights, seed=7)
    seeds = list(range(20))
    forward = [await say(first, ask(sampling=Sampling(seed=s))) for s in seeds]
    backward = [await say(second, ask(sampling=Sampling(seed=s))) for s in reversed(seeds)]
    assert forward == backward[::-1]
    assert len(set(forward)) > 10
    unseeded = [await say(first, ask()) for _ in seeds]
    assert len(set(unseeded)) > 10
    assert await say(first, ask("another", sampling=Sampling(seed=3))) != forward[3]


async def test_sampling_follows_the_weights_and_temperature_0_the_heaviest() -> None:
    engine = Simulator(sampled({"72": 0.8, "71": 0.2}))
    drawn = Counter([await say(engine, ask(sampling=Sampling(seed=i))) for i in range(2000)])
    assert 1500 < drawn["72"] < 1700
    greedy = {await say(engine, ask(sampling=Sampling(seed=i, temperature=0))) for i in range(50)}
    assert greedy == {"72"}


async def test_a_function_at_temperature_0_does_not_see_the_seed() -> None:
    engine = Simulator(lambda call, rng: str(rng.random()))
    greedy = {await say(engine, ask(sampling=Sampling(seed=i, temperature=0))) for i in range(5)}
    assert len(greedy) == 1


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": 2.0, "b": -1.0}])
def test_weights_that_are_no_distribution_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        sampled(weights)


async def test_max_tokens_and_stop_cut_the_answer() -> None:
    engine = Simulator("one two three. four")
    (cut,) = await read(engine, ask(sampling=Sampling(max_tokens=2)))
    assert (cut.text, cut.finish_reason, cut.tokens) == ("one two ", "length", 2)
    (stopped,) = await read(engine, ask(sampling=Sampling(stop=(".", "three"))))
    assert (stopped.text, stopped.finish_reason) == ("one two ", "stop")
