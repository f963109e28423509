"""The simulated server of ``benchmarks.parallel_tools``: it says what a model would that makes no mistake.

    python -m benchmarks.parallel_server --widths 2 3 5 --seed 1 --speed 10

There is one address for each style of asking (:data:`STYLES`), and the first lines that are printed are these
addresses. What a prompt is for follows from the style and from which results stand in it already, whatever
its words are. Texts are as long as models write them, with a thought of one sentence where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random

from benchmarks.parallel_questions import Question, Step, questions
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.engines.simulator.server import serving

LATENCY = 0.5
"""Seconds before the first token."""

PREFILL = 5_000.0
DECODE = 10.0
"""Tokens a second of a prompt, and of one call that writes. With these and the latencies of the tools, a
question takes what it takes in the paper: 16.7 s, and 21.7 s without streaming."""

COMPARING = "argmax"
"""The step by which a plan compares: one of the planner's own, which takes next to no time."""

Reply = Callable[[Question, Sequence[Step]], str]
"""What is said to a question of which these steps are done."""


def planned(question: Question, done: Sequence[Step]) -> str:
    """A plan in the text form of the paper, which compares by a step; once it is done, a joiner's verdict."""
    if len(done) == len(question.steps):
        return json.dumps({"thought": _concluding(question), "answer": question.answer})
    lines = []
    for step in question.steps:
        context = f", [{', '.join(f'${each}' for each in step.needs)}]" if step.needs else ""
        lines.append(f'{step.id}. {step.tool}("{step.text}"{context})')
    width, last = question.width, len(lines) + 1
    values = ", ".join(f'"{name}": ${at + width}' for at, name in enumerate(question.towers, start=1))
    return "\n".join([*lines, f"{last}. {COMPARING}({{{values}}})", f"{last + 1}. join()"])


def acted(question: Question, done: Sequence[Step]) -> str:
    """A thought and the next action of a sequential agent, or its answer."""
    left = [step for step in question.steps if step not in done]
    if not left:
        return f'Thought: {_concluding(question)}\nAction: finish(answer="{question.answer}")'
    arguments = _arguments(question, left[0]).items()
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments)
    return f"Thought: I need to find the {left[0].text}.\nAction: {left[0].tool}({given})"


def called(question: Question, done: Sequence[Step]) -> str:
    """All calls of functions whose arguments are known by now, or the answer."""
    known = {step.id for step in done}
    ready = [step for step in question.steps if step not in done and known.issuperset(step.needs)]
    if not ready:
        return f"{_concluding(question)}\nAnswer: {question.answer}"
    calls = ({"name": step.tool, "arguments": _arguments(question, step)} for step in ready)
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)


STYLES: Mapping[str, Reply] = {"plan": planned, "act": acted, "call": called}


def _arguments(question: Question, step: Step) -> dict[str, object]:
    if step.tool == "search":
        return {"query": step.text}
    found = [question.steps[each - 1].result for each in step.needs]
    return {"problem": step.text, "context": [_number(each) for each in found]}


def _concluding(question: Question) -> str:
    heights = " and ".join(_number(step.result) for step in question.steps if step.needs)
    return f"The changed heights are {heights} metres, so {question.answer} would be the highest."


def _number(result: str) -> str:
    return next(word for word in result.split() if word[0].isdigit())


class Script:
    """Answers a call by the results in its prompt, in one style."""

    def __init__(self, asked: Sequence[Question], reply: Reply) -> None:
        self._asked = {question.text: question for question in asked}
        self._reply = reply

    def __call__(self, call: Call, _rng: Random) -> str:
        """What the call gets: ``ok`` if it asks none of the questions, as a client may try the server out."""
        prompt = "\n".join(segment.text for segment in call.prompt.segments)
        question = next((each for text, each in self._asked.items() if text in prompt), None)
        if question is None:
            return "ok"
        return self._reply(question, [step for step in question.steps if step.result in prompt])


def simulator(asked: Sequence[Question], style: str, speed: float) -> Simulator:
    """A server for these questions on which everything goes ``speed`` times as fast."""
    cost = CostModel(
        latency=LATENCY / speed,
        prefill_tokens_per_s=PREFILL * speed,
        decode_tokens_per_s=DECODE * speed,
    )
    return Simulator(Script(asked, STYLES[style]), cost=cost)


async def serve(asked: Sequence[Question], speed: float) -> None:
    """Serve until cancelled."""
    async with AsyncExitStack() as stack:
        for style in STYLES:
            print(await stack.enter_async_context(serving(simulator(asked, style, speed))), flush=True)
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
