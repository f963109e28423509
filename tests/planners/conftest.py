"""Every run that these tests make is repeated over its own journal, with no engine, before it is judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest_asyncio

from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.runtime.environment import EDITION, Environment, Result, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Answer, Budget, Question
from storage.events import Event, EventType
from tests.real_model import SMALL
from workers.engine import Capabilities, Engine
from workers.engines.llama.engine import LlamaCppEngine
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

GUIDED = Capabilities(model="simulator", guided_json=True, assistant_prefill=True)
BARE = Capabilities(model="simulator")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    """A small real model, for the tests of a module whose loop is the module's."""
    # One thread: two wait for each other at every layer, which is slow where others use the cores, too.
    engine = LlamaCppEngine(SMALL, slots=4, context=2048, threads=1)
    await engine.capabilities()
    yield engine
    await engine.close()


class Recorder:
    """The journal in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    async def flush(self) -> None:
        pass

    async def room(self) -> None:
        pass

    async def leased(self) -> None:
        pass


@dataclass(frozen=True)
class Played:
    """A run and its journal."""

    result: Result
    events: list[Event]

    @property
    def answer(self) -> Answer:
        assert self.result.outcome is RunOutcome.ANSWERED, self.result
        assert self.result.answer is not None
        return self.result.answer

    @property
    def failure(self) -> str:
        """The code of the failure that ended the run."""
        assert self.result.outcome is RunOutcome.FAILED, self.result
        assert self.result.failure is not None
        return self.result.failure.code

    def decisions(self, by: str) -> list[Mapping[str, Any]]:
        return [
            event.data
            for event in self.events
            if event.type is EventType.DECISION and event.data["by"].split(":")[0] == by
        ]

    def verdicts(self, by: str) -> list[str]:
        return [decision["verdict"] for decision in self.decisions(by)]

    def nodes(self, kind: NodeKind, label: str = "") -> list[str]:
        """The paths of the nodes of a kind, in the order of adding."""
        return [
            event.path
            for event in self.events
            if event.type is EventType.NODE_ADDED
            and event.data["kind"] == kind
            and event.data["label"].startswith(label)
        ]

    def inputs(self, path: str) -> list[str]:
        added = next(e for e in self.events if e.type is EventType.NODE_ADDED and e.path == path)
        return list(added.data.get("inputs", ()))

    def requests(self, label: str = "", kind: NodeKind = NodeKind.GENERATE) -> list[Mapping[str, Any]]:
        """What was asked of engines or tools."""
        paths = self.nodes(kind, label)
        return [e.data["request"] for e in self.events if e.path in paths and "request" in e.data]

    def prompts(self, label: str = "") -> list[list[tuple[str, str]]]:
        return [[(role, text) for role, text, *_ in request["prompt"]] for request in self.requests(label)]

    def said(self, label: str = "") -> list[str]:
        """All prompts as plain text."""
        return ["".join(text for _, text in prompt) for prompt in self.prompts(label)]

    def seq(self, kind: EventType, path: str) -> int:
        """Where in the journal the first such event of a node is."""
        return next(e.seq for e in self.events if e.type is kind and e.path == path)

    def outcome(self, path: str) -> str:
        settled = (e for e in self.events if e.type is EventType.NODE_SETTLED and e.path == path)
        return str(next(settled).data["outcome"])


async def play(
    planner: Planner,
    question: Question | str,
    engine: Engine,
    *,
    tools: Iterable[Tool] = (),
    capabilities: Capabilities | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    call_seconds: float = 500.0,
    default_rule: str = DEFAULT_RULE,
    edition: int = EDITION,
    **options: Any,
) -> Played:
    """Run a planner, then repeat the run over its journal: the same events and result, and no call."""
    asked = Question(question) if isinstance(question, str) else question
    checked = planner.validate(options)
    environment = Environment(
        engine=engine,
        capabilities=capabilities or await engine.capabilities(),
        toolbox=Toolbox(tools),
        budget=budget or Budget(),
        seed=seed,
        call_seconds=call_seconds,
        rule=default_rule,
        edition=edition,
    )
    live, again = Recorder(), Recorder()
    async with asyncio.timeout(600):
        result = await Executor(Run, environment, live).execute(
            lambda run: planner(run, asked, **checked), {}
        )
    journal = [replace(event, data=json.loads(json.dumps(event.data))) for event in live.events]
    replay = Executor(Run, replace(environment, engine=None), again, record=Record(journal))
    async with asyncio.timeout(100):
        repeated = await replay.execute(lambda run: planner(run, asked, **checked), {})
    assert repeated == result
    assert asdict(repeated) == asdict(result)  # also what explains the answer
    assert again.events == []
    return Played(result, journal)
