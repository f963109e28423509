"""its_hub beside us in ``benchmarks.early_stop_live``; a program for the Python that has its_hub.

Reads one JSON object a line, the arguments of :meth:`Peer.answer`, and writes one for each: ``texts`` and
``seconds``, in the order of the questions. The first line that it writes tells the version.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from its_hub import (
    AdaptiveSelfConsistency,
    BetaSelfConsistency,
    LMOrchestrator,
    OpenAICompatibleLanguageModel,
    SelfConsistency,
    __version__,
)
from its_hub.core.algorithms.self_consistency import create_regex_projection_function

ALGORITHMS = {"plain": SelfConsistency, "beta": BetaSelfConsistency, "adaptive": AdaptiveSelfConsistency}


class Peer:
    """Language models that stay open, so that only the first calls pay for connections.

    Each lane has one to itself, since one has at most 100 connections.
    """

    def __init__(self) -> None:
        self._models: dict[str, list[OpenAICompatibleLanguageModel]] = defaultdict(list)

    async def answer(
        self,
        *,
        url: str,
        algorithm: str,
        settings: dict[str, float],
        projection: str | None,
        width: int,
        lanes: int,
        questions: Sequence[str],
    ) -> dict[str, list[str] | list[float]]:
        """Answer the questions in lanes that work side by side, with no limit to the calls of one."""
        votes = ALGORITHMS[algorithm](
            **settings,
            consistency_space_projection_func=projection and create_regex_projection_function(projection),
            orchestrator=LMOrchestrator(max_concurrency=-1),
        )
        models = self._models[url]
        models += [OpenAICompatibleLanguageModel(url, "none", "simulator") for _ in range(len(models), lanes)]
        texts, seconds = [""] * len(questions), [0.0] * len(questions)

        async def work(lane: int) -> None:
            for at in range(lane, len(questions), lanes):
                began = time.perf_counter()
                response = await votes.ainfer(models[lane], questions[at], budget=width)
                seconds[at] = time.perf_counter() - began
                texts[at] = response["content"]

        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                group.create_task(work(lane))
        return {"texts": texts, "seconds": seconds}


async def main() -> None:
    """Answer until the process is ended, which closes the connections too."""
    print(json.dumps({"version": __version__}), flush=True)
    peer = Peer()
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await peer.answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
