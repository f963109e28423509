"""Judges of what sentences mean, asked as a vote asks them: through a run, on a real engine or model."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from orchestrator.client import Client
from orchestrator.consensus.equivalence import Pair
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import user
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.judging import Judge, Judging
from workers.engines.simulator.engine import Simulator
from workers.tools.entailment import entailment

PLAIN = (
    "Question: {question}\nFirst answer: {left}\nSecond answer: {right}\n"
    "Do the two answers mean the same? Reply Yes or No."
)


@dataclass(frozen=True, slots=True)
class Sentences:
    """Two answers to a question."""

    question: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a judge said of each pair, and how long it took for all, one after another."""

    judge: str
    same: tuple[bool, ...]
    seconds: float


def by_model(model: str | None, pairs: Sequence[Sentences]) -> list[Heard]:
    """A model of the embedded engine (None: its default), asked plainly, and as votes ask it."""
    with Client(engine="embedded", model=model, database="memory") as client:
        client.solve("Say yes.", planner="direct", sampling={"max_tokens": 1})  # loading is not judging
        return [
            _heard(client, f"{model or 'embedded'}, asked plainly", _plainly, pairs),
            _heard(client, f"{model or 'embedded'}, judge=model", _judging("model"), pairs),
        ]


def by_entailment(source: str, pairs: Sequence[Sentences]) -> list[Heard]:
    """An entailment model: a directory, or a repository on the Hugging Face hub."""
    with Client(engine=Simulator("unused"), database="memory", tools=[entailment(source)]) as client:
        _heard(client, "loading", _judging("nli"), pairs[:1])
        return [_heard(client, "judge=nli", _judging("nli"), pairs)]


def _heard(
    client: Client, name: str, ask: Callable[[Run, Sentences], Awaitable[bool]], pairs: Sequence[Sentences]
) -> Heard:
    @planner("judge")
    async def body(run: Run, _: Question) -> Answer:
        return Answer(json.dumps([await ask(run, pair) for pair in pairs]))

    began = perf_counter()
    solution = client.solve("Which pairs mean the same?", planner=body, budget={"seconds": None})
    return Heard(name, tuple(json.loads(solution.text)), perf_counter() - began)


async def _plainly(run: Run, pair: Sentences) -> bool:
    prompt = PLAIN.format(question=pair.question, left=pair.left, right=pair.right)
    completion = await run.generate([user(prompt)], temperature=0.0, max_tokens=1)
    return completion.text.strip().casefold() == "yes"


def _judging(judge: Judge) -> Callable[[Run, Sentences], Awaitable[bool]]:
    async def ask(run: Run, pair: Sentences) -> bool:
        asked = Pair.of(pair.left, pair.right, "semantic")
        return (await Judging(run, pair.question, judge).verdicts([asked]))[asked]

    return ask
