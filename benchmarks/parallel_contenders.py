"""Who is measured in ``benchmarks.parallel_tools``: planners of ours, and LangGraph."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from benchmarks.early_stop_contenders import Process
from benchmarks.parallel_questions import Question
from benchmarks.parallel_server import COMPARING
from benchmarks.peers import environment
from orchestrator.errors import AnabranchError
from orchestrator.opening import opened_service
from orchestrator.planning.planner import Planner
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.toolbox import build_toolbox
from workers.calls import Call, Chunk
from workers.engine import Capabilities, Engine, Health
from workers.engines.vllm.engine import VLLMEngine
from workers.pool.pool import Pool
from workers.tools.declaration import tool
from workers.tools.tool import Tool

LANGGRAPH = "langgraph==1.2.22"
PEER_PROGRAM = Path(__file__).with_name("parallel_peer.py")
PEER_PROMPTS = {
    "plan": (
        "Write a plan of tool calls for the query, with as much in parallel as possible. Number the calls, "
        "use $1 for the result of call 1, and end with join().\n"
        "search(query): a passage about the subject.\n"
        "math(problem, context): computes what the problem says, from a list of results.\n"
    ),
    "join": "Read the results of the calls, and give the answer or what is missing as JSON.\n",
}
"""What LangGraph asks; the prompts are ours, and short, so its prompt tokens are not compared."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question. ``beyond`` is seconds over the critical path, where that is measured."""

    answer: str
    seconds: float
    prompt: int
    completion: int
    calls: int
    beyond: float | None = None


class Contender(Protocol):
    """Something that answers questions with the tools, on the simulated server."""

    @property
    def name(self) -> str: ...

    async def answer(self, questions: Sequence[Question]) -> list[Answered]: ...


@dataclass(slots=True)
class Heard:
    """When a call of a model began, when each line of it had come, and when it ended."""

    began: float
    lines: list[float] = field(default_factory=list)
    ended: float = 0.0


