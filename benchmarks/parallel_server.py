"""The simulated server of ``benchmarks.parallel_tools``: it says what a model would that makes no mistake.

    python -m benchmarks.parallel_server --widths 2 3 5 --seed 1 --speed 10

Which call it is asked for shows in the instructions of the prompt (:data:`REPLIES`), and how far the question
has got in the results that stand in it. Texts are as long as models write them: a thought before each action,
no more. A token takes as long as with the model of the paper (:data:`LATENCY`, :data:`DECODE`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from random import Random

from benchmarks.parallel_questions import Question, Step, questions
from planners.joining import JOINER
from planners.llm_compiler import END_OF_PLAN, PLANNER
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.engines.simulator.server import serving

LATENCY = 0.5
"""Seconds before the first token."""

PREFILL = 5_000.0
DECODE = 10.0
"""Tokens a second of a prompt, and of one call that writes. With these and the latencies of the tools, a
question takes what it takes in the paper: 16.7 s, and 21.7 s without streaming."""

PEER_PROMPTS = {
    "plan": (
        "Write a plan of tool calls for the query, with as much in parallel as possible. Number the calls, "
        "use $1 for the result of call 1, and end with join().\n"
        "search(query): a passage about the subject.\n"
        "math(problem, context): computes what the problem says, from a list of results.\n"
    ),
    "join": "Read the results of the calls, and give the answer or what is missing as JSON.\n",
}
"""What LangGraph asks; the prompts are ours, so its tokens are not compared."""


def plan(question: Question, _done: Sequence[Step]) -> str:
    """A plan in the text form of the paper: the searches, then what is computed of them."""
    lines = []
    for step in question.steps:
        context = f", [{', '.join(f'${each}' for each in step.needs)}]" if step.needs else ""
        lines.append(f'{step.id}. {step.tool}("{step.text}"{context})')
    return "\n".join([*lines, f"{len(lines) + 1}. join()", END_OF_PLAN])


def join(question: Question, _done: Sequence[Step]) -> str:
    """The verdict of a joiner, as JSON."""
    return json.dumps({"thought": _concluding(question), "answer": question.answer})


REPLIES: tuple[tuple[str, Callable[[Question, Sequence[Step]], str]], ...] = (
    (PEER_PROMPTS["plan"], plan),
    (PEER_PROMPTS["join"], join),
    (PLANNER.partition("\n")[0], plan),
    (JOINER.partition("\n")[0], join),
)
"""What a prompt contains, and what is then said; the first that fits counts."""


def _concluding(question: Question) -> str:
    heights = " and ".join(step.result.partition(" = ")[2] for step in question.steps if step.needs)
    return f"The changed heights are {heights} metres, so {question.answer} would be the highest."


class Script:
    """Answers a call by the question, the instructions and the results in its prompt."""

    def __init__(self, asked: Sequence[Question]) -> None:
        self._asked = {question.text: question for question in asked}

    def __call__(self, call: Call, _rng: Random) -> str:
        """What the call gets: ``ok`` if it asks none of the questions, as a client may try the server out."""
        prompt = "\n".join(segment.text for segment in call.prompt.segments)
        question = next((each for text, each in self._asked.items() if text in prompt), None)
        if question is None:
            return "ok"
        done = [step for step in question.steps if step.result in prompt]
        for mark, reply in REPLIES:
            if mark in prompt:
                return reply(question, done)
        raise AssertionError(f"nothing is known to say to {prompt[-400:]!r}")


def simulator(asked: Sequence[Question], speed: float) -> Simulator:
    """A server for these questions on which everything goes ``speed`` times as fast."""
    cost = CostModel(
        latency=LATENCY / speed,
        prefill_tokens_per_s=PREFILL * speed,
        decode_tokens_per_s=DECODE * speed,
    )
    return Simulator(Script(asked), cost=cost)


async def serve(asked: Sequence[Question], speed: float) -> None:
    """Serve until cancelled."""
    async with serving(simulator(asked, speed)) as url:
        print(url, flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parallel_server", description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", required=True, help="look-ups of each question")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1.0)
    given = parser.parse_args()
    asyncio.run(serve(questions(given.widths, seed=given.seed), given.speed))


if __name__ == "__main__":
    main()
