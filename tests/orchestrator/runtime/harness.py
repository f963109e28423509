"""Running planner code, and what must hold of every journal that comes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import Environment, Result, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Answer, Budget
from storage import codec
from storage.events import Event, EventType
from workers.calls import Call, Chunk, Usage
from workers.engine import Capabilities, Engine, Health
from workers.engines.simulator.engine import Counters, Simulator
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

Body = Callable[[Run], Coroutine[Any, Any, Answer]]
"""Planner code that is ready to be handed its run."""

HANG_SECONDS = 300.0
"""Nothing in these tests takes as long on the clock of the machine."""


class Journal:
    """A recorder that keeps events in a list, as strict as the real one about what can be stored."""

    def __init__(self, next_seq: int = 0) -> None:
        self.events: list[Event] = []
        self.flushed = 0
        self._next_seq = next_seq

    def append(self, event: Event) -> None:
        assert event.seq == self._next_seq, f"{event} was appended where {self._next_seq} comes next"
        self._next_seq += 1
        packed, texts = codec.pack(event.data)
        self.events.append(replace(event, data=codec.unpacker(texts)(packed)))

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self.flushed = len(self.events)

    async def room(self) -> None:
        pass

    async def leased(self) -> None:
        pass


@dataclass(frozen=True)
class Played:
    """A run and its journal."""

    result: Result
    events: Sequence[Event]

    @property
    def answer(self) -> str:
        assert self.result.outcome is RunOutcome.ANSWERED, self.result
        assert self.result.answer is not None
        return self.result.answer.text

    @property
    def failure(self) -> str:
        """The code of the failure that ended the run, and its message."""
        assert self.result.failure is not None, self.result
        return f"{self.result.failure.code}: {self.result.failure.message}"

    def settled(self, path: str) -> Mapping[str, Any]:
        return next(e.data for e in self.events if e.type is EventType.NODE_SETTLED and e.path == path)

    def outcome(self, path: str) -> str:
        return str(self.settled(path)["outcome"])

    def paths(self, kind: EventType) -> list[str]:
        return [event.path for event in self.events if event.type is kind]


def environment(
    engine: Engine | None,
    *,
    tools: Sequence[Tool] = (),
    capabilities: Capabilities | None = None,
    budget: Budget | None = None,
    call_seconds: float = 600.0,
    symbolic: bool = False,
) -> Environment:
    return Environment(
        engine=engine,
        capabilities=capabilities or Capabilities("simulator", assistant_prefill=True),
        toolbox=Toolbox(tools),
        budget=budget or Budget(),
        call_seconds=call_seconds,
        symbolic=symbolic,
    )


async def play(body: Body, engine: Engine | None = None, *, repeat: bool = True, **settings: Any) -> Played:
    """Run planner code on the engine, check its journal, and repeat it over the journal."""
    world = environment(engine or Simulator("ok"), **settings)
    journal = Journal()
    async with asyncio.timeout(HANG_SECONDS):
        result = await Executor(Run, world, journal).execute(body, {"planner": "test"})
    check(journal.events)
    played = Played(result, journal.events)
    if repeat:
        assert await replay(body, played.events, world) == result
    return played


async def replay(body: Body, events: Sequence[Event], world: Environment) -> Result:
    """Repeat a run with no engine; it must cause no event that was not recorded."""
    journal = Journal(len(events))
    executor = Executor(
        Run, replace(world, engine=None), journal, record=Record(events), next_seq=len(events)
    )
    async with asyncio.timeout(HANG_SECONDS):
        result = await executor.execute(body, {"planner": "test"})
    assert journal.events == []
    return result


async def resume(body: Body, events: Sequence[Event], world: Environment) -> Played:
    """Go on from a part of a journal; returns the result and the whole journal."""
    journal = Journal(len(events))
    executor = Executor(Run, world, journal, record=Record(events), next_seq=len(events))
    async with asyncio.timeout(HANG_SECONDS):
        result = await executor.execute(body, {"planner": "test"})
    return Played(result, [*events, *journal.events])


def check(events: Sequence[Event]) -> None:
    """What holds of the journal of every run that has ended."""
    assert [event.seq for event in events] == list(range(len(events)))
    assert events[0].type is EventType.RUN_STARTED
    assert [event.type for event in events].index(EventType.RUN_FINISHED) == len(events) - 1
    open_nodes: set[str] = set()
    added: Counter[str] = Counter()
    for event in events:
        match event.type:
            case EventType.NODE_ADDED:
                added[event.path] += 1
                open_nodes.add(event.path)
                for source in [*event.data.get("inputs", ()), *event.data.get("after", ())]:
                    assert added[source], f"{event} comes before its input {source}"
            case EventType.NODE_STARTED | EventType.NODE_CHUNK:
                assert event.path in open_nodes, f"{event} of a node that is not open"
            case EventType.NODE_SETTLED:
                assert event.path in open_nodes, f"{event} settles a node that is not open"
                open_nodes.remove(event.path)
            case _:
                pass
    assert not open_nodes, f"never settled: {sorted(open_nodes)}"
    assert set(added.values()) <= {1}


def settled_calls(counters: Counters) -> bool:
    """Whether the simulator was told of the end of every call that it was asked for."""
    return counters.started == counters.finished + counters.aborted + counters.failed and not (
        counters.in_flight or counters.waiting
    )


class Speaker:
    """An engine that is one async generator function, for answers that no simulator would give."""

    name = "speaker"

    def __init__(self, speak: Callable[[Call], AsyncGenerator[Chunk, None]]) -> None:
        self._speak = speak

    async def capabilities(self) -> Capabilities:
        return Capabilities("speaker", assistant_prefill=True)

    def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        return self._speak(call)

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        pass


def said(call: Call) -> str:
    """The prompt of a call as one text."""
    return "".join(segment.text for segment in call.prompt.segments)


def whole(text: str, *, worker: str = "") -> Chunk:
    """A completion in one chunk."""
    return Chunk(text, max(1, len(text)), finish_reason="stop", usage=Usage(1, 0, len(text)), worker=worker)


DONE = Answer("done")
