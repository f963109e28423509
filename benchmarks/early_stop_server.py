"""The server of ``benchmarks.early_stop_live``: a simulator for each client, the same to all of them.

``python -m benchmarks.early_stop_server --clients 10 --seed 1`` prints a base URL for each. What the k-th
call for a question gets, and how long that takes, depends on the question, k and the seed alone, and not on
who asks or with which instructions. Each client has a port to itself, so its calls are counted by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from random import Random

from benchmarks.tune_elastic import INDEPENDENT
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engines.simulator.engine import CostModel, Simulator
from workers.engines.simulator.server import serving

MIXES = INDEPENDENT
"""Shares of the answers, the right one first, under the name of the mix."""

# All are as long as one another, so that no phrasing comes sooner than the others.
_QUESTION = re.compile(r"<question>\n(?P<text>.*?)\n</question>", re.DOTALL)
PHRASINGS = ("The answer is {}.", "So we come to {}.", "Thus, \\boxed{{{}}}.", "It has to be {}.")
TOKENS = 5  # of each phrasing
MEDIAN = 0.2  # seconds of a call
SIGMA = 0.6  # of the logarithm of a call's time


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A question whose answers come in the shares of ``mix``."""

    mix: str
    width: int
    number: int

    @property
    def text(self) -> str:
        """What is asked; another text for each puzzle."""
        return f"{self.mix}, {self.width} branches, question {self.number}: which number is meant?"

    @property
    def right(self) -> str:
        """The answer that most branches give, if there are enough of them."""
        return _candidates(self.text, self.mix)[0]


def _candidates(text: str, mix: str) -> list[str]:
    return [str(number) for number in Random(text).sample(range(100, 1000), len(MIXES[mix]))]


def _say(call: Call, rng: Random) -> str:
    text = call.prompt.segments[0].text
    mix = text.partition(",")[0]
    if mix not in MIXES:
        return "ok"  # a client that tries out what the server can do
    number = rng.choices(_candidates(text, mix), MIXES[mix])[0]
    return rng.choice(PHRASINGS).format(number)


class ByArrival(Simulator):
    """A simulator whose random numbers follow from the question and how many calls for it came before."""

    def __init__(self, seed: int) -> None:
        super().__init__(
            _say, cost=CostModel(decode_tokens_per_s=TOKENS / MEDIAN, jitter=SIGMA), cache_blocks=0
        )
        self._own_seed = seed
        self._arrived = Counter[str]()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Answer the question in the user's last message alone, whatever else is said around it."""
        text = call.prompt.segments[-1].text
        question = slot["text"] if (slot := _QUESTION.search(text)) else text
        seed = 10_000 * self._own_seed + self._arrived[question]
        self._arrived[question] += 1
        asked = replace(
            call,
            prompt=Prompt((Segment("user", question),)),
            sampling=replace(call.sampling, seed=seed),
        )
        async with aclosing(super().generate(asked)) as chunks:
            async for chunk in chunks:
                yield chunk


async def serve(clients: int, seed: int) -> None:
    """Serve until cancelled."""
    async with AsyncExitStack() as stack:
        for _ in range(clients):
            print(await stack.enter_async_context(serving(ByArrival(seed))), flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.early_stop_server", description=__doc__)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(serve(given.clients, given.seed))


if __name__ == "__main__":
    main()