class Watched:
    """An engine that notes when what it says comes, by task; it hands it on whole unless it ``streams``."""

    def __init__(self, engine: Engine, *, streams: bool = True) -> None:
        self.heard: dict[str, list[Heard]] = defaultdict(list)
        self._engine = engine
        self._streams = streams

    @property
    def name(self) -> str:
        return self._engine.name

    async def capabilities(self) -> Capabilities:
        return await self._engine.capabilities()

    async def health(self) -> Health:
        return await self._engine.health()

    async def close(self) -> None:
        await self._engine.close()

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        heard = Heard(perf_counter())
        self.heard[call.task].append(heard)
        held: list[Chunk] = []
        try:
            async with aclosing(self._engine.generate(call)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    heard.lines += [perf_counter()] * chunk.text.count("\n")
                    if self._streams:
                        yield chunk
                    else:
                        held.append(chunk)
        finally:
            heard.ended = perf_counter()
        if held:
            heard.lines = [heard.ended] * len(heard.lines)
        for chunk in held:
            yield chunk


def tools_for(questions: Sequence[Question], speed: float, took: dict[str, float]) -> list[Tool]:
    """The tools over what the steps of the questions return; ``took`` gets the seconds of each call."""
    steps = {step.text: step for question in questions for step in question.steps}

    async def called(text: str) -> str:
        if (step := steps.get(text)) is None:
            return f"Nothing is known about {text!r}."
        began = perf_counter()
        await asyncio.sleep(step.seconds / speed)
        took[text] = perf_counter() - began
        return step.result

    @tool
    async def search(query: str) -> str:
        """Find a passage about the subject of the query."""
        return await called(query)

    @tool
    async def math(problem: str, context: list[str]) -> str:
        """Compute what the problem says, from a list of results."""
        return await called(problem)

    return [search, math]


class Ours:
    """A planner of ours, in a service over ``engine``; ``plans`` if its first call is a plan."""

    def __init__(
        self,
        name: str,
        planner: str,
        service: Service,
        engine: Watched,
        took: Mapping[str, float],
        *,
        options: Mapping[str, Any],
        plans: bool,
        lanes: int,
    ) -> None:
        self.name = name
        self._options = options
        self._planner, self._service, self._engine = planner, service, engine
        self._took, self._plans = took, plans
        self._room = asyncio.Semaphore(lanes)

    async def answer(self, questions: Sequence[Question]) -> list[Answered]:
        return list(await asyncio.gather(*map(self._answer, questions)))

    async def _answer(self, question: Question) -> Answered:
        async with self._room:
            began = perf_counter()
            try:
                request = TaskRequest(query=question.text, planner=self._planner, options=self._options)
                solution = await self._service.solve(request)
            except AnabranchError as error:
                return Answered(f"failed: {error}", perf_counter() - began, 0, 0, 0)
            seconds = perf_counter() - began
        usage, beyond = solution.usage, None
        if self._plans:
            heard = self._engine.heard[solution.trace_id]
            computing = await self._computing(solution.trace_id)
            beyond = seconds - critical_seconds(question, heard, self._took, computing)
        return Answered(solution.answer, seconds, usage.prompt, usage.completion, usage.calls, beyond)

    async def _computing(self, trace_id: str) -> float:
        """Seconds of the step that compares, which is a tool of the planner's own."""
        trace = await self._service.trace(trace_id)
        return sum(node.seconds for node in trace.walk() if node.label.endswith(f" {COMPARING}"))


@asynccontextmanager
async def ours(
    name: str,
    planner: Planner,
    url: str,
    everything: Sequence[Question],
    *,
    speed: float,
    lanes: int,
    options: Mapping[str, Any],
    streams: bool,
    plans: bool,
) -> AsyncIterator[Ours]:
    """A planner with an engine, a service and tools of its own."""
    took: dict[str, float] = {}
    settings = await asyncio.to_thread(Settings.read)
    settings = settings.model_copy(update={"database": "memory"})
    toolbox = await asyncio.to_thread(build_toolbox, settings, tools_for(everything, speed, took))
    engine = Watched(Pool([VLLMEngine(url)]), streams=streams)
    try:
        async with opened_service(
            settings, toolbox, engine=engine, planners={planner.name: planner}
        ) as service:
            yield Ours(name, planner.name, service, engine, took, options=options, plans=plans, lanes=lanes)
    finally:
        await engine.close()


def critical_seconds(
    question: Question, heard: Sequence[Heard], took: Mapping[str, float], computing: float = 0.0
) -> float:
    """How long the plan, its calls and what followed must take, by what was measured of each.

    A step can begin once its line has come and what it needs has ended, and the step that compares, which
    took ``computing``, after all of them. The first call is the plan's; the others begin after everything.
    """
    plan, *others = heard
    ends: dict[int, float] = {}
    for step, written in zip(question.steps, plan.lines, strict=False):
        ends[step.id] = max([written, *(ends[each] for each in step.needs)]) + took[step.text]
    compared = max([*ends.values(), *plan.lines[len(question.steps) :][:1]]) + computing
    joined = max(each.ended for each in others) - min(each.began for each in others) if others else 0.0
    return max(plan.ended, compared) - plan.began + joined


@dataclass(frozen=True, slots=True)
class LangGraph:
    """The shape of LangGraph's tutorial on LLMCompiler, in a process of its own."""

    name: str
    process: Process
    url: str
    speed: float
    lanes: int
    pooled: bool

    async def answer(self, questions: Sequence[Question]) -> list[Answered]:
        asked: list[dict[str, Any]] = [
            {"text": each.text, "steps": [asdict(step) for step in each.steps]} for each in questions
        ]
        said = await self.process.ask(
            url=self.url, prompts=PEER_PROMPTS, questions=asked,
            speed=self.speed, pooled=self.pooled, lanes=self.lanes,
        )  # fmt: skip
        return [Answered(*each) for each in said["answers"]]


def find_peer(given: Path | None) -> Path | None:
    """A Python that can import langgraph; None, with the reason printed, where there is none."""
    try:
        python = given or environment("langgraph", LANGGRAPH) / "python"
        subprocess.run([python, "-c", "import langgraph.graph"], check=True)  # noqa: S603 the user's own choice
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"LangGraph is left out: {error}", file=sys.stderr)
        return None
    return python
